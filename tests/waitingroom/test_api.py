"""The line's endpoints, as a client of S2 calls them."""

import json

import pytest

from accounts.services import erase_user
from bookings.waitingroom import services, store
from common import jobs
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.waitingroom.lines import join, line, lose, people, place

pytestmark = pytest.mark.django_db


@pytest.fixture
def category():
    return line(max_active_users=1)


@pytest.fixture
def client_of(api):
    return lambda person: api.as_user(person)


def join_as(client, event):
    status, body = client.post("/api/v1/queue/join", {"eventId": str(event.pk)})
    assert status == 200, body
    return body["data"]


@pytest.mark.django_db(transaction=True)
def test_from_joining_to_tickets(category, client_of):
    event = category.event
    first, second = (client_of(person) for person in people(2))

    admitted = join_as(first, event)
    waiting = join_as(second, event)

    assert (admitted["status"], waiting["status"], waiting["position"], waiting["total"]) == ("active", "waiting", 1, 1)
    wish = {"eventId": str(event.pk), "categoryId": str(category.pk), "quantity": 2}
    assert second.post("/api/v1/bookings", wish).body["code"] == "queue_required"
    assert second.last.status_code == 403
    status, body = first.post("/api/v1/bookings", wish, X_Queue_Token=admitted["receipt"])
    assert status == 201
    shown = first.get(f"/api/v1/queue/status?eventId={event.pk}").body["data"]
    assert shown["bookingId"] == body["data"]["booking"]["id"]
    assert first.delete("/api/v1/bookings/pending").status == 200
    assert second.get(f"/api/v1/queue/status?eventId={event.pk}").body["data"]["status"] == "active"
    assert first.post("/api/v1/bookings", wish).body["code"] == "queue_required"


def test_more_time_over_the_api(category, client_of):
    event = category.event
    first, second = (client_of(person) for person in people(2))
    before = join_as(first, event)
    join_as(second, event)

    status, body = first.post("/api/v1/queue/extend", {"eventId": str(event.pk)})
    refused = second.post("/api/v1/queue/extend", {"eventId": str(event.pk)})

    assert (status, body["data"]["status"]) == (200, "active")
    assert body["data"]["expiresAt"] > before["expiresAt"]
    assert (refused.status, refused.body["code"]) == (409, "slot_over")


def test_joining_takes_who_one_is_from_the_token_alone(category, client_of):
    victim, person = people(2)

    status, body = client_of(person).post(
        "/api/v1/queue/join", {"eventId": str(category.event_id), "userId": str(victim.pk)}
    )

    assert (status, body["code"]) == (400, "protected_field")


def test_who_is_nobody_is_let_in_nowhere(api, category):
    event = category.event_id

    assert api.post("/api/v1/queue/join", {"eventId": str(event)}).status == 401
    assert api.get(f"/api/v1/queue/status?eventId={event}").status == 401
    assert api.delete(f"/api/v1/queue/leave?eventId={event}").status == 401
    assert api.get(f"/api/v1/queue/serving/{event}").status == 200


@pytest.mark.parametrize("path", ["/api/queue/status", "/api/v1/queue/status"])
def test_status_needs_to_know_which_event(client_of, path):
    client = client_of(UserFactory())

    assert client.get(path).body["errors"] == {"eventId": ["This field is required."]}
    assert client.get(f"{path}?eventId=17").status == 400
    assert client.get(f"{path}?event_id={EventFactory().pk}").body["code"] == "no_line"


def test_status_of_somebody_without_a_place(category, client_of):
    status, body = client_of(UserFactory()).get(f"/api/v1/queue/status?eventId={category.event_id}")

    assert (status, body["code"]) == (404, "not_in_line")


def test_status_costs_one_call_of_redis_and_no_statement(
    category, client_of, django_assert_num_queries, count_redis_calls
):
    first, second = people(2)
    join(category.event, first, second)
    client = client_of(second)
    address = f"/api/v1/queue/status?eventId={category.event_id}"
    client.get(address)

    with django_assert_num_queries(0), count_redis_calls() as calls:
        assert client.get(address).status == 200

    assert calls == ["EVALSHA"]


def test_status_that_did_not_change_is_not_sent_again(category, client_of):
    first, second = people(2)
    join(category.event, first, second)
    client = client_of(second)
    address = f"/api/v1/queue/status?eventId={category.event_id}"
    client.get(address)
    etag = client.last.headers["ETag"]

    assert client.get(address, If_None_Match=etag).status == 304
    assert int(client.last.headers["Next-Poll-Ms"]) > 0
    services.leave(user_id=first.pk, event_id=category.event_id)
    assert client.get(address, If_None_Match=etag).status == 200
    assert "no-cache" in client.last.headers["Cache-Control"]


def test_crowd_that_asks_often_is_not_locked_out(category, client_of, settings):
    settings.THROTTLES = settings.THROTTLES | {"read": ((2, 60), (2, 60), False)}
    (person,) = people(1)
    join(category.event, person)
    client = client_of(person)

    assert {client.get(f"/api/v1/queue/status?eventId={category.event_id}").status for _ in range(20)} == {200}


def test_serving_is_the_same_for_everybody_and_may_be_kept_a_second(api, category, client_of):
    join(category.event, *people(3))

    status, body = api.get(f"/api/v1/queue/serving/{category.event_id}")

    assert (status, api.last.headers["Cache-Control"]) == (200, "public, max-age=1")
    assert {name: body["data"][name] for name in ("state", "waiting", "active", "maxActive", "seatsLeft")} == {
        "state": "open",
        "waiting": 2,
        "active": 1,
        "maxActive": 1,
        "seatsLeft": 100,
    }
    assert api.get("/api/v1/queue/serving/nonsense").status == 400
    assert api.get(f"/api/v1/queue/serving/{EventFactory().pk}").status == 404


def test_leaving_is_possible_by_query_and_by_body(category, client_of):
    first, second = people(2)
    join(category.event, first, second)

    assert client_of(first).delete(f"/api/v1/queue/leave?eventId={category.event_id}").status == 204
    assert client_of(second).delete("/api/v1/queue/leave", {"eventId": str(category.event_id)}).status == 204
    assert client_of(second).delete(f"/api/v1/queue/leave?eventId={category.event_id}").status == 404


def test_leaving_while_tickets_are_held_is_refused(category, client_of):
    person = client_of(UserFactory())
    join_as(person, category.event)
    person.post("/api/v1/bookings", {"categoryId": str(category.pk)})

    status, body = person.delete(f"/api/v1/queue/leave?eventId={category.event_id}")

    assert (status, body["code"]) == (409, "hold_exists")


def test_while_the_line_is_filled_joining_waits_and_status_says_so(category, client_of):
    persons = people(3)
    join(category.event, *persons[:2])
    store.client().hset(store.key(category.event_id, "cfg"), "state", "rebuilding")

    status, body = client_of(persons[2]).post("/api/v1/queue/join", {"eventId": str(category.event_id)})
    shown = client_of(persons[1])

    assert (status, body["code"]) == (503, "queue_restoring")
    assert shown.get(f"/api/v1/queue/status?eventId={category.event_id}").body["data"]["status"] == "restoring"


def test_redis_away_is_503_with_when_to_come_back(category, client_of, settings):
    client = client_of(UserFactory())
    settings.QUEUE_REDIS_URL = "unix:///nowhere/redis.sock"
    store.client.cache_clear()

    try:
        status, body = client.post("/api/v1/queue/join", {"eventId": str(category.event_id)})
        retry = client.last.headers["Retry-After"]
        asked = client.get(f"/api/v1/queue/status?eventId={category.event_id}").status
    finally:
        store.client.cache_clear()

    assert (status, body["code"], retry, asked) == (503, "queue_unavailable", "3", 503)


def test_line_that_is_not_open_says_when(client_of, settings):
    settings.QUEUE_LOBBY_SECONDS = 60
    category = line(lobby=True)

    status, body = client_of(UserFactory()).post("/api/v1/queue/join", {"eventId": str(category.event_id)})

    assert (status, body["code"]) == (409, "queue_closed")
    assert body["opensAt"].endswith("Z")


def test_line_switched_on_over_the_api_is_there_at_once(api, client_of, user_factory):
    organiser = user_factory(is_organiser=True)
    category = TicketCategoryFactory(event=EventFactory(created_by=organiser))
    client = api.as_user(organiser)

    assert (
        client.patch(f"/api/v1/events/{category.event_id}", {"queueEnabled": True, "maxActiveUsers": 3}).status == 200
    )

    assert join_as(client_of(UserFactory()), category.event)["status"] == "active"
    assert api.get(f"/api/v1/queue/serving/{category.event_id}").body["data"]["maxActive"] == 3


def test_erasing_an_account_gives_its_place_up(category, django_capture_on_commit_callbacks):
    first, person, third = people(3)
    join(category.event, first, person, third)
    services.drain_journal(category.event_id)

    with django_capture_on_commit_callbacks(execute=True):
        erase_user(user_id=person.pk)

    assert place(category.event, person).state == "left"
    assert services.status(user_id=third.pk, event_id=category.event_id).position == 1


def test_jobs_do_all_of_it(category):
    persons = people(3)
    join(category.event, *persons)
    lose(category.event)

    for name in ("waitingroom.tick", "waitingroom.drain", "waitingroom.sweep"):
        jobs.run(name)

    assert store.snapshot(category.event_id).epoch == 2


def test_everything_about_a_person_is_theirs_alone(category, client_of):
    first, second, stranger = people(3)
    join(category.event, first, second)

    body = client_of(stranger).get(f"/api/v1/queue/serving/{category.event_id}").body

    for person in (first, second):
        assert str(person.pk) not in json.dumps(body)
