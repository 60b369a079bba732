"""Reads of figures: a number of statements and rows that does not grow with the number of bookings."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db.models import DateField, DateTimeField, F, Func, Q, QuerySet, Sum
from django.db.models.functions import Cast, Now
from django.utils import timezone

from analytics.models import Cursor, EventFigures, PeopleDay, SalesDay, SalesHour
from bookings.models import Booking
from bookings.waitingroom.models import Place
from common.models import OutboxMessage
from common.money import to_decimal
from events.models import Event, SeatInventory
from payments.models import Attention, Payment
from registrations.models import Registration

DAYS = 30
HOURS = 48
TOP = 10
PEOPLE = ("lined_up", "let_in", "waitlisted", "offered", "checks_passed", "checks_missed", "checks_returned", "refunds")
SALES = {"holds": "holds", "tickets": "sold_tickets", "bookings": "sold_bookings", "cancelled": "cancelled_bookings"}
IN_LINE = ("waiting", "called", "active", "parked")


def money(amount_minor: int, currency: str) -> dict[str, Any]:
    """Return an amount both ways."""
    return {"revenue": str(to_decimal(amount_minor, currency)), "revenue_minor": amount_minor}


def rate(part: int, whole: int) -> float:
    """Return a share of 0 to 1, 0 when there is nothing to share."""
    return round(part / whole, 4) if whole else 0.0


def event_statistics(*, event: Event) -> dict[str, Any]:
    """
    Return the figures of one event, loaded with its categories, in five statements.

    Seats are of this moment. Money and days are as of `counted_at`, at most ANALYTICS_SECONDS ago: revenue is what confirmed
    bookings cost, and what was cancelled went back and is not in it. Days are those of the event's place.
    """
    days = list(SalesDay.objects.filter(event=event))
    people = PeopleDay.objects.filter(event=event).aggregate(**{name: Sum(name) for name in PEOPLE})
    figures = EventFigures.objects.filter(pk=event.pk).first()
    categories = list(event.categories.all())
    holding = Booking.objects.filter(category__in=categories, status=Booking.Status.PENDING).count()
    stock = [category.inventory for category in categories]
    capacity, sold = sum(row.capacity for row in stock), sum(row.sold for row in stock)
    revenue: dict[UUID, int] = defaultdict(int)
    for row in days:
        revenue[row.category_id] += row.standing_minor
    ever_sold, cancelled = total(days, "sold_bookings"), total(days, "cancelled_bookings")
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
        **money(sum(revenue.values()), event.currency),
        "bookings": {
            "confirmed": total(days, "standing_bookings"),
            "cancelled": cancelled + total(days, "given_up"),
            "expired": total(days, "lapsed"),
            "holding": holding,
        },
        "cancellation_rate": rate(cancelled, ever_sold),
        "buyers": figures.buyers if figures else 0,
        "returning_buyers": figures.came_again if figures else 0,
        "people": {name: people[name] or 0 for name in PEOPLE},
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
        "trend": trend(days, event.currency),
        "verification": figures.verification if figures else {},
        "counted_at": figures.counted_at if figures else None,
    }


def total(days: Iterable[SalesDay], name: str) -> int:
    """Return the sum of one column."""
    return sum(getattr(day, name) for day in days)


def trend(days: Iterable[SalesDay], currency: str) -> list[dict[str, Any]]:
    """Return bookings, tickets and revenue of each day on which something was sold that still stands."""
    found: dict[Any, list[SalesDay]] = defaultdict(list)
    for row in days:
        found[row.day].append(row)
    return [
        {
            "date": day.isoformat(),
            "bookings": total(rows, "standing_bookings"),
            "tickets": total(rows, "standing_tickets"),
            **money(total(rows, "standing_minor"), currency),
        }
        for day, rows in sorted(found.items())
        if total(rows, "standing_bookings")
    ]


def hours_of(events: QuerySet[Event]) -> list[dict[str, Any]]:
    """Return tickets, bookings and holds of each of the last HOURS hours, oldest first, quiet ones included."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=back) for back in reversed(range(HOURS))]
    found = (
        SalesHour.objects.filter(event__in=events, hour__gte=hours[0])
        .order_by()
        .values_list("hour")
        .annotate(Sum("sold_tickets"), Sum("sold_bookings"), Sum("holds"))
    )
    known = {row[0]: row[1:] for row in found}
    names = ("tickets", "bookings", "holds")
    return [{"hour": hour, **dict(zip(names, known.get(hour, (0, 0, 0)), strict=True))} for hour in hours]


def days_of(events: QuerySet[Event]) -> list[dict[str, Any]]:
    """Return what happened on each of the last DAYS days, oldest first, quiet ones included."""
    today = timezone.now().date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    sales = per_day(SalesDay.objects.filter(event__in=events, day__gte=days[0]), SALES)
    people = per_day(
        PeopleDay.objects.filter(event__in=events, day__gte=days[0]), dict(zip(PEOPLE, PEOPLE, strict=True))
    )
    return [
        {
            "date": day.isoformat(),
            **sales.get(day, dict.fromkeys(SALES, 0)),
            **people.get(day, dict.fromkeys(PEOPLE, 0)),
        }
        for day in days
    ]


def per_day(rows: QuerySet[Any], columns: dict[str, str]) -> dict[date, dict[str, int]]:
    """Add columns up over the rows of each day; `columns` says under which name."""
    found = rows.order_by().values_list("day").annotate(*(Sum(column) for column in columns.values()))
    return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in found}


def today_of(events: QuerySet[Event]) -> dict[str, Any]:
    """Return what was sold, earned and cancelled today, each event's day being that of its place."""
    here = Func(F("event__timezone"), Now(), function="timezone", output_field=DateTimeField())
    found = list(
        SalesDay.objects.filter(event__in=events, day=Cast(here, DateField()))
        .order_by()
        .values_list("event__currency")
        .annotate(Sum("sold_bookings"), Sum("sold_tickets"), Sum("sold_minor"), Sum("cancelled_bookings"), Sum("holds"))
    )
    return {
        "bookings": sum(row[1] for row in found),
        "tickets": sum(row[2] for row in found),
        "cancelled": sum(row[4] for row in found),
        "holds": sum(row[5] for row in found),
        "revenue": [{"currency": row[0], **money(row[3], row[0])} for row in sorted(found)],
    }


def seats_of(events: QuerySet[Event]) -> dict[str, int]:
    """Return the seats of what is on sale or to come, as they are now."""
    current = events.filter(status=Event.Status.PUBLISHED, ends_at__gt=Now())
    names = ("capacity", "sold", "held", "offered", "waiting")
    found = SeatInventory.objects.filter(category__event__in=current).aggregate(**{name: Sum(name) for name in names})
    return {name: found[name] or 0 for name in names}


def top_events(events: QuerySet[Event]) -> list[dict[str, Any]]:
    """Return the events that sold most tickets in the last DAYS days, with how full they are and how much was cancelled."""
    recent = Q(day__gt=Now() - timedelta(days=DAYS))
    ranked = list(
        SalesDay.objects.filter(event__in=events)
        .order_by()
        .values("event_id", "event__name", "event__currency")
        .annotate(
            recent=Sum("sold_tickets", filter=recent, default=0),
            ever=Sum("sold_bookings"),
            gone=Sum("cancelled_bookings"),
            minor=Sum("standing_minor"),
        )
        .order_by("-recent", "event__name")[:TOP]
    )
    ids = [row["event_id"] for row in ranked]
    seats = {
        row["category__event_id"]: row
        for row in SeatInventory.objects.filter(category__event_id__in=ids)
        .order_by()
        .values("category__event_id")
        .annotate(capacity=Sum("capacity"), sold=Sum("sold"))
    }
    return [
        {
            "event_id": row["event_id"],
            "name": row["event__name"],
            "tickets": row["recent"],
            "utilisation": rate(*(seats[row["event_id"]][name] for name in ("sold", "capacity"))),
            "cancellation_rate": rate(row["gone"], row["ever"]),
            "currency": row["event__currency"],
            **money(row["minor"], row["event__currency"]),
        }
        for row in ranked
    ]


def engagement_of(events: QuerySet[Event]) -> dict[str, Any]:
    """Return how many tickets people hold and how many come again, added up over events."""
    found = EventFigures.objects.filter(event__in=events).aggregate(buyers=Sum("buyers"), returning=Sum("came_again"))
    buyers, returning = found["buyers"] or 0, found["returning"] or 0
    return {"buyers": buyers, "returning": returning, "returning_rate": rate(returning, buyers)}


def to_do() -> dict[str, int]:
    """Return what waits for staff."""
    return {
        "checks_to_review": Registration.objects.filter(review_requested_at__isnull=False).count(),
        "payments_to_look_at": Attention.objects.filter(resolved_at__isnull=True).count(),
        "messages_given_up": OutboxMessage.objects.filter(failed_at__isnull=False).count(),
    }


def dashboard(*, events: QuerySet[Event]) -> dict[str, Any]:
    """Return the figures of many events at once, in nine statements however many bookings there are."""
    days = days_of(events)
    counted = Cursor.objects.first()
    return {
        "today": today_of(events),
        "seats": seats_of(events),
        "in_line": Place.objects.filter(event__in=events, state__in=IN_LINE).count(),
        "hours": hours_of(events),
        "days": days,
        "funnel": funnel(days),
        "top_events": top_events(events),
        "engagement": engagement_of(events),
        "counted_at": counted.counted_until if counted else None,
    }


def funnel(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps from the line to a paid ticket over the last DAYS days."""
    steps = (("Joined the line", "lined_up"), ("Let in", "let_in"), ("Held seats", "holds"), ("Paid", "bookings"))
    return [{"step": words, "count": sum(day[name] for day in days)} for words, name in steps]


def payment_failures() -> int:
    """Return how many payments failed in the last day."""
    return Payment.objects.filter(created_at__gt=Now() - timedelta(days=1)).exclude(last_error="").count()
