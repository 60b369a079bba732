"""Every write to the waitlist: joining, becoming eligible, leaving."""

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from common.errors import NotFound
from events.models import Event, TicketCategory
from waitlist.models import WaitlistEntry

Status = WaitlistEntry.Status
Reason = WaitlistEntry.Reason


class NotOnWaitlist(NotFound):
    code = "not_on_waitlist"
    message = "User not found on waitlist"


@transaction.atomic
def join(
    *,
    user_id: UUID,
    event_id: UUID,
    category_id: UUID | None = None,
    quantity: int = 1,
    reason: str = Reason.TICKETS_SOLD_OUT,
    eligible: bool = True,
    registration_id: UUID | None = None,
) -> WaitlistEntry:
    """
    Put a person on an event's list; who is on it already keeps their time.

    Reason, eligibility and wish of an entry that waits follow the newest call. An entry with an offer is left as it is.
    """
    if category_id is None:
        category_id = only_category(event_id)
    wish = {
        "category_id": category_id,
        "quantity": quantity,
        "reason": reason,
        "eligible": eligible,
        "registration_id": registration_id,
    }
    WaitlistEntry.objects.bulk_create(
        [WaitlistEntry(user_id=user_id, event_id=event_id, **wish)], ignore_conflicts=True
    )
    entry = WaitlistEntry.objects.select_for_update(no_key=True).get(
        user_id=user_id, event_id=event_id, status__in=WaitlistEntry.LIVE
    )
    different = {name: value for name, value in wish.items() if getattr(entry, name) != value}
    if entry.status == Status.WAITING and different:
        waiting = WaitlistEntry.objects.filter(pk=entry.pk, status=Status.WAITING)
        if "category_id" in different and entry.eligible:
            waiting.update(eligible=False)  # the counters of its old category let go of it first
        waiting.update(**wish)
        for name, value in wish.items():
            setattr(entry, name, value)
    return entry


def only_category(event_id: UUID) -> UUID | None:
    """Return the event's one category; None, which means any of them, when it has several."""
    categories = list(TicketCategory.objects.filter(event_id=event_id).values_list("pk", flat=True)[:2])
    return categories[0] if len(categories) == 1 else None


@transaction.atomic
def leave(*, user_id: UUID, event_id: UUID) -> WaitlistEntry:
    """
    Take a person off an event's list.

    :raises NotOnWaitlist: if they are not on it, or have an offer to answer
    """
    entry = waiting_entry(user_id, event_id)
    if entry is None:
        raise NotOnWaitlist
    return entry.transition("leave", ended_at=Now())


@transaction.atomic
def serve(*, user_id: UUID, event_id: UUID, booking_id: UUID | None = None) -> WaitlistEntry | None:
    """Close the entry of somebody who has a seat now, if they wait; None when they do not."""
    entry = waiting_entry(user_id, event_id)
    if entry is None:
        return None
    return entry.transition("serve", ended_at=Now(), booking_id=booking_id)


@transaction.atomic
def close_over(*, limit: int = 500) -> int:
    """End the entries of events that are cancelled, completed or over, and return how many there were."""
    over = WaitlistEntry.objects.filter(status=Status.WAITING).exclude(
        event__in=Event.objects.filter(status=Event.Status.PUBLISHED, ends_at__gt=Now())
    )
    due = list(over.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)[:limit])
    return WaitlistEntry.objects.filter(pk__in=due, status=Status.WAITING).update(status=Status.EXPIRED, ended_at=Now())


def waiting_entry(user_id: UUID, event_id: UUID) -> WaitlistEntry | None:
    """Load and lock the entry with which a person waits for an event."""
    return (
        WaitlistEntry.objects.select_for_update(no_key=True)
        .filter(user_id=user_id, event_id=event_id, status=Status.WAITING)
        .first()
    )
