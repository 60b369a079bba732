"""
The second factor of staff: codes of an authenticator app (TOTP, RFC 6238), recovery codes for who has lost it, and what holds
for all factors. Passkeys are in accounts.services.passkeys.

The app's secret is sealed, recovery codes are keyed hashes, and both are used by one guarded UPDATE each: of two requests with
the same code the database lets one through. Wrong codes are counted per person; while the counter is away nobody gets in.
"""

import secrets
from datetime import datetime
from uuid import UUID

import pyotp
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import salted_hmac
from redis.exceptions import RedisError

from accounts import news, second_factor
from accounts.models import Authenticator, Passkey, PasskeyChallenge, RecoveryCode, TokenFamily, User
from accounts.roles import ASSIGN
from accounts.services.audit import record_staff_action
from accounts.services.profiles import NotYours, load_user
from accounts.services.roles import ReasonMissing
from accounts.services.sessions import StaffOnly, end_all_sessions
from common import ratelimit
from common.errors import Conflict, Forbidden, NotAuthenticated, NotFound, TooMany, Unavailable
from common.sealing import seal, unseal

log = structlog.get_logger(__name__)

PURPOSE = "accounts.authenticator"
APP = "your authenticator app"
PERIOD = 30
SLACK = 1  # periods by which a telephone's clock may be off
RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read as something else; ten of them are 49 bits


class OtpMissing(NotAuthenticated):
    code = "mfa_required"
    message = "Send the code of your authenticator app, or a recovery code, as `otp`."


class WrongCode(NotAuthenticated):
    code = "mfa_wrong_code"
    message = "That code does not work, or was used before. Wait for the next one."


class TooManyCodes(TooMany):
    code = "too_many_codes"
    message = "Too many wrong codes. Wait a few minutes and try again."


class AlreadyEnrolled(Conflict):
    code = "mfa_already_set_up"
    message = "You have an authenticator app. Remove it before you set up another one."


class NothingBegun(Conflict):
    code = "mfa_not_begun"
    message = "Begin again: there is no authenticator to confirm."


class MayNotRemove(Conflict):
    code = "mfa_is_required"
    message = "Staff need a second factor here, and this is your last one. Add another one first."


class OwnFactor(Forbidden):
    code = "own_second_factor"
    message = "Change your own second factor in your account, or ask another owner."


@transaction.atomic
def begin_enrolment(*, user_id: UUID, proven_at: float | None) -> str:
    """
    Make a fresh secret for a member of staff's app and return it; it counts once a code of it was shown.

    :raises ProofTooOld: if they did not prove who they are lately
    :raises NotFound: if there is no such person
    :raises StaffOnly: if they are not staff
    :raises AlreadyEnrolled: if they have a confirmed one
    """
    second_factor.refuse_unless_recent(proven_at)
    user = load_user(user_id)
    if not user.is_staff:
        raise StaffOnly
    if second_factor.has_app(user_id):
        raise AlreadyEnrolled
    secret = pyotp.random_base32()
    sealed = {"secret_sealed": seal(secret, purpose=PURPOSE), "last_step": 0, "created_at": Now()}
    Authenticator.objects.update_or_create(user=user, defaults=sealed)
    return secret


def pending_secret(*, user_id: UUID) -> str:
    """Return the secret that waits for its first code, or ""."""
    begun = Authenticator.objects.filter(user_id=user_id, confirmed_at__isnull=True).first()
    return unseal(begun.secret_sealed, purpose=PURPOSE) if begun else ""


def address_of(*, user: User, secret: str) -> str:
    """Return what an authenticator app reads from the QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name="Fairseat")


def confirm_enrolment(*, user_id: UUID, code: str, proven_at: float | None) -> list[str]:
    """
    Take the first code of the app, and return recovery codes if the person had none yet; they are readable only now.

    :raises ProofTooOld: if they did not prove who they are lately
    :raises NothingBegun: if no authenticator waits for its code
    :raises WrongCode: if the code is wrong
    :raises TooManyCodes: after too many wrong ones
    """
    second_factor.refuse_unless_recent(proven_at)
    counted = count_try(user_id)
    with transaction.atomic():
        load_user(user_id)
        begun = Authenticator.objects.select_for_update().filter(user_id=user_id, confirmed_at__isnull=True).first()
        if begun is None:
            raise NothingBegun
        if not use_step(begun, code):
            raise WrongCode
        Authenticator.objects.filter(pk=user_id).update(confirmed_at=Now())
        codes = first_recovery_codes(user_id)
        record_staff_action(actor_id=user_id, action="set_up_mfa", object_type="user", object_id=user_id)
        news.factor_added(user_id=user_id, factor=APP)
    give_back(counted)
    return codes


def check_code(*, user_id: UUID, code: str) -> datetime:
    """
    Accept a code of the app or a recovery code, each once, and return when that was.

    :raises WrongCode: if it is wrong or was used
    :raises TooManyCodes: after too many wrong ones
    :raises Unavailable: if wrong codes can not be counted now
    """
    counted = count_try(user_id)
    held = Authenticator.objects.filter(user_id=user_id, confirmed_at__isnull=False).first()
    if not ((held is not None and use_step(held, code)) or use_recovery_code(user_id, code)):
        log.info("accounts.mfa_refused", user=str(user_id))
        raise WrongCode
    give_back(counted)
    return timezone.now()


def prove_at_login(*, user: User, code: str) -> datetime | None:
    """
    Return when a member of staff proved their second factor at this log-in; None if none is asked of them.

    :raises OtpMissing: if one is asked and none was sent
    :raises MfaNotSetUp: if one is asked and they have none yet
    :raises WrongCode: if it is wrong or was used
    """
    if not second_factor.is_needed(user):
        return None
    if not second_factor.is_enrolled(user):
        raise second_factor.MfaNotSetUp
    if not code.strip():
        raise OtpMissing
    return check_code(user_id=user.pk, code=code)


@transaction.atomic
def renew_recovery_codes(*, user_id: UUID, proven_at: float | None) -> list[str]:
    """
    Return new recovery codes; the old ones no longer work.

    :raises ProofTooOld: if the person did not prove who they are lately
    :raises NothingBegun: if they have no second factor
    """
    second_factor.refuse_unless_recent(proven_at)
    load_user(user_id)
    if not factors_of(user_id):
        raise NothingBegun
    record_staff_action(actor_id=user_id, action="renew_recovery_codes", object_type="user", object_id=user_id)
    news.recovery_codes_renewed(user_id=user_id)
    return new_codes(user_id)


@transaction.atomic
def remove_authenticator(*, user_id: UUID, proven_at: float | None) -> User:
    """
    Remove somebody's app and end every session of theirs; return the person, for the session that stays.

    :raises ProofTooOld: if they did not prove who they are lately
    :raises NotFound: if they have no app
    :raises MayNotRemove: if it is their last factor and staff need one
    """
    second_factor.refuse_unless_recent(proven_at)
    load_user(user_id)
    if not second_factor.has_app(user_id):
        raise NotFound("You have no authenticator app.")
    refuse_last_factor(user_id)
    Authenticator.objects.filter(user_id=user_id).delete()
    tidy_after_removal(user_id)
    record_staff_action(actor_id=user_id, action="remove_mfa", object_type="user", object_id=user_id)
    news.factor_removed(user_id=user_id, factor=APP)
    end_all_sessions(user_id=user_id, because="factor removed")
    return User.objects.get(pk=user_id)


@transaction.atomic
def reset_mfa(*, user_id: UUID, actor: User | None = None, reason: str = "") -> bool:
    """
    Take somebody's second factor away, because they have lost it, end every session, and say whether there was one.

    `actor` is the owner who does it; without one it is an operator at the command line.

    :raises NotFound: if there is no such person
    :raises NotYours: if `actor` is no owner
    :raises OwnFactor: if it is about themselves
    :raises ReasonMissing: if an owner gives no reason
    """
    if actor is not None and not actor.has_perm(ASSIGN):
        raise NotYours
    if actor is not None and actor.pk == user_id:
        raise OwnFactor
    if actor is not None and not reason.strip():
        raise ReasonMissing
    load_user(user_id)
    had = forget(user_id)
    end_all_sessions(user_id=user_id, because="mfa reset")
    if actor is not None:
        record_staff_action(
            actor_id=actor.pk, action="reset_mfa", object_type="user", object_id=user_id, reason=reason.strip()
        )
    if had:
        news.factor_removed(user_id=user_id, factor="your second factor, with every passkey")
    log.warning("accounts.mfa_reset", user=str(user_id), by_staff=actor is not None)
    return had


def reset_mfa_of(*, email: str) -> bool:
    """
    Reset the second factor of the person with this address, as an operator.

    :raises NotFound: if nobody has it
    """
    user = User.objects.filter(email=email, erased_at__isnull=True).first()
    if user is None:
        raise NotFound("Nobody has this address.")
    return reset_mfa(user_id=user.pk)


def codes_left(*, user_id: UUID) -> int:
    """Return how many recovery codes somebody has left."""
    return RecoveryCode.objects.filter(user_id=user_id, used_at__isnull=True).count()


def forget(user_id: UUID) -> bool:
    """Remove app, passkeys and recovery codes, and what API sessions remember of them; whether there were any."""
    had = [
        model.objects.filter(user_id=user_id).delete()[0]
        for model in (Authenticator, Passkey, PasskeyChallenge, RecoveryCode)
    ]
    TokenFamily.objects.filter(user_id=user_id).update(second_factor_at=None)
    return any(had)


def factors_of(user_id: UUID) -> int:
    """Return how many factors somebody has beside the password; recovery codes are none."""
    return second_factor.has_app(user_id) + Passkey.objects.filter(user_id=user_id).count()


def refuse_last_factor(user_id: UUID) -> None:
    """
    Keep the last factor of somebody whose row is locked, where staff need one.

    :raises MayNotRemove: if it is the last one
    """
    if settings.STAFF_MFA == "required" and factors_of(user_id) < 2:
        raise MayNotRemove


def tidy_after_removal(user_id: UUID) -> None:
    """Remove recovery codes that recover nothing any more."""
    if not factors_of(user_id):
        RecoveryCode.objects.filter(user_id=user_id).delete()


def use_step(held: Authenticator, code: str) -> bool:
    """Use a code of the app: of all requests with codes of one time step, and of older ones, the database lets one through."""
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
        return False
    totp = pyotp.TOTP(unseal(held.secret_sealed, purpose=PURPOSE), interval=PERIOD)
    now = int(timezone.now().timestamp()) // PERIOD
    for step in range(now - SLACK, now + SLACK + 1):
        if secrets.compare_digest(totp.generate_otp(step), digits):
            return bool(Authenticator.objects.filter(pk=held.pk, last_step__lt=step).update(last_step=step))
    return False


@transaction.atomic
def use_recovery_code(user_id: UUID, code: str) -> bool:
    """Use a recovery code, once, and tell its owner."""
    unused = RecoveryCode.objects.filter(user_id=user_id, code_hash=digest(user_id, code), used_at__isnull=True)
    if not unused.update(used_at=Now()):
        return False
    left = codes_left(user_id=user_id)
    record_staff_action(
        actor_id=user_id, action="use_recovery_code", object_type="user", object_id=user_id, after={"left": left}
    )
    news.recovery_code_used(user_id=user_id, left=left)
    return True


def first_recovery_codes(user_id: UUID) -> list[str]:
    """Return new recovery codes for somebody who has none left, else none: those they keep go on working."""
    return [] if codes_left(user_id=user_id) else new_codes(user_id)


def new_codes(user_id: UUID) -> list[str]:
    """Replace somebody's recovery codes and return the new ones."""
    texts = ["".join(secrets.choice(ALPHABET) for _ in range(10)) for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.filter(user_id=user_id).delete()
    RecoveryCode.objects.bulk_create([RecoveryCode(user_id=user_id, code_hash=digest(user_id, text)) for text in texts])
    return [f"{text[:5]}-{text[5:]}" for text in texts]


def digest(user_id: UUID, code: str) -> str:
    """Return the keyed hash of a recovery code, however it is written."""
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return salted_hmac("accounts.recovery-code", f"{user_id}:{plain}", algorithm="sha256").hexdigest()


def count_try(user_id: UUID) -> str:
    """
    Count one try before the code is looked at, and return the counter's name.

    :raises TooManyCodes: if there were too many
    :raises Unavailable: if Redis is away
    """
    name = f"mfa:{user_id}"
    try:
        allowance = ratelimit.take([(name, settings.MFA_TRIES)], seconds=settings.MFA_WINDOW_SECONDS)
    except RedisError as error:
        raise Unavailable(retry_after=5) from error
    if not allowance.allowed:
        raise TooManyCodes(retry_after=allowance.reset)
    return name


def give_back(name: str) -> None:
    """
    Uncount a try that was right.

    :raises Unavailable: if Redis is away
    """
    try:
        ratelimit.give_back([name], seconds=settings.MFA_WINDOW_SECONDS)
    except RedisError as error:
        raise Unavailable(retry_after=5) from error
