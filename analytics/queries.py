"""
Reads of figures: a number of statements and rows that does not grow with the number of bookings.

What can change by the second and is one look at a few rows (seats, what waits for staff) is of this moment; everything else is
as of `counted_at`, at most ANALYTICS_SECONDS ago.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import (
    BigIntegerField,
    Count,
    DateField,
    DateTimeField,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    UUIDField,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Now
from django.utils import timezone

from analytics.models import Cursor, EventFigures, PeopleDay, SalesDay, SalesHour
from bookings.models import Booking
from common.money import to_decimal
from events.models import Event, SeatInventory

DAYS = 30
HOURS = 48
TOP = 10
SOLD = (
    "holds",
    "sold_bookings",
    "sold_tickets",
    "sold_minor",
    "cancelled_bookings",
    "standing_bookings",
    "standing_tickets",
    "standing_minor",
    "given_up",
    "lapsed",
)
PEOPLE = ("lined_up", "let_in", "waitlisted", "offered", "checks_passed", "checks_missed", "checks_returned", "refunds")
SALES = {"holds": "holds", "tickets": "sold_tickets", "bookings": "sold_bookings", "cancelled": "cancelled_bookings"}
EARNED = {"earned_minor": "sold_minor"}  # where all is of one currency
STEPS = (("Joined the line", "lined_up"), ("Let in", "let_in"), ("Held seats", "holds"), ("Paid", "bookings"))
HOUR = timedelta(hours=1)

# One row: the seats of what is on sale or to come, people who hold tickets, what waits for staff, and the job's counts.
HOUSE = """
    SELECT seats.*, people.*,
        (SELECT count(*) FROM registrations_registration WHERE review_requested_at IS NOT NULL) AS checks_to_review,
        (SELECT count(*) FROM payments_attention WHERE resolved_at IS NULL) AS payments_to_look_at,
        coalesce(counted.messages_given_up, 0) AS messages_given_up,
        coalesce(counted.payment_failures, 0) AS payment_failures,
        coalesce(counted.in_line, 0) AS in_line,
        counted.counted_until AS counted_at
    FROM (
        SELECT coalesce(sum(seat.capacity), 0)::bigint AS capacity, coalesce(sum(seat.sold), 0)::bigint AS sold,
            coalesce(sum(seat.held), 0)::bigint AS held, coalesce(sum(seat.offered), 0)::bigint AS offered,
            coalesce(sum(seat.waiting), 0)::bigint AS waiting
        FROM events_seatinventory seat JOIN events_ticketcategory category ON category.id = seat.category_id
        JOIN events_event event ON event.id = category.event_id
        WHERE event.deleted_at IS NULL AND event.status = 'published' AND event.ends_at > now()
    ) seats
    CROSS JOIN (
        SELECT coalesce(sum(figures.buyers), 0)::bigint AS buyers, coalesce(sum(figures.came_again), 0)::bigint AS returning
        FROM analytics_eventfigures figures JOIN events_event event ON event.id = figures.event_id
        WHERE event.deleted_at IS NULL
    ) people
    LEFT JOIN analytics_cursor counted ON true
"""
SEATS = ("capacity", "sold", "held", "offered", "waiting")
TO_DO = ("checks_to_review", "payments_to_look_at", "messages_given_up")


def money(amount_minor: int, currency: str) -> dict[str, Any]:
    """Return an amount both ways."""
    return {"revenue": str(to_decimal(amount_minor, currency)), "revenue_minor": amount_minor}


def rate(part: int, whole: int) -> float:
    """Return a share of 0 to 1, 0 when there is nothing to share."""
    return round(part / whole, 4) if whole else 0.0


def total(rows: Iterable[Mapping[str, Any]], name: str) -> int:
    """Return the sum of one column."""
    return sum(row[name] for row in rows)


# -- One event --------------------------------------------------------------------------------------------------------
def event_statistics(*, event: Event, history: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """
    Return the figures of one event, loaded with its categories, in two statements (one where its `history` is given).

    Seats are of this moment. Revenue is what confirmed bookings cost; what was cancelled went back and is not in it. Days are
    those of the event's place.
    """
    history = event_history(event=event) if history is None else history
    now = moment_of(event)
    categories = list(event.categories.all())
    stock = [category.inventory for category in categories]
    capacity, sold = sum(row.capacity for row in stock), sum(row.sold for row in stock)
    revenue: dict[UUID, int] = defaultdict(int)
    for row in history:
        revenue[row["category_id"]] += row["standing_minor"]
    cancelled = total(history, "cancelled_bookings")
    return {
        "event_id": event.pk,
        "status": event.status,
        "capacity": capacity,
        "sold": sold,
        "held": sum(row.held for row in stock),
        "offered": sum(row.offered for row in stock),
        "waiting": sum(row.waiting for row in stock),
        "available": event.available_tickets,
        "utilisation": rate(sold, capacity),
        "currency": event.currency,
        **money(total(history, "standing_minor"), event.currency),
        "bookings": {
            "confirmed": total(history, "standing_bookings"),
            "cancelled": cancelled + total(history, "given_up"),
            "expired": total(history, "lapsed"),
            "holding": now["holding"],
        },
        "cancellation_rate": rate(cancelled, total(history, "sold_bookings")),
        "buyers": now["buyers"] or 0,
        "returning_buyers": now["came_again"] or 0,
        "people": {name: total(history, name) for name in PEOPLE},
        "categories": [
            {
                "id": category.pk,
                "name": category.name,
                "capacity": category.inventory.capacity,
                "sold": category.inventory.sold,
                "held": category.inventory.held,
                "offered": category.inventory.offered,
                "waiting": category.inventory.waiting,
                "available": category.available,
                **money(revenue[category.pk], event.currency),
            }
            for category in categories
        ],
        "trend": trend(history, event.currency),
        "verification": now["verification"] or {},
        "counted_at": now["counted_at"],
    }


def event_history(*, event: Event) -> list[dict[str, Any]]:
    """Return every day of an event: a row per category that had sales, one without category for its people."""
    only = Event.objects.filter(pk=event.pk)
    return history(SalesDay.objects.filter(event__in=only), PeopleDay.objects.filter(event__in=only), by_category=True)


def moment_of(event: Event) -> dict[str, Any]:
    """Return what an event's rows do not say by day: holds of this moment, buyers, outcomes, when it was counted."""
    holding = Booking.objects.filter(category__event=OuterRef("pk"), status=Booking.Status.PENDING)
    figures = EventFigures.objects.filter(pk=OuterRef("pk"))
    found = (
        Event.objects.filter(pk=event.pk)
        .annotate(
            holding=Coalesce(Subquery(holding.order_by().values("status").annotate(n=Count("pk")).values("n")), 0),
            buyers=Subquery(figures.values("buyers")),
            came_again=Subquery(figures.values("came_again")),
            verification=Subquery(figures.values("verification")),
            counted_at=Subquery(Cursor.objects.values("counted_until")),
        )
        .values("holding", "buyers", "came_again", "verification", "counted_at")
        .get()
    )
    return dict(found)


def trend(rows: Iterable[dict[str, Any]], currency: str) -> list[dict[str, Any]]:
    """Return bookings, tickets and revenue of each day on which something was sold that still stands."""
    found: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["day"]].append(row)
    return [
        {
            "date": day.isoformat(),
            "bookings": total(of_day, "standing_bookings"),
            "tickets": total(of_day, "standing_tickets"),
            **money(total(of_day, "standing_minor"), currency),
        }
        for day, of_day in sorted(found.items())
        if total(of_day, "standing_bookings")
    ]


# -- Days and hours ---------------------------------------------------------------------------------------------------
def history(
    sales: QuerySet[SalesDay], people: QuerySet[PeopleDay], *, by_category: bool = False
) -> list[dict[str, Any]]:
    """Return, in one statement, the days of these rows added up: SOLD and PEOPLE of each, 0 where the row is of the other."""
    nothing = Value(0, BigIntegerField())
    nobody = Value(None, UUIDField())
    no_people, no_sales = {f"of_{name}": nothing for name in PEOPLE}, {f"of_{name}": nothing for name in SOLD}
    by_day = sales.order_by()
    sold = by_day.values_list("day", "category_id") if by_category else by_day.values_list("day").annotate(whose=nobody)
    rows = sold.annotate(**{f"of_{name}": Sum(name) for name in SOLD}, **no_people).union(
        people.order_by()
        .values_list("day")
        .annotate(whose=nobody, **no_sales, **{f"of_{name}": Sum(name) for name in PEOPLE}),
        all=True,
    )
    return [dict(zip(("day", "category_id", *SOLD, *PEOPLE), row, strict=True)) for row in rows]


def days_of(rows: Iterable[dict[str, Any]], *, last: date, columns: dict[str, str] = SALES) -> list[dict[str, Any]]:
    """Return what happened on each of DAYS days, oldest first, quiet ones included; `columns` says under which name."""
    found: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["day"]].append(row)
    names = columns | {name: name for name in PEOPLE}
    return [
        {"date": day.isoformat(), **{name: total(found[day], column) for name, column in names.items()}}
        for day in (last - timedelta(days=back) for back in reversed(range(DAYS)))
    ]


def house_days(events: QuerySet[Event]) -> list[dict[str, Any]]:
    """
    Return the last DAYS days of many events, each event's day being that of its place.

    Somewhere it may be tomorrow already: the last day is the latest one of which there is something.
    """
    today = timezone.now().date()
    recent = {"event__in": events, "day__gt": today - timedelta(days=DAYS)}
    rows = history(SalesDay.objects.filter(**recent), PeopleDay.objects.filter(**recent))
    return days_of(rows, last=max([today, *(row["day"] for row in rows)]))


def hours_of(events: QuerySet[Event], *, zone: str = "UTC") -> list[dict[str, Any]]:
    """Return tickets, bookings and holds of each of the last HOURS hours by a place's clock, oldest first."""
    now = timezone.now().astimezone(ZoneInfo(zone))
    first = now.replace(minute=0, second=0, microsecond=0).astimezone(UTC) - (HOURS - 1) * HOUR
    found = (
        SalesHour.objects.filter(event__in=events, hour__gte=first)
        .order_by()
        .values_list("hour")
        .annotate(Sum("sold_tickets"), Sum("sold_bookings"), Sum("holds"))
    )
    names = ("tickets", "bookings", "holds")
    hours: list[dict[str, Any]] = [
        {"hour": (first + back * HOUR).astimezone(now.tzinfo), **dict.fromkeys(names, 0)} for back in range(HOURS)
    ]
    for at, *counts in found:
        row = hours[
            min((at - first) // HOUR, HOURS - 1)
        ]  # places whose hours begin at half past count in the hour before
        for name, count in zip(names, counts, strict=True):
            row[name] += count
    return hours


# -- Many events ------------------------------------------------------------------------------------------------------
def sums_of(events: QuerySet[Event]) -> dict[str, Any]:
    """Return, in one statement, what was sold today (each event's day being that of its place) and ever, by currency."""
    here = Func(F("event__timezone"), Now(), function="timezone", output_field=DateTimeField())
    today = Q(day=Cast(here, DateField()))
    rows = list(
        SalesDay.objects.filter(event__in=events)
        .order_by()
        .values(currency=F("event__currency"))
        .annotate(
            bookings_today=Sum("sold_bookings", filter=today, default=0),
            tickets_today=Sum("sold_tickets", filter=today, default=0),
            minor_today=Sum("sold_minor", filter=today, default=0),
            cancelled_today=Sum("cancelled_bookings", filter=today, default=0),
            holds_today=Sum("holds", filter=today, default=0),
            standing=Sum("standing_bookings"),
            tickets=Sum("standing_tickets"),
            minor=Sum("standing_minor"),
            ever=Sum("sold_bookings"),
            gone=Sum("cancelled_bookings"),
        )
        .order_by("currency")
    )
    return {
        "today": {
            "bookings": total(rows, "bookings_today"),
            "tickets": total(rows, "tickets_today"),
            "cancelled": total(rows, "cancelled_today"),
            "holds": total(rows, "holds_today"),
            "revenue": [
                {"currency": row["currency"], **money(row["minor_today"], row["currency"])}
                for row in rows
                if row["bookings_today"]
            ],
        },
        "totals": {
            "bookings": total(rows, "standing"),
            "tickets": total(rows, "tickets"),
            "cancellation_rate": rate(total(rows, "gone"), total(rows, "ever")),
            "revenue": [
                {"currency": row["currency"], **money(row["minor"], row["currency"])} for row in rows if row["standing"]
            ],
        },
    }


def top_events(events: QuerySet[Event]) -> list[dict[str, Any]]:
    """Return the events that sold most tickets in the last DAYS days, with how full they are and how much was cancelled."""
    seats = SeatInventory.objects.filter(category__event=OuterRef("event_id")).order_by().values("category__event")
    ranked = (
        SalesDay.objects.filter(event__in=events)
        .order_by()
        .values("event_id", "event__name", "event__currency")
        .annotate(
            recent=Sum("sold_tickets", filter=Q(day__gt=Now() - timedelta(days=DAYS)), default=0),
            ever=Sum("sold_bookings"),
            gone=Sum("cancelled_bookings"),
            minor=Sum("standing_minor"),
            capacity=Subquery(seats.annotate(n=Sum("capacity")).values("n")),
            sold=Subquery(seats.annotate(n=Sum("sold")).values("n")),
        )
        .filter(recent__gt=0)
        .order_by("-recent", "event__name", "event_id")[:TOP]
    )
    return [
        {
            "event_id": row["event_id"],
            "name": row["event__name"],
            "tickets": row["recent"],
            "utilisation": rate(row["sold"] or 0, row["capacity"] or 0),
            "cancellation_rate": rate(row["gone"], row["ever"]),
            "currency": row["event__currency"],
            **money(row["minor"], row["event__currency"]),
        }
        for row in ranked
    ]


def house() -> dict[str, Any]:
    """Return what is one row for the whole house."""
    with connection.cursor() as cursor:
        cursor.execute(HOUSE)
        names = [column.name for column in cursor.description]
        return dict(zip(names, cursor.fetchone(), strict=True))


def dashboard() -> dict[str, Any]:
    """Return the figures of the whole house in five statements, however many events and bookings there are."""
    events = Event.objects.filter(deleted_at__isnull=True)
    now = house()
    days = house_days(events)
    return {
        **sums_of(events),
        "seats": {**{name: now[name] for name in SEATS}, "utilisation": rate(now["sold"], now["capacity"])},
        "in_line": now["in_line"],
        "hours": hours_of(events),
        "days": days,
        "funnel": funnel(days),
        "top_events": top_events(events),
        "engagement": {
            "buyers": now["buyers"],
            "returning": now["returning"],
            "returning_rate": rate(now["returning"], now["buyers"]),
        },
        "to_do": {name: now[name] for name in TO_DO},
        "payment_failures": now["payment_failures"],
        "counted_at": now["counted_at"],
    }


def funnel(days: list[dict[str, Any]], *, line: bool = True) -> list[dict[str, Any]]:
    """Return the steps from the line to a paid ticket over these days; without a `line`, from held seats."""
    return [{"step": words, "count": total(days, name)} for words, name in (STEPS if line else STEPS[2:])]


def local_today(event: Event) -> date:
    """Return which day it is at an event's place."""
    return timezone.now().astimezone(ZoneInfo(event.timezone)).date()
