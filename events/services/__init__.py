"""Every write to the catalogue, by noun: events, ticket categories."""

from events.services.categories import (
    NewCategory,
    add_category,
    close_category,
    reopen_category,
    set_capacity,
    update_category,
)
from events.services.changes import TELL_TOPIC, WATCH_TOPIC, told_key
from events.services.events import (
    cancel_event,
    complete_due_events,
    complete_event,
    create_event,
    delete_event,
    publish_event,
    update_event,
)
from events.services.staff import as_staff

__all__ = [
    "TELL_TOPIC",
    "WATCH_TOPIC",
    "NewCategory",
    "add_category",
    "as_staff",
    "cancel_event",
    "close_category",
    "complete_due_events",
    "complete_event",
    "create_event",
    "delete_event",
    "publish_event",
    "reopen_category",
    "set_capacity",
    "told_key",
    "update_category",
    "update_event",
]
