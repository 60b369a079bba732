"""
Sign-up by a mailed code.

Nobody is looked up when a sign-up begins, so a known and an unknown address get the same answer for the same work; which mail
leaves is decided when it leaves. The code is made then, too: it exists in the mail and as a keyed hash, nowhere else, and its
time starts when it is sent, however long the mail server was away.
"""

import secrets
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import SignupChallenge, User, normalise_email
from accounts.services.rules import HOUR, clean_email, lock_address, refuse_weak_password, seconds_to_wait
from common import mail, outbox
from common.errors import Invalid, TooMany

log = structlog.get_logger(__name__)

MAIL_TOPIC = "accounts.signup_mail"


class CodeWrong(Invalid):
    code = "code_wrong"
    message = "That code is not right. Look at the newest mail from us."


class CodeExpired(Invalid):
    code = "code_expired"
    message = "This code has expired or was used. Ask for a new one."


class CodeTriesUsedUp(TooMany):
    code = "code_tries_used_up"
    message = "Too many wrong codes. Ask for a new one."


class CodeSentRecently(TooMany):
    code = "code_sent_recently"

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"We sent a mail to this address a moment ago. Look for it, or try again in {seconds} seconds.",
            retry_after=seconds,
        )


def start_signup(*, email: str, password: str, name: str = "", phone: str = "") -> UUID:
    """
    Begin a sign-up and return its id; a code is mailed, or to the owner of an account a note that there is one.

    The same sign-up sent twice within OTP_RESEND_SECONDS is one.

    :raises BadEmail: if it is no address
    :raises WeakPassword: if the password is too easy to guess
    :raises CodeSentRecently: if this address was sent too many mails
    """
    address = clean_email(email)
    refuse_weak_password(password, email=address, name=name)
    hashed = make_password(password)
    with transaction.atomic():
        lock_address(address)
        recent = live_codes(address).filter(created_at__gt=Now() - timedelta(seconds=settings.OTP_RESEND_SECONDS))
        double = recent.first()
        if double is not None and check_password(password, double.password):
            return double.signup_id
        challenge = ask_for_code(
            SignupChallenge(email=address, password=hashed, name=name.strip(), phone=phone.strip())
        )
    return challenge.signup_id


@transaction.atomic
def resend_code(*, email: str) -> None:
    """
    Mail a new code for a sign-up that waits for one; the old code dies. Without such a sign-up nothing happens.

    :raises CodeSentRecently: if this address was sent too many mails
    """
    address = normalise_email(email)
    lock_address(address)
    waiting = live_codes(address).filter(created_at__gt=Now() - HOUR).first()
    if waiting is not None:
        ask_for_code(
            SignupChallenge(
                signup_id=waiting.signup_id,
                email=address,
                password=waiting.password,
                name=waiting.name,
                phone=waiting.phone,
            )
        )


def verify_code(*, email: str, code: str, signup_id: UUID | None = None) -> User:
    """
    Open the account of a sign-up whose mailed code is `code` and return its person.

    A try is taken before the code is compared, under the row's lock, so parallel guesses get no more than OTP_MAX_TRIES.
    With `signup_id` only that very sign-up is opened, not one that somebody else began for the address in the meantime.

    :raises CodeWrong: if it is another code
    :raises CodeExpired: if no sign-up of this address waits for a code (any more)
    :raises CodeTriesUsedUp: if too many wrong codes were sent
    """
    address = normalise_email(email)
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
        raise CodeWrong("The code has six digits.", errors={"otp": ["The code has six digits."]})
    codes = live_codes(address)
    if signup_id is not None:
        codes = codes.filter(signup_id=signup_id)
    # The outcome of a wrong guess must be committed, so the refusal is raised outside.
    with transaction.atomic():
        open_codes = codes.filter(tries__lt=settings.OTP_MAX_TRIES, expires_at__gt=Now())
        challenge = codes.get() if open_codes.update(tries=F("tries") + 1) else None
        right = challenge is not None and is_code_of(challenge, digits)
        user = open_account(challenge) if challenge is not None and right else None
    if user is not None:
        log.info("accounts.signed_up", user=str(user.pk))
        return user
    if challenge is not None and not right:
        left = settings.OTP_MAX_TRIES - challenge.tries
        raise CodeWrong(
            f"That code is not right. {left} {'try' if left == 1 else 'tries'} left."
            if left
            else CodeTriesUsedUp.message,
            tries_left=left,
        )
    if codes.filter(tries__gte=settings.OTP_MAX_TRIES, expires_at__gt=Now()).exists():
        raise CodeTriesUsedUp
    raise CodeExpired


def live_codes(address: str) -> QuerySet[SignupChallenge]:
    """Return the challenge of this address that is neither used nor replaced: at most one row."""
    return SignupChallenge.objects.filter(email=address, used_at__isnull=True, superseded_at__isnull=True)


def ask_for_code(challenge: SignupChallenge) -> SignupChallenge:
    """
    Put `challenge` in the place of its address's live one and queue its mail; the address is locked by the caller.

    :raises CodeSentRecently: if this address was sent too many mails
    """
    if wait := seconds_to_wait(SignupChallenge.objects.filter(email=challenge.email)):
        raise CodeSentRecently(wait)
    live_codes(challenge.email).update(superseded_at=Now(), password="", code_hash="", name="", phone="")
    challenge.expires_at = Now() + timedelta(seconds=settings.OTP_SECONDS)
    challenge.save(force_insert=True)
    outbox.put(topic=MAIL_TOPIC, dedupe_key=f"signup:{challenge.pk}", challenge_id=str(challenge.pk))
    return challenge


def open_account(challenge: SignupChallenge) -> User | None:
    """Use up the challenge and make its account; None if the address got an account in another way meanwhile."""
    user = User(email=challenge.email, password=challenge.password, name=challenge.name, phone=challenge.phone)
    SignupChallenge.objects.filter(pk=challenge.pk).update(used_at=Now(), password="", code_hash="", name="", phone="")
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        return None
    mail.send(to=user.email, template="welcome", dedupe_key=f"welcome:{user.pk}", name=user.display_name)
    return user


def send_signup_mail(*, challenge_id: UUID) -> None:
    """
    Make the code of a challenge and mail it; to the owner of an account, mail that there is one.

    Called again after a failure it makes a fresh code, since nobody knows whether the first mail arrived.
    """
    challenge = SignupChallenge.objects.filter(pk=challenge_id).first()
    if challenge is None:
        return
    known = User.objects.filter(email=challenge.email).exists()
    code = f"{secrets.randbelow(10**6):06d}"
    salt = secrets.token_hex(16)
    sent = live_codes(challenge.email).filter(pk=challenge_id)
    if not sent.update(
        code_salt=salt,
        code_hash="" if known else code_hash(salt, code),
        sent_at=Now(),
        expires_at=Now() + timedelta(seconds=settings.OTP_SECONDS),
    ):
        return
    minutes = max(1, settings.OTP_SECONDS // 60)
    context = {} if known else {"code": code, "minutes": minutes}
    template = "already_registered" if known else "signup_code"
    # Each attempt is a mail of its own: with the same Message-ID a mailbox may drop the one with the valid code.
    mail.compose(to=challenge.email, template=template, dedupe_key=f"signup:{uuid4()}", context=context).send()


def code_hash(salt: str, code: str, secret: str | None = None) -> str:
    """Return the keyed hash of a code: without the application's secret, a million guesses at the row tell nothing."""
    return salted_hmac(f"accounts.signup-code:{salt}", code, secret=secret, algorithm="sha256").hexdigest()


def is_code_of(challenge: SignupChallenge, code: str) -> bool:
    """Whether `code` was mailed for this challenge."""
    return any(
        constant_time_compare(challenge.code_hash, code_hash(challenge.code_salt, code, secret))
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )
