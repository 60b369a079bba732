"""Sign-up by a mailed code."""

import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from accounts import services
from accounts.models import SignupChallenge, User
from accounts.services import signup
from accounts.services.rules import BadEmail, WeakPassword
from accounts.services.signup import CodeExpired, CodeSentRecently, CodeTriesUsedUp, CodeWrong
from common import mail
from common.models import OutboxMessage
from tests.accounts.mailbox import code_for, mails_to, newest_mail_to, other_code
from tests.races import errors, race, results

EMAIL = "ana@example.com"
PASSWORD = "velvet-otter-91"
SIGNUP = "/api/v1/auth/signup/email"
VERIFY = "/api/v1/auth/verify-otp"
RESEND = "/api/v1/auth/resend-otp"

pytestmark = pytest.mark.django_db


def age(seconds: int, **which: object) -> None:
    """Make challenges look as if they had been asked for `seconds` earlier."""
    SignupChallenge.objects.filter(**which).update(created_at=Now() - timedelta(seconds=seconds))


def test_signup_opens_an_account_with_the_mailed_code(api):
    status, body = api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD, "name": "Ana", "phone": "+49 30 123"})
    assert status == 201
    assert body["data"]["email"] == EMAIL

    status, body = api.post(VERIFY, {"email": EMAIL, "otp": code_for(EMAIL)})

    assert status == 201
    user = User.objects.get(email=EMAIL)
    assert body["data"]["user"] == {
        "id": str(user.pk),
        "email": EMAIL,
        "name": "Ana",
        "phone": "+49 30 123",
        "isStaff": False,
        "isOrganiser": False,
        "createdAt": user.created_at.isoformat().replace("+00:00", "Z"),
    }
    assert api.with_token(body["data"]["access"]).get("/api/v1/auth/profile").body["data"]["id"] == str(user.pk)
    assert user.check_password(PASSWORD)
    assert newest_mail_to(EMAIL).subject == "Welcome to Fairseat"


def test_code_mail_has_text_and_html_and_names_nobody(api):
    api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD, "name": "Visit evil.example"})

    sent = newest_mail_to(EMAIL)

    code = code_for(EMAIL)
    assert sent.subject == "Your Fairseat code"
    assert code in sent.html
    assert "prefers-color-scheme:dark" in sent.html
    assert "evil" not in sent.text + sent.html


def test_answer_is_the_same_for_a_known_address(api, user_factory):
    user_factory(email=EMAIL, password=PASSWORD)

    known = api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD})
    unknown = api.post(SIGNUP, {"email": "new@example.com", "password": PASSWORD})

    assert known.status == unknown.status == 201
    assert known.body.keys() == unknown.body.keys()
    assert known.body["message"] == unknown.body["message"]
    assert known.body["data"].keys() == unknown.body["data"].keys()
    assert [sent.subject for sent in mails_to(EMAIL)] == ["You already have an account"]


def test_known_address_costs_the_same_statements_and_hashes(hashings, user_factory):
    user_factory(email=EMAIL, password=PASSWORD)

    def cost_of(email: str) -> tuple[list[str], int]:
        hashings.clear()
        with CaptureQueriesContext(connection) as captured:
            services.start_signup(email=email, password=PASSWORD)
        shapes = [re.sub(r"'[^']*'|\"s\d+_x\d+\"", "?", query["sql"]) for query in captured]
        return shapes, len(hashings)

    known, unknown = cost_of(EMAIL), cost_of("new@example.com")

    assert known == unknown
    assert known[1] == 1
    assert not any("accounts_user" in statement for statement in known[0])


def test_known_address_is_verified_by_no_code(user_factory):
    owner = user_factory(email=EMAIL, password=PASSWORD)
    services.start_signup(email=EMAIL, password="another-otter-92")
    mails_to(EMAIL)
    challenge = SignupChallenge.objects.get(email=EMAIL)

    with pytest.raises(CodeWrong):
        services.verify_code(email=EMAIL, code="000000")

    assert challenge.code_hash == ""
    assert challenge.sent_at is not None
    owner.refresh_from_db()
    assert owner.check_password(PASSWORD)


@pytest.mark.parametrize("spelling", ["Ana@Example.COM", " ana@example.com ", "ａｎａ@example.com", "ANA@EXAMPLE.com"])
def test_spellings_of_an_address_are_one_identity(spelling):
    services.start_signup(email=spelling, password=PASSWORD)

    user = services.verify_code(email=EMAIL, code=code_for(EMAIL))

    assert user.email == EMAIL


def test_international_domain_is_stored_in_ascii():
    services.start_signup(email="Ana@Bücher.example", password=PASSWORD)

    user = services.verify_code(email="ana@bücher.example", code=code_for("ana@xn--bcher-kva.example"))

    assert user.email == "ana@xn--bcher-kva.example"
    assert User.objects.get_by_natural_key("ana@BÜCHER.example") == user


@pytest.mark.parametrize(
    "email", ["", "ana", "ana@", "@example.com", "a b@example.com", "аna@example.com", f"{'a' * 250}@example.com"]
)
def test_what_is_no_address_is_refused(email):
    with pytest.raises(BadEmail):
        services.start_signup(email=email, password=PASSWORD)


@pytest.mark.parametrize("password", ["short1", "password1234", "1234567890123", "ana@example.com", "x" * 257])
def test_weak_password_is_refused(password):
    with pytest.raises(WeakPassword) as refusal:
        services.start_signup(email=EMAIL, password=password)

    assert refusal.value.errors["password"]


def test_code_is_stored_nowhere_but_in_the_mail():
    services.start_signup(email=EMAIL, password=PASSWORD)
    before = json.dumps([row.payload for row in OutboxMessage.objects.all()])

    code = code_for(EMAIL)

    challenge = SignupChallenge.objects.get()
    rows = json.dumps([[row.payload, row.last_error, row.dedupe_key] for row in OutboxMessage.objects.all()])
    assert code not in before
    assert code not in rows
    assert code not in json.dumps(list(SignupChallenge.objects.values()), default=str)
    assert len(challenge.code_hash) == 64
    assert PASSWORD not in challenge.password


def test_code_is_not_logged(caplog, capsys):
    services.start_signup(email=EMAIL, password=PASSWORD)
    code = code_for(EMAIL)
    services.verify_code(email=EMAIL, code=code)

    out, err = capsys.readouterr()

    assert code not in caplog.text + out + err


def test_five_wrong_codes_kill_the_challenge(api):
    api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD})
    code = code_for(EMAIL)

    wrong = [api.post(VERIFY, {"email": EMAIL, "otp": other_code(code)}) for _ in range(5)]
    after = api.post(VERIFY, {"email": EMAIL, "otp": other_code(code)})
    right = api.post(VERIFY, {"email": EMAIL, "otp": code})

    assert [(reply.status, reply.body["code"], reply.body["triesLeft"]) for reply in wrong] == [
        (400, "code_wrong", left) for left in (4, 3, 2, 1, 0)
    ]
    assert (after.status, after.body["code"]) == (429, "code_tries_used_up")
    assert right == after
    assert not User.objects.exists()


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "12 34 5"])
def test_what_is_no_code_costs_no_try(code):
    services.start_signup(email=EMAIL, password=PASSWORD)

    with pytest.raises(CodeWrong):
        services.verify_code(email=EMAIL, code=code)

    assert SignupChallenge.objects.get().tries == 0


def test_code_with_a_gap_is_read():
    services.start_signup(email=EMAIL, password=PASSWORD)
    code = code_for(EMAIL)

    assert services.verify_code(email=EMAIL, code=f" {code[:3]} {code[3:]} ").email == EMAIL


def test_used_code_is_dead():
    services.start_signup(email=EMAIL, password=PASSWORD)
    code = code_for(EMAIL)
    services.verify_code(email=EMAIL, code=code)

    with pytest.raises(CodeExpired):
        services.verify_code(email=EMAIL, code=code)

    challenge = SignupChallenge.objects.get()
    assert (challenge.password, challenge.code_hash, challenge.name) == ("", "", "")


def test_code_of_another_address_is_wrong():
    services.start_signup(email=EMAIL, password=PASSWORD)
    services.start_signup(email="ben@example.com", password=PASSWORD)
    code, others = code_for(EMAIL), code_for("ben@example.com")
    assert code != others

    with pytest.raises(CodeWrong):
        services.verify_code(email=EMAIL, code=others)


def test_new_code_kills_the_old_one(api):
    signup_id = api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD}).body["data"]["signupId"]
    old = code_for(EMAIL)
    age(61)

    assert api.post(RESEND, {"email": EMAIL}).status == 200
    new = code_for(EMAIL)

    assert new != old
    assert api.post(VERIFY, {"email": EMAIL, "otp": old}).body["code"] == "code_wrong"
    assert api.post(VERIFY, {"email": EMAIL, "otp": new, "signupId": signup_id}).status == 201
    assert User.objects.get().check_password(PASSWORD)


def test_new_code_has_all_its_tries():
    services.start_signup(email=EMAIL, password=PASSWORD)
    code = code_for(EMAIL)
    for _ in range(5):
        with pytest.raises(CodeWrong):
            services.verify_code(email=EMAIL, code=other_code(code))
    age(61)

    services.resend_code(email=EMAIL)

    assert services.verify_code(email=EMAIL, code=code_for(EMAIL)).email == EMAIL


def test_resend_waits_a_minute(api):
    api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD})

    status, body = api.post(RESEND, {"email": EMAIL})

    assert (status, body["code"]) == (429, "code_sent_recently")
    assert 55 <= int(api.last.headers["Retry-After"]) <= 60
    assert len(mails_to(EMAIL)) == 1


def test_resend_without_a_signup_answers_the_same(api):
    status, body = api.post(RESEND, {"email": "nobody@example.com"})

    assert status == 200
    assert body["message"] == "If a sign-up waits for this address, a new code is on its way."
    assert not OutboxMessage.objects.exists()


def test_an_address_gets_five_mails_an_hour(settings):
    settings.OTP_RESEND_SECONDS = 0
    services.start_signup(email=EMAIL, password=PASSWORD)
    for _ in range(4):
        services.resend_code(email=EMAIL)

    with pytest.raises(CodeSentRecently) as refusal:
        services.resend_code(email=EMAIL)
    with pytest.raises(CodeSentRecently):
        services.start_signup(email=EMAIL, password="another-otter-92")
    services.start_signup(email="ben@example.com", password=PASSWORD)

    assert 3590 <= refusal.value.retry_after <= 3600
    age(3601, email=EMAIL, superseded_at__isnull=False)
    services.resend_code(email=EMAIL)


def test_the_same_signup_twice_is_one():
    first = services.start_signup(email=EMAIL, password=PASSWORD)

    assert services.start_signup(email=EMAIL, password=PASSWORD) == first
    assert len(mails_to(EMAIL)) == 1


def test_another_signup_of_the_address_must_wait_and_then_replaces_the_first():
    first = services.start_signup(email=EMAIL, password=PASSWORD)
    old = code_for(EMAIL)
    with pytest.raises(CodeSentRecently):
        services.start_signup(email=EMAIL, password="another-otter-92")
    age(61)

    second = services.start_signup(email=EMAIL, password="another-otter-92")

    assert first != second
    with pytest.raises(CodeWrong):
        services.verify_code(email=EMAIL, code=old)
    assert services.verify_code(email=EMAIL, code=code_for(EMAIL)).check_password("another-otter-92")


def test_signup_id_keeps_a_stranger_from_choosing_the_password():
    mine = services.start_signup(email=EMAIL, password=PASSWORD)
    age(61)
    services.start_signup(email=EMAIL, password="strangers-otter-3")

    with pytest.raises(CodeExpired):
        services.verify_code(email=EMAIL, code=code_for(EMAIL), signup_id=mine)

    assert not User.objects.exists()


def test_signup_again_after_success_answers_at_once(api):
    api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD})
    api.post(VERIFY, {"email": EMAIL, "otp": code_for(EMAIL)})

    assert api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD}).status == 201
    assert newest_mail_to(EMAIL).subject == "You already have an account"


def test_code_dies_after_its_time_by_the_databases_clock():
    services.start_signup(email=EMAIL, password=PASSWORD)
    code = code_for(EMAIL)
    SignupChallenge.objects.update(expires_at=Now() - timedelta(seconds=1))

    with pytest.raises(CodeExpired):
        services.verify_code(email=EMAIL, code=code)


def test_codes_time_is_five_minutes_from_the_mail():
    services.start_signup(email=EMAIL, password=PASSWORD)
    SignupChallenge.objects.update(expires_at=Now() - timedelta(hours=3), created_at=Now() - timedelta(hours=3))

    code = code_for(EMAIL)

    challenge = SignupChallenge.objects.get()
    assert (challenge.expires_at - challenge.sent_at).total_seconds() == 300
    assert services.verify_code(email=EMAIL, code=code).email == EMAIL


def test_retried_mail_carries_a_fresh_code_under_a_new_message_id(monkeypatch):
    services.start_signup(email=EMAIL, password=PASSWORD)
    challenge = SignupChallenge.objects.get()
    keys = []
    compose = mail.compose

    def noting(**arguments):
        keys.append(arguments["dedupe_key"])
        return compose(**arguments)

    monkeypatch.setattr(mail, "compose", noting)
    signup.send_signup_mail(challenge_id=challenge.pk)
    first = SignupChallenge.objects.get().code_hash
    signup.send_signup_mail(challenge_id=challenge.pk)

    assert SignupChallenge.objects.get().code_hash != first
    assert len(set(keys)) == 2


def test_nothing_is_mailed_for_a_replaced_signup():
    services.start_signup(email=EMAIL, password=PASSWORD)
    age(61)
    services.resend_code(email=EMAIL)

    mails_to(EMAIL)

    assert len(mails_to(EMAIL)) == 1
    assert OutboxMessage.objects.filter(done_at__isnull=True).count() == 0


def test_code_of_the_previous_secret_still_works(settings):
    services.start_signup(email=EMAIL, password=PASSWORD)
    code = code_for(EMAIL)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a-new-secret-of-fifty-characters-or-more-0123456789"

    assert services.verify_code(email=EMAIL, code=code).email == EMAIL


def test_account_made_meanwhile_is_not_overwritten(user_factory):
    services.start_signup(email=EMAIL, password=PASSWORD)
    code = code_for(EMAIL)
    owner = user_factory(email=EMAIL, password="owners-otter-77")

    with pytest.raises(CodeExpired):
        services.verify_code(email=EMAIL, code=code)

    owner.refresh_from_db()
    assert owner.check_password("owners-otter-77")


@pytest.mark.parametrize(
    ("field", "value"),
    [("isStaff", True), ("role", "admin"), ("is_superuser", True), ("isOrganiser", True), ("id", "1")],
)
def test_privileges_can_not_be_signed_up_for(api, field, value):
    status, body = api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD, field: value})

    assert (status, body["code"]) == (400, "protected_field")
    assert not SignupChallenge.objects.exists()


@pytest.mark.parametrize("body", [{}, {"email": EMAIL}, {"password": PASSWORD}, {"email": 7, "password": []}])
def test_incomplete_signup_names_its_fields(api, body):
    status, answer = api.post(SIGNUP, body)

    assert (status, answer["code"]) == (400, "invalid")
    assert answer["errors"]


def test_redis_away_means_no_signup_rather_than_unlimited_ones(api, monkeypatch):
    from redis.exceptions import ConnectionError as RedisAway

    from common import ratelimit

    def away(*_, **__):
        raise RedisAway("away")

    monkeypatch.setattr(ratelimit, "take", away)

    assert api.post(SIGNUP, {"email": EMAIL, "password": PASSWORD}).status == 503


# -- Races ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_twenty_right_codes_at_once_open_one_account(api):
    services.start_signup(email=EMAIL, password=PASSWORD)
    code = code_for(EMAIL)

    outcomes = race(
        [lambda: api.with_token("").post(VERIFY, {"email": EMAIL, "otp": code}).status] * 20,
        gate="accounts_signupchallenge",
    )

    assert sorted(results(outcomes)) == [201] + [400] * 19
    assert User.objects.filter(email=EMAIL).count() == 1


@pytest.mark.django_db(transaction=True)
def test_fifty_wrong_codes_at_once_are_compared_five_times(monkeypatch):
    services.start_signup(email=EMAIL, password=PASSWORD)
    wrong = other_code(code_for(EMAIL))
    compared = []
    is_code_of = signup.is_code_of
    monkeypatch.setattr(signup, "is_code_of", lambda *given: compared.append(given) or is_code_of(*given))

    outcomes = race(
        [lambda: services.verify_code(email=EMAIL, code=wrong)] * 50, gate="accounts_signupchallenge", seconds=60
    )

    assert len(compared) == 5
    refusals = [type(error) for error in errors(outcomes)]
    assert refusals.count(CodeWrong) == 5
    assert refusals.count(CodeTriesUsedUp) == 45


def naive_verify(email: str, code: str, compared: list[str]) -> None:
    """What a counter that is read, checked and written back would do."""
    challenge = SignupChallenge.objects.get(email=email)
    if challenge.tries >= 5:
        raise CodeTriesUsedUp
    compared.append(code)
    challenge.tries += 1
    challenge.save(update_fields=["tries"])


@pytest.mark.django_db(transaction=True)
def test_control_a_naive_counter_compares_more_than_five():
    services.start_signup(email=EMAIL, password=PASSWORD)
    compared: list[str] = []

    race([lambda: naive_verify(EMAIL, "000000", compared)] * 20, gate="accounts_signupchallenge")

    assert len(compared) == 20


@pytest.mark.django_db(transaction=True)
def test_two_signups_of_one_address_at_once_send_one_mail_and_make_one_account():
    outcomes = race(
        [
            lambda p=password: services.start_signup(email=EMAIL, password=p)
            for password in (PASSWORD, "other-otter-44")
        ],
        gate="accounts_signupchallenge",
    )

    assert len(results(outcomes)) == 1
    assert [type(error) for error in errors(outcomes)] == [CodeSentRecently]
    assert len(mails_to(EMAIL)) == 1
    services.verify_code(email=EMAIL, code=code_for(EMAIL))
    assert User.objects.filter(email=EMAIL).count() == 1


@pytest.mark.django_db(transaction=True)
def test_ten_resends_at_once_send_one_mail():
    services.start_signup(email=EMAIL, password=PASSWORD)
    code_for(EMAIL)
    age(61)

    outcomes = race([lambda: services.resend_code(email=EMAIL)] * 10, gate="accounts_signupchallenge")

    assert len(results(outcomes)) == 1
    assert {type(error) for error in errors(outcomes)} == {CodeSentRecently}
    assert len(mails_to(EMAIL)) == 2


# -- Constraints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({}, "signup_has_one_live_code"),
        ({"used_at": Now(), "superseded_at": Now()}, "signup_is_used_or_superseded"),
    ],
)
def test_database_refuses_impossible_challenges(changes, constraint):
    from django.db import IntegrityError

    services.start_signup(email=EMAIL, password=PASSWORD)

    with pytest.raises(IntegrityError, match=constraint):
        SignupChallenge.objects.create(
            signup_id=uuid4(), email=EMAIL, password=make_password(None), expires_at=Now(), **changes
        )
