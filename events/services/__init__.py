"""Every write to the catalogue, by noun: events, ticket categories."""

from events.services.categories import (
    NewCategory,
    add_category,
    close_category,
    reopen_category,
    set_capacity,
    update_category,
)
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
    "update_category",
    "update_event",
]
