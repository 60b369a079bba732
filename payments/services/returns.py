"""
Money that staff give back: for single tickets, for a whole booking, or a part of its price.

What would happen is planned first, and shown; the same plan is made again under the booking's lock and carried out. So what
was true when staff looked and is not any more is refused, and the database refuses whatever sums to more than was received.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from accounts.models import StaffAction
from accounts.services import record_staff_action
from bookings import services as bookings
from bookings.models import Booking, Ticket
from bookings.refusals import TicketUsed
from bookings.services.staff import ReasonRequired
from bookings.states import NOTHING_BACK
from bookings.states import Status as BookingStatus
from common.errors import NotFound
from common.money import display
from events.models import Event
from payments.models import Payment, Refund
from payments.refusals import AmountIsFixed, NothingChosen, RefundRefused
from payments.services.refunds import request_refund
from payments.services.rows import lock_booking
from payments.states import PaymentStatus


@dataclass(frozen=True)
class Plan:
    """What a refund would do: which tickets end, what goes back, what is kept, and whether the booking ends with it."""

    booking: Booking
    payment: Payment | None
    tickets: list[Ticket]
    price_minor: int
    amount_minor: int
    kept_minor: int
    ends: bool

    @property
    def used(self) -> int:
        """How many of the tickets somebody came in with."""
        return sum(ticket.status == Ticket.Status.USED for ticket in self.tickets)

    @property
    def left_minor(self) -> int:
        """What would be left of the payment, and could still be given back later."""
        if self.payment is None:
            return 0
        return self.payment.received_minor - self.payment.refunded_minor - self.amount_minor


def payment_to_return(booking: Booking) -> Payment | None:
    """Return the payment that a refund of this booking comes from: the one that pays for it, or did."""
    paid = Payment.objects.filter(booking=booking, status=PaymentStatus.SUCCEEDED)
    found = paid.filter(use=Payment.Use.BOOKING).first()
    if found is not None or booking.status == BookingStatus.CONFIRMED:
        return found
    return paid.filter(use=Payment.Use.RETURN, kept_minor__gt=0).first()


def plan_return(
    *,
    booking_id: UUID,
    ticket_ids: Collection[UUID] = (),
    amount_minor: int | None = None,
    freely: bool = False,
    used_too: bool = False,
) -> Plan:
    """
    Work out what a refund would do; without an amount, what the tickets cost goes back.

    Another amount, and tickets that somebody came in with, are for who may refund `freely`.

    :raises NotFound: if there is no such booking, or a ticket is not valid (any more)
    :raises NothingChosen: if there is neither a ticket nor an amount
    :raises TicketUsed: if somebody came in with one of the tickets, unless `used_too` and `freely`
    :raises AmountIsFixed: if the amount is another than what the tickets cost, and not `freely`
    :raises RefundRefused: if more is to go back than is left of what was paid
    """
    booking = Booking.objects.select_related("event", "category", "user").filter(pk=booking_id).first()
    if booking is None:
        raise NotFound
    wanted = set(ticket_ids)
    valid = booking.tickets.exclude(status=Ticket.Status.VOID).select_related("seat", "holder").order_by("number")
    tickets = [ticket for ticket in valid if ticket.pk in wanted] if booking.status == BookingStatus.CONFIRMED else []
    if len(tickets) < len(wanted):
        raise NotFound("One of these tickets is not valid any more. Look at the booking again.")
    if not tickets and not amount_minor:
        raise NothingChosen
    if any(ticket.status == Ticket.Status.USED for ticket in tickets) and not (used_too and freely):
        raise TicketUsed
    payment = payment_to_return(booking)
    there = payment.received_minor - payment.refunded_minor if payment is not None else 0
    left = payment.left_minor if payment is not None else 0
    ends = bool(tickets) and len(tickets) == booking.quantity
    price = bookings.price_of(booking, len(tickets)) if tickets and payment is not None else 0
    usual = min(left, price)
    amount = usual if amount_minor is None else amount_minor
    if amount > there:
        raise RefundRefused(
            f"Of what was paid {display(there, booking.currency)} is left: no more than that can go back."
            if there
            else "Nothing was paid for this online, or all of it went back already."
        )
    if amount != usual and not freely:
        raise AmountIsFixed
    kept = (
        payment.kept_minor + (max(0, left - amount) if ends else max(0, usual - amount)) if payment is not None else 0
    )
    return Plan(booking, payment, tickets, price, amount, min(kept, there - amount), ends)


@transaction.atomic
def refund_booking(
    *,
    booking_id: UUID,
    ticket_ids: Collection[UUID] = (),
    amount_minor: int | None = None,
    freely: bool = False,
    used_too: bool = False,
    token: str,
    actor_id: UUID,
    reason: str,
) -> Plan | None:
    """
    Carry out a refund by staff, with a line in the audit; None if this `token` was carried out before.

    :raises ReasonRequired: if there is no reason
    :raises IllegalTransition, NotFound, NothingChosen, TicketUsed, AmountIsFixed, RefundRefused: as `plan_return`
    """
    if not reason.strip():
        raise ReasonRequired
    before, _ = lock_booking(booking_id)
    mine = StaffAction.objects.filter(object_type="booking", object_id=str(booking_id), action="refund_booking")
    if mine.filter(after__token=token).exists():
        return None
    plan = plan_return(
        booking_id=booking_id,
        ticket_ids=ticket_ids,
        amount_minor=amount_minor,
        freely=freely,
        used_too=used_too,
    )
    if plan.ends:
        keep(plan, released=0)
        kept_all = plan.payment is not None and not plan.amount_minor
        bookings.cancel_booking(booking_id=booking_id, by="staff", reason=NOTHING_BACK if kept_all else "")
    else:
        if plan.tickets:
            told = f"{display(plan.amount_minor, before.currency)} goes back to the card you paid with."
            bookings.cancel_tickets(
                booking_id=booking_id,
                ticket_ids=[ticket.pk for ticket in plan.tickets],
                used_too=used_too,
                told=told if plan.amount_minor else "",
            )
        keep(plan, released=plan.price_minor)
        if plan.payment is not None and plan.amount_minor:
            request_refund(
                payment=plan.payment,
                amount_minor=plan.amount_minor,
                reason=Refund.Reason.TICKETS if plan.tickets else Refund.Reason.STAFF,
                cause=f"staff:{token}",
            )
    record_staff_action(
        actor_id=actor_id,
        action="refund_booking",
        object_type="booking",
        object_id=booking_id,
        before={"status": before.status, "quantity": before.quantity, "amount_minor": before.amount_minor},
        after={
            "tickets": [ticket.number for ticket in plan.tickets],
            "used": plan.used,
            "refund_minor": plan.amount_minor,
            "kept_minor": plan.kept_minor,
            "currency": before.currency,
            "ends": plan.ends,
            "token": token,
        },
        reason=reason.strip(),
    )
    return plan


def keep(plan: Plan, *, released: int) -> None:
    """Write on the payment what its booking costs less, and what staff keep of that."""
    if plan.payment is None:
        return
    Payment.objects.filter(pk=plan.payment.pk).update(
        kept_minor=plan.kept_minor, released_minor=plan.payment.released_minor + released
    )


def where_seats_go(booking: Booking) -> str:
    """Say what becomes of a seat of this booking that is given up now."""
    event, inventory = booking.event, booking.category.inventory
    if event.status != Event.Status.PUBLISHED:
        return "The event is not on sale: the seat stays empty."
    if inventory.waiting:
        return f"The seat goes to the waitlist, where {inventory.waiting} are wanted; the next in it is asked within seconds."
    return "Nobody waits: the seat is on sale again as long as the sale lasts."
