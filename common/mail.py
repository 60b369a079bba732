"""Mail: rendered from a text and an HTML template, sent through the outbox."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
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


@outbox.handler("mail", forget=True)
def deliver(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Render and send one mail."""
    compose(to=payload["to"], template=payload["template"], dedupe_key=dedupe_key, context=payload["context"]).send()


def compose(*, to: str, template: str, dedupe_key: str, context: dict[str, Any]) -> EmailMultiAlternatives:
    """
    Return a mail rendered from its templates, for handlers that attach something before they send it.

    Its Message-ID is made of `dedupe_key`: should a worker die between sending and noting it, the second copy is recognised.
    """
    context = {"site_url": settings.SITE_URL, **context}
    subject, _, text = render_to_string(f"mail/{template}.txt", context).partition("\n")
    message = EmailMultiAlternatives(
        subject=subject.removeprefix("Subject:").strip(),
        body=text.strip() + "\n",
        to=[to],
        headers={"Message-ID": f"<{sha256(dedupe_key.encode()).hexdigest()[:32]}@{settings.MAIL_DOMAIN}>"},
    )
    html = render_to_string(f"mail/{template}.html", context | {"subject": message.subject})
    message.attach_alternative(html, "text/html")
    return message


class RecordedEmailBackend(BaseEmailBackend):
    """Keeps mails as rows instead of sending them: the development backend behind `/dev/mail`."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            html = next((part.content for part in getattr(message, "alternatives", [])), "")
            for to in message.to:
                SentMail.objects.create(to=to, subject=str(message.subject), text=str(message.body), html=html)
        return len(email_messages)
