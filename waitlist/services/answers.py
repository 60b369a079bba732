"""What a person says to an offer: yes, yes to some of it, or no."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from bookings import services as bookings
from bookings.gates import refuse_unverified
from bookings.models import Booking, BookingSeat
from bookings.queries import bookings_with_all
from events.models import Event
from waitlist.locks import lock_entry
from waitlist.models import WaitlistEntry
from waitlist.nudges import nudge
from waitlist.refusals import BadWish, OfferExpired, OfferNotFound
from waitlist.services.joining import give_back

Status = WaitlistEntry.Status


@transaction.atomic
def accept_offer(*, entry_id: UUID, user_id: UUID, quantity: int | None = None) -> Booking:
    """
    Turn an offer into a hold to pay, or into tickets when there is nothing to pay online; return the booking.

    Taking fewer than were offered gives the others back and ends the wish. Who wanted more than were offered, any number,
    waits on for the rest. Accepting again returns the same booking.

    :raises OfferNotFound: if there is no such offer, or it is somebody else's
    :raises OfferExpired: if it has lapsed, was turned down, or its event is off
    :raises BadWish: if `quantity` is not among those offered
    :raises VerificationRequired: if the event checks faces and the person was not verified
    """
    entry = own_entry(entry_id, user_id)
    booking = entry.booking
    if entry.status != Status.OFFERED:
        return accepted_before(entry)
    if booking is None:
        raise OfferExpired
    seats = booking.quantity if quantity is None else quantity
    if not 1 <= seats <= booking.quantity:
        raise BadWish(f"You can take 1 to {booking.quantity} of these.")
    refuse_unverified(booking)
    rest = entry.quantity - booking.quantity if seats == booking.quantity else 0
    changes: dict[str, Any] = {"unpaid": True, "offer_expires_at": None}
    # The entry before the booking: an entry that waits on moves counters of all its categories, the booking that of one.
    if rest > 0:
        entry.transition("accept_part", quantity=rest, **changes)
    else:
        entry.transition("accept", quantity=seats, ended_at=Now(), **changes)
    live = Booking.objects.filter(
        pk=booking.pk, status=Booking.Status.OFFERED, expires_at__gt=Now(), event__status=Event.Status.PUBLISHED
    )
    if not live.exists() or not Booking.objects.filter(
        pk=booking.pk, status=Booking.Status.OFFERED, expires_at__gt=Now()
    ).update(
        status=Booking.Status.PENDING,
        expires_at=Now() + timedelta(seconds=settings.HOLD_SECONDS),
        quantity=seats,
        amount_minor=F("amount_minor") / F("quantity") * seats,
    ):
        raise OfferExpired
    if seats < booking.quantity:
        release_surplus_seats(booking, seats)
        nudge(entry.event_id)
    if booking.amount_minor == 0 or booking.event.payment_collection == Event.Collection.AT_DOOR:
        bookings.confirm_booking(booking_id=booking.pk)
        WaitlistEntry.objects.filter(pk=entry.pk).update(unpaid=False)
    return bookings_with_all().get(pk=booking.pk)


def accepted_before(entry: WaitlistEntry) -> Booking:
    """
    Return what an offer became when it was accepted.

    :raises OfferExpired: if it was not, or that is gone too
    """
    booking = bookings_with_all().filter(Q(pk=entry.booking_id)).first()
    accepted = entry.status in {Status.ACCEPTED, Status.WAITING}
    if not accepted or booking is None or booking.status not in {Booking.Status.PENDING, Booking.Status.CONFIRMED}:
        raise OfferExpired
    return booking


def release_surplus_seats(booking: Booking, quantity: int) -> None:
    """Let go of the numbered seats that were offered and not taken: the last ones, so that the others stay together."""
    kept = BookingSeat.objects.filter(booking=booking, live=True).order_by("seat__rank", "seat__number")
    surplus = list(kept.values_list("pk", flat=True))[quantity:]
    BookingSeat.objects.filter(pk__in=surplus).update(live=False)


@transaction.atomic
def reject_offer(*, entry_id: UUID, user_id: UUID) -> WaitlistEntry:
    """
    Turn an offer down: the person is off the list, and the seats go to the next.

    :raises OfferNotFound: if there is no such offer, or it is somebody else's
    :raises OfferExpired: if there is nothing to turn down any more
    """
    entry = own_entry(entry_id, user_id)
    if entry.status == Status.REJECTED:
        return entry
    open_offer = Booking.objects.filter(Q(pk=entry.booking_id), status=Booking.Status.OFFERED, expires_at__gt=Now())
    if entry.status != Status.OFFERED or not open_offer.exists():
        raise OfferExpired
    entry.transition("reject", ended_at=Now())
    give_back(entry)
    nudge(entry.event_id)
    return entry


def own_entry(entry_id: UUID, user_id: UUID) -> WaitlistEntry:
    """
    Load and lock a person's own entry that was offered something.

    :raises OfferNotFound: if there is none, or it is somebody else's
    """
    known = WaitlistEntry.objects.filter(pk=entry_id, user_id=user_id, offers__gt=0).first()
    if known is None:
        raise OfferNotFound
    return lock_entry(known)
