"""The first administrator: made with a one-time token that only an operator at the command line can give."""

from datetime import timedelta

import structlog
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from accounts.models import SetupToken, User
from accounts.services.audit import record_staff_action
from accounts.services.rules import clean_email, fingerprint, new_token, refuse_weak_password
from common.errors import Conflict, Forbidden

log = structlog.get_logger(__name__)


class SetupTokenInvalid(Forbidden):
    code = "setup_token_invalid"
    message = "Administrators are made with a setup token from an operator (manage.py create_setup_token)."


class EmailTaken(Conflict):
    code = "email_taken"
    message = "This address has an account already."


@transaction.atomic
def create_setup_token() -> str:
    """Return a new setup token, good for one use within SETUP_TOKEN_SECONDS; only its fingerprint is kept."""
    token = new_token()
    SetupToken.objects.create(
        token_hash=fingerprint(token), expires_at=Now() + timedelta(seconds=settings.SETUP_TOKEN_SECONDS)
    )
    return token


def refuse_without_setup_token(token: object) -> None:
    """
    Look at a setup token before anything else of a request is looked at.

    :raises SetupTokenInvalid: if it is missing, unknown, used or expired
    """
    if not isinstance(token, str) or not token or not usable(token).exists():
        raise SetupTokenInvalid


def usable(token: str) -> QuerySet[SetupToken]:
    """Return the row of a token that is still good."""
    return SetupToken.objects.filter(token_hash=fingerprint(token), used_at__isnull=True, expires_at__gt=Now())


def register_first_admin(*, setup_token: str, email: str, password: str, name: str = "", phone: str = "") -> User:
    """
    Make an administrator and use the token up.

    :raises SetupTokenInvalid: if the token is missing, unknown, used or expired; looked at before anything else
    :raises BadEmail: if it is no address
    :raises WeakPassword: if the password is too easy to guess
    :raises EmailTaken: if the address has an account; the token stays good
    """
    refuse_without_setup_token(setup_token)
    address = clean_email(email)
    refuse_weak_password(password, email=address, name=name)
    user = User(
        email=address,
        password=make_password(password),
        name=name.strip(),
        phone=phone.strip(),
        is_staff=True,
        is_superuser=True,
        is_organiser=True,
    )
    with transaction.atomic():
        token = usable(setup_token).select_for_update(no_key=True).first()
        if token is None:
            raise SetupTokenInvalid
        try:
            with transaction.atomic():
                user.save(force_insert=True)
        except IntegrityError:
            raise EmailTaken from None
        SetupToken.objects.filter(pk=token.pk).update(used_at=Now(), used_by=user)
        record_staff_action(actor_id=user.pk, action="register_first_admin", object_type="user", object_id=user.pk)
    log.warning("accounts.administrator_made", user=str(user.pk))
    return user
