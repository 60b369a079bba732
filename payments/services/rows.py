"""What every payment service stands on: whose lock comes first, and the list of open questions."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import ExpressionWrapper, F, fields
from django.db.models.functions import Now

from bookings.models import Booking
from bookings.states import Status as BookingStatus
from common.errors import NotFound
from payments.models import Attention, Payment


def lock_booking(booking_id: UUID) -> tuple[Booking, timedelta]:
    """
    Lock a booking's row until the transaction ends, and return it with the time its hold has left by the database's clock.

    Every write to a payment or refund begins here. A booking that ends comes from below with its row already locked and
    writes its refund in the same transaction, so the booking is always first and the two ways can not wait for each other.

    :raises NotFound: if there is no such booking
    """
    left = ExpressionWrapper(F("expires_at") - Now(), output_field=fields.DurationField())
    booking = (
        Booking.objects.select_for_update(of=("self",), no_key=True).annotate(left=left).filter(pk=booking_id).first()
    )
    if booking is None:
        raise NotFound
    is_hold = booking.status == BookingStatus.PENDING
    return booking, (booking.left or timedelta()) if is_hold else timedelta()


def note_attention(
    kind: str,
    *,
    intent_id: str,
    payment: Payment | None = None,
    amount_minor: int = 0,
    currency: str = "",
    detail: str = "",
) -> None:
    """Put something on the list of a person, once while it is open."""
    Attention.objects.bulk_create(
        [
            Attention(
                kind=kind,
                intent_id=intent_id,
                payment=payment,
                amount_minor=amount_minor,
                currency=currency,
                detail=detail[:500],
            )
        ],
        ignore_conflicts=True,
    )


def open_attention(**which: Any) -> Any:
    """Return the open questions that match."""
    return Attention.objects.filter(resolved_at__isnull=True, **which)
