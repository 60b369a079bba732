"""Reads of what people were told and what they chose."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from accounts.models import Notification
from accounts.notifications.kinds import KINDS


@dataclass(frozen=True)
class Shown:
    """A notification in the words of its kind."""

    id: UUID
    kind: str
    group: str
    title: str
    body: str
    url: str
    created_at: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, told: Notification) -> "Shown":
        """Return one as it is shown; of a kind that no longer exists, its name is all there is to say."""
        kind = KINDS.get(told.kind)
        title, body = kind.words(told.context) if kind else (told.kind.replace("_", " ").capitalize(), "")
        group = kind.group if kind else ""
        return cls(told.pk, told.kind, group, title, body, told.url, told.created_at, told.read_at)


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


def unread_of(user: OuterRef) -> Coalesce:
    """Return the expression that counts what is new to the person of an outer query."""
    unread = Notification.objects.filter(user=user, read_at__isnull=True).order_by().values("user")
    return Coalesce(Subquery(unread.annotate(count=Count("pk")).values("count")), 0)


def count_unread(user_id: UUID) -> int:
    """Return how much is new to somebody."""
    return list_for(user_id, unread=True).order_by().count()
