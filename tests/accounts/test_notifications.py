"""Notifications: each told once per cause, mailed or not as the person chose, and gone with the account."""

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from accounts import notifications, services
from accounts.models import Notification, NotificationChoice
from accounts.notifications import Kind, queries
from accounts.notifications.kinds import KINDS, UnknownGroup
from accounts.notifications.services import IncompleteContext
from common import outbox
from common.errors import NotFound
from common.models import OutboxMessage, SentMail
from tests.accounts.mailbox import mails_to
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kinds(monkeypatch):
    """Two kinds of the tests' own: one that may be switched off and one that may not."""
    monkeypatch.setattr("accounts.notifications.kinds.KINDS", KINDS)
    notifications.register(Kind("test_news", title="News of {event}", body="It is {what}.", sms=True, group="events", template="notice"))
    notifications.register(Kind("test_vital", title="Vital: {event}", essential=True, group="events", template="notice"))
    yield
    del KINDS["test_news"], KINDS["test_vital"]


def tell(user, cause="1", kind="test_news", **more):
    return notifications.notify(
        user_id=user.pk, kind=kind, cause=cause, url="/events", **{"event": "Opera", "what": "new"} | more
    )


def test_notice_is_listed_and_mailed_once_per_cause(user_factory):
    user = user_factory()

    assert tell(user)
    assert not tell(user)
    assert not tell(user, what="told twice")
    assert tell(user, cause="2")

    assert [told.cause for told in queries.list_for(user.pk)] == ["2", "1"]
    assert [mail.subject for mail in mails_to(user.email)] == ["News of Opera"] * 2
