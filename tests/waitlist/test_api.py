"""The waitlist over the API: lists and places, joining and leaving, offers and their answers, what staff set going."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import StaffAction
from bookings.models import Booking
from events.models import Event, SeatInventory
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from tests.waitlist.scenes import full_house, offered, overdue, release, sell_out, wait
from waitlist import services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def category():
    return TicketCategoryFactory(capacity=1)


def test_staff_see_the_list_in_its_order(api, category):
    ana, ben = UserFactory(name="Ana"), UserFactory(name="Ben")
    services.join(user_id=ana.pk, event_id=category.event_id)
    services.join(user_id=ben.pk, event_id=category.event_id, reason="face_verification_failed", eligible=False)
    staff = api.as_user(StaffFactory())

    status, body = staff.get(f"/api/waitlist/event/{category.event_id}")

    assert (status, body["status"], body["results"]) == (200, "success", 2)
    first, second = body["data"]["waitlist"]
    assert (first["position"], first["user"]["name"], first["reason"]) == (1, "Ana", "tickets_sold_out")
    assert (second["position"], second["user"]["email"], second["eligible"]) == (2, ben.email, False)
    assert first["event"]["id"] == str(category.event_id)
    assert staff.get(f"/api/v1/waitlist/event/{category.event_id}?status=offered").body["results"] == 0
    assert staff.get(f"/api/v1/waitlist/event/{category.event_id}?status=sometime").status == 400
    assert staff.get("/api/v1/waitlist/event/none").body["message"] == "Invalid event ID format"


def test_names_of_those_who_wait_are_for_staff_only(api, category):
    assert api.get(f"/api/v1/waitlist/event/{category.event_id}").status == 401
    assert api.as_user(UserFactory()).get(f"/api/v1/waitlist/event/{category.event_id}").status == 403


def test_list_costs_the_same_for_one_and_for_three(api, category, django_assert_num_queries):
    staff = api.as_user(StaffFactory())
    services.join(user_id=UserFactory().pk, event_id=category.event_id)
    with django_assert_num_queries(7) as first:
        staff.get(f"/api/v1/waitlist/event/{category.event_id}")
    for _ in range(2):
        services.join(user_id=UserFactory().pk, event_id=category.event_id)
    with django_assert_num_queries(len(first)):
        staff.get(f"/api/v1/waitlist/event/{category.event_id}")


def test_one_sees_ones_own_place_and_nobody_elses(api, category):
    person, stranger = UserFactory(), UserFactory()
    services.join(user_id=person.pk, event_id=category.event_id)
    path = f"/api/waitlist/user/{person.pk}/event/{category.event_id}"

    status, body = api.as_user(person).get(path)

    assert (status, body["data"]["onWaitlist"]) == (200, True)
    place = body["data"]["position"]
    assert (place["position"], place["status"], place["reason"]) == (1, "waiting", "tickets_sold_out")
    assert place["event"]["name"] == category.event.name
    assert api.as_user(stranger).get(path).status == 404
    assert api.as_user(StaffFactory()).get(path).body["data"]["onWaitlist"] is True


def test_who_is_not_on_the_list_is_told_so(api, category):
    person = UserFactory()

    status, body = api.as_user(person).get(f"/api/v1/waitlist/user/{person.pk}/event/{category.event_id}")

    assert (status, body["data"]) == (200, {"onWaitlist": False, "message": "User is not on the waitlist"})
    malformed = api.as_user(person).get(f"/api/v1/waitlist/user/me/event/{category.event_id}")
    assert (malformed.status, malformed.body["message"]) == (400, "Invalid user ID format")


def test_leaving_works_once(api, category):
    person = UserFactory()
    services.join(user_id=person.pk, event_id=category.event_id)
    client = api.as_user(person)

    assert client.delete(f"/api/v1/waitlist/{category.event_id}").status == 200
    status, body = client.delete(f"/api/v1/waitlist/{category.event_id}")
    assert (status, body["code"], body["message"]) == (404, "not_on_waitlist", "User not found on waitlist")


def test_joining_says_what_one_waits_for_and_where_one_stands(api):
    category, _ = full_house(capacity=1)
    balcony = TicketCategoryFactory(event=category.event, capacity=1)
    sell_out(balcony)
    wish = {"eventId": str(category.event_id), "quantity": 2, "allTogether": True, "categoryIds": [str(balcony.pk)]}

    status, body = api.as_user(UserFactory()).post("/api/v1/waitlist/join", wish)

    entry = body["data"]["waitlist"]
    assert (status, entry["quantity"], entry["allTogether"], entry["categoryIds"]) == (201, 2, True, [str(balcony.pk)])
    assert (entry["position"], entry["booking"], entry["offerExpiresAt"]) == (1, None, None)
    assert body["message"] == "You are on the waitlist."


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({}, 400, "invalid"),
        ({"eventId": "now"}, 400, "invalid"),
        ({"quantity": 0}, 400, "invalid"),
        ({"quantity": "many"}, 400, "invalid"),
        ({"quantity": 11}, 400, "too_many_tickets"),
        ({"categoryId": "3f8a6a5e-57a3-4e0c-a6e2-0d6a3a3f1c11"}, 404, "not_found"),
        ({"userId": "3f8a6a5e-57a3-4e0c-a6e2-0d6a3a3f1c11"}, 400, "protected_field"),
        ({"position": 1}, 400, "protected_field"),
    ],
)
def test_wishes_that_can_not_be(api, wish, status, code):
    category, _ = full_house(capacity=1)
    wish = {"eventId": str(category.event_id)} | wish if wish else wish

    found, body = api.as_user(UserFactory()).post("/api/v1/waitlist/join", wish)

    assert (found, body["code"]) == (status, code)
    assert not WaitlistEntry.objects.exists()


def test_same_key_joins_accepts_and_rejects_once(api):
    category, sold = full_house(capacity=2)
    ana, ben = UserFactory(), UserFactory()
    path = "/api/v1/waitlist/join"
    for person in (ana, ben):
        client = api.as_user(person)
        first = client.post(path, {"eventId": str(category.event_id)}, Idempotency_Key="join")
        assert client.post(path, {"eventId": str(category.event_id)}, Idempotency_Key="join") == first
    release(*sold)
    services.offer_next(event_id=category.event_id)
    of = {person: WaitlistEntry.objects.get(user=person).pk for person in (ana, ben)}

    client = api.as_user(ana)
    accepted = client.post(f"/api/v1/waitlist/offer/{of[ana]}/accept", {}, Idempotency_Key="yes")
    replayed = client.post(f"/api/v1/waitlist/offer/{of[ana]}/accept", {}, Idempotency_Key="yes")
    assert (accepted.status, replayed) == (200, accepted)
    assert client.last.headers["Idempotency-Replayed"] == "true"
    other = client.post(f"/api/v1/waitlist/offer/{of[ana]}/accept", {"quantity": 1}, Idempotency_Key="yes")
    assert other.status == 422
    client = api.as_user(ben)
    rejected = client.post(f"/api/v1/waitlist/offer/{of[ben]}/reject", Idempotency_Key="no")
    assert client.post(f"/api/v1/waitlist/offer/{of[ben]}/reject", Idempotency_Key="no") == rejected
    assert Booking.objects.filter(source="waitlist", status="pending").count() == 1


def test_offers_belong_to_their_person_and_end(api):
    category, sold = full_house(capacity=1)
    person = UserFactory()
    entry = offered(person, category, *sold)
    stranger = api.as_user(UserFactory())

    for deed in ("accept", "reject"):
        assert stranger.post(f"/api/v1/waitlist/offer/{entry.pk}/{deed}").status == 404
        assert api.as_user(StaffFactory()).post(f"/api/v1/waitlist/offer/{entry.pk}/{deed}").status == 404
        assert api.post(f"/api/v1/waitlist/offer/{entry.pk}/{deed}").status == 401
        assert stranger.post(f"/api/v1/waitlist/offer/it/{deed}").body["message"] == "Invalid waitlist ID format"
    mine = api.as_user(person)
    too_many = mine.post(f"/api/v1/waitlist/offer/{entry.pk}/accept", {"quantity": 2})
    assert (too_many.status, too_many.body["code"]) == (400, "bad_wish")
    overdue(entry)
    for deed in ("accept", "reject"):
        status, body = mine.post(f"/api/v1/waitlist/offer/{entry.pk}/{deed}")
        assert (status, body["code"]) == (410, "offer_expired")


def test_taking_fewer_gives_the_others_back(api):
    category, sold = full_house(capacity=3)
    person = UserFactory()
    entry = offered(person, category, *sold, quantity=3)

    status, body = api.as_user(person).post(f"/api/v1/waitlist/offer/{entry.pk}/accept", {"quantity": 1})

    assert (status, body["data"]["booking"]["quantity"], body["data"]["booking"]["amountMinor"]) == (200, 1, 4900)
    assert SeatInventory.objects.get(category=category).free == 2


def test_an_offer_of_an_event_that_checks_faces_waits_for_the_check(api):
    category, sold = full_house(capacity=1)
    person = UserFactory()
    entry = offered(person, category, *sold)
    Event.objects.filter(pk=category.event_id).update(requires_face_verification=True, face_necessity="Resale.")

    status, body = api.as_user(person).post(f"/api/v1/waitlist/offer/{entry.pk}/accept")

    assert (status, body["code"]) == (403, "verification_required")
    entry.refresh_from_db()
    assert entry.status == "offered"


def test_own_list_and_notifications_are_ones_own_and_cost_the_same(api, django_assert_num_queries):
    person, (other, sold_to_others) = UserFactory(), full_house(capacity=1)
    offered(UserFactory(), other, *sold_to_others)
    client = api.as_user(person)
    assert client.get("/api/v1/waitlist").body["data"] == []
    assert client.get("/api/v1/waitlist/notifications").body["data"] == []
    assert api.get("/api/v1/waitlist").status == 401
    assert api.get("/api/v1/waitlist/notifications").status == 401
    houses = [full_house(capacity=1) for _ in range(3)]
    offered(person, houses[0][0], *houses[0][1])
    with CaptureQueriesContext(connection) as first:
        client.get("/api/v1/waitlist")
    for category, sold in houses[1:]:
        offered(person, category, *sold)
    with django_assert_num_queries(len(first)):
        assert client.get("/api/v1/waitlist").body["results"] == 3


@pytest.mark.parametrize("slots", [0, -1, "all", 1001, 1.5, None])
def test_slots_that_can_not_be(api, category, slots):
    status, body = api.as_user(StaffFactory()).post(
        f"/api/v1/waitlist/process/{category.event_id}", {"slotsAvailable": slots}
    )

    assert (status, body["code"]) == (400, "invalid")


def test_staffs_deeds_are_in_the_audit(api):
    category, sold = full_house(capacity=1)
    wait(UserFactory(), category)
    release(*sold)
    staff = StaffFactory()

    api.as_user(staff).post(f"/api/v1/waitlist/process/{category.event_id}", {"slotsAvailable": 1})

    done = StaffAction.objects.get()
    assert (done.actor, done.action, done.object_id) == (staff, "waitlist_process", str(category.event_id))
    assert done.after == {"offers": 1, "seats": 1}
