"""Rules that sign-up, reset and administration share: what an address and a password must be, how often mail may leave."""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.db.models.functions import Now

from accounts.models import User, normalise_email
from common.errors import Invalid

HOUR = timedelta(hours=1)
LONGEST_PASSWORD = 256


class BadEmail(Invalid):
    code = "email_invalid"
    message = "Enter an email address, for example ana@example.com."


class WeakPassword(Invalid):
    code = "password_too_weak"


def clean_email(text: str) -> str:
    """
    Return the address in its one spelling.

    :raises BadEmail: if it is no address
    """
    email = normalise_email(text)
    try:
        validate_email(email)
    except ValidationError:
        raise BadEmail(errors={"email": [BadEmail.message]}) from None
    if len(email) > 254 or not email.isascii():
        raise BadEmail(errors={"email": [BadEmail.message]})
    return email


def refuse_weak_password(password: str, *, email: str, name: str = "", field: str = "password") -> None:
    """
    Check a new password against the validators of the settings.

    :raises WeakPassword: with every reason, under the name of the input's field
    """
    if len(password) > LONGEST_PASSWORD:
        raise WeakPassword(errors={field: [f"Use at most {LONGEST_PASSWORD} characters."]})
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as problem:
        raise WeakPassword(problem.messages[0], errors={field: problem.messages}) from None


def lock_address(email: str) -> None:
    """Let one transaction at a time decide about mails to this address."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [email])


def seconds_to_wait(asked: QuerySet[Any]) -> int:
    """
    Return how long the next mail must wait: OTP_RESEND_SECONDS after the last one, at most OTP_SENDS_PER_HOUR an hour.

    `asked` are the rows of one address, one per mail. A code that was used proved that its reader wants mail, so it counts
    towards the hour only.
    """
    age = ExpressionWrapper(Now() - F("created_at"), output_field=DurationField())
    rows = asked.filter(created_at__gt=Now() - HOUR).annotate(age=age).order_by("age").values_list("age", "used_at")
    ages = [passed for passed, _ in rows]
    unanswered = [passed for passed, used_at in rows if used_at is None]
    waits = [0.0]
    if unanswered:
        waits.append(settings.OTP_RESEND_SECONDS - unanswered[0].total_seconds())
    if len(ages) >= settings.OTP_SENDS_PER_HOUR:
        waits.append((HOUR - ages[settings.OTP_SENDS_PER_HOUR - 1]).total_seconds())
    wait = max(waits)
    return int(wait) + 1 if wait > 0 else 0


def new_token() -> str:
    """Return a fresh random token of 256 bits."""
    return secrets.token_urlsafe(32)


def fingerprint(token: str) -> str:
    """Return what is stored of a random token; 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()
