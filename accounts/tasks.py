"""What accounts do in the background: mails that are made when they leave, and forgetting."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import (
    KnownAddress,
    Notification,
    PasskeyChallenge,
    PasswordReset,
    RefreshToken,
    SetupToken,
    SignupChallenge,
    TokenFamily,
)
from accounts.services import passwords, signup
from common import jobs, outbox

HOURS = timedelta(hours=2)  # longer than the hour over which mails to an address are counted
WEEK = timedelta(days=7)
QUARTER = timedelta(days=90)


@outbox.handler(signup.MAIL_TOPIC)
def send_signup_mail(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Mail the code of a sign-up."""
    signup.send_signup_mail(challenge_id=UUID(payload["challenge_id"]))


@outbox.handler(passwords.MAIL_TOPIC)
def send_reset_mail(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Mail the link of a password reset."""
    passwords.send_reset_mail(reset_id=UUID(payload["reset_id"]))


@jobs.periodic("accounts.forget_signups", every="SWEEP_SECONDS")
def forget_signups() -> int:
    """Delete sign-ups and resets that can no longer be finished, and setup tokens that expired unused."""
    over = Q(expires_at__lt=Now(), created_at__lt=Now() - HOURS)
    used = Q(used_at__lt=Now() - HOURS)
    count = SignupChallenge.objects.filter(over | used | Q(superseded_at__lt=Now() - HOURS)).delete()[0]
    count += PasswordReset.objects.filter(over | used).delete()[0]
    return count + SetupToken.objects.filter(expires_at__lt=Now() - WEEK, used_at__isnull=True).delete()[0]


@jobs.periodic("accounts.forget_tokens", every="SWEEP_SECONDS")
def forget_tokens() -> int:
    """
    Delete refresh tokens that expired (until then they are kept, to notice reuse), sessions without any, page sessions that are
    over, challenges for passkeys, old addresses.
    """
    count = RefreshToken.objects.filter(expires_at__lt=Now()).delete()[0]
    count += TokenFamily.objects.filter(tokens__isnull=True, created_at__lt=Now() - HOURS).delete()[0]
    count += Session.objects.filter(expire_date__lt=Now()).delete()[0]
    count += PasskeyChallenge.objects.filter(expires_at__lt=Now() - HOURS).delete()[0]
    return count + KnownAddress.objects.filter(used_at__lt=Now() - QUARTER).delete()[0]


@jobs.periodic("accounts.forget_notifications", every="PURGE_SECONDS")
def forget_notifications() -> int:
    """Delete what was read more than NOTIFICATION_DAYS ago; what nobody has read yet stays."""
    old = Now() - timedelta(days=settings.NOTIFICATION_DAYS)
    return Notification.objects.filter(read_at__lt=old).delete()[0]
