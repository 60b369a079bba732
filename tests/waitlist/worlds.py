"""Small worlds of the waitlist: a sold-out category, people who wait, time that passes, and a check that nothing is broken."""

from datetime import timedelta
from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from bookings.models import Booking
from bookings.services import hold_seats
from common.invariants import INVARIANTS
from events.models import SeatInventory, TicketCategory
from tests.factories import TicketCategoryFactory, UserFactory
from waitlist import services
from waitlist.models import WaitlistEntry, WaitlistSkip


def sold_out(capacity: int = 1, **fields: Any) -> tuple[TicketCategory, list[Booking]]:
    """Return a category all of whose seats are held one by one, and those holds."""
    category = TicketCategoryFactory(capacity=capacity, **fields)
    return category, [hold(category) for _ in range(category.inventory.capacity)]


def hold(category: TicketCategory, person: Any = None, quantity: int = 1) -> Booking:
    """Hold seats for somebody as the public does."""
    return hold_seats(user_id=(person or UserFactory()).pk, category_id=category.pk, quantity=quantity)


def join(category: TicketCategory, person: Any = None, **wish: Any) -> WaitlistEntry:
    """Put somebody on the list for this category, as they would themselves."""
    wish.setdefault("category_ids", [category.pk])
    return services.join_as_buyer(user_id=(person or UserFactory()).pk, event_id=category.event_id, **wish)


def offer_all(category: TicketCategory) -> list[services.Offer]:
    """Offer what is free to those who wait for the category's event."""
    return services.offer_next(event_id=category.event_id)


def let_pass(booking_id: Any) -> None:
    """Let the deadline of an offer or hold pass, in its booking and its entry."""
    past = Now() - timedelta(seconds=1)
    Booking.objects.filter(pk=booking_id).update(expires_at=past)
    WaitlistEntry.objects.filter(booking_id=booking_id, status="offered").update(offer_expires_at=past)


def states(*entries: WaitlistEntry) -> list[str]:
    """Return how these entries stand now, in the order given."""
    found = dict(WaitlistEntry.objects.filter(pk__in=[entry.pk for entry in entries]).values_list("pk", "status"))
    return [found[entry.pk] for entry in entries]


def line(category: TicketCategory) -> list[Any]:
    """Return the ids of those who wait for an event, in their order."""
    waiting = WaitlistEntry.objects.filter(event_id=category.event_id, status="waiting")
    return list(waiting.order_by("joined_at", "id").values_list("pk", flat=True))


def skips(entry: WaitlistEntry) -> dict[str, tuple[int, int]]:
    """Return why somebody was passed over: reason → (wanted, free)."""
    return {skip.reason: (skip.wanted, skip.free) for skip in WaitlistSkip.objects.filter(entry=entry)}


def counters(category: TicketCategory) -> tuple[int, int, int, int, int]:
    """Return (free, held, offered, sold, waiting) of a category."""
    row = SeatInventory.objects.annotate(nobodys=F("capacity") - F("held") - F("offered") - F("sold")).get(
        category=category
    )
    return row.nobodys, row.held, row.offered, row.sold, row.waiting


def broken() -> list[str]:
    """Return every breach of what must be true of seats and of the list."""
    checks = [check for name, check in INVARIANTS.items() if name.startswith(("bookings", "waitlist"))]
    return [breach for check in checks for breach in check()]
