"""A ticket at the door: used once, and given back when that was a mistake."""

from uuid import UUID

from django.db import transaction

from bookings.models import Ticket
from bookings.services.handovers import lock_booking
from bookings.states import Status


@transaction.atomic
def use_ticket(*, ticket_id: UUID, code: str) -> bool:
    """
    Use a ticket in one guarded UPDATE; False when it was used, is void, or has another holder and code by now.

    The caller holds the lock of its booking (`lock_ticket_booking`), which comes before the ticket's everywhere.
    """
    valid = Ticket.objects.filter(
        pk=ticket_id, code=code, status=Ticket.Status.ACTIVE, booking__status=Status.CONFIRMED
    )
    return bool(valid.update(status=Ticket.Status.USED))


@transaction.atomic
def give_back_ticket(*, ticket_id: UUID) -> bool:
    """Make a used ticket good for the door again; False when it is not used (any more)."""
    return bool(Ticket.objects.filter(pk=ticket_id, status=Ticket.Status.USED).update(status=Ticket.Status.ACTIVE))


def lock_ticket_booking(*, ticket_id: UUID) -> Ticket:
    """Lock the booking of a ticket, for the rest of the transaction, and load the ticket as it is then."""
    lock_booking(Ticket.objects.values_list("booking_id", flat=True).get(pk=ticket_id))
    return Ticket.objects.select_related("booking", "event").get(pk=ticket_id)
