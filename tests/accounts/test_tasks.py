"""What accounts forget by themselves."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts import services
from accounts.models import KnownAddress, PasswordReset, RefreshToken, SetupToken, SignupChallenge, TokenFamily
from common import jobs

EMAIL = "ana@example.com"
PASSWORD = "velvet-otter-91"
AGO = timedelta(hours=3)

pytestmark = pytest.mark.django_db


def test_signups_and_resets_are_forgotten_when_they_are_over(settings):
    settings.OTP_RESEND_SECONDS = 0
    for email in ("old@example.com", "new@example.com"):
        services.start_signup(email=email, password=PASSWORD)
        services.start_password_reset(email=email)
    services.create_setup_token()
    for model in (SignupChallenge, PasswordReset):
        model.objects.filter(email="old@example.com").update(created_at=Now() - AGO, expires_at=Now() - AGO)
    SetupToken.objects.update(expires_at=Now() - timedelta(days=8))

    assert jobs.run("accounts.forget_signups") == 3

    for model in (SignupChallenge, PasswordReset):
        assert [row.email for row in model.objects.all()] == ["new@example.com"]


def test_signup_is_kept_for_the_hour_in_which_mails_are_counted():
    services.start_signup(email=EMAIL, password=PASSWORD)
    SignupChallenge.objects.update(created_at=Now() - timedelta(minutes=59), expires_at=Now() - timedelta(minutes=54))

    assert jobs.run("accounts.forget_signups") == 0


def test_refresh_tokens_are_kept_while_their_reuse_would_be_theft(user_factory):
    user = user_factory()
    kept = services.open_session(user=user)
    services.rotate_refresh_token(token=kept.refresh)
    services.open_session(user=user)
    expired = TokenFamily.objects.exclude(tokens__rotated_at__isnull=False).get()
    expired.tokens.update(expires_at=Now() - AGO)
    TokenFamily.objects.update(created_at=Now() - AGO)
    KnownAddress.objects.create(user=user, digest="old", used_at=Now() - timedelta(days=91))
    KnownAddress.objects.create(user=user, digest="new")

    assert jobs.run("accounts.forget_tokens") == 3

    assert RefreshToken.objects.count() == 2
    assert TokenFamily.objects.count() == 1
    assert KnownAddress.objects.get().digest == "new"
