"""
What changes for those who go to an event: noted with the state people know, told after a while by the apps that know them.

Changes that come while one is still waiting belong to it, so a correction of a correction is one notice. Which change is open
is decided under the event's lock: the number of those settled is the number of the one that is open.
"""

from datetime import datetime
from typing import Any

from django.conf import settings

from common import outbox
from common.models import OutboxMessage
from events.models import Event

WATCH_TOPIC = "event_change"
TELL_TOPIC = "event_changed"
WATCHED = ("starts_at", "ends_at", "timezone", "location")


def known(event: Event) -> dict[str, Any]:
    """Return what people know of an event that they must be told when it changes."""
    return {name: getattr(event, name) for name in WATCHED}


def watch_change(event: Event, before: dict[str, Any]) -> None:
    """Note that a published event, locked by the caller, is different from `before`; nothing to note if it is not."""
    if event.status != Event.Status.PUBLISHED or known(event) == before:
        return
    settled = OutboxMessage.objects.filter(dedupe_key__startswith=f"{TELL_TOPIC}:{event.pk}:").count()
    facts = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in before.items()}
    outbox.put_many(
        topic=WATCH_TOPIC,
        messages={f"{WATCH_TOPIC}:{event.pk}:{settled}": {"event_id": str(event.pk), **facts}},
        wait_seconds=settings.EVENT_CHANGE_SECONDS,
    )


def told_key(watch_key: str) -> str:
    """Return the key under which the change noted as `watch_key` is told."""
    return f"{TELL_TOPIC}:{watch_key.removeprefix(f'{WATCH_TOPIC}:')}"
