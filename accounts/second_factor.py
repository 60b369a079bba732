"""
Whether staff have proven their second factor: settings.STAFF_MFA says who must, and after STAFF_MFA_SECONDS again.

Page sessions remember it in the session, API clients in their token. Somebody who has yet to prove it is staff without a
single permission (`User.has_perm`), so every door that asks for one is shut, and the admin leads them to the page that asks.
"""

from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Authenticator, Passkey, User
from common.errors import Forbidden

SESSION = "second_factor"
PASSWORD = "password_confirmed"  # noqa: S105 - the name of a note in the session


# Whether the request in hand proved a second factor. Queries that let staff see more in SQL, by ids alone, ask for it.
proven: ContextVar[bool] = ContextVar("proven", default=False)
ACTS_AS_STAFF = """(%(proven)s OR NOT (%(required)s
    OR EXISTS (SELECT 1 FROM accounts_authenticator app WHERE app.user_id = person.id AND app.confirmed_at IS NOT NULL)
    OR EXISTS (SELECT 1 FROM accounts_passkey passkey WHERE passkey.user_id = person.id)))"""


def terms() -> dict[str, bool]:
    """Return the parameters of ACTS_AS_STAFF: whether `person` need not prove anything more to act as staff."""
    return {"proven": proven.get() or settings.STAFF_MFA == "off", "required": settings.STAFF_MFA == "required"}


class MfaRequired(Forbidden):
    code = "mfa_required"
    message = "Prove your second factor: log in through the staff's login with `otp`."


class ProofTooOld(Forbidden):
    code = "recent_proof_required"
    message = "Prove who you are once more, and go on: that was too long ago to change how you log in."


class MfaNotSetUp(Forbidden):
    code = "mfa_not_set_up"
    message = "Staff need a second factor here. Log in on the site, open the staff area and set it up."


def enrolled_of(user: OuterRef) -> ExpressionWrapper:
    """Return whether a person has a confirmed authenticator or a passkey, to annotate people with as `enrolled`."""
    app = Exists(Authenticator.objects.filter(user=user, confirmed_at__isnull=False))
    return ExpressionWrapper(Q(app) | Q(Exists(Passkey.objects.filter(user=user))), output_field=BooleanField())


def has_app(user_id: Any) -> bool:
    """Whether this person has a confirmed authenticator app."""
    return Authenticator.objects.filter(user=user_id, confirmed_at__isnull=False).exists()


def has_passkey(user_id: Any) -> bool:
    """Whether this person has a passkey."""
    return Passkey.objects.filter(user=user_id).exists()


def is_enrolled(user: User) -> bool:
    """Whether this person has a second factor; known already where they were loaded with it."""
    known = getattr(user, "enrolled", None)
    return has_app(user.pk) or has_passkey(user.pk) if known is None else known


def is_needed(user: User) -> bool:
    """Whether this person has to prove a second factor to act as staff."""
    if not user.is_staff or settings.STAFF_MFA == "off":
        return False
    return settings.STAFF_MFA == "required" or is_enrolled(user)


def is_fresh(proven_at: float | None) -> bool:
    """Whether a factor that was proven at this moment (Unix time) still counts."""
    return proven_at is not None and proven_at > timezone.now().timestamp() - settings.STAFF_MFA_SECONDS


def is_recent(proven_at: float | None) -> bool:
    """Whether somebody who proved who they are at this moment (Unix time) may change their own factors now."""
    return proven_at is not None and proven_at > timezone.now().timestamp() - settings.STAFF_RECENT_SECONDS


def refuse_unless_recent(proven_at: float | None) -> None:
    """
    Let nobody on who has not proven lately who they are.

    :raises ProofTooOld: otherwise
    """
    if not is_recent(proven_at):
        raise ProofTooOld


def mark(user: User, proven_at: float | None) -> User:
    """Note on a person who has just been loaded whether they have yet to prove their second factor."""
    user.lacks_second_factor = user.is_staff and not is_fresh(proven_at) and is_needed(user)
    return user


def refuse_without(user: Any) -> None:
    """
    Let nobody on who has yet to prove their second factor.

    :raises MfaRequired: if they have one to prove
    :raises MfaNotSetUp: if they need one and have none
    """
    person: User = getattr(user, "person", user)
    if person.lacks_second_factor:
        raise MfaRequired if is_enrolled(person) else MfaNotSetUp


def proven_in(request: HttpRequest, user: User) -> float | None:
    """Return when this browser's session proved this person's second factor."""
    return noted(request, user, SESSION)


def known_in(request: HttpRequest, user: User) -> float | None:
    """Return when this browser's session proved who this is: by the second factor, or the password where there is none."""
    return noted(request, user, SESSION if is_enrolled(user) else PASSWORD)


def noted(request: HttpRequest, user: User, what: str) -> float | None:
    """Return the moment that this browser's session notes of this person."""
    held = request.session.get(what) or {}
    return held.get("at") if held.get("user") == str(user.pk) else None


def remember(request: HttpRequest, at: datetime, what: str = SESSION) -> None:
    """Let this browser's session remember that its person has proven their second factor, or their password once more."""
    request.session[what] = {"user": str(request.user.pk), "at": at.timestamp()}
    request.session.cycle_key()
