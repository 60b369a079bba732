"""
S1 section 3 by a client that knows nothing else: its paths under /api, its bodies, its words.

People log in by S0's paths. What we add to S1's shapes (ids without underscore, more fields) such a client does not look at.
"""

import pytest

from bookings.models import Booking
from tests.factories import PASSWORD, StaffFactory, TicketCategoryFactory, UserFactory
from tests.waitlist.scenes import full_house, overdue, release, sell_out
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log_in(api):
    def log_in(person, path="/api/auth/login"):
        status, body = api.post(path, {"email": person.email, "password": PASSWORD})
        assert status == 200
        return api.with_token(body["data"]["access"]), body["data"]["user"]["id"]

    return log_in


@pytest.fixture
def jane(log_in):
    """Two attendees and an admin, logged in: (client, user id) each."""
    return log_in(UserFactory(name="Jane", password=PASSWORD))


@pytest.fixture
def john(log_in):
    return log_in(UserFactory(name="John", password=PASSWORD))


@pytest.fixture
def admin(log_in):
    return log_in(StaffFactory(name="Admin", password=PASSWORD), "/api/auth/admin-login")[0]


def test_a_list_from_joining_to_tickets_and_refusals(jane, john, admin):
    category, sold = full_house(capacity=2, price_minor=0)
    event = str(category.event_id)
    (jane, jane_id), (john, john_id) = jane, john

    # 3.2: nobody is on the list yet.
    status, body = jane.get(f"/api/waitlist/user/{jane_id}/event/{event}")
    assert (status, body) == (
        200,
        {"status": "success", "data": {"onWaitlist": False, "message": "User is not on the waitlist"}},
    )
    for client in (jane, john):
        assert client.post("/api/waitlist/join", {"eventId": event}).status == 201

    # 3.1: the list in its order, filtered by status.
    status, body = admin.get(f"/api/waitlist/event/{event}")
    assert (status, body["status"], body["results"]) == (200, "success", 2)
    first, second = body["data"]["waitlist"]
    assert (first["position"], first["status"], first["reason"]) == (1, "waiting", "tickets_sold_out")
    assert (first["userId"], first["user"]["name"], first["event"]["id"]) == (jane_id, "Jane", event)
    assert (second["position"], second["userId"]) == (2, john_id)
    assert first["joinedAt"] <= second["joinedAt"]
    assert admin.get(f"/api/waitlist/event/{event}?status=offered").body["results"] == 0

    # 3.2: where one stands.
    _, body = john.get(f"/api/waitlist/user/{john_id}/event/{event}")
    assert body["data"]["onWaitlist"] is True
    place = body["data"]["position"]
    assert (place["position"], place["status"], place["reason"]) == (2, "waiting", "tickets_sold_out")
    assert (place["event"]["name"], place["joinedAt"]) == (category.event.name, second["joinedAt"])

    # 3.5: more slots than there are free seats; never more offers than seats.
    release(*sold)
    status, body = admin.post(f"/api/waitlist/process/{event}", {"slotsAvailable": 5})
    assert (status, body["status"], body["data"]["success"]) == (200, "success", True)
    assert body["data"]["message"] == "Offered 2 ticket(s) from waitlist"
    issued = body["data"]["issued"]
    assert [(offer["userId"], offer["eventId"], offer["position"]) for offer in issued] == [
        (jane_id, event, 1),
        (john_id, event, 2),
    ]
    assert all(offer["expiresAt"] for offer in issued)
    _, again = admin.post(f"/api/waitlist/process/{event}", {"slotsAvailable": 5})
    assert (again["data"]["message"], again["data"]["issued"]) == ("Offered 0 ticket(s) from waitlist", [])

    # 3.3: a ticket of a free event at once; somebody else's offer is not there.
    waitlist_id = first["id"]
    assert john.post(f"/api/waitlist/offer/{waitlist_id}/accept").status == 404
    status, body = jane.post(f"/api/waitlist/offer/{waitlist_id}/accept")
    assert (status, body["status"]) == (200, "success")
    assert (body["data"]["success"], body["data"]["message"]) == (True, "Offer accepted. Ticket issued!")
    assert Booking.objects.get(user_id=jane_id, status="confirmed").tickets.count() == 1

    # 3.4: the other passes it on.
    status, body = john.post(f"/api/waitlist/offer/{second['id']}/reject")
    assert (status, body) == (200, {"status": "success", "data": {"success": True, "message": "Offer rejected"}})
    assert john.get(f"/api/waitlist/user/{john_id}/event/{event}").body["data"]["onWaitlist"] is False
    assert {row["status"] for row in admin.get(f"/api/waitlist/event/{event}").body["data"]["waitlist"]} == {
        "accepted",
        "rejected",
    }


def test_offers_that_lapse_are_cleaned_up_and_their_people_wait_again(jane, admin):
    category, sold = full_house(capacity=1)
    event, (jane, jane_id) = str(category.event_id), jane
    jane.post("/api/waitlist/join", {"eventId": event})
    release(*sold)
    admin.post(f"/api/waitlist/process/{event}", {"slotsAvailable": 1})
    overdue(WaitlistEntry.objects.get())
    assert jane.post(f"/api/waitlist/offer/{WaitlistEntry.objects.get().pk}/accept").status == 410

    status, body = admin.post("/api/waitlist/cleanup")

    assert (status, body["status"]) == (200, "success")
    assert body["data"] == {"success": True, "message": "Cleaned up 1 expired offers"}
    assert admin.post("/api/waitlist/cleanup").body["data"]["message"] == "Cleaned up 0 expired offers"
    _, body = jane.get(f"/api/waitlist/user/{jane_id}/event/{event}")
    assert body["data"]["position"]["status"] == "waiting"


def test_accepting_something_that_costs_leads_to_paying_first(jane, admin):
    category, sold = full_house(capacity=1, price_minor=4900)
    event, (jane, _) = str(category.event_id), jane
    jane.post("/api/waitlist/join", {"eventId": event})
    release(*sold)
    admin.post(f"/api/waitlist/process/{event}", {"slotsAvailable": 1})

    status, body = jane.post(f"/api/waitlist/offer/{WaitlistEntry.objects.get().pk}/accept")

    assert (status, body["data"]["success"], body["data"]["action"]) == (200, True, "PAYMENT_REQUIRED")
    assert (body["data"]["booking"]["status"], body["data"]["booking"]["amountMinor"]) == ("pending", 4900)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/api/waitlist/user/me/event/{event}", 400, "Invalid user ID format"),
        ("GET", "/api/waitlist/user/{user}/event/now", 400, "Invalid event ID format"),
        ("GET", "/api/waitlist/event/now", 400, "Invalid event ID format"),
        ("POST", "/api/waitlist/process/now", 400, "Invalid event ID format"),
        ("DELETE", "/api/waitlist/{event}", 404, "User not found on waitlist"),
    ],
)
def test_the_error_table_holds(log_in, method, path, status, message):
    staff, user_id = log_in(StaffFactory(password=PASSWORD))
    path = path.format(user=user_id, event=TicketCategoryFactory().event_id)

    found, body = staff.send(method, path)

    assert (found, body["status"], body["message"]) == (status, "fail", message)


def test_what_is_for_admins_is_for_nobody_else(api, jane):
    category = TicketCategoryFactory(capacity=1)
    sell_out(category)
    event = category.event_id

    for method, path in (
        ("GET", f"/api/waitlist/event/{event}"),
        ("POST", f"/api/waitlist/process/{event}"),
        ("POST", "/api/waitlist/cleanup"),
    ):
        assert jane[0].send(method, path).status == 403
        assert api.send(method, path).status == 401
