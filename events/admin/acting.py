"""What every admin of the catalogue has in common: what staff do to an event is written down with what it changed."""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest

from common.admin_actions import ServiceAdmin
from events import services
from events.models import TicketCategory


def when_sold(category: TicketCategory) -> str:
    """Say when and to whom a category sells, where that is not as its event does."""
    times = [
        f"{word} {moment:%d %b %Y, %H:%M} UTC"
        for word, moment in (("from", category.sale_starts_at), ("until", category.sale_ends_at))
        if moment is not None
    ]
    return ", ".join((["with a code"] if category.hidden else []) + times) or "with the event"


class CatalogueAdmin(ServiceAdmin):
    """An admin whose actions change an event, or something of it."""

    def act(
        self,
        request: HttpRequest,
        event_id: UUID,
        action_name: str,
        do: Callable[[], object],
        *,
        reason: str,
        done: str,
    ) -> bool:
        """Run a service as this member of staff, and keep what it changed with the reason."""
        return self.attempt(
            request,
            done,
            services.as_staff,
            actor_id=request.user.pk,
            action=action_name,
            event_id=event_id,
            reason=reason,
            do=do,
        )
