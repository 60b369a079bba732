"""Changing a password, and resetting a forgotten one by a mailed link."""

from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models.functions import Now

from accounts import news
from accounts.models import PasswordReset, User
from accounts.services.rules import (
    clean_email,
    fingerprint,
    lock_address,
    new_token,
    refuse_weak_password,
    seconds_to_wait,
)
from accounts.services.sessions import end_all_sessions
from common import mail, outbox
from common.errors import Invalid

MAIL_TOPIC = "accounts.password_reset_mail"


class WrongPassword(Invalid):
    code = "wrong_password"
    message = "Your current password is another one."


class ResetInvalid(Invalid):
    code = "reset_invalid"
    message = "This link was used, has expired or is incomplete. Ask for a new one."


def change_password(*, user_id: UUID, current_password: str, new_password: str) -> User:
    """
    Set a new password for somebody who knows the present one; every session ends and the owner is told by mail.

    :raises WrongPassword: if `current_password` is not the present one
    :raises WeakPassword: if the new one is too easy to guess or the old one again
    """
    user = User.objects.get(pk=user_id)
    if not user.check_password(current_password):
        raise WrongPassword(errors={"current_password": [WrongPassword.message]})
    refuse_weak_password(new_password, email=user.email, name=user.name, field="new_password")
    return set_password(user_id=user_id, hashed=make_password(new_password), cause=str(uuid4()))


@transaction.atomic
def start_password_reset(*, email: str) -> None:
    """
    Queue the mail with a reset link, if the address has an open account; the caller can not tell.

    An address that was sent too many mails gets no further one.

    :raises BadEmail: if it is no address
    """
    address = clean_email(email)
    lock_address(address)
    asked = PasswordReset.objects.filter(email=address)
    if seconds_to_wait(asked):
        return
    reset = PasswordReset.objects.create(
        email=address, expires_at=Now() + timedelta(seconds=settings.PASSWORD_RESET_SECONDS)
    )
    outbox.put(topic=MAIL_TOPIC, dedupe_key=f"password-reset:{reset.pk}", reset_id=str(reset.pk))


def send_reset_mail(*, reset_id: UUID) -> None:
    """Make the token of a reset and mail its link; nothing happens for an address without an open account."""
    reset = PasswordReset.objects.filter(pk=reset_id, used_at__isnull=True).first()
    user = User.objects.filter(email=reset.email, is_active=True).first() if reset else None
    if reset is None or user is None:
        return
    token = new_token()
    PasswordReset.objects.filter(pk=reset.pk, used_at__isnull=True).update(
        user=user,
        token_hash=fingerprint(token),
        sent_at=Now(),
        expires_at=Now() + timedelta(seconds=settings.PASSWORD_RESET_SECONDS),
    )
    context = {
        "name": user.display_name,
        "link": f"{settings.SITE_URL}/reset/{token}",
        "minutes": max(1, settings.PASSWORD_RESET_SECONDS // 60),
    }
    key = f"password-reset:{uuid4()}"
    mail.compose(to=reset.email, template="password_reset", dedupe_key=key, context=context).send()


def finish_password_reset(*, token: str, new_password: str) -> User:
    """
    Set a new password with a mailed token, which is then used up; nobody is logged in by it.

    :raises ResetInvalid: if the token is unknown, used or expired
    :raises WeakPassword: if the password is too easy to guess; the token stays good
    """
    usable = PasswordReset.objects.filter(
        token_hash=fingerprint(token), used_at__isnull=True, expires_at__gt=Now(), user__is_active=True
    )
    reset = usable.select_related("user").first()
    if reset is None or reset.user is None:
        raise ResetInvalid
    refuse_weak_password(new_password, email=reset.user.email, name=reset.user.name, field="new_password")
    hashed = make_password(new_password)
    with transaction.atomic():
        if not PasswordReset.objects.filter(pk=reset.pk, used_at__isnull=True, expires_at__gt=Now()).update(
            used_at=Now()
        ):
            raise ResetInvalid
        return set_password(user_id=reset.user.pk, hashed=hashed, cause=str(reset.pk))


@transaction.atomic
def set_password(*, user_id: UUID, hashed: str, cause: str) -> User:
    """Store a password, end every session, void the links that were mailed before, and tell the owner."""
    User.objects.filter(pk=user_id).update(password=hashed)
    end_all_sessions(user_id=user_id, because="password")
    PasswordReset.objects.filter(user_id=user_id, used_at__isnull=True).update(used_at=Now())
    user = User.objects.get(pk=user_id)
    news.password_changed(user_id=user_id, cause=cause)
    return user


def can_be_reset(token: str) -> bool:
    """Whether a mailed reset token would work now; for the page behind the link."""
    return PasswordReset.objects.filter(
        token_hash=fingerprint(token), used_at__isnull=True, expires_at__gt=Now(), user__is_active=True
    ).exists()
