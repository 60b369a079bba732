"""The mails of accounts: a mail server that is away, secrets at rest, and how they look."""

import logging
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings as project
from django.core.mail.backends.base import BaseEmailBackend
from django.db.models.functions import Now
from django.template.loader import render_to_string

from accounts import services
from accounts.models import User
from common import mail, outbox
from common.models import OutboxMessage, SentMail
from tests.accounts.mailbox import code_for

EMAIL = "ana@example.com"
PASSWORD = "velvet-otter-91"
TEMPLATES = [
    "signup_code",
    "already_registered",
    "welcome",
    "password_reset",
    "password_changed",
    "session_ended",
    "account_erased",
]

pytestmark = pytest.mark.django_db


class MailServerAway(BaseEmailBackend):
    """A mail server that refuses, saying what it was given."""

    def send_messages(self, email_messages):
        raise ConnectionRefusedError("the mail server is away")


class MailServerThatDies(BaseEmailBackend):
    """A mail server that takes the mail and is gone before it says so."""

    def send_messages(self, email_messages):
        mail.RecordedEmailBackend().send_messages(email_messages)
        raise ConnectionResetError("connection reset by peer")


def make_due() -> None:
    OutboxMessage.objects.filter(done_at__isnull=True).update(due_at=Now())


def test_mail_server_away_delays_the_code_and_loses_nothing(api, settings, caplog, capsys):
    backend = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"{__name__}.MailServerAway"
    caplog.set_level(logging.DEBUG)
    assert api.post("/api/v1/auth/signup/email", {"email": EMAIL, "password": PASSWORD}).status == 201
    outbox.deliver_due()
    failed = OutboxMessage.objects.get()
    assert failed.last_error == "ConnectionRefusedError: the mail server is away"
    assert failed.payload.keys() == {"challenge_id"}

    settings.EMAIL_BACKEND = backend
    make_due()

    assert services.verify_code(email=EMAIL, code=code_for(EMAIL)).email == EMAIL
    out, err = capsys.readouterr()
    assert PASSWORD not in caplog.text + out + err


def test_mail_sent_twice_carries_two_codes_of_which_the_newer_works(settings):
    backend = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"{__name__}.MailServerThatDies"
    services.start_signup(email=EMAIL, password=PASSWORD)
    outbox.deliver_due()
    settings.EMAIL_BACKEND = backend
    make_due()

    code = code_for(EMAIL)

    assert SentMail.objects.filter(to=EMAIL).count() == 2
    assert services.verify_code(email=EMAIL, code=code).email == EMAIL


def test_what_was_mailed_to_whom_is_forgotten_once_it_left():
    mail.send(to=EMAIL, template="welcome", dedupe_key="welcome:1", name="Ana")
    assert OutboxMessage.objects.get().payload["to"] == EMAIL

    outbox.deliver_due()

    assert OutboxMessage.objects.get().payload == {}


def test_welcome_is_mailed_once_whatever_happens():
    services.start_signup(email=EMAIL, password=PASSWORD)
    user = services.verify_code(email=EMAIL, code=code_for(EMAIL))
    mail.send(to=EMAIL, template="welcome", dedupe_key=f"welcome:{user.pk}", name="Ana")

    outbox.deliver_due()

    assert SentMail.objects.filter(subject="Welcome to Fairseat").count() == 1


class Balanced(HTMLParser):
    """Notes tags that are not closed, and everything that would be loaded from elsewhere."""

    VOID = {"meta", "br", "img", "link", "hr"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in {"img", "link", "script", "iframe"}:
            self.loads.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("template", TEMPLATES)
def test_mail_is_whole_in_text_and_html(template):
    context = {
        "site_url": "https://seats.example",
        "name": "Zoë <b>O'Neil</b>",
        "code": "123456",
        "minutes": 5,
        "link": "https://seats.example/reset/abc",
    }

    message = mail.compose(to=EMAIL, template=template, dedupe_key="x", context=context)

    html = message.alternatives[0].content
    parser = Balanced()
    parser.feed(html)
    assert parser.open == parser.loads == []
    assert message.subject and "\n" not in message.subject
    assert message.body.strip() and "&#" not in message.body and "{" not in message.body
    assert "<b>" not in html
    assert 'content="light dark"' in html
    for path in ("/login", "/forgot"):
        if path in message.body:
            assert f"{path}" in html


@pytest.mark.parametrize("template", TEMPLATES)
def test_links_in_mails_lead_to_pages(client, template):
    text = render_to_string(f"mail/{template}.txt", {"site_url": "", "link": "/reset/abc", "name": "Ana"})
    paths = [word for word in text.split() if word.startswith("/")]

    assert all(client.get(path).status_code in {200, 410} for path in paths)


def test_every_mail_of_accounts_has_both_forms():
    folder = Path(project.BASE_DIR) / "templates" / "mail"

    assert all((folder / f"{name}.{form}").is_file() for name in TEMPLATES for form in ("txt", "html"))


def test_nobody_is_made_by_mail_alone():
    services.start_signup(email=EMAIL, password=PASSWORD)
    outbox.deliver_due()

    assert not User.objects.exists()
