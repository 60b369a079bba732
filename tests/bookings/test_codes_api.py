"""The API's doors of codes and gifts, and who may open them."""

from datetime import timedelta

import pytest

from bookings.models import Booking, SaleCode
from events.models import TicketCategory
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def buyer(api):
    return api.as_user(UserFactory())


@pytest.fixture
def organiser(api):
    person = OrganiserFactory()
    client = api.as_user(person)
    client.person = person
    return client


@pytest.fixture
def staff(api):
    return api.as_user(StaffFactory())


@pytest.fixture
def category(organiser):
    return TicketCategoryFactory(name="Floor", event=EventFactory(created_by=organiser.person))


def address(category, rest=""):
    return f"/api/v1/events/{category.event_id}/codes{rest}"


def test_organiser_makes_changes_and_deletes_a_code(organiser, category):
    made = organiser.post(address(category), {"code": "summer 27", "percent": 20, "maxUses": 50, "note": "radio"})

    assert made.status == 201
    assert made.body["data"]["code"] == "SUMMER27"
    assert (made.body["data"]["uses"], made.body["data"]["maxUses"], made.body["data"]["presale"]) == (0, 50, False)
    own = address(category, f"/{made.body['data']['id']}")
    assert organiser.patch(own, {"active": False}).body["data"]["active"] is False
    assert organiser.get(own).body["data"]["percent"] == 20
    assert [code["code"] for code in organiser.get(address(category)).body["data"]] == ["SUMMER27"]
    assert organiser.delete(own).status == 204
    assert not SaleCode.objects.exists()


def test_many_codes_are_made_at_once_and_come_as_a_file(organiser, category):
    made = organiser.post(address(category, "/generate"), {"count": 3, "presale": True, "note": "=club"})

    assert len(made.body["data"]) == 3
    lines = organiser.get(address(category, "/file")).body.decode().splitlines()
    assert lines[0].startswith("code,percent")
    assert {line.split(",")[0] for line in lines[1:]} == {code["code"] for code in made.body["data"]}
    assert all(line.endswith(",'=club") for line in lines[1:])


def test_what_can_not_be_is_refused_with_the_field(organiser, category):
    answer = organiser.post(address(category), {"code": "SUMMER", "percent": 10, "offMinor": 500})

    assert (answer.status, answer.body["code"]) == (400, "invalid_code")
    assert organiser.post(address(category), {"percent": 101}).status == 400


def test_codes_of_an_event_are_its_organisers_only(buyer, organiser, category, api):
    code = organiser.post(address(category), {"code": "SECRET", "percent": 10}).body["data"]["id"]

    for rest in ("", f"/{code}", "/file"):
        assert buyer.get(address(category, rest)).status == 403
        assert api.get(address(category, rest)).status == 401
    assert buyer.post(address(category), {"percent": 10}).status == 403
    assert buyer.delete(address(category, f"/{code}")).status == 403
    elsewhere = TicketCategoryFactory(event=EventFactory(created_by=organiser.person))
    assert organiser.get(address(elsewhere, f"/{code}")).status == 404


def test_check_says_what_a_code_would_do_and_takes_nothing(organiser, buyer, category):
    hidden = TicketCategoryFactory(event=category.event, name="Friends", hidden=True, price_minor=1000)
    organiser.post(address(category), {"code": "MEMBERS", "percent": 50, "presale": True})

    answer = buyer.get(address(category, "/check?code=members")).body["data"]

    assert answer["works"] is True
    shown = {
        row["name"]: (row["priceMinor"], row["priceWithCodeMinor"], row["available"]) for row in answer["categories"]
    }
    assert shown == {"Floor": (4900, 2450, 100), "Friends": (1000, 500, 100)}
    assert not Booking.objects.exists()
    public = buyer.get(f"/api/v1/events/{category.event_id}").body["data"]
    assert [row["name"] for row in public["categories"]] == ["Floor"]
    assert str(hidden.pk) not in str(public)
    own = organiser.get(f"/api/v1/events/{category.event_id}").body["data"]
    assert [row["name"] for row in own["categories"]] == ["Floor", "Friends"]


def test_guessing_at_the_check_ends(settings, api, category):
    settings.CODE_TRIES = 3
    for word in ("AAAA", "BBBB", "CCCC"):
        assert api.get(address(category, f"/check?code={word}")).body["code"] == "code_unknown"

    answer = api.get(address(category, "/check?code=DDDD"))

    assert (answer.status, answer.body["code"]) == (429, "too_many_codes")


def test_booking_with_a_code_costs_what_the_check_said(organiser, buyer, category):
    organiser.post(address(category), {"code": "TENNER", "offMinor": 1000})

    wrong = buyer.post(
        "/api/v1/bookings", {"categoryId": str(category.pk), "quantity": 2, "code": "tenner", "shownPriceMinor": 4900}
    )
    booked = buyer.post(
        "/api/v1/bookings", {"categoryId": str(category.pk), "quantity": 2, "code": "tenner", "shownPriceMinor": 3900}
    )

    assert (wrong.status, wrong.body["code"]) == (409, "price_changed")
    booking = booked.body["data"]["booking"]
    assert (booking["amountMinor"], booking["discountMinor"], booking["code"]) == (7800, 2000, "TENNER")


def test_booking_with_an_unknown_code_is_refused_not_sold_at_full_price(buyer, category):
    answer = buyer.post("/api/v1/bookings", {"categoryId": str(category.pk), "code": "NOPE"})

    assert (answer.status, answer.body["code"]) == (400, "code_unknown")
    assert not Booking.objects.exists()


def test_category_has_its_window_limit_and_secret_through_the_api(organiser, buyer, category):
    opens = f"{category.event.starts_at - timedelta(days=5):%Y-%m-%dT10:00:00Z}"
    change = {"id": str(category.pk), "saleStartsAt": opens, "maxPerPerson": 2, "hidden": True}
    event = f"/api/v1/events/{category.event_id}"

    answer = organiser.patch(event, {"categories": [change]})

    assert answer.body["data"]["categories"][0] == answer.body["data"]["categories"][0] | {
        "saleStartsAt": opens,
        "maxPerPerson": 2,
        "hidden": True,
    }
    organiser.patch(event, {"categories": [{"id": str(category.pk), "hidden": False}]})
    refused = buyer.post("/api/v1/bookings", {"categoryId": str(category.pk)})
    assert (refused.status, refused.body["code"]) == (409, "sale_not_open")
    organiser.patch(event, {"categories": [{"id": str(category.pk), "saleStartsAt": None}]})
    assert TicketCategory.objects.get(pk=category.pk).sale_starts_at is None
    assert (
        buyer.post("/api/v1/bookings", {"categoryId": str(category.pk), "quantity": 3}).body["code"]
        == "too_many_tickets"
    )


def test_staff_give_tickets_and_nobody_else(staff, buyer, organiser, category):
    wish = {"categoryId": str(category.pk), "email": "ana@example.test", "quantity": 2, "reason": "press"}

    assert buyer.post("/api/v1/admin/comps", wish).status == 403
    assert organiser.post("/api/v1/admin/comps", wish).status == 403
    given = staff.post("/api/v1/admin/comps", wish)

    assert given.status == 201
    assert given.body["data"] == given.body["data"] | {
        "status": "confirmed",
        "source": "staff",
        "comp": True,
        "amountMinor": 0,
    }
    assert given.body["data"]["discountMinor"] == 9800
    assert staff.post("/api/v1/admin/comps", wish | {"reason": ""}).status == 400
    assert staff.post("/api/v1/admin/comps", wish).body["code"] == "comp_exists"
