"""The catalogue over HTTP: shapes, permissions, refusals, caching."""

from datetime import timedelta
from threading import Barrier, Thread
from threading import Event as Signal
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.utils import timezone

from accounts.models import StaffAction
from analytics import services as analytics
from bookings.services import confirm_booking, hold_seats
from events.api import rendered
from events.models import Event
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db

SHORT = {
    "name": "Tech Conference 2031",
    "date": "2031-12-15",
    "startTime": "09:00",
    "endTime": "17:00",
    "location": "San Francisco",
    "totalTickets": 100,
    "ticketPrice": 99.99,
    "description": "Annual tech conference",
}
SHAPE = {
    "id", "name", "description", "date", "startTime", "endTime", "startsAt", "endsAt", "timezone", "location", "status",
    "saleStartsAt", "saleEndsAt", "totalTickets", "availableTickets", "ticketPrice", "currency", "categories",
    "queueEnabled", "maxActiveUsers", "requiresFaceVerification", "faceNecessity", "similarityThreshold", "liveness",
    "paymentCollection", "maxTicketsPerBooking", "createdBy",
}  # fmt: skip


@pytest.fixture
def organiser(api):
    person = OrganiserFactory()
    client = api.as_user(person)
    client.person = person
    return client


def created(client, **changes):
    status, body = client.post("/api/v1/events", SHORT | changes)
    assert status == 201, body
    return body["data"]


def sold_event(**fields):
    category = TicketCategoryFactory(event=EventFactory(**fields), capacity=10)
    booking = hold_seats(user_id=UserFactory(name="Ann").pk, category_id=category.pk, quantity=3)
    confirm_booking(booking_id=booking.pk)
    return category.event


def test_short_body_makes_a_published_event_on_sale_at_once(organiser, api):
    event = created(organiser)

    assert event.keys() == SHAPE
    assert event == event | {
        "status": "published",
        "date": "2031-12-15",
        "startTime": "09:00",
        "endTime": "17:00",
        "startsAt": "2031-12-15T09:00:00Z",
        "endsAt": "2031-12-15T17:00:00Z",
        "timezone": "UTC",
        "totalTickets": 100,
        "availableTickets": 100,
        "ticketPrice": "99.99",
        "currency": "EUR",
        "saleStartsAt": None,
        "maxTicketsPerBooking": 10,
        "paymentCollection": "online",
        "createdBy": str(organiser.person.pk),
    }
    (category,) = event["categories"]
    assert category == {
        "id": category["id"],
        "name": "General admission",
        "price": "99.99",
        "currency": "EUR",
        "capacity": 100,
        "available": 100,
        "numbered": False,
        "saleStartsAt": None,
        "saleEndsAt": None,
        "maxPerPerson": None,
        "hidden": False,
    }
    assert api.get(f"/api/v1/events/{event['id']}").body == {"status": "success", "data": event}
    hold_seats(user_id=UserFactory().pk, category_id=category["id"], quantity=2)
    assert api.get(f"/api/v1/events/{event['id']}").body["data"]["availableTickets"] == 98


def test_full_body_makes_categories_also_numbered_ones(organiser):
    body = {name: SHORT[name] for name in ("name", "date", "startTime", "endTime", "location")}
    categories = [
        {"name": "Floor", "price": "49.00", "capacity": 50},
        {"name": "Seats", "price": 79, "rows": 2, "seatsPerRow": 3, "description": "With a view."},
    ]

    status, answer = organiser.post("/api/v1/events", body | {"categories": categories, "status": "draft"})

    assert (status, answer["data"]["status"], answer["data"]["totalTickets"]) == (201, "draft", 56)
    assert [
        (each["name"], each["price"], each["capacity"], each["numbered"]) for each in answer["data"]["categories"]
    ] == [
        ("Floor", "49.00", 50, False),
        ("Seats", "79.00", 6, True),
    ]


def test_times_are_those_of_the_clocks_at_the_place(organiser):
    event = created(organiser, timezone="Europe/Berlin", date="2031-07-01", startTime="22:00", endTime="02:30")

    assert (event["startsAt"], event["endsAt"]) == ("2031-07-01T20:00:00Z", "2031-07-02T00:30:00Z")
    assert (event["date"], event["startTime"], event["endTime"]) == ("2031-07-01", "22:00", "02:30")

    moved = organiser.patch(f"/api/v1/events/{event['id']}", {"timezone": "America/New_York"}).body["data"]

    assert (moved["startTime"], moved["startsAt"], moved["endsAt"]) == (
        "22:00",
        "2031-07-02T02:00:00Z",
        "2031-07-02T06:30:00Z",
    )


def test_time_that_the_clocks_skip_is_refused(organiser):
    body = SHORT | {"timezone": "Europe/Berlin", "date": "2031-03-30", "startTime": "02:30", "endTime": "05:00"}

    status, answer = organiser.post("/api/v1/events", body)

    assert (status, answer["code"]) == (400, "invalid_times")
    assert "02:30" in answer["message"]


def test_same_idempotency_key_makes_one_event(organiser):
    first = organiser.post("/api/v1/events", SHORT, Idempotency_Key="one")
    again = organiser.post("/api/v1/events", SHORT, Idempotency_Key="one")
    other = organiser.post("/api/v1/events", SHORT | {"name": "Other"}, Idempotency_Key="one")

    assert first == again
    assert organiser.last.status_code == 422
    assert other.body["code"] == "idempotency_key_reused"
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"date": "15.12.2031"}, "date"),
        ({"date": None}, "date"),
        ({"startTime": "25:00"}, "startTime"),
        ({"totalTickets": 0}, "totalTickets"),
        ({"totalTickets": "many"}, "totalTickets"),
        ({"ticketPrice": -1}, "ticketPrice"),
        ({"ticketPrice": "NaN"}, "ticketPrice"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"currency": "XXX"}, "currency"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"location": "a\x00b"}, "location"),
        ({"status": "completed"}, "status"),
        ({"similarityThreshold": 0}, "similarityThreshold"),
        ({"paymentCollection": "later"}, "paymentCollection"),
        ({"saleStartsAt": "0001-01-01T00:00:00+14:00"}, "saleStartsAt"),
        ({"categories": []}, "categories"),
        ({"categories": [{"name": "A", "price": 1, "capacity": 2}]}, "totalTickets"),
        ({"date": "1999-01-01"}, "date"),
        ({"availableTickets": 7}, "availableTickets"),
        ({"createdBy": str(uuid4())}, "createdBy"),
    ],
)
def test_wrong_field_is_named(organiser, changes, field):
    status, answer = organiser.post("/api/v1/events", SHORT | changes)

    assert (status, answer["status"]) == (400, "fail")
    assert any(name.partition(".")[0] == field for name in answer["errors"])
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"date": "2001-01-01"}, "event_in_the_past"),
        ({"currency": "JPY"}, "invalid"),
        ({"requiresFaceVerification": True}, "face_reason_missing"),
        ({"liveness": "required"}, "liveness_needs_face_check"),
        ({"ticketPrice": "99999999"}, "invalid_category"),
    ],
)
def test_event_that_makes_no_sense_is_refused_with_its_reason(organiser, changes, code):
    status, answer = organiser.post("/api/v1/events", SHORT | changes)

    assert (status, answer["code"]) == (400, code)


def test_capacity_below_what_is_taken_is_refused_naming_the_minimum(api):
    event = sold_event()
    staff = api.as_user(StaffFactory())

    status, answer = staff.patch(f"/api/v1/events/{event.pk}", {"totalTickets": 2})

    assert (status, answer["code"], answer["minimum"]) == (409, "capacity_below_taken", 3)
    assert "3" in answer["message"]
    assert staff.patch(f"/api/v1/events/{event.pk}", {"totalTickets": 3}).body["data"]["availableTickets"] == 0


@pytest.mark.parametrize("method", ["put", "patch"])
def test_creator_changes_what_is_sent_and_nothing_else(organiser, method):
    event = created(organiser)

    status, answer = getattr(organiser, method)(
        f"/api/v1/events/{event['id']}", {"total_tickets": 50, "ticketPrice": "10", "startTime": "10:00"}
    )

    changes = {"totalTickets": 50, "availableTickets": 50, "ticketPrice": "10.00", "startTime": "10:00"}
    changes |= {"startsAt": "2031-12-15T10:00:00Z"}
    changes["categories"] = [event["categories"][0] | {"capacity": 50, "available": 50, "price": "10.00"}]
    assert (status, answer["data"]) == (200, event | changes)


def test_categories_are_changed_by_id_and_added_without(organiser):
    event = created(organiser)
    path, first = f"/api/v1/events/{event['id']}", event["categories"][0]["id"]

    changed = organiser.patch(
        path, {"categories": [{"id": first, "closed": True}, {"name": "VIP", "price": "250", "capacity": 5}]}
    ).body["data"]

    assert [(each["name"], each["available"]) for each in changed["categories"]] == [
        ("General admission", 0),
        ("VIP", 5),
    ]
    assert (changed["ticketPrice"], changed["availableTickets"], changed["totalTickets"]) == ("250.00", 5, 105)
    assert organiser.patch(path, {"categories": [{"id": str(uuid4()), "price": 1}]}).status == 404
    assert organiser.patch(path, {"totalTickets": 9}).body["code"] == "several_categories"
    assert organiser.patch(path, {"categories": [{"name": "VIP", "price": 1, "capacity": 1}]}).body["code"] == (
        "category_name_taken"
    )


def test_category_of_another_event_is_not_found(organiser):
    mine, other = created(organiser), created(organiser)
    foreign = other["categories"][0]["id"]

    status, _ = organiser.patch(f"/api/v1/events/{mine['id']}", {"categories": [{"id": foreign, "price": "1"}]})

    assert status == 404
    assert organiser.get(f"/api/v1/events/{other['id']}").body["data"]["ticketPrice"] == "99.99"


def test_status_moves_along_the_table_only(organiser):
    event = created(organiser, status="draft")
    path = f"/api/v1/events/{event['id']}"

    assert organiser.patch(path, {"status": "published"}).body["data"]["status"] == "published"
    assert organiser.patch(path, {"status": "published"}).status == 200
    assert organiser.patch(path, {"status": "draft"}).body["code"] == "illegal_transition"
    assert organiser.patch(path, {"status": "completed"}).body["code"] == "event_not_over"
    assert organiser.patch(path, {"status": "cancelled", "reason": "Storm"}).body["data"]["status"] == "cancelled"
    assert organiser.patch(path, {"status": "cancelled"}).status == 200
    assert organiser.patch(path, {"name": "x"}).body["code"] == "event_is_over"


def test_event_with_confirmed_bookings_is_not_deleted(api):
    event = sold_event()
    staff = api.as_user(StaffFactory())

    status, answer = staff.delete(f"/api/v1/events/{event.pk}")

    assert (status, answer["code"], answer["confirmed"]) == (409, "event_has_confirmed_bookings", 3)


def test_event_without_bookings_is_deleted(organiser):
    event = created(organiser)

    assert organiser.delete(f"/api/v1/events/{event['id']}").status == 204
    assert organiser.get(f"/api/v1/events/{event['id']}") == (
        404,
        {"status": "fail", "code": "not_found", "message": "Event not found"},
    )


# -- Who may what -----------------------------------------------------------------------------------------------------
WHO = ["nobody", "buyer", "other organiser", "creator", "staff"]
MATRIX = [
    # draft?, method, path, who may: status per person in the order of WHO
    ("draft", "get", "", [404, 404, 404, 200, 200]),
    ("published", "get", "", [200, 200, 200, 200, 200]),
    ("draft", "patch", "", [401, 404, 404, 200, 200]),
    ("published", "patch", "", [401, 403, 403, 200, 200]),
    ("draft", "put", "", [401, 404, 404, 200, 200]),
    ("published", "put", "", [401, 403, 403, 200, 200]),
    ("draft", "delete", "", [401, 404, 404, 204, 204]),
    ("published", "delete", "", [401, 403, 403, 204, 204]),
    ("draft", "get", "/stats", [401, 404, 404, 200, 200]),
    ("published", "get", "/stats", [401, 403, 403, 200, 200]),
]


@pytest.mark.parametrize(("state", "method", "path", "expected"), MATRIX)
def test_people_may_do_what_they_may(api, state, method, path, expected):
    creator = OrganiserFactory()
    people = [None, UserFactory(), OrganiserFactory(), creator, StaffFactory()]
    answers = []

    for person in people:
        event = TicketCategoryFactory(event=EventFactory(name="Secret", status=state, created_by=creator)).event
        client = api.as_user(person) if person else api
        body = {"name": "New name"} if method in {"put", "patch"} else None
        answer = client.send(method.upper(), f"/api/v1/events/{event.pk}{path}", body)
        answers.append(answer.status)
        if answer.status >= 400:
            assert b"Secret" not in client.last.content
            assert Event.objects.get(pk=event.pk).name == "Secret"

    assert dict(zip(WHO, answers, strict=True)) == dict(zip(WHO, expected, strict=True))


@pytest.mark.parametrize(("make", "status"), [(UserFactory, 403), (OrganiserFactory, 201), (StaffFactory, 201)])
def test_organisers_and_staff_create_events(api, make, status):
    assert api.as_user(make()).post("/api/v1/events", SHORT).status == status
    assert api.post("/api/v1/events", SHORT).status == 401


@pytest.mark.parametrize("path", ["events/{}", "events/status/{}", "available-tickets/{}", "events/{}/stats"])
def test_malformed_id_is_400_and_unknown_404(api, path):
    staff = api.as_user(StaffFactory())

    assert staff.get(f"/api/v1/{path.format('abc')}").body["message"] == "Invalid event ID format"
    assert staff.last.status_code == 400
    assert staff.get(f"/api/v1/{path.format(uuid4())}").body["message"] == "Event not found"
    assert staff.last.status_code == 404


def test_status_and_available_tickets_answer_like_s3(api):
    event = sold_event(name="Concert")

    assert api.get(f"/api/v1/events/status/{event.pk}").body["data"] == {
        "id": str(event.pk),
        "eventName": "Concert",
        "status": "published",
        "totalTickets": 10,
        "availableTickets": 7,
    }
    assert api.get(f"/api/v1/available-tickets/{event.pk}").body["data"] == {
        "eventId": str(event.pk),
        "availableTickets": 7,
    }


def test_stats_add_up(api):
    event = sold_event()
    held = hold_seats(user_id=UserFactory().pk, category_id=event.categories.get().pk, quantity=2)
    analytics.refresh()

    data = api.as_user(StaffFactory()).get(f"/api/v1/events/{event.pk}/stats").body["data"]

    assert data == data | {
        "capacity": 10,
        "sold": 3,
        "held": 2,
        "available": 5,
        "utilisation": 0.3,
        "revenue": "147.00",
        "revenueMinor": 14700,
        "currency": "EUR",
        "bookings": {"confirmed": 1, "cancelled": 0, "expired": 0, "holding": 1},
        "cancellationRate": 0.0,
        "verification": {},
    }
    today = timezone.now().date().isoformat()
    assert data["trend"] == [{"date": today, "bookings": 1, "tickets": 3, "revenue": "147.00", "revenueMinor": 14700}]
    assert held.status == "pending"


# -- Lists and caching ------------------------------------------------------------------------------------------------
def test_list_has_pages_with_links_that_keep_the_filters(api):
    for number in range(3):
        TicketCategoryFactory(event=EventFactory(name=f"Jazz {number}"))
    TicketCategoryFactory(event=EventFactory(name="Rock"))

    first = api.get("/api/v1/events?search=jazz&pageSize=2&ordering=name").body
    second = api.get(first["pagination"]["next"]).body

    assert [event["name"] for event in first["data"] + second["data"]] == ["Jazz 0", "Jazz 1", "Jazz 2"]
    assert (first["results"], first["pagination"]["count"], first["pagination"]["previous"]) == (2, 3, None)
    assert (second["results"], second["pagination"]["next"]) == (1, None)
    assert first["data"][0].keys() == SHAPE
    assert api.get("/api/v1/events?page=9").status == 404


def test_list_names_every_wrong_parameter(api):
    query = (
        "minPrice=x&maxPrice=-1&page=0&pageSize=0&from=tomorrow&to=2031-02-30&ordering=z&status=gone&available=maybe"
    )

    status, answer = api.get(f"/api/v1/events?{query}")

    assert (status, answer["code"]) == (400, "invalid")
    assert answer["errors"].keys() == {
        "minPrice", "maxPrice", "page", "pageSize", "from", "to", "ordering", "status", "available",
    }  # fmt: skip


def test_list_filters_by_query(api):
    TicketCategoryFactory(event=EventFactory(name="near", location="Bern"), price_minor=900)
    far = EventFactory(name="far", location="Oslo", starts_at=timezone.now() + timedelta(days=400), status="cancelled")
    TicketCategoryFactory(event=far, price_minor=9000)

    def found(query):
        return [event["name"] for event in api.get(f"/api/v1/events?{query}").body["data"]]

    assert found("location=bern") == found("maxPrice=9.00") == found("available=true") == ["near"]
    assert found("status=cancelled") == found("minPrice=9.01") == ["far"]
    assert found(f"from={far.starts_at.date()}&to={far.starts_at.date()}") == ["far"]
    assert found("status=published,cancelled") == ["near", "far"]


def test_drafts_are_listed_for_their_creator_only(organiser, api):
    created(organiser, status="draft")

    assert len(organiser.get("/api/v1/events").body["data"]) == 1
    assert organiser.last.headers["Cache-Control"] == "private, no-cache"
    assert api.get("/api/v1/events").body["data"] == []
    assert api.last.headers["Cache-Control"] == "public, max-age=1"


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events/{}"])
def test_reads_are_cached_by_etag_until_anything_changes(api, path, django_assert_max_num_queries):
    category = TicketCategoryFactory(capacity=5)
    path = path.format(category.event_id)

    with django_assert_max_num_queries(3):
        body = api.get(path).body
    tag = api.last.headers["ETag"]
    with django_assert_max_num_queries(1):
        assert api.get(path).body == body
    with django_assert_max_num_queries(1):
        unchanged = api.get(path, If_None_Match=tag)
    assert (unchanged.status, unchanged.body, api.last.headers["ETag"]) == (304, None, tag)
    assert api.get(path, If_None_Match=f"W/{tag}").status == 304

    hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=2)

    status, changed = api.get(path, If_None_Match=tag)
    assert (status, api.last.headers["ETag"] != tag) == (200, True)
    event = changed["data"][0] if isinstance(changed["data"], list) else changed["data"]
    assert event["availableTickets"] == 3


@pytest.mark.parametrize("count", [1, 4])
def test_list_takes_three_statements_however_long_it_is(api, count, django_assert_num_queries):
    for _ in range(count):
        TicketCategoryFactory()

    with django_assert_num_queries(3):
        assert api.get("/api/v1/events").body["results"] == count


def test_crowd_shares_an_answer_for_a_moment_and_a_person_never_does(api, settings, django_assert_max_num_queries):
    settings.SHARED_READ_MS = 600_000  # a moment that no machine is too slow for
    event = TicketCategoryFactory().event
    path = f"/api/v1/events/{event.pk}"
    rendered.SHARED.clear()
    one_by_one = [api.get(path) for _ in range(rendered.CROWD)]
    Event.objects.filter(pk=event.pk).update(name="Renamed")

    with django_assert_max_num_queries(0):
        crowd = [api.get(path).body["data"]["name"] for _ in range(30)]

    assert {answer.body["data"]["name"] for answer in one_by_one} == {event.name}
    assert crowd == [event.name] * 30
    assert api.as_user(UserFactory()).get(path).body["data"]["name"] == "Renamed"
    assert api.get(path, If_None_Match=rendered.SHARED[f"http://testserver{path}"].kept[1]).status == 304
    rendered.SHARED[f"http://testserver{path}"].kept = None
    assert api.get(path).body["data"]["name"] == "Renamed"


def test_people_who_ask_at_the_same_moment_are_a_crowd_and_one_after_the_other_are_not(settings, rf):
    settings.SHARED_READ_MS = 600_000  # a moment that no machine is too slow for
    rendered.SHARED.clear()
    served = []
    alone = Signal()
    three_inside = Barrier(rendered.CROWD_AT_ONCE + 1)

    def view(request):
        served.append(request)
        if not alone.is_set():
            three_inside.wait(60)
            alone.wait(60)
        return HttpResponse(str(len(served)), headers={"ETag": f'"{len(served)}"'})

    shared = rendered.shared_by_a_crowd(view)
    alone.set()
    one_by_one = [shared(rf.get("/api/v1/events/1")).content for _ in range(3)]
    alone.clear()
    slow = [Thread(target=shared, args=[rf.get("/api/v1/events/1")]) for _ in range(rendered.CROWD_AT_ONCE)]
    for thread in slow:
        thread.start()
    three_inside.wait(60)
    with_the_crowd = [shared(rf.get("/api/v1/events/1")).content for _ in range(5)]
    alone.set()
    for thread in slow:
        thread.join(60)

    assert one_by_one == [b"1", b"2", b"3"]
    assert with_the_crowd == [b"3"] * 5
    assert shared(rf.get("/api/v1/events/1")).content == b"7"


def test_what_staff_do_to_an_event_is_written_down_and_what_its_creator_does_is_not(organiser, api):
    event = created(organiser)
    staff = StaffFactory()
    path = f"/api/v1/events/{event['id']}"

    organiser.patch(path, {"name": "By its creator"})
    api.as_user(staff).patch(path, {"name": "By staff", "totalTickets": 7})
    api.as_user(staff).patch(path, {"totalTickets": -1})

    kept = StaffAction.objects.get()
    assert (kept.actor, kept.action, kept.object_id) == (staff, "change_event", event["id"])
    assert kept.before["name"] == "By its creator"
    assert kept.after["name"] == "By staff"
    category = f"category {event['categories'][0]['id']}"
    assert (kept.before[category]["capacity"], kept.after[category]["capacity"]) == (100, 7)
