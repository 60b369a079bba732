"""What steering a line needs beyond one service: the pace has two halves, and a person is named by their address."""

from uuid import UUID

from accounts.models import User, normalise_email
from bookings.waitingroom import services
from bookings.waitingroom.models import WaitingRoom
from bookings.waitingroom.services.rooms import tell
from common.errors import NotFound
from events.services import as_staff, update_event


def set_pace(event_id: UUID, *, most: int, per_minute: int | None, reason: str, actor_id: UUID) -> None:
    """Change how many may be active at once and how many are let in per minute, each where it differs."""
    room = WaitingRoom.objects.select_related("event").get(pk=event_id)
    if most != room.event.max_active_users:
        as_staff(
            actor_id=actor_id,
            action="change_event",
            event_id=event_id,
            reason=reason,
            do=lambda: update_event(event_id=event_id, max_active_users=most),
        )
        tell(event_id)
    if per_minute != room.rate_per_minute:
        services.set_rate(event_id, per_minute=per_minute, actor_id=actor_id, reason=reason)


def person(email: str) -> UUID:
    """
    Return whose account has this address.

    :raises NotFound: if there is none
    """
    found = User.objects.filter(email=normalise_email(email), is_active=True).values_list("pk", flat=True).first()
    if found is None:
        raise NotFound("There is no account with this address.")
    return found
