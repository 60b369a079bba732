"""Passkeys of staff: added, proven, used alone, removed; and every way in which an answer can be wrong, copied or late."""

import json
import subprocess
import sys
from datetime import timedelta
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from accounts import relying_party, second_factor, services
from accounts.models import Notification, Passkey, PasskeyChallenge, RecoveryCode, StaffAction, TokenFamily
from accounts.relying_party import NoName
from accounts.second_factor import ProofTooOld
from accounts.services import passkeys
from accounts.services.mfa import MayNotRemove, WrongCode
from accounts.services.passkeys import (
    BadAnswer,
    ChallengeOver,
    NotUnlocked,
    PasskeyCopied,
    PasskeyKnown,
    PasskeyRefused,
    PasskeyUnknown,
    TooManyPasskeys,
    WrongSite,
)
from accounts.services.sessions import StaffOnly
from accounts.tasks import forget_tokens
from common.errors import NotFound
from tests.accounts.device import Device, text
from tests.races import errors, race, results

PASSWORD = "velvet-otter-91"
PROVE, SET_UP = "/staff/second-factor", "/staff/second-factor/set-up"
CHALLENGE, ADD, ANSWER = "/staff/passkeys/challenge", "/staff/passkeys/add", "/staff/passkeys/prove"
SIGN_IN, REMOVE = "/staff/passkeys/sign-in", "/staff/passkeys/remove"

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(user_factory):
    return user_factory(email="staff@example.com", password=PASSWORD, is_staff=True)


def now():
    return timezone.now().timestamp()


def device(**how):
    return Device(settings.SITE_URL, **how)


def register(user, held=None, name="Laptop", **wrong):
    """Add a passkey, and return its device with the recovery codes that came along."""
    held = held or device()
    asked = passkeys.begin_adding(user_id=user.pk, proven_at=now())
    codes = passkeys.add_passkey(
        user_id=user.pk,
        challenge_id=asked.id,
        answer=held.make(asked.options, **wrong),
        name=name,
        proven_at=now(),
    )
    return held, codes


def prove(user, held, **wrong):
    asked = passkeys.begin_proving(user_id=user.pk)
    return passkeys.prove_with_passkey(
        user_id=user.pk, challenge_id=asked.id, answer=held.answer(asked.options, **wrong)
    )


def sign_in(held, **wrong):
    asked = passkeys.begin_signing_in()
    return passkeys.sign_in_with_passkey(
        challenge_id=asked.id, answer=held.answer(asked.options, **wrong), address="127.0.0.1"
    )


# -- What works -------------------------------------------------------------------------------------------------------


def test_options_ask_for_a_passkey_that_is_unlocked_and_found_by_the_device(staff):
    register(staff)

    options = passkeys.begin_adding(user_id=staff.pk, proven_at=now()).options

    chosen = options["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required", "required")
    assert options["rp"] == {"name": "Fairseat", "id": "localhost"}
    assert options["user"]["id"] == text(staff.pk.bytes)
    assert [one["id"] for one in options["excludeCredentials"]] == [Passkey.objects.get().credential_id]
    assert len(PasskeyChallenge.objects.last().challenge) == 64


def test_first_passkey_comes_with_recovery_codes_and_further_ones_without(staff):
    _, codes = register(staff, name="  Work   laptop ")
    _, none = register(staff, name="")

    assert (len(codes), none) == (10, [])
    assert [one.name for one in passkeys.passkeys_of(staff.pk)] == ["Work laptop", "Passkey 2"]
    assert Passkey.objects.first().transports == ["internal"]
    assert StaffAction.objects.filter(action="add_passkey").count() == 2
    assert Notification.objects.filter(user=staff, kind="factor_added").count() == 2
    services.check_code(user_id=staff.pk, code=codes[0])
    with pytest.raises(WrongCode):
        services.check_code(user_id=staff.pk, code="000000")


def test_passkey_proves_the_second_factor_and_counts(staff):
    held, _ = register(staff, device(count=7))

    at = prove(staff, held)

    kept = Passkey.objects.get()
    assert (kept.sign_count, kept.copied_at) == (8, None)
    assert kept.last_used_at is not None
    assert at <= timezone.now()


def test_passkey_of_a_device_that_counts_nothing_works_again_and_again(staff):
    held, _ = register(staff, device(step=0, synced=True))

    prove(staff, held)
    prove(staff, held)

    assert (Passkey.objects.get().sign_count, Passkey.objects.get().synced) == (0, True)


def test_passkey_alone_says_who_it_is(staff, user_factory):
    held, _ = register(staff)
    register(user_factory(is_staff=True))

    assert sign_in(held) == staff
    staff.refresh_from_db()
    assert staff.last_login is not None


def test_passkey_counts_as_second_factor_everywhere(staff, api, settings):
    _, codes = register(staff)
    assert second_factor.is_enrolled(staff)
    login = {"email": staff.email, "password": PASSWORD}

    assert api.post("/api/v1/auth/admin-login", login).body["code"] == "mfa_required"
    assert api.post("/api/v1/auth/admin-login", login | {"otp": codes[0]}).status == 200
    token = api.post("/api/v1/auth/login", login).body["data"]["access"]
    assert api.with_token(token).get("/api/v1/users").body["code"] == "mfa_required"


# -- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"origin": "https://fairseat.evil.example"}, WrongSite),
        ({"origin": "http://localhost:1"}, WrongSite),
        ({"framed": True}, WrongSite),
        ({"site": "evil.example"}, PasskeyRefused),
        ({"challenge": text(b"x" * 64)}, PasskeyRefused),
        ({"challenge": 7}, PasskeyRefused),
        ({"kind": "webauthn.create"}, PasskeyRefused),
        ({"signature": b"x" * 70}, PasskeyRefused),
        ({"signature": b""}, PasskeyRefused),
    ],
)
def test_wrong_answer_is_refused_and_uses_the_challenge_up(staff, wrong, refusal):
    held, _ = register(staff)
    asked = passkeys.begin_proving(user_id=staff.pk)

    with pytest.raises(refusal):
        passkeys.prove_with_passkey(user_id=staff.pk, challenge_id=asked.id, answer=held.answer(asked.options, **wrong))
    with pytest.raises(refusal):
        sign_in(held, **wrong)
    with pytest.raises(ChallengeOver):
        passkeys.prove_with_passkey(user_id=staff.pk, challenge_id=asked.id, answer=held.answer(asked.options))
    assert Passkey.objects.get().last_used_at is None
    prove(staff, held)


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"origin": "https://fairseat.evil.example"}, WrongSite),
        ({"site": "evil.example"}, PasskeyRefused),
        ({"challenge": text(b"x" * 64)}, PasskeyRefused),
        ({"kind": "webauthn.get"}, PasskeyRefused),
    ],
)
def test_passkey_made_wrongly_is_not_kept(staff, wrong, refusal):
    with pytest.raises(refusal):
        register(staff, **wrong)
    assert not Passkey.objects.exists()


def test_device_has_to_be_unlocked(staff):
    with pytest.raises(NotUnlocked):
        register(staff, device(unlocked=False))
    held, _ = register(staff)
    held.unlocked = False
    with pytest.raises(NotUnlocked):
        prove(staff, held)
    with pytest.raises(NotUnlocked):
        sign_in(held)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "{}",
        "null",
        "[1]",
        "{" * 500,
        "[" * 15_000,
        '{"id":"\0"}',
        json.dumps({"id": "x", "rawId": "x", "type": "public-key", "response": {}}),
        json.dumps({"id": "x", "rawId": "x", "type": "other", "response": {"clientDataJSON": "x"}}),
        "x" * 30_000,
    ],
    ids=lambda answer: answer[:12] or "nothing",
)
def test_what_can_not_be_read_is_refused(staff, answer):
    register(staff)
    for begin, finish in (
        (
            lambda: passkeys.begin_adding(user_id=staff.pk, proven_at=now()),
            lambda asked: passkeys.add_passkey(
                user_id=staff.pk, challenge_id=asked, answer=answer, name="", proven_at=now()
            ),
        ),
        (
            lambda: passkeys.begin_proving(user_id=staff.pk),
            lambda asked: passkeys.prove_with_passkey(user_id=staff.pk, challenge_id=asked, answer=answer),
        ),
        (
            passkeys.begin_signing_in,
            lambda asked: passkeys.sign_in_with_passkey(challenge_id=asked, answer=answer, address="127.0.0.1"),
        ),
    ):
        with pytest.raises(BadAnswer):
            finish(begin().id)


def test_every_changed_byte_of_an_answer_is_refused(staff):
    """What a device signs and says is taken apart by three readers; none of them falls over anything."""
    held, _ = register(staff)
    asked = passkeys.begin_proving(user_id=staff.pk)
    right = json.loads(held.answer(asked.options))
    for part in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        whole = right["response"][part]
        for place in range(0, len(whole), 5):
            PasskeyChallenge.objects.filter(pk=asked.id).update(used_at=None)
            changed = whole[:place] + ("A" if whole[place] != "A" else "B") + whole[place + 1 :]
            answer = json.dumps(right | {"response": right["response"] | {part: changed}})
            if part == "userHandle":
                with pytest.raises(ChallengeOver):  # a challenge to prove is none to sign in
                    passkeys.sign_in_with_passkey(challenge_id=asked.id, answer=answer, address="127.0.0.1")
                continue
            with pytest.raises((PasskeyRefused, WrongSite, NotUnlocked)):
                passkeys.prove_with_passkey(user_id=staff.pk, challenge_id=asked.id, answer=answer)


def test_every_changed_byte_of_a_new_passkey_is_refused_or_another_key(staff):
    asked = passkeys.begin_adding(user_id=staff.pk, proven_at=now())
    right = json.loads(device().make(asked.options))
    whole = right["response"]["attestationObject"]
    for place in range(0, len(whole), 3):
        PasskeyChallenge.objects.filter(pk=asked.id).update(used_at=None)
        changed = whole[:place] + ("A" if whole[place] != "A" else "B") + whole[place + 1 :]
        answer = json.dumps(right | {"response": right["response"] | {"attestationObject": changed}})
        try:
            passkeys.add_passkey(user_id=staff.pk, challenge_id=asked.id, answer=answer, name="", proven_at=now())
        except (PasskeyRefused, NotUnlocked):
            continue
        Passkey.objects.all().delete()


def test_passkey_of_somebody_else_proves_nothing(staff, user_factory):
    register(staff)
    other, _ = register(user_factory(is_staff=True))
    with pytest.raises(PasskeyUnknown):
        prove(staff, other)


def test_passkey_that_names_another_owner_signs_nobody_in(staff, user_factory):
    held, _ = register(staff)
    other = user_factory(is_staff=True)
    for owner in (text(other.pk.bytes), "", None):
        with pytest.raises(PasskeyUnknown):
            sign_in(held, owner=owner)


def test_unknown_passkey_signs_nobody_in(staff):
    stranger = device()
    stranger.owner = text(staff.pk.bytes)
    with pytest.raises(PasskeyUnknown):
        sign_in(stranger)


def test_closed_account_and_former_staff_do_not_sign_in(staff):
    held, _ = register(staff)
    type(staff).objects.filter(pk=staff.pk).update(is_staff=False)
    with pytest.raises(StaffOnly):
        sign_in(held)
    type(staff).objects.filter(pk=staff.pk).update(is_staff=True, is_active=False)
    with pytest.raises(PasskeyUnknown):
        sign_in(held)


def test_answer_counts_once(staff):
    held, _ = register(staff)
    asked = passkeys.begin_proving(user_id=staff.pk)
    answer = held.answer(asked.options)
    passkeys.prove_with_passkey(user_id=staff.pk, challenge_id=asked.id, answer=answer)

    with pytest.raises(ChallengeOver):
        passkeys.prove_with_passkey(user_id=staff.pk, challenge_id=asked.id, answer=answer)
    with pytest.raises(PasskeyRefused):  # an old answer to a new question
        passkeys.prove_with_passkey(
            user_id=staff.pk, challenge_id=passkeys.begin_proving(user_id=staff.pk).id, answer=answer
        )


def test_challenge_is_good_for_its_purpose_its_person_and_its_time(staff, user_factory):
    held, _ = register(staff)
    other = user_factory(is_staff=True)
    register(other)
    to_sign_in, theirs, late = (
        passkeys.begin_signing_in(),
        passkeys.begin_proving(user_id=other.pk),
        passkeys.begin_proving(user_id=staff.pk),
    )
    PasskeyChallenge.objects.filter(pk=late.id).update(expires_at=Now() - timedelta(seconds=1))

    for asked in (to_sign_in, theirs, late):
        with pytest.raises(ChallengeOver):
            passkeys.prove_with_passkey(user_id=staff.pk, challenge_id=asked.id, answer=held.answer(asked.options))
    for unknown in (None, uuid4()):
        with pytest.raises(ChallengeOver):
            passkeys.prove_with_passkey(user_id=staff.pk, challenge_id=unknown, answer=held.answer(late.options))


def test_passkey_that_counts_back_is_refused_written_down_and_told(staff):
    held, _ = register(staff)
    copy = held.copied()
    prove(staff, held)
    prove(staff, held)

    with pytest.raises(PasskeyCopied):
        prove(staff, copy)
    with pytest.raises(PasskeyCopied):
        sign_in(copy)  # at the very count that was used last

    kept = Passkey.objects.get()
    assert (kept.sign_count, kept.copied_at is not None) == (2, True)
    written = StaffAction.objects.filter(action="refuse_passkey").order_by("id")
    assert [(one.before, one.after) for one in written] == [
        ({"sign_count": 2}, {"sign_count": 1}),
        ({"sign_count": 2}, {"sign_count": 2}),
    ]
    assert Notification.objects.filter(user=staff, kind="passkey_copied").count() == 2


def test_forged_counter_accuses_nobody(staff):
    held, _ = register(staff)
    prove(staff, held)
    forged = held.copied()
    forged.count, forged.step = 0, 0

    with pytest.raises(PasskeyRefused):
        prove(staff, forged, signature=b"x" * 70)

    assert Passkey.objects.get().copied_at is None


@pytest.mark.django_db(transaction=True)
def test_of_two_answers_to_one_challenge_one_counts(user_factory):
    staff = user_factory(is_staff=True)
    held, _ = register(staff, device(step=0))
    asked = passkeys.begin_signing_in()
    answer = held.answer(asked.options)

    def answering():
        return passkeys.sign_in_with_passkey(challenge_id=asked.id, answer=answer, address="127.0.0.1")

    outcomes = race([answering] * 2, gate="accounts_passkeychallenge")

    assert len(results(outcomes)) == 1
    assert [type(error) for error in errors(outcomes)] == [ChallengeOver]


@pytest.mark.django_db(transaction=True)
def test_looking_whether_a_challenge_was_answered_and_writing_then_lets_two_in():
    asked = passkeys.begin_signing_in()

    def naive():
        held = PasskeyChallenge.objects.get(pk=asked.id)
        if held.used_at is not None:
            raise ChallengeOver
        held.used_at = timezone.now()
        held.save(update_fields=["used_at"])
        return True

    assert len(results(race([naive] * 2, gate="accounts_passkeychallenge"))) == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_who_remove_both_last_passkeys_one_is_refused(user_factory, settings):
    settings.STAFF_MFA = "required"
    staff = user_factory(is_staff=True)
    register(staff)
    register(staff)
    removals = [
        lambda one=one: passkeys.remove_passkey(user_id=staff.pk, passkey_id=one.pk, proven_at=now())
        for one in passkeys.passkeys_of(staff.pk)
    ]

    outcomes = race(removals, gate="accounts_user")

    assert [type(error) for error in errors(outcomes)] == [MayNotRemove]
    assert Passkey.objects.count() == 1


# -- Adding and removing ----------------------------------------------------------------------------------------------


def test_only_staff_who_proved_it_lately_add_passkeys(staff, user_factory):
    with pytest.raises(StaffOnly):
        passkeys.begin_adding(user_id=user_factory().pk, proven_at=now())
    for long_ago in (None, now() - 601):
        with pytest.raises(ProofTooOld):
            passkeys.begin_adding(user_id=staff.pk, proven_at=long_ago)
    asked = passkeys.begin_adding(user_id=staff.pk, proven_at=now())
    with pytest.raises(ProofTooOld):
        passkeys.add_passkey(
            user_id=staff.pk,
            challenge_id=asked.id,
            answer=device().make(asked.options),
            name="",
            proven_at=now() - 601,
        )


def test_passkey_is_registered_once(staff, user_factory):
    held, _ = register(staff)
    with pytest.raises(PasskeyKnown):
        register(user_factory(is_staff=True), held)
    with pytest.raises(IntegrityError, match="passkey_is_registered_once"):
        Passkey.objects.create(user=staff, name="x", credential_id=text(held.id), public_key=b"x")


def test_nobody_has_more_than_twenty(staff, monkeypatch):
    monkeypatch.setattr(passkeys, "MOST", 2)
    asked = passkeys.begin_adding(user_id=staff.pk, proven_at=now())
    register(staff)
    register(staff)
    with pytest.raises(TooManyPasskeys):
        passkeys.begin_adding(user_id=staff.pk, proven_at=now())
    with pytest.raises(TooManyPasskeys):
        passkeys.add_passkey(
            user_id=staff.pk,
            challenge_id=asked.id,
            answer=device().make(asked.options),
            name="",
            proven_at=now(),
        )


def test_removing_ends_every_session_and_tells(staff):
    register(staff)
    register(staff, name="Key")
    services.open_session(user=staff, second_factor_at=timezone.now())
    one = Passkey.objects.get(name="Key")

    with pytest.raises(ProofTooOld):
        passkeys.remove_passkey(user_id=staff.pk, passkey_id=one.pk, proven_at=now() - 601)
    passkeys.remove_passkey(user_id=staff.pk, passkey_id=one.pk, proven_at=now())

    assert TokenFamily.objects.get().revoked_because == "factor removed"
    assert Notification.objects.get(kind="factor_removed").context == {"factor": "the passkey “Key”"}
    assert StaffAction.objects.filter(action="remove_passkey", object_id=one.pk).exists()
    assert RecoveryCode.objects.count() == 10
    with pytest.raises(NotFound):
        passkeys.remove_passkey(user_id=staff.pk, passkey_id=one.pk, proven_at=now())


def test_last_factor_stays_where_one_is_required(staff, settings):
    register(staff)
    only = Passkey.objects.get()
    settings.STAFF_MFA = "required"
    with pytest.raises(MayNotRemove):
        passkeys.remove_passkey(user_id=staff.pk, passkey_id=only.pk, proven_at=now())

    settings.STAFF_MFA = "optional"
    passkeys.remove_passkey(user_id=staff.pk, passkey_id=only.pk, proven_at=now())
    assert (Passkey.objects.count(), RecoveryCode.objects.count()) == (0, 0)


def test_nobody_removes_a_passkey_of_somebody_else(staff, user_factory):
    register(staff)
    with pytest.raises(NotFound):
        passkeys.remove_passkey(
            user_id=user_factory(is_staff=True).pk, passkey_id=Passkey.objects.get().pk, proven_at=now()
        )


def test_reset_and_erasure_take_passkeys_along(staff, user_factory):
    other = user_factory(is_staff=True)
    register(staff)
    register(other)
    passkeys.begin_proving(user_id=staff.pk)
    passkeys.begin_proving(user_id=other.pk)

    call_command("reset_mfa", staff.email)
    services.erase_user(user_id=other.pk)

    assert not Passkey.objects.exists()
    assert not PasskeyChallenge.objects.exists()
    assert not RecoveryCode.objects.exists()


def test_old_challenges_are_forgotten(staff):
    register(staff)
    old = passkeys.begin_proving(user_id=staff.pk)
    PasskeyChallenge.objects.filter(pk=old.id).update(expires_at=Now() - timedelta(hours=3))
    fresh = passkeys.begin_proving(user_id=staff.pk)

    forget_tokens()

    kept = set(PasskeyChallenge.objects.values_list("pk", flat=True))
    assert (old.id in kept, fresh.id in kept) == (False, True)


@pytest.mark.parametrize(
    ("address", "name", "origin"),
    [
        ("http://localhost:8000", "localhost", "http://localhost:8000"),
        ("https://Tickets.Example", "tickets.example", "https://tickets.example"),
        ("https://tickets.example:443/shop", "tickets.example", "https://tickets.example"),
        ("https://tickets.example:8443", "tickets.example", "https://tickets.example:8443"),
    ],
)
def test_site_is_that_of_the_settings(settings, address, name, origin):
    settings.SITE_URL = address
    assert (relying_party.site().name, relying_party.site().origin) == (name, origin)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://[::1]:8000"])
def test_address_of_numbers_has_no_passkeys(staff, settings, address):
    settings.SITE_URL = address
    with pytest.raises(NoName):
        passkeys.begin_adding(user_id=staff.pk, proven_at=now())
    assert not relying_party.are_possible()
    assert Client().get(SIGN_IN).status_code == 404
    client = logged_in()
    client.post(SET_UP, {"password": PASSWORD})
    assert "passkeys need a name" in client.get(SET_UP).content.decode()


# -- Pages ------------------------------------------------------------------------------------------------------------


def logged_in():
    client = Client()
    client.post("/admin/login/", {"username": "staff@example.com", "password": PASSWORD, "next": "/admin/"})
    return client


def asked_by(client, purpose):
    reply = client.post(CHALLENGE, {"purpose": purpose})
    assert reply.status_code == 200, reply.content
    return reply.json()


def added_by(client, held, name="Laptop"):
    return client.post(ADD, {"answer": held.make(asked_by(client, "add")), "name": name})


def test_passkey_is_set_up_used_and_removed_by_pages(staff, settings):
    settings.STAFF_MFA = "required"
    client, held = logged_in(), device()
    assert client.post(CHALLENGE, {"purpose": "add"}).json()["code"] == "recent_proof_required"
    client.post(SET_UP, {"password": PASSWORD})

    page = added_by(client, held).content.decode()
    assert page.count("<code>") == 10
    assert client.get("/admin/").status_code == 200
    assert "Laptop" in client.get(SET_UP).content.decode()

    later = logged_in()
    assert later.get("/admin/bookings/booking/").headers["Location"].startswith(PROVE)
    answer = held.answer(asked_by(later, "prove"))
    before = later.session.session_key
    reply = later.post(ANSWER, {"answer": answer, "next": "/admin/bookings/booking/"})
    assert (reply.status_code, reply.headers["Location"]) == (302, "/admin/bookings/booking/")
    assert later.session.session_key != before
    assert later.get("/admin/bookings/booking/").status_code == 200

    only = Passkey.objects.get()
    assert "last one" in later.post(REMOVE, {"passkey": only.pk}).content.decode()
    settings.STAFF_MFA = "optional"
    assert later.post(REMOVE, {"passkey": "x"}).status_code == 404
    assert later.post(REMOVE, {"passkey": only.pk}).headers["Location"] == "/profile"
    assert later.get("/admin/").status_code == 200
    assert client.get("/admin/").headers["Location"].startswith("/admin/login/")


def test_passkey_alone_opens_the_staff_area(staff, user_factory):
    held, _ = register(staff)
    client = Client()

    answer = held.answer(asked_by(client, "sign_in"))
    before = client.session.session_key
    reply = client.post(SIGN_IN, {"answer": answer, "next": "//evil.example/"})

    assert (reply.status_code, reply.headers["Location"]) == (302, "/admin/")
    assert client.session.session_key != before
    assert client.get("/admin/").status_code == 200
    assert client.get(SET_UP).status_code == 200  # it was proven this moment


def test_another_browser_can_not_answer(staff):
    held, _ = register(staff)
    client, other = Client(), Client()
    answer = held.answer(asked_by(client, "sign_in"))

    reply = other.post(SIGN_IN, {"answer": answer})
    assert reply.status_code == 410
    assert "took too long" in reply.content.decode()
    assert client.post(SIGN_IN, {"answer": answer}).status_code == 302
    assert client.post(SIGN_IN, {"answer": answer}).status_code == 410


def test_passkey_of_another_person_in_the_browser_of_one_who_is_logged_in(staff, user_factory):
    """Whoever signs in with a passkey gets a session of their own; nothing of the one before goes along."""
    held, _ = register(staff)
    customer = user_factory(password=PASSWORD)
    client = Client()
    client.force_login(customer)
    session = client.session
    session["mine"] = "yes"
    session.save()

    client.post(SIGN_IN, {"answer": held.answer(asked_by(client, "sign_in"))})

    assert client.session["_auth_user_id"] == str(staff.pk)
    assert "mine" not in client.session


def test_wrong_answer_is_told_in_words(staff):
    held, _ = register(staff)
    client = logged_in()

    reply = client.post(ANSWER, {"answer": held.answer(asked_by(client, "prove"), origin="https://evil.example")})
    assert reply.status_code == 401
    assert f"Open {settings.SITE_URL}" in reply.content.decode()
    assert client.get("/admin/").status_code == 302
    reply = Client().post(SIGN_IN, {"answer": ""})
    assert reply.status_code == 410


@pytest.mark.parametrize("purpose", ["", "else", "prove", "add"])
def test_customers_get_no_challenges_but_to_sign_in(client_for, user_factory, purpose):
    client = client_for(user_factory())
    assert client.post(CHALLENGE, {"purpose": purpose}).status_code == 404
    for page in (ADD, ANSWER, REMOVE):
        assert client.post(page).status_code == 404
        assert Client().post(page).status_code == 302


def test_off_has_no_passkeys(staff, settings):
    held, _ = register(staff)
    client = Client()
    options = asked_by(client, "sign_in")
    settings.STAFF_MFA = "off"

    assert client.get(SIGN_IN).status_code == 404
    assert client.post(SIGN_IN, {"answer": held.answer(options)}).status_code == 404
    assert client.post(CHALLENGE, {"purpose": "sign_in"}).status_code == 404
    assert "passkey" not in client.get("/admin/login/").content.decode()


def test_challenges_are_limited(settings):
    client = Client()
    settings.THROTTLES = settings.THROTTLES | {"auth": ((2, 60), (2, 60), True)}

    answers = [client.post(CHALLENGE, {"purpose": "sign_in"}) for _ in range(3)]

    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[2].json()["code"] == "too_many_requests"


def test_challenge_needs_the_forms_token():
    assert Client(enforce_csrf_checks=True).post(CHALLENGE, {"purpose": "sign_in"}).status_code == 403


def test_workers_that_write_links_do_not_load_the_library():
    known = "from django.urls import reverse; reverse('home'); import sys; sys.exit('webauthn' in sys.modules)"

    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "--command", known], cwd=settings.BASE_DIR, check=False
    )

    assert said.returncode == 0
