"""Endings: a hold that lapses or is given up, a booking that is cancelled by its buyer, by staff or with its event."""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.notifications import notify
from bookings.models import Booking, Ticket
from bookings.refusals import CancelTooLate, TicketUsed
from bookings.services.sales import load
from bookings.signals import booking_ended
from bookings.states import LAPSING, LIVE, Status
from bookings.waitingroom import slots
from common import outbox
from common.errors import IllegalTransition
from events.models import Event

LAPSED = Q(status__in=LAPSING, expires_at__lte=Now())


@transaction.atomic
def expire_booking(*, booking_id: UUID) -> bool:
    """End one hold or offer whose deadline has passed; False when there was nothing to end."""
    ended = Booking.objects.filter(LAPSED, pk=booking_id).update(status=Status.EXPIRED, end_reason="lapsed")
    if ended:
        booking_ended.send(Booking, booking_id=booking_id)
    return bool(ended)


def expire_due(*, limit: int = 500) -> int:
    """
    End every hold and offer whose deadline has passed, one transaction each, and return how many ended.

    Safe in parallel: each row is ended by one guarded UPDATE, and a late sweep changes nothing about what is right.
    """
    due = Booking.objects.filter(LAPSED).order_by("expires_at").values_list("pk", flat=True)[:limit]
    return sum(expire_booking(booking_id=booking_id) for booking_id in due)


@transaction.atomic
def give_up_hold(*, booking_id: UUID) -> Booking:
    """
    Release a hold because its buyer does not want it.

    :raises IllegalTransition: if it is no hold (any more)
    """
    return end(booking_id, Q(status__in=LAPSING), reason="given_up")


@transaction.atomic
def cancel_booking(*, booking_id: UUID, by: str, reason: str = "") -> Booking:
    """
    Cancel a live booking: seats released, tickets void from this commit on, what was paid goes back.

    A buyer may cancel a confirmed booking until CANCEL_UNTIL_HOURS before the event starts, staff always.

    :raises CancelTooLate: if the buyer is too late
    :raises TicketUsed: if somebody came in with one of its tickets
    :raises IllegalTransition: if it has ended already
    """
    allowed = Q(status__in=LIVE)
    if by == "buyer":
        refuse_used(booking_id)
        limit = Now() + timedelta(hours=settings.CANCEL_UNTIL_HOURS)
        in_time = Event.objects.filter(starts_at__gt=limit).values("pk")
        allowed = Q(status__in=LAPSING) | Q(status=Status.CONFIRMED, event__in=in_time)
    try:
        return end(booking_id, allowed, reason=reason or f"cancelled_by_{by}")
    except IllegalTransition:
        booking = load(booking_id)
        if booking.status != Status.CONFIRMED:
            raise
        until = booking.event.starts_at - timedelta(hours=settings.CANCEL_UNTIL_HOURS)
        raise CancelTooLate(
            f"You can cancel until {settings.CANCEL_UNTIL_HOURS} hours before the event. "
            f"That was on {until:%d %B %Y at %H:%M} UTC.",
            cancel_until=until.isoformat().replace("+00:00", "Z"),
        ) from None


def refuse_used(booking_id: UUID) -> None:
    """
    Let nobody have their money back who is inside already. The door takes the booking's lock before it uses a ticket.

    :raises TicketUsed: if a ticket of the booking was used
    """
    Booking.objects.select_for_update(no_key=True).filter(pk=booking_id).first()
    if Ticket.objects.filter(booking_id=booking_id, status=Ticket.Status.USED).exists():
        raise TicketUsed


def end(booking_id: UUID, guard: Q, *, reason: str) -> Booking:
    """
    Cancel one booking and announce it.

    `guard` must name the statuses on the booking's own row (no join): a rival that confirms it while this UPDATE waits for
    the row is then seen.
    """
    if not Booking.objects.filter(guard, pk=booking_id).update(status=Status.CANCELLED, end_reason=reason[:32]):
        load(booking_id)
        raise IllegalTransition("This booking has ended already.")
    booking_ended.send(Booking, booking_id=booking_id)
    booking = load(booking_id)
    slots.hold_finished(booking)
    if booking.confirmed_at:
        outbox.put(
            topic="booking_cancelled_mail",
            dedupe_key=f"booking_cancelled_mail:{booking_id}",
            booking_id=str(booking_id),
        )
        tell_other_holders(booking)
    return booking


def tell_other_holders(booking: Booking) -> None:
    """Tell those who hold a ticket that the buyer cancelled: the buyer has a mail of their own."""
    lost = Ticket.objects.filter(booking=booking, holder__isnull=False).exclude(holder_id=booking.user_id)
    for ticket_id, holder_id in lost.order_by("number").values_list("pk", "holder_id"):
        notify(
            user_id=holder_id, kind="ticket_withdrawn", cause=str(ticket_id), url="/tickets", event=booking.event.name
        )


def cancel_event_bookings(*, event_id: UUID, limit: int = 200) -> int:
    """
    Cancel up to `limit` live bookings of a cancelled event, one transaction each, and return how many there were.

    Called again until it returns 0; killed half-way it goes on where it stopped.
    """
    live = Booking.objects.filter(event_id=event_id, event__status="cancelled", status__in=LIVE)
    count = 0
    for booking_id in live.values_list("pk", flat=True)[:limit]:
        try:
            with transaction.atomic():
                end(booking_id, Q(status__in=LIVE), reason="event_cancelled")
            count += 1
        except IllegalTransition:
            continue
    return count
