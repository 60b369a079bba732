"""Reads of what people were told and what they chose."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import Notification
from accounts.notifications.kinds import KINDS


def list_for(
    user_id: UUID, groups: Collection[str] | None = None, unread: bool | None = None
) -> QuerySet[Notification]:
    """Return somebody's notifications, newest first: all, of some groups, only the unread (or the read) ones."""
    mine = Notification.objects.filter(user_id=user_id).order_by("-created_at", "id")
    if groups is not None:
        mine = mine.filter(kind__in=[kind.name for kind in KINDS.values() if kind.group in groups])
    if unread is not None:
        mine = mine.filter(read_at__isnull=unread)
    return mine


def count_unread(user_id: UUID) -> int:
    """Return how much is new to somebody."""
    return list_for(user_id, unread=True).order_by().count()
