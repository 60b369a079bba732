"""Whom on the waitlist the news of an event concern (settings.EVENT_AUDIENCES)."""

from collections.abc import Iterable
from uuid import UUID

from waitlist.models import WaitlistEntry


def people_waiting(event_id: UUID) -> Iterable[UUID]:
    """Return who waits for seats of an event or has been offered some."""
    open_entries = WaitlistEntry.objects.filter(event_id=event_id, status__in=("waiting", "offered"))
    return open_entries.values_list("user_id", flat=True)
