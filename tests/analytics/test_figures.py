from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics import queries, services
from analytics.models import EventFigures, PeopleDay, SalesDay, SalesHour
from bookings import services as bookings
from bookings.models import Booking
from events.models import Event
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory
from tests.races import race, results

pytestmark = pytest.mark.django_db


def sell(category, quantity=2, user=None):
    """Sell tickets that cost nothing to pay for, and say they cost what the category does."""
    return bookings.hold_seats(user_id=(user or UserFactory()).pk, category_id=category.pk, quantity=quantity)


def door(**fields):
    """A category of an event that collects at the door: a sale with an amount and without a payment."""
    return TicketCategoryFactory(event__payment_collection="at_door", price_minor=1000, capacity=50, **fields)


def stats(event):
    return queries.event_statistics(event=queries_event(event))


def queries_event(event):
    from events.queries import with_categories

    return with_categories(Event.objects.filter(pk=event.pk)).get()


def figures():
    """Every counted row as plain values, to compare two counts."""
    found = []
    for model in (SalesDay, SalesHour, PeopleDay):
        names = [field.attname for field in model._meta.fields if field.name != "id"]
        found.append(sorted(model.objects.values_list(*names), key=str))
    return found, list(EventFigures.objects.order_by("pk").values_list("pk", "buyers", "came_again", "verification"))


def some_sales():
    """An event with a sale, a cancelled sale, a lapsed hold, a hold given up and one that is there."""
    category = door()
    priced = TicketCategoryFactory(event=category.event, price_minor=1000, capacity=50)
    sell(category)
    gone = sell(category, 3)
    bookings.cancel_booking(booking_id=gone.pk, by="staff")
    Event.objects.filter(pk=category.event_id).update(payment_collection="online")
    lapsed = sell(priced)
    Booking.objects.filter(pk=lapsed.pk).update(expires_at=Now() - timedelta(seconds=1))
    bookings.expire_due()
    given_up = sell(priced)
    bookings.give_up_hold(booking_id=given_up.pk)
    sell(priced, 4)
    return category


def test_event_in_figures():
    category = some_sales()
    services.refresh()

    found = stats(category.event)

    assert found == found | {
        "capacity": 100,
        "sold": 2,
        "held": 4,
        "revenue": "20.00",
        "revenue_minor": 2000,
        "bookings": {"confirmed": 1, "cancelled": 2, "expired": 1, "holding": 1},
        "cancellation_rate": 0.5,
        "buyers": 1,
    }
    (day,) = found["trend"]
    assert (day["bookings"], day["tickets"], day["revenue_minor"]) == (1, 2, 2000)
    assert [one["revenue_minor"] for one in found["categories"]] == [2000, 0]
    assert found["counted_at"] is not None


def test_counting_again_changes_nothing_and_a_rebuild_finds_the_same():
    some_sales()
    services.refresh()
    before = figures()

    services.refresh()
    assert figures() == before
    call_command("rebuild_figures", verbosity=0)
    assert figures() == before


def test_what_happens_later_is_counted_on_its_day_and_the_sale_stands_no_more():
    category = door()
    booking = sell(category)
    services.refresh()
    Booking.objects.filter(pk=booking.pk).update(
        created_at=Now() - timedelta(days=3), confirmed_at=Now() - timedelta(days=3)
    )
    services.rebuild()
    bookings.cancel_booking(booking_id=booking.pk, by="staff")
    services.refresh()

    sold, cancelled = SalesDay.objects.order_by("day")

    assert (sold.sold_tickets, sold.standing_tickets, sold.cancelled_tickets) == (2, 0, 0)
    assert (cancelled.sold_tickets, cancelled.cancelled_tickets, cancelled.cancelled_minor) == (0, 2, 2000)
    assert stats(category.event)["trend"] == []


def test_days_are_those_of_the_events_place():
    category = door(event__timezone="Pacific/Kiritimati")  # UTC+14
    booking = sell(category)
    noon = timezone.now().replace(hour=12, minute=0) - timedelta(days=2)
    Booking.objects.filter(pk=booking.pk).update(created_at=noon, confirmed_at=noon)

    services.rebuild()

    assert SalesDay.objects.get().day == (noon + timedelta(days=1)).date()


def test_only_days_with_news_are_counted(django_assert_num_queries):
    old = door()
    booking = sell(old)
    long_ago = timezone.now() - timedelta(days=40)
    Booking.objects.filter(pk=booking.pk).update(created_at=long_ago, confirmed_at=long_ago)
    services.refresh()
    from analytics.models import Cursor

    Cursor.objects.update(counted_until=Now())
    SalesDay.objects.filter(event=old.event).update(sold_tickets=99)  # would be put right if its day were counted
    sell(door())

    assert services.refresh() == 1
    assert SalesDay.objects.get(event=old.event).sold_tickets == 99


@pytest.mark.django_db(transaction=True)
def test_four_counters_at_once_count_once():
    for _ in range(3):
        sell(door())

    outcomes = race([services.refresh] * 4)

    assert len(results(outcomes)) == 4
    assert SalesDay.objects.count() == 3
    assert sum(SalesDay.objects.values_list("sold_tickets", flat=True)) == 6


def test_returning_buyers_had_tickets_of_an_earlier_event():
    person = UserFactory()
    first, second = door(), door()
    Event.objects.filter(pk=first.event_id).update(starts_at=Now() + timedelta(days=2))
    sell(first, user=person)
    sell(second, user=person)
    sell(second)
    services.rebuild()

    assert (stats(second.event)["buyers"], stats(second.event)["returning_buyers"]) == (2, 1)
    assert stats(first.event)["returning_buyers"] == 0


def test_dashboard_adds_events_up():
    category = some_sales()
    other = door()
    sell(other, 5)
    services.rebuild()

    found = queries.dashboard(events=Event.objects.all())

    assert found["today"] == {
        "bookings": 3,
        "tickets": 10,
        "cancelled": 1,
        "holds": 6,
        "revenue": [{"currency": "EUR", "revenue": "100.00", "revenue_minor": 10000}],
    }
    assert found["seats"] == {"capacity": 150, "sold": 7, "held": 4, "offered": 0, "waiting": 0}
    assert len(found["hours"]) == queries.HOURS
    assert (found["hours"][-1]["tickets"], sum(hour["tickets"] for hour in found["hours"])) == (10, 10)
    assert len(found["days"]) == queries.DAYS
    assert found["days"][-1]["holds"] == 6
    assert [(step["step"], step["count"]) for step in found["funnel"]] == [
        ("Joined the line", 0),
        ("Let in", 0),
        ("Held seats", 6),
        ("Paid", 3),
    ]
    assert [(one["name"], one["tickets"]) for one in found["top_events"]] == [
        (category.event.name, 5),
        (other.event.name, 5),
    ]
    assert found["engagement"] == {"buyers": 2, "returning": 0, "returning_rate": 0.0}


def test_dashboard_of_some_events_knows_nothing_of_others():
    sell(door())
    mine = door()
    services.rebuild()

    found = queries.dashboard(events=Event.objects.filter(pk=mine.event_id))

    assert (found["today"]["tickets"], found["seats"]["capacity"], found["top_events"]) == (0, 50, [])


def statements(act):
    with CaptureQueriesContext(connection) as asked:
        act()
    return len(asked)


def test_number_of_statements_is_small_and_does_not_grow(api):
    category = door()
    staff = api.as_user(StaffFactory())
    before = None
    for count in (1, 12):
        for _ in range(count):
            sell(category, 1)
        services.refresh()
        asked = (
            statements(lambda: staff.get("/api/v1/admin/dashboard")),
            statements(lambda: staff.get(f"/api/v1/events/{category.event_id}/stats")),
        )
        assert before in (None, asked)
        before = asked

    assert max(before) <= 16  # one of them is for the rights of who asks


def test_dashboard_is_for_staff(api):
    services.refresh()

    status, body = api.as_user(StaffFactory()).get("/api/v1/admin/dashboard")

    assert status == 200
    assert body["data"]["toDo"] == {"checksToReview": 0, "paymentsToLookAt": 0, "messagesGivenUp": 0}
    for somebody, expected in ((OrganiserFactory(), 403), (UserFactory(), 403)):
        for path in ("dashboard", "events"):
            assert api.as_user(somebody).get(f"/api/v1/admin/{path}").status == expected
    assert api.get("/api/v1/admin/dashboard").status == 401


def test_staff_list_every_event_with_drafts(api):
    TicketCategoryFactory(event=EventFactory(status="draft"))
    TicketCategoryFactory()

    body = api.as_user(StaffFactory()).get("/api/v1/admin/events").body
    assert {event["status"] for event in body["data"]} == {"draft", "published"}
    drafts = api.as_user(StaffFactory()).get("/api/v1/admin/events?status=draft").body
    assert [event["status"] for event in drafts["data"]] == ["draft"]


def test_hours_are_forgotten_and_days_stay():
    category = door()
    booking = sell(category)
    services.refresh()
    SalesHour.objects.update(hour=Now() - timedelta(days=services.HOURS_KEPT_DAYS + 1))
    Booking.objects.filter(pk=booking.pk).update(
        confirmed_at=Now() - timedelta(days=20), created_at=Now() - timedelta(days=20)
    )

    services.refresh()

    assert not SalesHour.objects.exists()
    assert SalesDay.objects.exists()
