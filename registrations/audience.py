"""Who of those registered for an event its news concern (settings.EVENT_AUDIENCES)."""

from collections.abc import Iterable
from uuid import UUID

from registrations.models import Registration


def people_registered(event_id: UUID) -> Iterable[UUID]:
    """Return who is on the way to a ticket of an event, or has one; whom staff rejected does not come."""
    registrations = Registration.objects.filter(event_id=event_id).exclude(closed_by_staff=True)
    return registrations.values_list("user_id", flat=True)
