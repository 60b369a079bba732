"""S3's and S4's waitlist and partial booking by clients that know only those descriptions."""

import pytest

from bookings.models import Booking
from common import jobs
from events.models import SeatInventory
from tests.factories import PASSWORD, StaffFactory, TicketCategoryFactory, UserFactory
from tests.waitlist.scenes import full_house, release, sell_out
from waitlist import services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log_in(api):
    def log_in(person):
        _, body = api.post("/api/auth/login", {"email": person.email, "password": PASSWORD})
        return api.with_token(body["data"]["access"])

    return log_in


@pytest.fixture
def user(log_in):
    return log_in(UserFactory(password=PASSWORD))


# -- S3 ---------------------------------------------------------------------------------------------------------------


def test_s3_books_what_is_left_and_puts_the_rest_on_the_list(user):
    category = TicketCategoryFactory(capacity=3)

    status, body = user.post("/api/tickets/book", {"event_id": str(category.event_id), "quantity": 5})

    assert (status, body["data"]["booking"]["quantity"]) == (201, 3)
    rest = body["data"]["waitlist"]
    assert (rest["quantity"], rest["position"], rest["status"]) == (2, 1, "waiting")
    assert SeatInventory.objects.get(category=category).held == 3


def test_s3_sold_out_is_the_list_alone_and_never_a_booking_of_nothing(user):
    category, _ = full_house(capacity=2)
    taken = Booking.objects.count()

    status, body = user.post("/api/tickets/book", {"event_id": str(category.event_id), "quantity": 2})

    assert (status, body["data"]["booking"], body["data"]["waitlist"]["quantity"]) == (202, None, 2)
    assert Booking.objects.count() == taken


def test_s3_joining_twice_makes_one_entry(user):
    category, _ = full_house(capacity=1)
    body = {"event_id": str(category.event_id)}

    status, joined = user.post("/api/waitinglists/join-waitlist", body)
    again = user.post("/api/waitinglists/join-waitlist", body)

    assert (status, joined["data"]["waitlist"]["position"]) == (201, 1)
    assert (again.status, again.body["code"]) == (409, "already_waiting")
    assert WaitlistEntry.objects.count() == 1


def test_s3_list_of_everybody_who_waits_is_for_staff(api, user, log_in):
    category, _ = full_house(capacity=1)
    user.post("/api/waitinglists/join-waitlist", {"event_id": str(category.event_id)})
    staff = log_in(StaffFactory(password=PASSWORD))

    status, body = staff.get("/api/waitinglists")

    assert (status, body["results"], len(body["data"]["waitlist"])) == (200, 1, 1)
    assert staff.get(f"/api/waitinglists?event_id={category.event_id}").body["results"] == 1
    assert staff.get(f"/api/waitinglists?eventId={category.pk}").body["results"] == 0
    assert staff.get("/api/waitinglists?eventId=now").status == 400
    assert user.get("/api/waitinglists").status == 403
    assert api.get("/api/waitinglists").status == 401


# -- S4 ---------------------------------------------------------------------------------------------------------------


def test_s4_joins_looks_is_notified_and_leaves(user):
    category, sold = full_house(capacity=2)
    event = str(category.event_id)

    assert user.get("/api/waitlist").body["data"] == []
    status, joined = user.post("/api/waitlist/join", {"event_id": event, "quantity": 1})
    assert (status, joined["data"]["waitlist"]["event"]["id"]) == (201, event)
    _, mine = user.get("/api/waitlist")
    assert [(entry["position"], entry["status"], entry["eventId"]) for entry in mine["data"]] == [(1, "waiting", event)]
    assert (mine["results"], mine["pagination"]["count"]) == (1, 1)

    release(sold[0])
    services.offer_next(event_id=category.event_id)
    jobs.run("common.deliver_outbox")
    _, told = user.get("/api/waitlist/notifications")
    assert [notice["kind"] for notice in told["data"]] == ["waitlist_offer", "waitlist_joined"]
    assert category.event.name in told["data"][0]["title"]
    assert told["data"][0]["url"] == f"/waitlist/{joined['data']['waitlist']['id']}"
    _, mine = user.get("/api/waitlist")
    assert (mine["data"][0]["status"], mine["data"][0]["position"]) == ("offered", None)
    assert mine["data"][0]["booking"]["quantity"] == 1

    assert user.delete(f"/api/waitlist/{event}").status == 200
    assert user.get("/api/waitlist").body["data"][0]["status"] in {"left", "rejected"}
    assert user.delete(f"/api/waitlist/{event}").status == 404


def test_s4_first_come_first_served(log_in):
    category, sold = full_house(capacity=3)
    people = [UserFactory(password=PASSWORD) for _ in range(3)]
    for person in people:
        log_in(person).post("/api/waitlist/join", {"event_id": str(category.event_id)})

    release(*sold[:2])
    services.offer_next(event_id=category.event_id)

    assert [log_in(person).get("/api/waitlist").body["data"][0]["status"] for person in people] == [
        "offered",
        "offered",
        "waiting",
    ]


def test_s4_no_list_while_tickets_are_on_sale(user):
    category = TicketCategoryFactory(capacity=2)

    status, body = user.post("/api/waitlist/join", {"event_id": str(category.event_id)})

    assert (status, body["code"], body["available"]) == (409, "tickets_available", 2)
    assert not WaitlistEntry.objects.exists()


def test_s4_partial_booking_is_asked_for(user):
    category = TicketCategoryFactory(capacity=3)
    wish = {"event_id": str(category.event_id), "quantity": 5}

    refused = user.post("/api/bookings", wish)
    assert (refused.status, refused.body["available"]) == (409, 3)
    status, body = user.post("/api/bookings", wish | {"allow_partial": True})

    assert (status, body["data"]["booking"]["quantity"], body["data"]["waitlist"]["quantity"]) == (201, 3, 2)


def test_partial_booking_of_what_is_all_there_needs_no_list(user):
    category = TicketCategoryFactory(capacity=5)

    status, body = user.post("/api/bookings", {"categoryId": str(category.pk), "quantity": 2, "allowPartial": True})

    assert (status, body["data"]["booking"]["quantity"], body["data"]["waitlist"]) == (201, 2, None)


def test_partial_booking_with_a_key_is_one_booking_and_one_place(user):
    category = TicketCategoryFactory(capacity=1)
    wish = {"categoryId": str(category.pk), "quantity": 2, "allowPartial": True}

    first = user.post("/api/bookings", wish, Idempotency_Key="once")
    again = user.post("/api/bookings", wish, Idempotency_Key="once")

    assert first == again
    assert (Booking.objects.count(), WaitlistEntry.objects.count()) == (1, 1)


def test_partial_booking_beyond_what_one_person_may_have_changes_nothing(user):
    category = TicketCategoryFactory(capacity=3, event__max_tickets_per_booking=4)

    status, body = user.post("/api/bookings", {"categoryId": str(category.pk), "quantity": 5, "allowPartial": True})

    assert (status, body["code"]) == (400, "too_many_tickets")
    assert not Booking.objects.exists()
    assert not WaitlistEntry.objects.exists()


def test_partial_booking_of_a_sold_out_category_waits_for_that_one(user):
    category = TicketCategoryFactory(capacity=1)
    sell_out(category)
    other = TicketCategoryFactory(event=category.event, capacity=5)

    status, body = user.post("/api/bookings", {"categoryId": str(category.pk), "quantity": 1, "allowPartial": True})

    assert (status, body["data"]["waitlist"]["categoryIds"]) == (202, [str(category.pk)])
    assert SeatInventory.objects.get(category=other).waiting == 0
