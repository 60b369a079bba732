from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from threading import Thread
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from analytics import counting, queries, services
from analytics.models import Cursor, EventFigures, PeopleDay, SalesDay, SalesHour
from bookings import services as bookings
from bookings.models import Booking
from events.models import Event
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory
from tests.races import race, results

pytestmark = pytest.mark.django_db


def sell(category, quantity=2, user=None):
    """Sell tickets that cost nothing to pay for, and say they cost what the category does."""
    return bookings.hold_seats(user_id=(user or UserFactory()).pk, category_id=category.pk, quantity=quantity)


def noon():
    """The name of a zone where it is about noon: no day ends there while a test runs."""
    ahead = 12 - timezone.now().hour
    return f"Etc/GMT{-ahead:+d}"  # POSIX signs: west is plus


def door(**fields):
    """A category of an event that collects at the door: a sale with an amount and without a payment."""
    given = {"event__timezone": noon(), "capacity": 50} | fields
    return TicketCategoryFactory(event__payment_collection="at_door", price_minor=1000, **given)


def happened(booking, at):
    """Let a sale have happened then."""
    Booking.objects.filter(pk=booking.pk).update(created_at=at, confirmed_at=at)


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


def test_sale_that_loses_a_ticket_later_is_a_smaller_one():
    category = door()
    booking = sell(category, 3)
    happened(booking, timezone.now() - timedelta(days=3))
    services.rebuild()
    Cursor.objects.update(counted_until=Now())
    bookings.cancel_tickets(booking_id=booking.pk, ticket_ids=[booking.tickets.first().pk])

    services.refresh()

    found = stats(category.event)
    assert (found["sold"], found["revenue_minor"], found["bookings"]["confirmed"]) == (2, 2000, 1)
    before = figures()
    services.rebuild()
    assert figures() == before


def test_hold_that_is_paid_after_it_lapsed_lapsed_on_no_day():
    category = TicketCategoryFactory(price_minor=1000)
    booking = sell(category)
    Booking.objects.filter(pk=booking.pk).update(expires_at=Now() - timedelta(seconds=1))
    bookings.expire_due()
    before = timezone.now() - timedelta(days=3)
    Booking.objects.filter(pk=booking.pk).update(created_at=before - timedelta(days=1), ended_at=before)
    booking.history.update(at=before)
    services.rebuild()
    assert stats(category.event)["bookings"]["expired"] == 1
    Cursor.objects.update(counted_until=Now())
    bookings.settle_paid_booking(booking_id=booking.pk)

    services.refresh()

    assert stats(category.event)["bookings"] == {"confirmed": 1, "cancelled": 0, "expired": 0, "holding": 0}
    counted = figures()
    services.rebuild()
    assert figures() == counted


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


def test_who_comes_again_is_counted_anew_when_the_earlier_event_has_news():
    person = UserFactory()
    first, second = door(), door()
    Event.objects.filter(pk=first.event_id).update(starts_at=Now() + timedelta(days=2))
    earlier = sell(first, user=person)
    sell(second, user=person)
    services.rebuild()
    assert stats(second.event)["returning_buyers"] == 1

    bookings.cancel_booking(booking_id=earlier.pk, by="staff")
    EventFigures.objects.update(people_counted_at=Now() - timedelta(minutes=1))  # counted before it was cancelled
    services.refresh()
    services.count_returning()

    assert stats(second.event)["returning_buyers"] == 0
    before = figures()
    services.rebuild()
    assert figures() == before


def test_dashboard_adds_events_up():
    category = some_sales()
    other = door()
    sell(other, 5)
    yen = door(event__currency="JPY")
    sell(yen, 1)
    services.rebuild()

    found = queries.dashboard()

    euro, in_yen = (
        {"currency": "EUR", "revenue": "100.00", "revenue_minor": 10000},
        {"currency": "JPY", "revenue": "1000"},
    )
    assert found["today"] == {
        "bookings": 4,
        "tickets": 11,
        "cancelled": 1,
        "holds": 7,
        "revenue": [euro, in_yen | {"revenue_minor": 1000}],
    }
    assert found["totals"] == {
        "bookings": 3,
        "tickets": 8,
        "cancellation_rate": 0.25,
        "revenue": [{"currency": "EUR", "revenue": "70.00", "revenue_minor": 7000}, in_yen | {"revenue_minor": 1000}],
    }
    assert found["seats"] == {
        "capacity": 200,
        "sold": 8,
        "held": 4,
        "offered": 0,
        "waiting": 0,
        "utilisation": 0.04,
    }
    assert len(found["hours"]) == queries.HOURS
    assert sum(hour["tickets"] for hour in found["hours"][-2:]) == 11  # two, for an hour may end while this runs
    assert len(found["days"]) == queries.DAYS
    assert sum(day["holds"] for day in found["days"]) == 7
    assert [(step["step"], step["count"]) for step in found["funnel"]] == [
        ("Joined the line", 0),
        ("Let in", 0),
        ("Held seats", 7),
        ("Paid", 4),
    ]
    sold = [(-5, category.event.name), (-5, other.event.name), (-1, yen.event.name)]
    assert [(-one["tickets"], one["name"]) for one in found["top_events"]] == sorted(sold)
    assert found["engagement"] == {"buyers": 3, "returning": 0, "returning_rate": 0.0}


def test_dashboard_of_an_empty_house():
    found = queries.dashboard()

    assert found["seats"] == dict.fromkeys(queries.SEATS, 0) | {"utilisation": 0.0}
    assert (found["today"]["revenue"], found["totals"]["revenue"], found["top_events"]) == ([], [], [])
    assert (len(found["hours"]), len(found["days"]), found["counted_at"]) == (queries.HOURS, queries.DAYS, None)


def test_deleted_events_are_in_no_figure_of_the_house():
    gone = door()
    sell(gone)
    services.refresh()
    Event.objects.filter(pk=gone.event_id).update(deleted_at=Now())

    found = queries.dashboard()

    assert (found["today"]["tickets"], found["seats"]["capacity"], found["top_events"]) == (0, 0, [])
    assert found["engagement"]["buyers"] == 0


def test_days_and_hours_of_some_events_know_nothing_of_others():
    sell(door())
    mine = Event.objects.filter(pk=door().event_id)
    services.rebuild()

    assert sum(day["tickets"] for day in queries.house_days(mine)) == 0
    assert sum(hour["tickets"] for hour in queries.hours_of(mine)) == 0


# -- Clocks -----------------------------------------------------------------------------------------------------------
def test_hours_of_places_at_half_past_are_counted_again_and_again():
    category = door(event__timezone="Asia/Kolkata")  # midnight is at 18:30 UTC
    before = (timezone.now() - timedelta(days=2)).replace(hour=18, minute=10)
    for minutes in (0, 30):
        happened(sell(category), before + timedelta(minutes=minutes))
    services.rebuild()
    happened(sell(category, 1), before + timedelta(minutes=31))

    services.count_days([(category.event_id, (before + timedelta(days=1)).date())])

    hours = SalesHour.objects.values_list("hour__time", "sold_tickets")
    assert [(f"{at:%H:%M}", tickets) for at, tickets in hours] == [("17:30", 2), ("18:30", 3)]
    assert [day.sold_tickets for day in SalesDay.objects.order_by("day")] == [2, 3]


@pytest.mark.parametrize(
    ("zone", "changes", "before", "after"),
    [
        ("Europe/Berlin", "2026-10-25T01:00+00:00", 25, 25),  # 02:00 to 03:00 come twice
        ("Europe/Berlin", "2026-03-29T01:00+00:00", 29, 29),  # 02:00 to 03:00 never come
        ("Atlantic/Azores", "2026-10-25T01:00+00:00", 25, 25),  # 00:00 to 01:00 come twice: the day begins at the first
        ("Africa/Cairo", "2026-04-23T22:00+00:00", 23, 24),  # the day begins at 01:00
    ],
)
def test_days_and_hours_over_a_change_of_clocks(zone, changes, before, after):
    category = door(event__timezone=zone)
    at = datetime.fromisoformat(changes)
    happened(sell(category, 1), at - timedelta(minutes=30))
    happened(sell(category, 2), at + timedelta(minutes=30))

    services.rebuild()
    counted = figures()
    for day in sorted({before, after}):
        services.count_days([(category.event_id, at.astimezone(ZoneInfo(zone)).date().replace(day=day))])

    assert figures() == counted  # each day stands for itself, however often it is counted
    days = list(SalesDay.objects.order_by("day").values_list("day__day", "sold_tickets"))
    assert days == ([(before, 1), (after, 2)] if before != after else [(before, 3)])


def test_hours_that_are_called_alike_stay_two(monkeypatch):
    category = door(event__timezone="Europe/Berlin")
    at = datetime(2026, 10, 25, 1, tzinfo=UTC)
    happened(sell(category, 1), at - timedelta(minutes=30))
    happened(sell(category, 2), at + timedelta(minutes=30))
    monkeypatch.setattr(services, "HOURS_KEPT_DAYS", 36_500)
    services.rebuild()
    monkeypatch.setattr(queries.timezone, "now", lambda: at + timedelta(hours=3))

    hours = queries.hours_of(Event.objects.all(), zone="Europe/Berlin")

    assert len({hour["hour"].astimezone(UTC) for hour in hours}) == queries.HOURS
    sold = [(f"{hour['hour']:%H:%M %Z}", hour["tickets"]) for hour in hours if hour["tickets"]]
    assert sold == [("02:00 CEST", 1), ("02:00 CET", 2)]


def test_event_that_moves_to_another_clock_is_counted_by_it():
    category = door(event__timezone="Pacific/Kiritimati")  # UTC+14
    at = timezone.now().replace(hour=12, minute=0) - timedelta(days=5)
    happened(sell(category), at)
    services.refresh()
    Cursor.objects.update(counted_until=Now())
    Event.objects.filter(pk=category.event_id).update(timezone="UTC")

    services.refresh()

    assert [row.day for row in SalesDay.objects.all()] == [at.date()]
    before = figures()
    services.rebuild()
    assert figures() == before


def test_tomorrow_elsewhere_is_in_the_days_of_the_house():
    here = timezone.now().astimezone(ZoneInfo("Pacific/Kiritimati"))
    sell(door(event__timezone="Pacific/Kiritimati"), 3)
    services.refresh()

    days = queries.house_days(Event.objects.all())

    assert len(days) == queries.DAYS
    assert days[-1]["date"] >= here.date().isoformat()
    assert sum(day["tickets"] for day in days[-2:]) == 3


# -- Counting while people buy ----------------------------------------------------------------------------------------
def late_commit():
    """Refresh while a sale is under way that commits after it, refresh again, and return how many tickets were counted."""
    category, person = door(), UserFactory()
    begun, counted = Flag(), Flag()

    def buy():
        try:
            with transaction.atomic():
                sell(category, 2, user=person)
                begun.set()
                assert counted.wait(30)
        finally:
            connections.close_all()

    buyer = Thread(target=buy, daemon=True)
    buyer.start()
    assert begun.wait(30)
    services.refresh()
    counted.set()
    buyer.join(30)
    services.refresh()
    return sum(SalesDay.objects.values_list("sold_tickets", flat=True))


@pytest.mark.django_db(transaction=True)
def test_sale_that_commits_after_a_count_is_in_the_next(monkeypatch):
    monkeypatch.setattr(services, "OVERLAP", timedelta(0))  # as if it took longer than that

    assert late_commit() == 2


@pytest.mark.django_db(transaction=True)
def test_counting_from_the_last_count_on_misses_it(monkeypatch):
    """The control of the test above."""
    monkeypatch.setattr(services, "OVERLAP", timedelta(0))
    monkeypatch.setattr(counting, "HORIZON", "SELECT now()")

    assert late_commit() == 0


@pytest.mark.django_db(transaction=True)
def test_what_was_counted_while_people_bought_is_what_a_rebuild_finds():
    categories = [door(), door(event__timezone="Asia/Kolkata")]
    people = [UserFactory() for _ in range(6)]

    def buys_and_cancels(person):
        for category in categories:
            booking = sell(category, 1, user=person)
            bookings.cancel_booking(booking_id=booking.pk, by="staff")
            sell(category, 3, user=person)

    outcomes = race([lambda person=person: buys_and_cancels(person) for person in people] + [refresh_often] * 2)

    assert [outcome.error for outcome in outcomes] == [None] * 8
    services.refresh()
    services.count_returning()
    counted = figures()
    services.rebuild()
    assert figures() == counted
    assert sum(day.standing_tickets for day in SalesDay.objects.all()) == 36


def refresh_often():
    for _ in range(10):
        services.refresh()


# -- What it costs ----------------------------------------------------------------------------------------------------
def statements(act):
    with CaptureQueriesContext(connection) as asked:
        act()
    return len(asked)


# Whose request: with the person and, unless the rights are all of theirs, their permissions.
@pytest.mark.parametrize(("role", "dashboard", "of_event"), [("owner", 6, 6), ("manager", 7, 7)])
def test_number_of_statements_is_small_and_does_not_grow(api, role, dashboard, of_event):
    staff = api.as_user(StaffFactory(is_superuser=role == "owner", role=role))
    category = door()
    for count in (1, 12):
        for _ in range(count):
            sell(category, 1)
            sell(door(), 1)
        services.refresh()

        assert statements(lambda: staff.get("/api/v1/admin/dashboard")) == dashboard
        assert statements(lambda: staff.get(f"/api/v1/events/{category.event_id}/stats")) == of_event


def test_organiser_asks_for_stats_in_five_statements(api):
    category = door(event__created_by=OrganiserFactory())
    sell(category)
    services.refresh()
    organiser = api.as_user(category.event.created_by)

    assert statements(lambda: organiser.get(f"/api/v1/events/{category.event_id}/stats")) == 5


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
