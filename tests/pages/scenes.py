"""What has happened before a page is opened."""

from datetime import timedelta

from django.utils import timezone

from accounts.models import User
from bookings.models import Booking
from bookings.services import confirm_booking, hold_seats
from events.models import Event, TicketCategory

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def category(event: Event, name: str = "Standing") -> TicketCategory:
    return TicketCategory.objects.get(event=event, name=name)


def hold(person: User, event: Event, *, name: str = "Standing", quantity: int = 2) -> Booking:
    """Take a hold through the service."""
    return hold_seats(user_id=person.pk, category_id=category(event, name).pk, quantity=quantity)


def buy(person: User, event: Event, *, name: str = "Standing", quantity: int = 2) -> Booking:
    """Take a hold and confirm it, as a payment does."""
    return confirm_booking(booking_id=hold(person, event, name=name, quantity=quantity).pk)


def lapse(booking: Booking) -> None:
    """Let the deadline of a hold pass."""
    Booking.objects.filter(pk=booking.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
