"""Offers: free seats to the first person on the list who can have them, one statement and one short transaction each."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef

from accounts.services import record_staff_action
from bookings.references import new_reference
from bookings.refusals import EventCancelled, SaleClosed, database_refusals
from common import outbox
from events.models import Event, SeatInventory, TicketCategory
from waitlist import news
from waitlist.clock import open_for_offers
from waitlist.locks import lock_entry
from waitlist.models import WaitlistEntry
from waitlist.refusals import CanNotOffer, NoSeatToOffer, NotOnWaitlist, ReasonRequired, TicketLimit
from waitlist.services.joining import check_limit, check_limits_of_categories

log = structlog.get_logger(__name__)

OFFER_SQL = "SELECT * FROM waitlist_offer(%s, %s, %s, %s, %s, %s)"
Status = WaitlistEntry.Status
# Why one person can be offered nothing, as staff read it.
OBSTACLES = {
    "too_few_together": "They want more seats together than are free. Offer fewer, or wait for more.",
    "ticket_limit": "They have as many tickets as one person may have for this event.",
    "account_inactive": "Their account is switched off.",
    "has_a_claim": "They have accepted seats and not paid for them yet.",
    "not_eligible": "They have not been verified yet.",
    "category_closed": "The ticket categories they wait for are closed.",
}


class Offer(NamedTuple):
    """An offer that was made; `quantity` seats are kept until `expires_at`."""

    entry_id: UUID
    booking_id: UUID
    user_id: UUID
    category_id: UUID
    quantity: int
    expires_at: datetime


def offer_next(*, event_id: UUID, limit: int = 1_000) -> list[Offer]:
    """
    Offer what is free to those at the head of an event's list, at most `limit` offers, and return them in their order.

    Each offer is one statement. Processors in parallel make together exactly as many offers as there are seats.
    """
    offers: list[Offer] = []
    while len(offers) < limit:
        outcome, offer = make_offer(event_id)
        if offer is not None:
            offers.append(offer)
        elif outcome != "again":
            break
    if offers:
        transaction.on_commit(outbox.nudge, robust=True)
        log.info("waitlist.offered", show=str(event_id), offers=len(offers))
    return offers


def make_offer(event_id: UUID, entry_id: UUID | None = None, quantity: int | None = None) -> tuple[str, Offer | None]:
    """Call the SQL function once and return its outcome, and the offer if it made one."""
    with database_refusals(), connection.cursor() as cursor:
        cursor.execute(
            OFFER_SQL,
            [
                event_id,
                new_reference(),
                settings.OFFER_SECONDS,
                settings.WAITLIST_TOGETHER_SECONDS,
                entry_id,
                quantity,
            ],
        )
        outcome, *made = cursor.fetchone()
    return outcome, Offer(*made) if outcome == "offered" else None


@transaction.atomic
def offer_to(*, entry_id: UUID, staff_id: UUID, reason: str, quantity: int | None = None) -> Offer:
    """
    Offer free seats to one person because staff decide so, also past others; who it was and why is written down.

    With `quantity` they are offered that many, also when they want more or all together.

    :raises ReasonRequired: if there is no reason
    :raises NotOnWaitlist: if they do not wait (any more)
    :raises NoSeatToOffer: if no seat that they would take is free
    :raises CanNotOffer: if they may not have it (`extra["reason"]` says why)
    :raises EventCancelled, SaleClosed: if nothing is given out any more
    """
    if not reason.strip():
        raise ReasonRequired
    entry = WaitlistEntry.objects.select_related("event").filter(pk=entry_id).first()
    if entry is None or entry.status != Status.WAITING:
        raise NotOnWaitlist("They do not wait any more.")
    most = min(entry.quantity, quantity) if quantity is not None else None
    outcome, offer = make_offer(entry.event_id, entry.pk, most)
    if outcome == "closed":
        raise EventCancelled if entry.event.status == Event.Status.CANCELLED else SaleClosed
    if outcome in OBSTACLES:
        raise CanNotOffer(OBSTACLES[outcome], reason=outcome)
    if offer is None:
        raise NoSeatToOffer
    record_staff_action(
        actor_id=staff_id,
        action="waitlist_offer",
        object_type="waitlist_entry",
        object_id=entry_id,
        before={"status": "waiting", "offers": entry.offers},
        after={"status": "offered", "booking": str(offer.booking_id), "quantity": offer.quantity},
        reason=reason.strip()[:2000],
    )
    transaction.on_commit(outbox.nudge, robust=True)
    return offer


def process_due(*, limit: int = 1_000) -> int:
    """Make the offers that are due: every event that has a free seat and somebody who waits; return how many were made."""
    return sum(len(offer_next(event_id=event_id, limit=limit)) for event_id in events_with_work())


def event_of_category(*, category_id: UUID) -> UUID | None:
    """Return the event of a category."""
    return TicketCategory.objects.filter(pk=category_id).values_list("event_id", flat=True).first()


def events_with_work() -> Sequence[UUID]:
    """Return the events with a free seat in an open category and somebody eligible who waits."""
    waits = WaitlistEntry.objects.filter(event_id=OuterRef("category__event_id"), status=Status.WAITING, eligible=True)
    free = SeatInventory.objects.filter(
        open_for_offers("category__event__"),
        TicketCategory.for_everybody("category__"),
        Exists(waits),
        capacity__gt=F("held") + F("offered") + F("sold"),
    )
    return list(free.order_by("category__event_id").values_list("category__event_id", flat=True).distinct())


@transaction.atomic
def put_back_in_line(*, limit: int = 500) -> int:
    """Let those count again who were put aside because they could not have tickets, once they can; return how many."""
    aside = WaitlistEntry.objects.filter(
        open_for_offers("event__"),
        status=Status.WAITING,
        aside_for__in=("ticket_limit", "account_inactive"),
        user__is_active=True,
    )
    count = 0
    for entry in aside.select_related("event").order_by("joined_at", "id")[:limit]:
        try:
            check_limit(entry.event, entry.user_id, entry.quantity if entry.all_together else 1)
            check_limits_of_categories(entry)
        except TicketLimit:
            continue
        lock_entry(entry)
        count += WaitlistEntry.objects.filter(
            pk=entry.pk, status=Status.WAITING, aside_for__in=("ticket_limit", "account_inactive")
        ).update(aside_since=None, aside_for="")
    return count


def remind_due() -> int:
    """Remind those whose offer ends soon, once per moment of settings.OFFER_REMIND_SECONDS; return how many there were."""
    return sum(news.remind(seconds) for seconds in settings.OFFER_REMIND_SECONDS)
