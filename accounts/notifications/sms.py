"""
Text messages, for those who asked for them: behind an interface, off unless SMS_BACKEND names a backend.

A text message leaves once or not at all: it is claimed on its notification's row before it is sent, so a worker that dies in
between loses it. What it says stands in the list, and nearly always in a mail.
"""

import re
from typing import Any, Protocol
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models.functions import Now
from django.utils.module_loading import import_string

from accounts.models import Notification, NotificationChoice
from accounts.notifications.kinds import KINDS
from accounts.notifications.services import SMS_TOPIC
from common import outbox
from common.errors import Unavailable
from common.models import SentMail

log = structlog.get_logger(__name__)

E164 = re.compile(r"\+[1-9]\d{7,14}")
# The letters of GSM 03.38: 160 of them fit into one message, of any other only 70.
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
ONE_MESSAGE = 160
ONE_UNICODE_MESSAGE = 70


class NotSent(Unavailable):
    """Raised by a backend that is sure that nothing left: it is tried again."""

    code = "sms_not_sent"
    message = "The text message did not leave."


class SmsBackend(Protocol):
    """Sends one text message."""

    def send(self, *, to: str, text: str, key: str) -> None:
        """
        Send `text` to a number in E.164; `key` names the message, for providers that know what they have sent.

        :raises NotSent: if it is sure that nothing left; after any other exception it is not tried again
        """


class RecordedSms:
    """Keeps text messages beside the mails of the development mailbox (`/dev/mail`) instead of sending them."""

    def send(self, *, to: str, text: str, key: str) -> None:
        SentMail.objects.create(to=to, subject="Text message", text=text)


def normalise_phone(text: str) -> str:
    """Return a telephone number as E.164, `+493012345678`; empty if it is none with its country."""
    digits = re.sub(r"[ ()./-]", "", text)
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    return digits if E164.fullmatch(digits) else ""


def fit(words: str, link: str) -> str:
    """Return words and link as one message: the words are cut, never the link."""
    text = f"Fairseat: {words} {link}"
    limit = ONE_MESSAGE if set(text) <= GSM else ONE_UNICODE_MESSAGE
    if len(text) <= limit:
        return text
    room = limit - len(f"Fairseat: ... {link}")
    return f"Fairseat: {words[: max(0, room)].rstrip()}... {link}"


@outbox.handler(SMS_TOPIC)
def send_sms(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Send the text message of one notification, if it is still wanted and did not leave before."""
    told = Notification.objects.select_related("user").filter(pk=UUID(payload["notification_id"])).first()
    if told is None or told.kind not in KINDS or not settings.SMS_BACKEND:
        return
    kind = KINDS[told.kind]
    wanted = NotificationChoice.objects.filter(
        user_id=told.user_id, group=kind.group, channel=NotificationChoice.Channel.SMS, wanted=True
    )
    number = normalise_phone(told.user.phone)
    if not number or not wanted.exists():
        return
    claimed = Notification.objects.filter(pk=told.pk, texted_at__isnull=True).update(texted_at=Now())
    if not claimed:
        log.warning("notification.not_texted_twice", key=dedupe_key)
        return
    backend: SmsBackend = import_string(settings.SMS_BACKEND)()
    title, _ = kind.words(told.context)
    try:
        backend.send(to=number, text=fit(title, f"{settings.SITE_URL}/notifications"), key=dedupe_key)
    except NotSent:
        Notification.objects.filter(pk=told.pk).update(texted_at=None)
        raise
