"""The append-only record of what staff changed."""

from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from accounts.models import StaffAction


@transaction.atomic
def record_staff_action(
    *,
    actor_id: UUID,
    action: str,
    object_type: str,
    object_id: UUID | str,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> StaffAction:
    """
    Write down one change by staff, in the transaction of the change.

    `before` and `after` are JSON and hold no personal data: the record outlives an erased account.
    """
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    return StaffAction.objects.create(
        actor_id=actor_id,
        action=action,
        object_type=object_type,
        object_id=str(object_id),
        before=before or {},
        after=after or {},
        reason=reason,
        request_id=str(request_id),
    )
