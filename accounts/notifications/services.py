"""Telling people, and what they do with it."""

import json
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.models import Notification, NotificationChoice, User
from accounts.notifications.kinds import KINDS, Kind
from common import outbox
from common.errors import NotFound

MAIL_TOPIC = "notification_mail"
SMS_TOPIC = "notification_sms"

# Sorted, so that two runs that tell the same people wait for each other instead of deadlocking.
TELL = """
    INSERT INTO accounts_notification (user_id, kind, cause, url, context)
    SELECT id, %s, %s, %s, %s::jsonb FROM accounts_user WHERE id = ANY(%s) AND erased_at IS NULL ORDER BY id
    ON CONFLICT (user_id, kind, cause) DO NOTHING
    RETURNING id, user_id
"""


class IncompleteContext(ValueError):
    """Something that the words of a kind need was not given."""


def notify(*, user_id: UUID, kind: str, cause: str, url: str = "", by_mail: bool = True, **context: Any) -> bool:
    """
    Tell one person something, once per cause; whether they had not been told before.

    `by_mail=False` where the caller's own mail (e.g. with documents) or another notice says the same already.

    :raises KeyError: if nobody registered the kind
    :raises IncompleteContext: if its words need more than `context` has
    """
    return bool(notify_many(user_ids=[user_id], kind=kind, cause=cause, url=url, by_mail=by_mail, **context))


@transaction.atomic
def notify_many(
    *, user_ids: Collection[UUID], kind: str, cause: str, url: str = "", by_mail: bool = True, **context: Any
) -> int:
    """
    Tell several people the same; return how many had not been told before. Erased accounts are passed over.

    :raises KeyError: if nobody registered the kind
    :raises IncompleteContext: if its words need more than `context` has
    """
    known = KINDS[kind]
    if missing := known.missing(context):
        raise IncompleteContext(f"{kind}: {', '.join(sorted(missing))} missing")
    with connection.cursor() as cursor:
        cursor.execute(TELL, [kind, cause, url, json.dumps(context), list(user_ids)])
        told: list[tuple[UUID, UUID]] = cursor.fetchall()
    if not told:
        return 0
    if known.mail and by_mail:
        outbox.put_many(topic=MAIL_TOPIC, messages=messages(MAIL_TOPIC, known, cause, told))
    if known.sms and settings.SMS_BACKEND:
        wanting = set(
            NotificationChoice.objects.filter(
                user_id__in=[user_id for _, user_id in told], group=known.group, channel="sms", wanted=True
            ).values_list("user_id", flat=True)
        )
        texted = [(row, user_id) for row, user_id in told if user_id in wanting]
        if texted:
            outbox.put_many(topic=SMS_TOPIC, messages=messages(SMS_TOPIC, known, cause, texted))
    return len(told)


def messages(topic: str, kind: Kind, cause: str, told: list[tuple[UUID, UUID]]) -> dict[str, dict[str, Any]]:
    """Return the outbox's rows by key. A key outlives the notification, so not even its deletion lets a mail leave again."""
    return {f"{topic}:{user_id}:{kind.name}:{cause}": {"notification_id": str(row)} for row, user_id in told}


def mark_read(*, user_id: UUID, notification_id: UUID) -> Notification:
    """
    Note that somebody has read a notice of theirs; when they first did stays.

    :raises NotFound: if it is not theirs, or gone
    """
    mine = Notification.objects.filter(user_id=user_id, pk=notification_id)
    mine.filter(read_at__isnull=True).update(read_at=Now())
    found = mine.first()
    if found is None:
        raise NotFound("This notification is not there (any more).")
    return found


def mark_all_read(*, user_id: UUID) -> int:
    """Note that somebody has read everything; return how much was new to them."""
    return Notification.objects.filter(user_id=user_id, read_at__isnull=True).update(read_at=Now())


@transaction.atomic
def set_choices(*, user_id: UUID, choices: dict[tuple[str, str], bool]) -> None:
    """Write what somebody chose, by group and channel."""
    User.objects.select_for_update(no_key=True).get(pk=user_id)
    for (group, channel), wanted in choices.items():
        NotificationChoice.objects.update_or_create(
            user_id=user_id, group=group, channel=channel, defaults={"wanted": wanted, "changed_at": Now()}
        )
