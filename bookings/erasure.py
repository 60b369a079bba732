"""What happens to a person's bookings when their account is erased (a step of settings.ERASURE_STEPS)."""

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from bookings.models import Booking, Ticket
from bookings.services import cancel_booking, forget_handovers
from bookings.states import LAPSING, Status
from common.errors import Conflict


class FutureBookings(Conflict):
    code = "future_bookings"
    message = "There are tickets for events to come. Cancel them first, or erase with `cancel: true`."


@transaction.atomic
def release_bookings(*, user_id: UUID, cancel: bool, by: str = "buyer") -> None:
    """
    Release a person's holds and offers, cancel what they have bought for events to come, give back what others bought for
    them, take their name off their tickets.

    :raises FutureBookings: if there are such sales and `cancel` is false
    :raises CancelTooLate: if one of them can not be cancelled by its buyer any more
    """
    mine = Booking.objects.filter(user_id=user_id).order_by("pk")
    sales = mine.filter(status=Status.CONFIRMED, event__ends_at__gt=Now()).values_list("pk", flat=True)
    given = Ticket.objects.filter(holder_id=user_id, status=Ticket.Status.ACTIVE, event__ends_at__gt=Now())
    if (sales or given.exclude(booking__user_id=user_id).exists()) and not cancel:
        raise FutureBookings(bookings=len(sales))
    claims = mine.filter(status__in=LAPSING).values_list("pk", flat=True)
    for booking_id in [*claims, *sales]:
        cancel_booking(booking_id=booking_id, by=by, reason="account_erased")
    forget_handovers(user_id=user_id)
    Ticket.objects.filter(holder_id=user_id).update(holder_name="")
