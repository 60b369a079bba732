"""Asking a worker to look at a list now; with the broker away the sweep does it."""

from functools import partial
from uuid import UUID

from django.db import transaction


def nudge(event_id: UUID) -> None:
    """Have an event's list looked at once this transaction has committed."""
    transaction.on_commit(partial(ask, event_id), robust=True)


def ask(event_id: UUID) -> None:
    """Ask a worker to look at an event's list."""
    from waitlist.tasks import process_event

    process_event.delay(event_id=str(event_id))
