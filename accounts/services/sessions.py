"""
Logging in and staying logged in.

API clients get a short access token and a refresh token that is replaced at each use. The next refresh token is derived from
the one before with the application's secret, so a client that lost the answer and asks again within REFRESH_GRACE_SECONDS gets
the very same pair, and of sixteen requests at once one rotates and the others repeat its answer. After that an old token is
proof of theft: the whole family dies and the owner is told.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts import limits, news
from accounts.authentication import issue_access_token
from accounts.models import KnownAddress, RefreshToken, TokenFamily, User, normalise_email
from accounts.services.rules import fingerprint, new_token
from common.errors import Forbidden, NotAuthenticated

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Tokens:
    """What an API client keeps after logging in."""

    access: str
    refresh: str


class WrongLogin(NotAuthenticated):
    code = "wrong_login"
    message = "That email address and password do not match an account."


class WrongPasswordAgain(NotAuthenticated):
    code = "wrong_password"
    message = "Your current password is another one."


class StaffOnly(Forbidden):
    code = "staff_only"
    message = "This door is for staff."


class SessionOver(NotAuthenticated):
    code = "session_over"
    message = "Your session is over. Log in again."


def log_in(*, email: str, password: str, address: str, staff_only: bool = False) -> User:
    """
    Return the person with this address and password.

    Unknown, wrong and closed cost the same and answer the same. `address` is the client's network address: failed tries are
    counted per account and address, and per account over all addresses the owner has not used before.

    :raises WrongLogin: if there is no such open account, or the password is another one
    :raises StaffOnly: if `staff_only` and the person is not staff
    :raises TooManyLogins: after too many failed tries
    """
    email = normalise_email(email)
    user = User.objects.filter(email=email).first()
    digest = limits.address_digest(address)
    known = user is not None and user.known_addresses.filter(digest=digest).exists()
    reserved = limits.reserve_login(email=email, address=address, known=known)
    if user is None:
        make_password(password)
        right = False
    else:
        right = user.check_password(password)
    if user is None or not right or not user.is_active:
        log.info("accounts.login_refused", account=limits.account_digest(email)[:12])
        raise WrongLogin
    limits.give_back_login(reserved)
    if staff_only and not user.is_staff:
        raise StaffOnly
    note_login(user=user, address=address)
    return user


@transaction.atomic
def note_login(*, user: User, address: str) -> None:
    """Note when somebody logged in, and from which network address."""
    User.objects.filter(pk=user.pk).update(last_login=Now())
    KnownAddress.objects.bulk_create(
        [KnownAddress(user=user, digest=limits.address_digest(address))],
        update_conflicts=True,
        unique_fields=["user", "digest"],
        update_fields=["used_at"],
    )


def confirm_password(*, user: User, password: str, address: str) -> datetime:
    """
    Accept the password of somebody who is logged in, once more, and return when that was; tries are counted as at log-in.

    :raises WrongPasswordAgain: if it is another one
    :raises TooManyLogins: after too many wrong ones
    """
    reserved = limits.reserve_login(email=user.email, address=address, known=True)
    if not user.check_password(password):
        raise WrongPasswordAgain
    limits.give_back_login(reserved)
    return timezone.now()


@transaction.atomic
def open_session(*, user: User, second_factor_at: datetime | None = None) -> Tokens:
    """Begin a session of an API client and return its first pair of tokens."""
    family = TokenFamily.objects.create(
        user=user, session_version=user.session_version, second_factor_at=second_factor_at
    )
    return add_token(family, user, new_token())


def rotate_refresh_token(*, token: str) -> Tokens:
    """
    Exchange a refresh token for the next pair.

    :raises SessionOver: if the token is unknown, expired, revoked or was used before; the last one ends the whole session
    """
    digest = fingerprint(token)
    family_id = RefreshToken.objects.filter(token_hash=digest).values_list("family_id", flat=True).first()
    tokens = exchange(family_id, token, digest) if family_id else None
    if tokens is None:
        raise SessionOver
    return tokens


@transaction.atomic
def exchange(family_id: UUID, token: str, digest: str) -> Tokens | None:
    """Rotate one token under its family's lock; None when it is good for nothing (what that means is committed)."""
    family = TokenFamily.objects.select_for_update(no_key=True).filter(pk=family_id).first()
    grace = Now() - timedelta(seconds=settings.REFRESH_GRACE_SECONDS)
    held = (
        RefreshToken.objects.annotate(is_live=Q(expires_at__gt=Now()), in_grace=Q(rotated_at__gt=grace))
        .filter(token_hash=digest)
        .first()
    )
    if family is None or held is None or family.revoked_at is not None or not held.is_live:
        return None
    user = User.objects.get(pk=family.user_id)
    if not user.is_active or user.session_version != family.session_version:
        return None
    successor = derive_successor(token)
    if held.rotated_at is None:
        RefreshToken.objects.filter(pk=held.pk).update(rotated_at=Now())
        TokenFamily.objects.filter(pk=family.pk).update(last_used_at=Now())
        return add_token(family, user, successor)
    if held.in_grace:
        follower = RefreshToken.objects.filter(token_hash=fingerprint(successor), rotated_at__isnull=True).first()
        return pair(follower, family, user, successor) if follower else None
    end_stolen_session(family, user)
    return None


def end_stolen_session(family: TokenFamily, user: User) -> None:
    """A used token came back: end the session for thief and owner alike and tell the owner."""
    TokenFamily.objects.filter(pk=family.pk).update(revoked_at=Now(), revoked_because="reuse")
    log.warning("accounts.refresh_token_reused", family=str(family.pk), user=str(user.pk))
    news.session_ended(user_id=user.pk, family_id=family.pk)


@transaction.atomic
def log_out(*, user_id: UUID, token: str = "", family_id: UUID | None = None) -> None:
    """End the session of this refresh token or family, if it is the person's own; anything else is ignored."""
    which = Q(tokens__token_hash=fingerprint(token)) if token else Q(pk=family_id)
    families = TokenFamily.objects.filter(which, user_id=user_id).values("pk")
    TokenFamily.objects.filter(pk__in=families, revoked_at__isnull=True).update(
        revoked_at=Now(), revoked_because="logout"
    )


@transaction.atomic
def end_all_sessions(*, user_id: UUID, because: str) -> None:
    """End every session of a person: API tokens and page logins, at once."""
    User.objects.filter(pk=user_id).update(session_version=F("session_version") + 1)
    TokenFamily.objects.filter(user_id=user_id, revoked_at__isnull=True).update(
        revoked_at=Now(), revoked_because=because
    )


def derive_successor(token: str) -> str:
    """Return the refresh token that follows `token`; only who knows the application's secret can."""
    digest = salted_hmac("accounts.refresh-successor", token, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def add_token(family: TokenFamily, user: User, text: str) -> Tokens:
    """Store `text` as the family's live refresh token and return it with its access token."""
    held = RefreshToken.objects.create(
        token_hash=fingerprint(text),
        family=family,
        expires_at=Now() + timedelta(seconds=settings.REFRESH_TOKEN_SECONDS),
    )
    return pair(held, family, user, text)


def pair(held: RefreshToken, family: TokenFamily, user: User, text: str) -> Tokens:
    """Return the pair of a refresh token; the access token depends on nothing but the rows, so repeating it is exact."""
    access = issue_access_token(
        user=user,
        now=held.created_at,
        family_id=held.family_id,
        token_id=held.token_hash[:32],
        second_factor_at=family.second_factor_at,
    )
    return Tokens(access=access, refresh=text)
