"""What every admin of the catalogue has in common: what staff do to an event is written down with what it changed."""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest

from common.admin_actions import ServiceAdmin
from events import services


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
