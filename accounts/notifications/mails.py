"""The mail of a notification, made when it leaves, so that it obeys what the person chose in the meantime."""

from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from accounts.models import Notification, NotificationChoice
from accounts.notifications.kinds import KINDS
from accounts.notifications.services import MAIL_TOPIC
from accounts.notifications.unsubscribing import unsubscribe_url
from common import mail, outbox

log = structlog.get_logger(__name__)


@outbox.handler(MAIL_TOPIC)
def send_mail(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Mail one notification, unless its account is gone or its owner switched this group off."""
    told = Notification.objects.select_related("user").filter(pk=UUID(payload["notification_id"])).first()
    if told is None or told.user.erased_at or told.kind not in KINDS:
        log.info("notification.not_mailed", key=dedupe_key)
        return
    kind = KINDS[told.kind]
    switched_off = NotificationChoice.objects.filter(
        user_id=told.user_id, group=kind.group, channel=NotificationChoice.Channel.MAIL, wanted=False
    )
    if not kind.essential and switched_off.exists():
        return
    title, body = kind.words(told.context)
    context = {
        **told.context,
        "name": told.user.display_name,
        "title": title,
        "body": body,
        "url": f"{settings.SITE_URL}{told.url}" if told.url else "",
    }
    headers = {}
    if not kind.essential:
        link = unsubscribe_url(user_id=told.user_id, group=kind.group)
        context["unsubscribe_url"] = link
        headers = {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    message = mail.compose(
        to=told.user.email, template=kind.template or kind.name, dedupe_key=dedupe_key, context=context
    )
    message.extra_headers.update(headers)
    message.send()
