"""What staff do to the catalogue: the same services, with one record of who did what, why, and what it was before."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction

from accounts.services import record_staff_action
from events.models import Event, TicketCategory
from events.services.categories import RULES
from events.services.events import FIELDS

Result = TypeVar("Result")


@transaction.atomic
def as_staff(*, actor_id: UUID, action: str, event_id: UUID, reason: str = "", do: Callable[[], Result]) -> Result:
    """
    Run `do` and write down what it changed in the event, in one transaction: both happen, or neither.

    What changed nothing (cancelling what is cancelled) is not written down.
    """
    before = facts(event_id)
    result = do()
    after = facts(event_id)
    if before != after:
        record_staff_action(
            actor_id=actor_id,
            action=action,
            object_type="event",
            object_id=event_id,
            before={name: value for name, value in before.items() if after.get(name) != value},
            after={name: value for name, value in after.items() if before.get(name) != value},
            reason=reason,
        )
    return result


def facts(event_id: UUID) -> dict[str, Any]:
    """Return what may change in an event and its categories, as JSON; nothing of an event that is gone."""
    event = Event.objects.filter(pk=event_id).first()
    if event is None:
        return {}
    found = {name: plain(getattr(event, name)) for name in sorted(FIELDS | {"status", "deleted_at"})}
    for category in TicketCategory.objects.filter(event=event).select_related("inventory"):
        found[f"category {category.pk}"] = {
            "name": category.name,
            "price_minor": category.price_minor,
            "closed": category.closed,
            "capacity": category.inventory.capacity,
            **{name: plain(getattr(category, name)) for name in RULES},
        }
    return found


def plain(value: Any) -> Any:
    """Return a column's value as JSON would hold it."""
    return value if value is None or isinstance(value, bool | int | str) else str(value)
