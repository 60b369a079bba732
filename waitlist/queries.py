"""Reads of the waitlist; positions are computed, never stored."""

from uuid import UUID

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.authentication import Principal
from accounts.models import User
from common.errors import NotFound
from waitlist.models import WaitlistEntry

WAITING = WaitlistEntry.Status.WAITING


def with_position(entries: QuerySet[WaitlistEntry]) -> QuerySet[WaitlistEntry]:
    """Give each entry that waits its `position`: 1 for the head of its event's list, by time and then id."""
    before = Q(joined_at__lt=OuterRef("joined_at")) | Q(joined_at=OuterRef("joined_at"), id__lt=OuterRef("id"))
    ahead = (
        WaitlistEntry.objects.filter(before, event_id=OuterRef("event_id"), status=WAITING)
        .order_by()
        .values("event_id")
        .annotate(count=Count("pk"))
        .values("count")
    )
    return entries.annotate(ahead=Coalesce(Subquery(ahead), 0)).annotate(position=F("ahead") + 1)


def position_of(entry: WaitlistEntry) -> int | None:
    """Return an entry's position, or None when it does not wait (any more)."""
    if entry.status != WAITING:
        return None
    found = with_position(WaitlistEntry.objects.filter(pk=entry.pk)).first()
    return getattr(found, "position", None)


def list_entries(*, event_id: UUID, status: str = "") -> QuerySet[WaitlistEntry]:
    """Return the list of an event in its order, for staff."""
    entries = WaitlistEntry.objects.filter(event_id=event_id).select_related("user", "event")
    if status:
        entries = entries.filter(status=status)
    return with_position(entries).order_by("joined_at", "id")


def get_live_entry(*, user_id: UUID, event_id: UUID) -> WaitlistEntry | None:
    """Return the entry with which a person waits or has an offer, or None."""
    entries = WaitlistEntry.objects.filter(user_id=user_id, event_id=event_id, status__in=WaitlistEntry.LIVE)
    return with_position(entries.select_related("event", "user")).first()


def get_live_entry_for(*, viewer: Principal | User, user_id: UUID, event_id: UUID) -> WaitlistEntry | None:
    """
    Return a person's live entry for themselves or for staff; None when they are not on the list.

    :raises NotFound: if the viewer may not ask about this person
    """
    if viewer.pk != user_id and not viewer.is_staff:
        raise NotFound("There is no such person, or it is not you.")
    return get_live_entry(user_id=user_id, event_id=event_id)
