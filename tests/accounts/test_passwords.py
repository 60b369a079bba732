"""Changing a password and resetting a forgotten one."""

from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.db.models.functions import Now

from accounts import services
from accounts.models import PasswordReset
from accounts.services import passwords
from accounts.services.passwords import ResetInvalid, WrongPassword
from accounts.services.rules import WeakPassword, fingerprint
from common.models import OutboxMessage
from tests.accounts.mailbox import mails_to, newest_mail_to, reset_token_for
from tests.races import errors, race, results

EMAIL = "ana@example.com"
PASSWORD = "velvet-otter-91"
NEW = "another-otter-92"
CHANGE = "/api/v1/auth/change-password"
RESET = "/api/v1/auth/password-reset"
CONFIRM = "/api/v1/auth/password-reset/confirm"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(user_factory):
    return user_factory(email=EMAIL, name="Ana", password=PASSWORD)


@pytest.mark.parametrize("name", ["currentPassword", "oldPassword", "current_password"])
def test_change_ends_every_session_but_the_new_one(api, ana, name):
    old = services.open_session(user=ana)

    status, body = api.with_token(old.access).put(CHANGE, {name: PASSWORD, "newPassword": NEW})

    assert status == 200
    assert api.with_token(old.access).get("/api/v1/auth/profile").status == 401
    assert api.post("/api/v1/auth/refresh", {"refresh": old.refresh}).status == 401
    assert api.with_token(body["data"]["access"]).get("/api/v1/auth/profile").status == 200
    assert api.post("/api/v1/auth/login/email", {"email": EMAIL, "password": PASSWORD}).status == 401
    assert api.post("/api/v1/auth/login/email", {"email": EMAIL, "password": NEW}).status == 200
    assert newest_mail_to(EMAIL).subject == "Your password was changed"


def test_change_needs_the_present_password(api, ana):
    status, body = api.as_user(ana).put(CHANGE, {"currentPassword": "wrong-otter-91", "newPassword": NEW})

    assert (status, body["code"]) == (400, "wrong_password")
    assert list(body["errors"]) == ["currentPassword"]
    assert api.as_user(ana).put(CHANGE, {"newPassword": NEW}).body["errors"] == {
        "currentPassword": ["This field is required."]
    }


def test_change_refuses_a_weak_password(ana):
    with pytest.raises(WeakPassword) as refusal:
        services.change_password(user_id=ana.pk, current_password=PASSWORD, new_password="12345678901")

    assert list(refusal.value.errors) == ["new_password"]
    with pytest.raises(WrongPassword):
        services.change_password(user_id=ana.pk, current_password="wrong-otter-91", new_password=NEW)


def test_reset_sets_a_new_password_once_and_logs_nobody_in(api, ana):
    old = services.open_session(user=ana)
    assert api.post(RESET, {"email": EMAIL}).status == 200
    token = reset_token_for(EMAIL)

    status, body = api.post(CONFIRM, {"token": token, "newPassword": NEW})

    assert (status, body["data"]) == (200, None)
    assert api.post("/api/v1/auth/refresh", {"refresh": old.refresh}).status == 401
    assert api.post("/api/v1/auth/login/email", {"email": EMAIL, "password": NEW}).status == 200
    again = api.post(CONFIRM, {"token": token, "newPassword": "third-otter-93"})
    assert (again.status, again.body["code"]) == (400, "reset_invalid")
    assert newest_mail_to(EMAIL).subject == "Your password was changed"


def test_reset_answers_the_same_for_an_unknown_address(api, ana, user_factory):
    user_factory(email="closed@example.com", password=PASSWORD, is_active=False)

    replies = [api.post(RESET, {"email": email}) for email in (EMAIL, "nobody@example.com", "closed@example.com")]

    assert all(reply == replies[0] for reply in replies)
    assert len(mails_to(EMAIL)) == 1
    assert mails_to("nobody@example.com") == mails_to("closed@example.com") == []


def test_reset_link_does_not_follow_the_host_header(api, ana, settings):
    api.post(RESET, {"email": EMAIL}, Host="localhost", X_Forwarded_Host="evil.example")

    assert f"\n{settings.SITE_URL}/reset/" in newest_mail_to(EMAIL).text


def test_reset_token_is_stored_nowhere_but_in_the_mail(ana):
    services.start_password_reset(email=EMAIL)
    token = reset_token_for(EMAIL)

    rows = str(list(OutboxMessage.objects.values()) + list(PasswordReset.objects.values()))

    assert token not in rows
    assert fingerprint(token) in rows


def test_reset_dies_with_its_time_by_the_databases_clock(ana):
    services.start_password_reset(email=EMAIL)
    token = reset_token_for(EMAIL)
    assert passwords.can_be_reset(token)
    PasswordReset.objects.update(expires_at=Now() - timedelta(seconds=1))

    assert not passwords.can_be_reset(token)
    with pytest.raises(ResetInvalid):
        services.finish_password_reset(token=token, new_password=NEW)


def test_weak_password_leaves_the_link_good(ana):
    services.start_password_reset(email=EMAIL)
    token = reset_token_for(EMAIL)
    with pytest.raises(WeakPassword):
        services.finish_password_reset(token=token, new_password="password")

    assert services.finish_password_reset(token=token, new_password=NEW).check_password(NEW)


def test_new_password_voids_every_other_link(settings, ana):
    settings.OTP_RESEND_SECONDS = 0
    services.start_password_reset(email=EMAIL)
    first = reset_token_for(EMAIL)
    services.start_password_reset(email=EMAIL)
    second = reset_token_for(EMAIL)
    assert first != second

    services.finish_password_reset(token=second, new_password=NEW)

    with pytest.raises(ResetInvalid):
        services.finish_password_reset(token=first, new_password="third-otter-93")


def test_closed_account_can_not_be_reset(ana):
    services.start_password_reset(email=EMAIL)
    token = reset_token_for(EMAIL)
    ana.is_active = False
    ana.save(update_fields=["is_active"])

    with pytest.raises(ResetInvalid):
        services.finish_password_reset(token=token, new_password=NEW)


def test_an_address_gets_one_link_a_minute_and_the_answer_stays_the_same(api, ana):
    replies = [api.post(RESET, {"email": EMAIL}) for _ in range(3)]

    assert {reply.status for reply in replies} == {200}
    assert len(mails_to(EMAIL)) == 1


@pytest.mark.parametrize("token", ["x", "a" * 43, "é", "' OR 1=1 --"])
def test_made_up_token_is_refused(api, token):
    assert api.post(CONFIRM, {"token": token, "newPassword": NEW}).status == 400


@pytest.mark.django_db(transaction=True)
def test_ten_uses_of_one_link_at_once_are_one(ana):
    services.start_password_reset(email=EMAIL)
    token = reset_token_for(EMAIL)

    outcomes = race(
        [lambda n=n: services.finish_password_reset(token=token, new_password=f"otter-number-{n}") for n in range(10)],
        gate="accounts_passwordreset",
    )

    assert len(results(outcomes)) == 1
    assert {type(error) for error in errors(outcomes)} == {ResetInvalid}


def test_token_without_an_owner_is_impossible():
    with pytest.raises(IntegrityError, match="password_reset_has_an_owner"):
        PasswordReset.objects.create(email=EMAIL, token_hash="x", expires_at=Now())


def test_passwords_are_argon2id_at_19_mib(ana):
    assert ana.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
