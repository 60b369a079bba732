"""What staff do to bookings; each change leaves one row in the staff's audit, in the same transaction."""

from uuid import UUID

from django.db import transaction

from accounts.services import record_staff_action
from bookings.models import Booking
from bookings.services.endings import cancel_booking, refuse_used
from bookings.services.sales import load
from common.errors import Invalid


class ReasonRequired(Invalid):
    code = "reason_required"
    message = "Write a reason: it is kept with your name."


@transaction.atomic
def cancel_booking_by_staff(*, booking_id: UUID, actor_id: UUID, reason: str) -> Booking:
    """
    Cancel a live booking for staff, at any time before the event, and write down who did it and why.

    :raises ReasonRequired: if there is no reason
    :raises TicketUsed: if somebody came in with one of its tickets
    :raises IllegalTransition: if the booking has ended already
    """
    if not reason.strip():
        raise ReasonRequired
    refuse_used(booking_id)
    before = load(booking_id).status
    booking = cancel_booking(booking_id=booking_id, by="staff")
    record_staff_action(
        actor_id=actor_id,
        action="cancel_booking",
        object_type="booking",
        object_id=booking_id,
        before={"status": before},
        after={"status": booking.status},
        reason=reason.strip(),
    )
    return booking
