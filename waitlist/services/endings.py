"""Endings: offers nobody answered, accepted seats nobody paid for, lists of events that are off; found from the rows."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from accounts.services import record_staff_action
from bookings import services as bookings
from bookings.models import Booking
from common.errors import IllegalTransition
from waitlist import news
from waitlist.clock import Clock, open_for_offers
from waitlist.locks import lock_entry
from waitlist.models import WaitlistEntry
from waitlist.nudges import nudge
from waitlist.refusals import OfferNotFound, ReasonRequired

Status = WaitlistEntry.Status
BookingStatus = Booking.Status
BY_THE_BUYER = {"given_up", "cancelled_by_buyer", "account_erased"}


def lapse_due(*, limit: int = 500) -> int:
    """End the offers whose time is over or whose booking has ended another way; return how many there were."""
    over = Q(offer_expires_at__lte=Now()) | ~Q(booking__status=BookingStatus.OFFERED)
    due = WaitlistEntry.objects.filter(over, status=Status.OFFERED).order_by("offer_expires_at", "id")
    return sum(lapse_offer(entry_id=entry_id) for entry_id in due.values_list("pk", flat=True)[:limit])


@transaction.atomic
def lapse_offer(*, entry_id: UUID, now: bool = False) -> bool:
    """
    End one offer that nobody answered in time (or `now`, whatever time it has left); False when there is nothing to end.

    The person goes behind those who wait, WAITLIST_MAX_LAPSES times; then their entry ends.
    """
    known = WaitlistEntry.objects.filter(pk=entry_id).first()
    if known is None:
        return False
    entry = lock_entry(known)
    booking = entry.booking
    if entry.status != Status.OFFERED:
        return False
    if booking is not None and booking.status == BookingStatus.OFFERED:
        overdue = Booking.objects.filter(pk=booking.pk, expires_at__lte=Now()).exists()
        if not overdue and not now:
            return False
    if booking is not None and booking.status == BookingStatus.CANCELLED:
        by_the_buyer = booking.end_reason in BY_THE_BUYER
        entry.transition("reject" if by_the_buyer else "expire", ended_at=Now())
    else:
        back_or_over(entry, "wait_again")
        if (
            booking is not None
            and booking.status == BookingStatus.OFFERED
            and not bookings.expire_booking(booking_id=booking.pk)
        ):
            bookings.cancel_booking(booking_id=booking.pk, by="staff", reason="offer_ended")
    nudge(entry.event_id)
    return True


def back_or_over(entry: WaitlistEntry, step: str, **changes: Any) -> None:
    """Send an entry behind those who wait, or end it when that happened as often as it may; and say so."""
    lapses = entry.lapses + 1
    over = lapses > settings.WAITLIST_MAX_LAPSES
    if over:
        entry.transition("expire", ended_at=Now(), lapses=lapses, unpaid=False)
    else:
        changes |= {"joined_at": Clock(), "ended_at": None, "offer_expires_at": None}
        entry.transition(step, lapses=lapses, unpaid=False, **changes)
    news.lapsed(entry, paid_late=step == "unpaid", over=over)


def follow_bookings(*, limit: int = 500) -> int:
    """
    Bring entries to what became of the seats that were accepted: bought, given up, or never paid for; return how many changed.

    What was not paid for goes behind those who wait, like an offer nobody answered.
    """
    settled = ~Q(booking__status=BookingStatus.PENDING) | Q(booking__expires_at__lte=Now())
    due = WaitlistEntry.objects.filter(settled, unpaid=True).order_by("booking_id")
    return sum(follow_booking(entry_id=entry_id) for entry_id in due.values_list("pk", flat=True)[:limit])


@transaction.atomic
def follow_booking(*, entry_id: UUID) -> bool:
    """Bring one entry to what became of the seats that were accepted; False when that is open still."""
    known = WaitlistEntry.objects.filter(pk=entry_id).first()
    if known is None:
        return False
    entry = lock_entry(known)
    booking = entry.booking
    if not entry.unpaid:
        return False
    if booking is not None and booking.status == BookingStatus.PENDING:
        if not Booking.objects.filter(pk=booking.pk, expires_at__lte=Now()).exists():
            return False
        lapsed = True
    else:
        lapsed = booking is not None and booking.status == BookingStatus.EXPIRED
    if not lapsed or booking is None:
        WaitlistEntry.objects.filter(pk=entry.pk).update(unpaid=False)
        return True
    if entry.status == Status.WAITING:
        # The rest of a wish waits already: what was not paid for joins it at the end.
        wanted = entry.quantity + booking.quantity
        lapses = entry.lapses + 1
        if lapses > settings.WAITLIST_MAX_LAPSES:
            entry.transition("expire", ended_at=Now(), lapses=lapses, unpaid=False)
        else:
            WaitlistEntry.objects.filter(pk=entry.pk).update(
                quantity=wanted, joined_at=Clock(), lapses=lapses, unpaid=False, went_back_for=booking.pk
            )
        news.lapsed(entry, paid_late=True, over=lapses > settings.WAITLIST_MAX_LAPSES)
    elif waits_again_already(entry):
        WaitlistEntry.objects.filter(pk=entry.pk).update(unpaid=False)
    else:
        back_or_over(entry, "unpaid", quantity=booking.quantity, went_back_for=booking.pk)
    if booking.status == BookingStatus.PENDING:
        bookings.expire_booking(booking_id=booking.pk)
    nudge(entry.event_id)
    return True


def serve_late_payers(*, limit: int = 500) -> int:
    """Let those wait no longer for what they did get: their payment came after the hold had ended. Return how many."""
    bought = Booking.objects.filter(pk=OuterRef("went_back_for"), status=BookingStatus.CONFIRMED)
    late = WaitlistEntry.objects.filter(Exists(bought), went_back_for__isnull=False, status=Status.WAITING)
    count = 0
    for known in late.order_by("pk")[:limit]:
        with transaction.atomic():
            entry = lock_entry(known)
            booking = Booking.objects.filter(Q(pk=entry.went_back_for), status=BookingStatus.CONFIRMED).first()
            if booking is None or entry.status != Status.WAITING:
                continue
            if entry.quantity > booking.quantity:
                WaitlistEntry.objects.filter(pk=entry.pk).update(
                    quantity=F("quantity") - booking.quantity, went_back_for=None
                )
            else:
                entry.transition("serve", ended_at=Now(), unpaid=False, booking_id=booking.pk)
            count += 1
    return count


def waits_again_already(entry: WaitlistEntry) -> bool:
    """Whether the person joined the list anew since this entry was accepted."""
    live = WaitlistEntry.objects.filter(user_id=entry.user_id, event_id=entry.event_id, status__in=WaitlistEntry.LIVE)
    return live.exists()


def follow_ended_booking(*, booking_id: UUID) -> UUID | None:
    """Bring the entry of a booking that has ended along, and return the event; None when nobody waits for that."""
    booking = Booking.objects.filter(pk=booking_id).only("pk", "event_id", "source").first()
    if booking is None:
        return None
    if booking.source == Booking.Source.WAITLIST:
        mine = WaitlistEntry.objects.filter(Q(status=Status.OFFERED) | Q(unpaid=True), booking_id=booking_id)
        for entry_id in mine.values_list("pk", flat=True):
            lapse_offer(entry_id=entry_id) or follow_booking(entry_id=entry_id)
    waits = WaitlistEntry.objects.filter(event_id=booking.event_id, status=Status.WAITING, eligible=True)
    return booking.event_id if waits.exists() else None


@transaction.atomic
def expire_offer(*, entry_id: UUID, staff_id: UUID, reason: str) -> WaitlistEntry:
    """
    End an offer before its time because staff decide so, as if it had lapsed.

    :raises ReasonRequired: if there is no reason
    :raises OfferNotFound: if there is no open offer
    """
    if not reason.strip():
        raise ReasonRequired
    if not lapse_offer(entry_id=entry_id, now=True):
        raise OfferNotFound("There is no open offer to end.")
    entry = WaitlistEntry.objects.get(pk=entry_id)
    record_staff_action(
        actor_id=staff_id,
        action="waitlist_expire_offer",
        object_type="waitlist_entry",
        object_id=entry_id,
        before={"status": "offered"},
        after={"status": entry.status, "lapses": entry.lapses},
        reason=reason.strip()[:2000],
    )
    return entry


def clean_up() -> int:
    """End every offer that is over and every accepted hold that was not paid; return how many offers were moved."""
    moved = 0
    while count := lapse_due():
        moved += count
    follow_bookings()
    close_over()
    return moved


def close_over(*, limit: int = 500) -> int:
    """End the entries of events that are cancelled, over or no longer sold, tell their people, and return how many."""
    off = WaitlistEntry.objects.filter(status__in=WaitlistEntry.LIVE).exclude(open_for_offers("event__"))
    return sum(
        close_entry(entry_id=entry_id)
        for entry_id in off.order_by("event_id", "joined_at").values_list("pk", flat=True)[:limit]
    )


@transaction.atomic
def close_entry(*, entry_id: UUID) -> bool:
    """End one entry because nothing comes any more, and the offer it had; False when it has ended already."""
    known = WaitlistEntry.objects.filter(pk=entry_id).first()
    if known is None:
        return False
    entry = lock_entry(known)
    try:
        entry.transition("expire", when=Q(status__in=WaitlistEntry.LIVE), ended_at=Now(), unpaid=False)
    except IllegalTransition:
        return False
    booking = entry.booking
    if booking is not None and booking.status == BookingStatus.OFFERED:
        bookings.cancel_booking(booking_id=booking.pk, by="staff", reason="waitlist_closed")
    news.closed(entry)
    return True
