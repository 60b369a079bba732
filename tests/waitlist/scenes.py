"""What has happened on a waitlist before a test begins."""

from typing import Any

from django.db import transaction

from accounts.models import User
from bookings.models import Booking
from bookings.services import cancel_booking, confirm_booking, hold_seats
from events.models import TicketCategory
from tests.factories import TicketCategoryFactory, UserFactory
from waitlist import services
from waitlist.models import WaitlistEntry


def sell_out(category: TicketCategory, *, each: int = 1) -> list[Booking]:
    """Sell every seat of a category, `each` to a person, and return the bookings."""
    sold = []
    for _ in range(category.inventory.capacity // each):
        booking = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=each)
        sold.append(booking if booking.status == Booking.Status.CONFIRMED else confirm_booking(booking_id=booking.pk))
    return sold


def full_house(*, capacity: int = 4, **details: Any) -> tuple[TicketCategory, list[Booking]]:
    """Return the one category of an event that is sold out, and its bookings of one seat each."""
    category = TicketCategoryFactory(**{"name": "Standing", "capacity": capacity, **details})
    return category, sell_out(category)


def release(*bookings: Booking) -> None:
    """Let the seats of bookings come back, all at once: a running worker offers what it sees."""
    with transaction.atomic():
        for booking in bookings:
            cancel_booking(booking_id=booking.pk, by="staff")


def wait(person: User, category: TicketCategory, **wish: Any) -> WaitlistEntry:
    """Put a person on the list of a category's event."""
    return services.join_as_buyer(user_id=person.pk, event_id=category.event_id, **wish)


def offered(person: User, category: TicketCategory, *bookings: Booking, **wish: Any) -> WaitlistEntry:
    """Put a person on the list, let seats come back, and have them offered."""
    entry = wait(person, category, **wish)
    release(*bookings)
    services.offer_next(event_id=category.event_id)
    entry.refresh_from_db()
    return entry


def overdue(entry: WaitlistEntry) -> None:
    """Let the deadline of an offer pass."""
    Booking.objects.filter(pk=entry.booking_id).update(expires_at="2020-01-01T00:00:00Z")
    WaitlistEntry.objects.filter(pk=entry.pk).update(offer_expires_at="2020-01-01T00:00:00Z")
