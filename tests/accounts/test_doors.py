"""The admin's doors: its log-in, what staff see and do there."""

import re
from urllib.parse import urlencode

import pytest
from django.contrib.auth import authenticate
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts import limits
from accounts.models import StaffAction, User
from accounts.roles import role_of
from common.errors import Unavailable
from tests.accounts.mailbox import mails_to

PASSWORD = "velvet-otter-91"
LOGIN = "/admin/login/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(user_factory):
    return user_factory(email="staff@example.com", password=PASSWORD, is_staff=True)


@pytest.fixture
def administrator(user_factory):
    return user_factory(email="root@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def ana(user_factory):
    return user_factory(email="ana@example.com", name="Ana", password=PASSWORD)


def test_staff_log_in_to_the_admin(staff):
    reply = Client().post(LOGIN, {"username": " STAFF@example.com", "password": PASSWORD, "next": "/admin/"})

    assert (reply.status_code, reply.headers["Location"]) == (302, "/admin/")


def test_staff_who_asked_for_no_page_come_to_the_admin(staff):
    page = Client().get(LOGIN).content.decode()
    action = re.search(r'<form action="([^"]+)" method="post" id="login-form"', page).group(1)

    reply = Client().post(action, {"username": staff.email, "password": PASSWORD})

    assert reply.headers["Location"] == "/admin/"


@pytest.mark.parametrize(
    "onward", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_log_in_leads_nowhere_else(staff, onward):
    page = Client().get(LOGIN, {"next": onward}).content.decode()
    assert "evil" not in re.search(r'<form action="([^"]+)" method="post" id="login-form"', page).group(1)

    reply = Client().post(f"{LOGIN}?{urlencode({'next': onward})}", {"username": staff.email, "password": PASSWORD})
    assert reply.headers["Location"].startswith("/") and "evil" not in reply.headers["Location"]


def test_log_in_begins_a_new_session(staff):
    client = Client()
    client.get(LOGIN)
    session = client.session
    session["planted"] = "yes"
    session.save()
    before = session.session_key

    client.post(LOGIN, {"username": staff.email, "password": PASSWORD})

    assert client.session.session_key != before


def test_customers_do_not(ana):
    assert Client().post(LOGIN, {"username": ana.email, "password": PASSWORD}).status_code == 200


def test_admin_login_obeys_the_rate_limit_of_the_address(settings, staff):
    settings.THROTTLES = settings.THROTTLES | {"auth": ((3, 60), (3, 60), True)}
    client = Client()

    replies = [client.post(LOGIN, {"username": staff.email, "password": "wrong-otter"}) for _ in range(4)]

    assert [reply.status_code for reply in replies] == [200, 200, 200, 429]
    assert 1 <= int(replies[3].headers["Retry-After"]) <= 60
    assert client.get(LOGIN).status_code == 200


def test_admin_login_obeys_the_limit_of_the_account(settings, staff):
    settings.LOGIN_TRIES = 2
    client = Client()

    replies = [client.post(LOGIN, {"username": staff.email, "password": "wrong-otter"}) for _ in range(3)]

    assert [reply.status_code for reply in replies] == [200, 200, 429]


def test_admin_login_is_closed_while_redis_is_away(staff, monkeypatch):
    from redis.exceptions import ConnectionError as RedisAway

    from common import ratelimit

    def away(*_, **__):
        raise RedisAway("away")

    monkeypatch.setattr(ratelimit, "take", away)

    assert Client().post(LOGIN, {"username": staff.email, "password": PASSWORD}).status_code == 503


def test_page_limit_counts_people_before_addresses(settings, ana, user_factory):
    settings.THROTTLES = settings.THROTTLES | {"auth": ((2, 60), (5, 60), True)}

    def knock(user: User) -> None:
        request = RequestFactory().post("/login")
        request.user = user
        limits.check(request)

    for _ in range(2):
        knock(ana)
    with pytest.raises(limits.TooManyRequests) as refusal:
        knock(ana)
    knock(user_factory())

    assert refusal.value.retry_after >= 1


def test_loose_scope_lets_through_while_redis_is_away(monkeypatch):
    from redis.exceptions import ConnectionError as RedisAway

    from common import ratelimit

    def away(*_, **__):
        raise RedisAway("away")

    monkeypatch.setattr(ratelimit, "take", away)
    request = RequestFactory().post("/")

    limits.check(request, scope="read")
    with pytest.raises(Unavailable):
        limits.check(request, scope="auth")


def test_authenticate_follows_the_services(ana):
    assert authenticate(None, username=ana.email, password=PASSWORD) == ana
    assert authenticate(None, email=ana.email, password=PASSWORD) == ana
    assert authenticate(None, username=ana.email, password="wrong-otter") is None
    assert authenticate(None, username=ana.email) is None


@pytest.mark.parametrize(
    ("permission", "right"),
    [
        ("bookings.view_booking", True),
        ("bookings.change_booking", True),
        ("bookings.delete_booking", False),
        ("bookings.exceed_capacity", False),
    ],
)
def test_being_staff_is_the_right_to_see_and_act(staff, ana, permission, right):
    assert staff.has_perm(permission) is right
    assert not ana.has_perm(permission)
    staff.is_active = False
    assert not staff.has_perm(permission)


MODELS = ["user", "signupchallenge", "tokenfamily", "passwordreset", "setuptoken", "staffaction"]


@pytest.mark.parametrize("model", MODELS)
def test_staff_see_lists_without_secrets_and_change_nothing(client_for, staff, ana, model):
    from accounts import services

    services.open_session(user=ana)
    services.start_signup(email="new@example.com", password=PASSWORD)
    services.start_password_reset(email=ana.email)
    services.create_setup_token()
    services.update_user(actor=staff, user_id=ana.pk, is_organiser=True)
    mails_to(ana.email)
    client = client_for(staff)
    page = client.get(reverse(f"admin:accounts_{model}_changelist"))
    assert page.status_code == 200
    row = re.search(rf'href="(/admin/accounts/{model}/[^"]+/change/)', page.content.decode()).group(1)

    detail = client.get(row)

    assert detail.status_code == 200
    for secret in ("argon2", "code_hash", "token_hash", 'name="_save"', 'type="password"'):
        assert secret not in page.content.decode() + detail.content.decode()
    assert client.get(reverse(f"admin:accounts_{model}_add")).status_code == 403


def act(client: Client, action: str, user: User, **fields: str):
    """Send an action's dialog about a person."""
    path = reverse(f"admin:accounts_user_{action}", args=[user.pk])
    assert client.get(path).status_code == 200
    return client.post(path, {"_form_submitted": "1", **fields})


def test_staff_change_a_profile_with_a_reason(client_for, staff, ana):
    act(client_for(staff), "change_profile", ana, name="Anna", phone="", reason="Wrote to us")

    ana.refresh_from_db()
    assert ana.name == "Anna"
    assert StaffAction.objects.get().reason == "Wrote to us"


def test_action_without_a_reason_does_nothing(client_for, staff, ana):
    act(client_for(staff), "change_profile", ana, name="Anna", reason="")

    ana.refresh_from_db()
    assert ana.name == "Ana"


def test_staff_change_an_account_and_owners_give_roles(client_for, staff, administrator, ana):
    act(client_for(staff), "change_account", ana, is_active="on", is_organiser="on", reason="Organises now")
    ana.refresh_from_db()
    assert (ana.is_staff, ana.is_organiser) == (False, True)

    path = reverse("admin:accounts_user_give_role", args=[ana.pk])
    wish = {"_form_submitted": "1", "role": "box_office", "reason": "New colleague"}
    assert client_for(staff).post(path, wish).status_code == 403
    act(client_for(administrator), "give_role", ana, role="box_office", reason="New colleague")

    ana.refresh_from_db()
    assert (ana.is_staff, ana.is_superuser, role_of(ana)) == (True, False, "box_office")
    assert StaffAction.objects.get(action="assign_role").after == {"role": "box_office", "extras": []}


def test_staff_mail_a_reset_link_and_set_no_password(client_for, staff, ana):
    act(client_for(staff), "mail_reset_link", ana, reason="Asked on the phone")

    assert [sent.subject for sent in mails_to(ana.email)] == ["Set a new password"]
    assert StaffAction.objects.get().action == "mail_reset_link"


def test_staff_end_sessions(client_for, staff, ana):
    act(client_for(staff), "end_sessions", ana, reason="Lost phone")

    ana.refresh_from_db()
    assert ana.session_version == 2


def test_staff_erase_a_person(client_for, staff, ana):
    act(client_for(staff), "erase", ana, reason="Asked by letter")

    ana.refresh_from_db()
    assert ana.erased_at is not None
    assert StaffAction.objects.get().action == "erase_user"


def test_customers_see_no_admin(client_for, ana):
    client = client_for(ana)

    assert client.get(reverse("admin:accounts_user_changelist")).status_code == 404
    path = reverse("admin:accounts_user_erase", args=[ana.pk])
    assert client.post(path, {"_form_submitted": "1", "reason": "x"}).status_code == 404
    ana.refresh_from_db()
    assert ana.erased_at is None


def test_password_is_changed_by_the_one_page_that_ends_every_session(staff, client_for):
    client = client_for(staff)
    old = staff.password
    new = {"old_password": PASSWORD, "new_password1": "quiet-heron-42", "new_password2": "quiet-heron-42"}

    assert client.get("/admin/password_change/").headers["Location"] == "/profile/password"
    client.post("/admin/password_change/", new)

    staff.refresh_from_db()
    assert staff.password == old
