"""
Passkeys (WebAuthn) of staff: registering, proving the second factor, signing in with one alone, removing.

A passkey is always unlocked by its owner (finger, face or PIN) and found by the device itself, so it is password and second
factor in one. The challenge lies here, its id in the session alone; one guarded UPDATE uses it up before the answer is looked
at, so no answer counts twice. Imported by the pages and not by `accounts.services`: the library is a large one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import structlog
import webauthn
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    options_to_json_dict,
    parse_attestation_object,
    parse_authentication_credential_json,
    parse_authenticator_data,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorData,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts import news, second_factor
from accounts.models import Passkey, PasskeyChallenge, User
from accounts.queries import passkeys_of
from accounts.relying_party import site
from accounts.services.audit import record_staff_action
from accounts.services.mfa import first_recovery_codes, refuse_last_factor, tidy_after_removal
from accounts.services.profiles import load_user
from accounts.services.sessions import StaffOnly, end_all_sessions, note_login
from common.errors import Conflict, Gone, Invalid, NotAuthenticated, NotFound

log = structlog.get_logger(__name__)

MOST = 20
LONGEST_NAME = Passkey._meta.get_field("name").max_length
LONGEST_ANSWER = 20_000
Purpose = PasskeyChallenge.Purpose
Sent = TypeVar("Sent", RegistrationCredential, AuthenticationCredential)
# What the library raises for bytes that are not what they should be: its own errors, and those of the readers below it.
UNREADABLE = (WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)


class ChallengeOver(Gone):
    code = "passkey_challenge_over"
    message = "That took too long, or was answered already. Press the button again."


class BadAnswer(Invalid):
    code = "passkey_unreadable"
    message = "Your browser sent nothing that we can read. Press the button again, or use a code."


class WrongSite(NotAuthenticated):
    code = "passkey_wrong_site"

    def __init__(self) -> None:
        super().__init__(f"That passkey was used at another address. Open {settings.SITE_URL} and try again.")


class NotUnlocked(NotAuthenticated):
    code = "passkey_not_unlocked"
    message = "Unlock the passkey with your finger, your face or its PIN, and try again."


class PasskeyRefused(NotAuthenticated):
    code = "passkey_refused"
    message = "That passkey could not be checked. Press the button again, or use a code."


class PasskeyUnknown(NotAuthenticated):
    code = "passkey_unknown"
    message = "This passkey does not open this account, or was removed. Use another one, or your password and a code."


class PasskeyCopied(NotAuthenticated):
    code = "passkey_copied"
    message = "This passkey may have been copied and is refused. Use another way in, and remove it from your account."


class PasskeyKnown(Conflict):
    code = "passkey_known"
    message = "This passkey is registered already."


class TooManyPasskeys(Conflict):
    code = "too_many_passkeys"
    message = f"You have {MOST} passkeys. Remove one that you no longer use first."


@dataclass(frozen=True)
class Challenge:
    """A challenge that was made: its id for the session, the options for the browser."""

    id: UUID
    options: dict[str, Any]


def begin_adding(*, user_id: UUID, proven_at: float | None) -> Challenge:
    """
    Ask for a new passkey of a member of staff, who proved who they are at `proven_at`.

    :raises ProofTooOld: if that was not lately
    :raises StaffOnly: if they are not staff
    :raises TooManyPasskeys: if they have as many as there may be
    :raises NoName: if this site's address allows none
    """
    second_factor.refuse_unless_recent(proven_at)
    user = User.objects.get(pk=user_id)
    if not user.is_staff:
        raise StaffOnly
    held = passkeys_of(user_id)
    if len(held) >= MOST:
        raise TooManyPasskeys
    options = webauthn.generate_registration_options(
        rp_id=site().name,
        rp_name="Fairseat",
        user_id=user.pk.bytes,
        user_name=user.email,
        user_display_name=user.display_name,
        timeout=settings.PASSKEY_SECONDS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[described(one) for one in held],
    )
    return keep(Purpose.ADD, options, user_id)


def begin_proving(*, user_id: UUID) -> Challenge:
    """
    Ask for one of somebody's passkeys as their second factor.

    :raises PasskeyUnknown: if they have none
    """
    held = passkeys_of(user_id)
    if not held:
        raise PasskeyUnknown
    return keep(Purpose.PROVE, asking([described(one) for one in held]), user_id)


def begin_signing_in() -> Challenge:
    """Ask whoever is there for a passkey of this site, whosever it is."""
    return keep(Purpose.SIGN_IN, asking([]), None)


def add_passkey(
    *, user_id: UUID, challenge_id: UUID | None, answer: str, name: str, proven_at: float | None
) -> list[str]:
    """
    Keep the passkey that a device made, and return recovery codes if the person had none yet; readable only now.

    :raises ProofTooOld: if the person did not prove who they are lately
    :raises ChallengeOver: if there is no such challenge, or it was answered or is over
    :raises BadAnswer: if the answer can not be read
    :raises WrongSite: if it was made at another address
    :raises NotUnlocked: if the device did not ask for finger, face or PIN
    :raises PasskeyRefused: if anything else about it is wrong
    :raises PasskeyKnown: if it is somebody's already
    :raises TooManyPasskeys: if they have as many as there may be
    """
    second_factor.refuse_unless_recent(proven_at)
    challenge = use_up(challenge_id, Purpose.ADD, user_id)
    sent = readable(answer, parse_registration_credential_json)
    look(sent.response.client_data_json, read(parse_attestation_object, sent.response.attestation_object).auth_data)
    made = read(
        webauthn.verify_registration_response,
        credential=sent,
        expected_challenge=challenge,
        expected_rp_id=site().name,
        expected_origin=site().origin,
        require_user_verification=True,
    )
    with transaction.atomic():
        user = load_user(user_id)
        if not user.is_staff:
            raise StaffOnly
        held = passkeys_of(user_id)
        if len(held) >= MOST:
            raise TooManyPasskeys
        passkey = Passkey(
            user=user,
            name=" ".join(name.split())[:LONGEST_NAME] or f"Passkey {len(held) + 1}",
            credential_id=bytes_to_base64url(made.credential_id),
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            transports=[one.value for one in sent.response.transports or []],
            synced=made.credential_backed_up,
        )
        try:
            with transaction.atomic():
                passkey.save(force_insert=True)
        except IntegrityError:
            raise PasskeyKnown from None
        record_staff_action(actor_id=user_id, action="add_passkey", object_type="passkey", object_id=passkey.pk)
        news.factor_added(user_id=user_id, factor=f"the passkey “{passkey.name}”")
        return first_recovery_codes(user_id)


def prove_with_passkey(*, user_id: UUID, challenge_id: UUID | None, answer: str) -> datetime:
    """
    Accept one of somebody's own passkeys as their second factor, and return when that was.

    :raises ChallengeOver: if there is no such challenge, or it was answered or is over
    :raises PasskeyUnknown: if the passkey is not theirs
    :raises PasskeyCopied: if it counted back
    :raises NotAuthenticated: if anything else about the answer is wrong
    """
    challenge = use_up(challenge_id, Purpose.PROVE, user_id)
    sent = readable(answer, parse_authentication_credential_json)
    held = Passkey.objects.filter(user_id=user_id, credential_id=sent.id).first()
    accept(held, sent, challenge)
    return timezone.now()


def sign_in_with_passkey(*, challenge_id: UUID | None, answer: str, address: str) -> User:
    """
    Return the member of staff whose passkey answered. `address` is the client's network address.

    :raises ChallengeOver: if there is no such challenge, or it was answered or is over
    :raises PasskeyUnknown: if it is nobody's, or the account is closed
    :raises PasskeyCopied: if it counted back
    :raises StaffOnly: if its owner is no longer staff
    :raises NotAuthenticated: if anything else about the answer is wrong
    """
    challenge = use_up(challenge_id, Purpose.SIGN_IN, None)
    sent = readable(answer, parse_authentication_credential_json)
    held = Passkey.objects.select_related("user").filter(credential_id=sent.id, user__is_active=True).first()
    if held is not None and sent.response.user_handle != held.user_id.bytes:
        held = None
    passkey = accept(held, sent, challenge)
    if not passkey.user.is_staff:
        raise StaffOnly
    note_login(user=passkey.user, address=address)
    return passkey.user


@transaction.atomic
def remove_passkey(*, user_id: UUID, passkey_id: UUID, proven_at: float | None) -> User:
    """
    Remove one of somebody's passkeys and end every session of theirs; return the person, for the session that stays.

    :raises ProofTooOld: if they did not prove who they are lately
    :raises NotFound: if they have no such passkey
    :raises MayNotRemove: if it is their last factor and staff need one
    """
    second_factor.refuse_unless_recent(proven_at)
    load_user(user_id)
    passkey = Passkey.objects.filter(user_id=user_id, pk=passkey_id).first()
    if passkey is None:
        raise NotFound("You have no such passkey.")
    refuse_last_factor(user_id)
    passkey.delete()
    tidy_after_removal(user_id)
    record_staff_action(actor_id=user_id, action="remove_passkey", object_type="passkey", object_id=passkey_id)
    news.factor_removed(user_id=user_id, factor=f"the passkey “{passkey.name}”")
    end_all_sessions(user_id=user_id, because="factor removed")
    return User.objects.get(pk=user_id)


def asking(allowed: list[PublicKeyCredentialDescriptor]) -> Any:
    """Return the options with which a browser asks for a passkey."""
    return webauthn.generate_authentication_options(
        rp_id=site().name,
        timeout=settings.PASSKEY_SECONDS * 1000,
        allow_credentials=allowed,
        user_verification=UserVerificationRequirement.REQUIRED,
    )


def keep(purpose: Purpose, options: Any, user_id: UUID | None) -> Challenge:
    """Keep what was asked until its answer comes."""
    held = PasskeyChallenge.objects.create(
        id=uuid4(),
        user_id=user_id,
        purpose=purpose,
        challenge=options.challenge,
        expires_at=Now() + timedelta(seconds=settings.PASSKEY_SECONDS),
    )
    return Challenge(held.pk, options_to_json_dict(options))


def use_up(challenge_id: UUID | None, purpose: Purpose, user_id: UUID | None) -> bytes:
    """
    Use a challenge up and return it: of many answers to one the database lets one through, right or wrong.

    :raises ChallengeOver: if there is no such challenge for this purpose and person, or it was answered or is over
    """
    theirs = Q(user__isnull=True) if user_id is None else Q(user=user_id)
    live = PasskeyChallenge.objects.filter(theirs, purpose=purpose, used_at__isnull=True, expires_at__gt=Now())
    if challenge_id is None or not live.filter(pk=challenge_id).update(used_at=Now()):
        raise ChallengeOver
    return bytes(PasskeyChallenge.objects.values_list("challenge", flat=True).get(pk=challenge_id))


def readable(answer: str, parse: Callable[[str], Sent]) -> Sent:
    """
    Return what a browser sent.

    :raises BadAnswer: if it can not be read
    """
    if len(answer) > LONGEST_ANSWER or "\0" in answer:
        raise BadAnswer
    try:
        return parse(answer)
    except UNREADABLE as error:
        log.info("accounts.passkey_unreadable", problem=str(error))
        raise BadAnswer from error


def read(library: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """
    Call the library and return what it found.

    :raises PasskeyRefused: if it refuses what it was given
    """
    try:
        return library(*given, **named)
    except UNREADABLE as error:
        log.info("accounts.passkey_refused", problem=str(error))
        raise PasskeyRefused from error


def look(client_data: bytes, device_data: AuthenticatorData) -> None:
    """
    Find what a person can put right, before the library looks at the whole.

    :raises WrongSite: if the browser was at another address, or inside another site's page
    :raises NotUnlocked: if the device did not ask for finger, face or PIN
    """
    browser = read(parse_client_data_json, client_data)
    if browser.origin != site().origin or browser.cross_origin:
        raise WrongSite
    if not device_data.flags.uv:
        raise NotUnlocked


def accept(held: Passkey | None, sent: AuthenticationCredential, challenge: bytes) -> Passkey:
    """
    Check an answer against the passkey it names, count it, and return the passkey.

    :raises PasskeyUnknown: if there is none
    :raises PasskeyCopied: if it counted back
    :raises NotAuthenticated: if anything else is wrong
    """
    if held is None:
        raise PasskeyUnknown
    look(sent.response.client_data_json, read(parse_authenticator_data, sent.response.authenticator_data))
    proven = read(
        webauthn.verify_authentication_response,
        credential=sent,
        expected_challenge=challenge,
        expected_rp_id=site().name,
        expected_origin=site().origin,
        credential_public_key=bytes(held.public_key),
        credential_current_sign_count=0,  # compared below, when the signature is known to be the device's
        require_user_verification=True,
    )
    count = proven.new_sign_count
    onward = Q(sign_count__lt=count) if count else Q(sign_count=0)
    used = {"sign_count": count, "last_used_at": Now(), "synced": proven.credential_backed_up}
    if not Passkey.objects.filter(onward, pk=held.pk).update(**used):
        refuse_copy(held, count)
        raise PasskeyCopied
    return held


@transaction.atomic
def refuse_copy(held: Passkey, count: int) -> None:
    """Write down that a passkey counted back, which two devices with the same key do, and tell its owner."""
    Passkey.objects.filter(pk=held.pk).update(copied_at=Now())
    record_staff_action(
        actor_id=held.user_id,
        action="refuse_passkey",
        object_type="passkey",
        object_id=held.pk,
        before={"sign_count": held.sign_count},
        after={"sign_count": count},
    )
    news.passkey_copied(user_id=held.user_id, name=held.name)
    log.warning("accounts.passkey_counted_back", passkey=str(held.pk), user=str(held.user_id))


def described(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    """Return how a browser is told of a passkey."""
    known = {one.value for one in AuthenticatorTransport}
    ways = [AuthenticatorTransport(one) for one in passkey.transports if one in known]
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.credential_id), transports=ways or None)
