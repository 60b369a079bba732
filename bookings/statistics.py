"""What an organiser sees of a sale: counters from the inventory, money and trend from the bookings."""

from collections.abc import Callable
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from bookings.models import Booking
from bookings.states import Status
from common.money import to_decimal
from events.models import Event

# Figures of an event that apps above this one know: they put their function here when they start.
FURTHER: dict[str, Callable[[UUID], dict[str, int]]] = {}


def event_statistics(*, event: Event) -> dict[str, Any]:
    """
    Return the figures of one event, loaded with its categories, in three statements.

    Revenue is what confirmed bookings cost; what was cancelled went back and is not in it. Days are those of the event's place.
    """
    confirmed = Booking.objects.filter(event=event, status=Status.CONFIRMED)
    revenue: dict[UUID, int] = dict(
        confirmed.order_by().values_list("category_id").annotate(minor=Sum("amount_minor"))  # type: ignore[arg-type]
    )
    stock = [category.inventory for category in event.categories.all()]
    capacity, sold = sum(row.capacity for row in stock), sum(row.sold for row in stock)
    counted = Booking.objects.filter(event=event).aggregate(
        confirmed=Count("pk", filter=Q(status=Status.CONFIRMED)),
        cancelled=Count("pk", filter=Q(status=Status.CANCELLED)),
        expired=Count("pk", filter=Q(status=Status.EXPIRED)),
        holding=Count("pk", filter=Q(status=Status.PENDING)),
        ever_sold=Count("pk", filter=Q(confirmed_at__isnull=False)),
    )
    ever_sold = counted.pop("ever_sold")
    return {
        "event_id": event.pk,
        "status": event.status,
        "capacity": capacity,
        "sold": sold,
        "held": sum(row.held for row in stock),
        "offered": sum(row.offered for row in stock),
        "waiting": sum(row.waiting for row in stock),
        "available": event.available_tickets,
        "utilisation": round(sold / capacity, 4) if capacity else 0.0,
        "currency": event.currency,
        **money(sum(revenue.values()), event.currency),
        "bookings": counted,
        "cancellation_rate": round(1 - counted["confirmed"] / ever_sold, 4) if ever_sold else 0.0,
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
                **money(revenue.get(category.pk, 0), event.currency),
            }
            for category in event.categories.all()
        ],
        "trend": sales_per_day(event),
        "verification": FURTHER["verification"](event.pk) if "verification" in FURTHER else {},
    }


def sales_per_day(event: Event) -> list[dict[str, Any]]:
    """Return bookings, tickets and revenue of each day on which something was sold that still stands."""
    day = TruncDate("confirmed_at", tzinfo=ZoneInfo(event.timezone))
    days = (
        Booking.objects.filter(event=event, status=Status.CONFIRMED)
        .order_by()
        .annotate(day=day)
        .values_list("day")
        .annotate(bookings=Count("pk"), tickets=Sum("quantity"), minor=Sum("amount_minor"))
        .order_by("day")
    )
    return [
        {"date": day.isoformat(), "bookings": bookings, "tickets": tickets, **money(minor, event.currency)}
        for day, bookings, tickets, minor in days
    ]


def money(amount_minor: int, currency: str) -> dict[str, Any]:
    """Return an amount both ways."""
    return {"revenue": str(to_decimal(amount_minor, currency)), "revenue_minor": amount_minor}
