"""What stands before a sale: the gates of settings.BOOKING_GATES, which apps above this one provide."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from bookings.models import Booking
from bookings.refusals import VerificationRequired

Gate = Callable[[UUID, UUID], str | None]


def passed_gates(*, user_id: UUID, category_id: UUID) -> list[str]:
    """Ask every gate and return the names of those that let this person through."""
    gates: list[Gate] = [import_string(path) for path in settings.BOOKING_GATES]
    return [name for gate in gates if (name := gate(user_id, category_id))]


def refuse_unverified(booking: Booking) -> None:
    """
    Let nobody have tickets of an event that checks faces who was not verified, however old their claim or payment is.

    :raises VerificationRequired: if the buyer was not
    """
    if booking.event.requires_face_verification and "face" not in passed_gates(
        user_id=booking.user_id, category_id=booking.category_id
    ):
        raise VerificationRequired
