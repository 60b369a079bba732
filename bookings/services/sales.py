"""Sales: turning a paid (or free) hold into tickets, also when the money comes late."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from bookings.gates import refuse_unverified
from bookings.models import Booking, BookingSeat, Ticket
from bookings.references import new_ticket_code
from bookings.refusals import (
    CodeUsedUp,
    HasTicket,
    HoldExists,
    HoldExpired,
    SeatsGone,
    SoldOut,
    TicketLimit,
    VerificationRequired,
    database_refusals,
)
from bookings.signals import booking_confirmed, booking_retaken
from bookings.states import Status
from bookings.waitingroom import slots
from common import outbox
from common.errors import IllegalTransition, NotFound


@transaction.atomic
def confirm_booking(*, booking_id: UUID) -> Booking:
    """
    Turn a live hold into a sale: status, seats and tickets in one transaction, the mail with them through the outbox.

    :raises HoldExpired: if the hold has lapsed
    :raises IllegalTransition: if it is no hold (any more)
    :raises VerificationRequired: if the event checks faces and the buyer was not verified
    """
    changed = Booking.objects.filter(pk=booking_id, status=Status.PENDING, expires_at__gt=Now()).update(
        status=Status.CONFIRMED, confirmed_at=Now(), expires_at=None
    )
    booking = load(booking_id)
    if not changed:
        raise HoldExpired if booking.status in {Status.PENDING, Status.EXPIRED} else IllegalTransition
    refuse_unverified(booking)
    issue_tickets(booking)
    return booking


def settle_paid_booking(*, booking_id: UUID) -> Booking:
    """
    Give a booking that was paid its tickets, whenever the money came.

    A live hold is confirmed. A lapsed one takes its seats again if they are still free and nobody on the waitlist has a
    claim to them. A confirmed one is returned as it is, so the webhook and the client may both call this.

    :raises SeatsGone: if the seats can not be had any more: the money must go back
    """
    try:
        return confirm_booking(booking_id=booking_id)
    except VerificationRequired as error:
        raise SeatsGone from error
    except HoldExpired:
        return retake(booking_id=booking_id)
    except IllegalTransition:
        booking = load(booking_id)
        if booking.status == Status.CONFIRMED:
            return booking
        raise SeatsGone from None


def retake(*, booking_id: UUID) -> Booking:
    """
    Confirm a lapsed hold whose payment came late, if its seats are free and nobody else waits for them.

    :raises SeatsGone: if they are not, or the person, the event or the sale no longer allows it
    """
    try:
        with transaction.atomic(), database_refusals():
            Booking.objects.filter(pk=booking_id, status=Status.PENDING, expires_at__lte=Now()).update(
                status=Status.EXPIRED, end_reason="lapsed"
            )
            still_on = Q(event__status="published", event__ends_at__gt=Now())
            candidate = Booking.objects.filter(pk=booking_id, status=Status.EXPIRED)
            if not candidate.filter(still_on).exists() or not candidate.update(
                status=Status.CONFIRMED, confirmed_at=Now(), expires_at=None, ended_at=None, end_reason=""
            ):
                return confirmed_or_gone(booking_id)
            booking = load(booking_id)
            booking_retaken.send(Booking, booking=booking)
            refuse_unverified(booking)
            if booking.category.numbered:
                take_seats_again(booking)
            issue_tickets(booking)
            return booking
    except (SoldOut, TicketLimit, HoldExists, CodeUsedUp, VerificationRequired) as error:
        raise SeatsGone from error


def confirmed_or_gone(booking_id: UUID) -> Booking:
    """
    Return the booking if a rival has confirmed it meanwhile.

    :raises SeatsGone: otherwise
    """
    booking = load(booking_id)
    if booking.status == Status.CONFIRMED:
        return booking
    raise SeatsGone


def take_seats_again(booking: Booking) -> None:
    """Choose numbered seats anew; the old ones may be somebody else's. The booking's trigger holds the inventory's lock."""
    BookingSeat.objects.filter(booking=booking).delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT allocate_seats(%s, %s, %s)", [booking.pk, booking.category_id, booking.quantity])


def issue_tickets(booking: Booking) -> None:
    """Make one ticket per seat of a booking that was just confirmed, and announce it."""
    seats = seats_of(booking)
    if booking.event.requires_face_verification:
        issue_personal_tickets(booking, seats)
    else:
        make_tickets(booking, seats, own=booking.quantity)
    announce_sale(booking)


def seats_of(booking: Booking) -> Sequence[BookingSeat | None]:
    """Return the numbered seats of a booking, best first, or as many times none."""
    if not booking.category.numbered:
        return [None] * booking.quantity
    taken = BookingSeat.objects.filter(booking=booking, live=True).select_related("seat")
    return list(taken.order_by("seat__rank", "seat__number"))


def announce_sale(booking: Booking) -> None:
    """Queue the mail with the tickets of a booking that was just confirmed, and tell the apps above."""
    outbox.put(topic="tickets_mail", dedupe_key=f"tickets_mail:{booking.pk}", booking_id=str(booking.pk))
    booking_confirmed.send(Booking, booking_id=booking.pk)
    slots.hold_finished(booking)


def make_tickets(booking: Booking, seats: Sequence[BookingSeat | None], *, own: int) -> None:
    """Write the tickets of a booking: the first `own` are the buyer's, each other one waits for a holder of its own."""
    name = booking.user.display_name
    Ticket.objects.bulk_create(
        Ticket(
            booking=booking,
            event_id=booking.event_id,
            code=new_ticket_code(),
            number=number,
            seat=taken.seat if taken else None,
            holder_id=booking.user_id if number <= own else None,
            holder_name=name if number <= own else "",
            status=Ticket.Status.ACTIVE if number <= own else Ticket.Status.UNASSIGNED,
        )
        for number, taken in enumerate(seats, start=1)
    )


def issue_personal_tickets(booking: Booking, seats: Sequence[BookingSeat | None]) -> None:
    """
    Make the tickets of an event that checks faces: one is the buyer's, if they hold none yet.

    Somebody else's ticket that becomes theirs in this very moment is seen by the constraint, without a lock that a sale
    would wait for.
    """
    held = Ticket.objects.filter(
        personal=True, event_id=booking.event_id, holder_id=booking.user_id, status__in=Ticket.OPENS
    )
    if not held.exists():
        try:
            with transaction.atomic(), database_refusals():
                make_tickets(booking, seats, own=1)
            return
        except HasTicket:
            pass
    make_tickets(booking, seats, own=0)


def load(booking_id: UUID) -> Booking:
    """
    Load a booking with what its tickets and answers show.

    :raises NotFound: if there is none
    """
    booking = Booking.objects.select_related("event", "category", "user").filter(pk=booking_id).first()
    if booking is None:
        raise NotFound
    return booking


def record_refund(*, booking_id: UUID, amount_minor: int, status: str) -> None:
    """Note on a booking what of its money goes back (`amount_minor` in all) and how far that is; payments calls this."""
    Booking.objects.filter(pk=booking_id).update(refund_minor=amount_minor, refund_status=status)
