"""The waitlist over the API: S1 §3.1 and §3.2, and leaving."""

import pytest

from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from waitlist import services

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
    with django_assert_num_queries(6) as first:
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
