"""Single tickets of a sale: cancelled by staff while the rest of the booking stands."""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.notifications import notify
from bookings.models import Booking, BookingSeat, Ticket
from bookings.refusals import TicketUsed
from bookings.services.endings import cancel_booking
from bookings.services.sales import load
from bookings.states import Status
from common.errors import IllegalTransition, NotFound
from events.models import TicketCategory
from events.signals import seats_freed


class Cancelled(NamedTuple):
    """What became of a booking: whether it ended, and what the cancelled tickets had cost."""

    booking: Booking
    price_minor: int


def price_of(booking: Booking, tickets: int) -> int:
    """Return what so many tickets of a booking cost; what can not be divided stays on the last one."""
    return booking.amount_minor - booking.amount_minor * (booking.quantity - tickets) // booking.quantity


@transaction.atomic
def cancel_tickets(
    *, booking_id: UUID, ticket_ids: Collection[UUID], used_too: bool = False, told: str = ""
) -> Cancelled:
    """
    Cancel some tickets of a confirmed booking: void from this commit on, their seats free for whoever waits.

    The booking goes on for the others and costs so much less; with its last ticket it ends as a whole. `told` is added to
    what its buyer reads.

    :raises NotFound: if the booking has no such valid ticket
    :raises TicketUsed: if somebody came in with one of them, unless `used_too`
    :raises IllegalTransition: if the booking is not confirmed
    """
    booking = lock_confirmed(booking_id)
    chosen = list(booking.tickets.filter(pk__in=ticket_ids).exclude(status=Ticket.Status.VOID).order_by("number"))
    if not chosen or len(chosen) < len(set(ticket_ids)):
        raise NotFound("One of these tickets is not valid any more. Look at the booking again.")
    if not used_too and any(ticket.status == Ticket.Status.USED for ticket in chosen):
        raise TicketUsed
    price = price_of(booking, len(chosen))
    if len(chosen) == booking.quantity:
        return Cancelled(cancel_booking(booking_id=booking_id, by="staff"), price)
    Ticket.objects.filter(pk__in=[ticket.pk for ticket in chosen]).update(status=Ticket.Status.VOID, void_at=Now())
    seats = [ticket.seat_id for ticket in chosen if ticket.seat_id]
    BookingSeat.objects.filter(booking=booking, seat__in=seats).update(live=False)
    discount = booking.discount_minor - booking.discount_minor * (booking.quantity - len(chosen)) // booking.quantity
    # The trigger moves the seats, and looks at commit whether the tickets that are left fit.
    Booking.objects.filter(pk=booking_id).update(
        quantity=F("quantity") - len(chosen),
        amount_minor=F("amount_minor") - price,
        discount_minor=F("discount_minor") - discount,
    )
    tell(booking, chosen, told)
    seats_freed.send(TicketCategory, category_id=booking.category_id)
    return Cancelled(load(booking_id), price)


def lock_confirmed(booking_id: UUID) -> Booking:
    """
    Lock a booking that stands, as the door does before it lets somebody in.

    :raises NotFound: if there is none
    :raises IllegalTransition: if it is not confirmed
    """
    rows = Booking.objects.select_for_update(of=("self",), no_key=True).select_related("event", "user")
    booking = rows.filter(pk=booking_id).first()
    if booking is None:
        raise NotFound
    if booking.status != Status.CONFIRMED:
        raise IllegalTransition("Only a confirmed booking has tickets to cancel.")
    return booking


def tell(booking: Booking, cancelled: list[Ticket], told: str) -> None:
    """Tell the buyer which tickets are over, and whoever holds one of them."""
    numbers = ", ".join(str(ticket.number) for ticket in cancelled)
    one = len(cancelled) == 1
    notify(
        user_id=booking.user_id,
        kind="tickets_cancelled",
        cause=str(cancelled[0].pk),
        url=f"/bookings/{booking.pk}",
        event=booking.event.name,
        which=f"Ticket {numbers} is" if one else f"Tickets {numbers} are",
        told=told,
    )
    for ticket in cancelled:
        if ticket.holder_id and ticket.holder_id != booking.user_id:
            notify(
                user_id=ticket.holder_id,
                kind="ticket_withdrawn",
                cause=str(ticket.pk),
                url="/tickets",
                event=booking.event.name,
            )
