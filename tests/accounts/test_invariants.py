"""Each invariant of accounts finds the breach it is for, and nothing after an ordinary day."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts import services
from accounts.models import SignupChallenge, TokenFamily, User
from common.invariants import INVARIANTS
from tests.accounts.mailbox import code_for

pytestmark = pytest.mark.django_db


def found() -> dict[str, int]:
    """Return how many breaches each invariant of accounts finds."""
    return {name: len(list(check())) for name, check in INVARIANTS.items() if name.startswith("accounts.")}


def test_ordinary_day_breaks_nothing(settings, user_factory):
    settings.OTP_RESEND_SECONDS = 0
    services.start_signup(email="ana@example.com", password="velvet-otter-91")
    services.resend_code(email="ana@example.com")
    ana = services.verify_code(email="ana@example.com", code=code_for("ana@example.com"))
    services.log_in(email=ana.email, password="velvet-otter-91", address="203.0.113.7")
    tokens = services.open_session(user=ana)
    services.rotate_refresh_token(token=tokens.refresh)
    services.log_out(user_id=ana.pk, token=tokens.refresh)
    services.erase_user(user_id=user_factory().pk)
    services.erase_user(user_id=ana.pk)

    assert len(found()) == 3
    assert sum(found().values()) == 0


def test_breaches_are_found(user_factory):
    user = user_factory(erased_at="2026-01-01T00:00Z")
    User.objects.filter(pk=user.pk).update(is_active=False)
    services.start_signup(email="ana@example.com", password="velvet-otter-91")
    SignupChallenge.objects.update(superseded_at=Now())
    TokenFamily.objects.create(user=user_factory(), session_version=1, revoked_at=Now() - timedelta(hours=1))

    assert found() == {
        "accounts.erased_people_are_nobody": 1,
        "accounts.finished_signups_hold_no_secret": 1,
        "accounts.closed_sessions_stay_closed": 1,
    }
