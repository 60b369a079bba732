"""Mail: rendered from a text and an HTML template, sent through the outbox."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.template.loader import render_to_string

from common import outbox
from common.models import SentMail


def send(*, to: str, template: str, dedupe_key: str, **context: Any) -> None:
    """
    Queue a mail in the current transaction; `dedupe_key` names its cause and is sent once.

    `templates/mail/<template>.txt` begins with a line `Subject: …`; `<template>.html` is its HTML form. The context must be
    JSON.
    """
    outbox.put(topic="mail", dedupe_key=f"mail:{dedupe_key}", to=to, template=template, context=context)


@outbox.handler("mail")
def deliver(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Render and send one mail."""
    context = {"site_url": settings.SITE_URL, **payload["context"]}
    subject, _, text = render_to_string(f"mail/{payload['template']}.txt", context).partition("\n")
    message = EmailMultiAlternatives(
        subject=subject.removeprefix("Subject:").strip(),
        body=text.strip() + "\n",
        to=[payload["to"]],
        headers={"Message-ID": f"<{sha256(dedupe_key.encode()).hexdigest()[:32]}@{settings.MAIL_DOMAIN}>"},
    )
    html = render_to_string(f"mail/{payload['template']}.html", context | {"subject": message.subject})
    message.attach_alternative(html, "text/html")
    message.send()


class RecordedEmailBackend(BaseEmailBackend):
    """Keeps mails as rows instead of sending them: the development backend behind `/dev/mail`."""

    def send_messages(self, email_messages: Sequence[EmailMultiAlternatives]) -> int:
        for message in email_messages:
            html = next((part.content for part in getattr(message, "alternatives", [])), "")
            for to in message.to:
                SentMail.objects.create(to=to, subject=message.subject, text=message.body, html=html)
        return len(email_messages)
