"""Reactions to announcements; and what is found by being imported: mails of the outbox, invariants."""

from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.dispatch import receiver

from bookings import handover_mails, handover_news, invariants, mails, news, tasks  # noqa: F401
from events.signals import event_cancelled


@receiver(event_cancelled)
def cancel_its_bookings(event_id: UUID, **_: Any) -> None:
    """Tell who holds seats, and begin at once to cancel; with the broker away, the sweep does it."""
    news.tell_holders_of_cancellation(event_id=event_id)
    transaction.on_commit(partial(tasks.cancel_bookings_of_event.delay, event_id=str(event_id)), robust=True)
