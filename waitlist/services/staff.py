"""What staff do to a waitlist: the same services, with one row in their audit for each entry, in the same transaction."""

from uuid import UUID

from django.db import transaction

from accounts.services import record_staff_action
from waitlist.locks import lock_entry
from waitlist.models import WaitlistEntry
from waitlist.nudges import nudge
from waitlist.refusals import NotOnWaitlist, ReasonRequired
from waitlist.services.endings import clean_up
from waitlist.services.offers import Offer, offer_next


def offer_next_by_staff(*, event_id: UUID, staff_id: UUID, limit: int, reason: str = "") -> list[Offer]:
    """
    Offer what is free to the next `limit` people of an event's list, never more than there is, and write down who asked.

    The order is the list's own, so no reason is needed. Nothing is written down when nothing was free.
    """
    offers = offer_next(event_id=event_id, limit=limit)
    if offers:
        record_staff_action(
            actor_id=staff_id,
            action="waitlist_process",
            object_type="event",
            object_id=event_id,
            after={"offers": len(offers), "seats": sum(offer.quantity for offer in offers)},
            reason=reason.strip()[:2000],
        )
    return offers


def clean_up_by_staff(*, staff_id: UUID, reason: str = "") -> int:
    """End every offer that is over now, write down who asked, and return how many offers were moved."""
    moved = clean_up()
    if moved:
        record_staff_action(
            actor_id=staff_id,
            action="waitlist_clean_up",
            object_type="waitlist",
            object_id="all",
            after={"offers": moved},
            reason=reason.strip()[:2000],
        )
    return moved


@transaction.atomic
def set_eligible(*, entry_id: UUID, staff_id: UUID, eligible: bool, reason: str) -> WaitlistEntry:
    """
    Let somebody be offered seats or not, as staff decide; they keep their time. Accepting asks for the face check all the same.

    :raises ReasonRequired: if there is no reason
    :raises NotOnWaitlist: if they do not wait (any more)
    """
    if not reason.strip():
        raise ReasonRequired
    known = WaitlistEntry.objects.filter(pk=entry_id).first()
    if known is None:
        raise NotOnWaitlist
    entry = lock_entry(known)
    if entry.status != WaitlistEntry.Status.WAITING:
        raise NotOnWaitlist("They do not wait any more.")
    if entry.eligible != eligible:
        WaitlistEntry.objects.filter(pk=entry.pk).update(eligible=eligible)
        record_staff_action(
            actor_id=staff_id,
            action="waitlist_eligible",
            object_type="waitlist_entry",
            object_id=entry_id,
            before={"eligible": entry.eligible},
            after={"eligible": eligible},
            reason=reason.strip()[:2000],
        )
        entry.eligible = eligible
        nudge(entry.event_id)
    return entry
