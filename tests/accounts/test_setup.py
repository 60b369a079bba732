"""The first administrator."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from accounts import services
from accounts.models import SetupToken, StaffAction, User
from accounts.services.setup import EmailTaken, SetupTokenInvalid
from tests.races import errors, race, results

REGISTER = "/api/v1/admin-public/register"
ADMIN = {
    "name": "Admin User",
    "email": "admin@example.com",
    "password": "SecurePass123",
    "passwordConfirm": "SecurePass123",
    "phone": "1234567890",
}

pytestmark = pytest.mark.django_db


def test_nobody_becomes_administrator_without_a_token(api):
    for body in (ADMIN, {}, ADMIN | {"setupToken": ""}, ADMIN | {"setupToken": "x" * 43}, ADMIN | {"setupToken": 7}):
        reply = api.post(REGISTER, body)

        assert (reply.status, reply.body["code"]) == (403, "setup_token_invalid")
    assert not User.objects.exists()


def test_operators_token_makes_one_administrator(api, capsys):
    call_command("create_setup_token")
    token = capsys.readouterr().out.strip()

    status, body = api.post(REGISTER, ADMIN | {"setupToken": token})

    assert status == 201
    assert body["data"]["user"]["isStaff"] is True
    admin = User.objects.get()
    assert (admin.is_staff, admin.is_superuser, admin.is_organiser) == (True, True, True)
    assert api.post(REGISTER, ADMIN | {"email": "two@example.com", "setupToken": token}).status == 403
    login = api.post("/api/v1/auth/admin-login", {"email": ADMIN["email"], "password": ADMIN["password"]})
    assert login.status == 200
    assert StaffAction.objects.get().action == "register_first_admin"


def test_setup_token_is_stored_as_a_fingerprint():
    token = services.create_setup_token()

    assert token not in str(SetupToken.objects.values())


def test_expired_setup_token_is_refused():
    token = services.create_setup_token()
    SetupToken.objects.update(expires_at=Now() - timedelta(seconds=1))

    with pytest.raises(SetupTokenInvalid):
        services.register_first_admin(setup_token=token, email="admin@example.com", password="SecurePass123")


def test_mistakes_do_not_use_the_token_up(api, user_factory):
    user_factory(email="admin@example.com")
    token = services.create_setup_token()

    assert api.post(REGISTER, ADMIN | {"setupToken": token, "passwordConfirm": "other"}).status == 400
    with pytest.raises(EmailTaken):
        services.register_first_admin(setup_token=token, email="admin@example.com", password="SecurePass123")

    assert services.register_first_admin(setup_token=token, email="root@example.com", password="SecurePass123")


@pytest.mark.django_db(transaction=True)
def test_ten_uses_of_one_setup_token_at_once_make_one_administrator():
    token = services.create_setup_token()

    outcomes = race(
        [
            lambda n=n: services.register_first_admin(
                setup_token=token, email=f"admin{n}@example.com", password="SecurePass123"
            )
            for n in range(10)
        ],
        gate="accounts_setuptoken",
    )

    assert len(results(outcomes)) == 1
    assert {type(error) for error in errors(outcomes)} == {SetupTokenInvalid}
    assert User.objects.count() == 1
