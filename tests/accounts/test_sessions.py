"""Logging in, refresh tokens and their theft, logging out."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from structlog.testing import capture_logs

from accounts import limits, services
from accounts.models import KnownAddress, RefreshToken, TokenFamily, User
from accounts.services.rules import fingerprint, new_token
from accounts.services.sessions import SessionOver, StaffOnly, WrongLogin, derive_successor
from tests.accounts.mailbox import mails_to
from tests.races import errors, race, results

EMAIL = "ana@example.com"
PASSWORD = "velvet-otter-91"
LOGIN = "/api/v1/auth/login/email"
REFRESH = "/api/v1/auth/refresh"
PROFILE = "/api/v1/auth/profile"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(user_factory):
    return user_factory(email=EMAIL, name="Ana", password=PASSWORD)


def log_in(password: str = PASSWORD, address: str = "203.0.113.7", email: str = EMAIL) -> User:
    return services.log_in(email=email, password=password, address=address)


# -- Logging in -------------------------------------------------------------------------------------------------------


def test_login_answers_with_user_and_tokens(api, ana):
    status, body = api.post(LOGIN, {"email": " ANA@example.com ", "password": PASSWORD})

    assert status == 200
    assert body["data"]["user"]["id"] == str(ana.pk)
    assert api.with_token(body["data"]["access"]).get(PROFILE).status == 200
    assert api.post(REFRESH, {"refresh": body["data"]["refresh"]}).status == 200
    ana.refresh_from_db()
    assert ana.last_login is not None


def test_unknown_wrong_and_closed_answer_the_same(api, ana, user_factory):
    user_factory(email="closed@example.com", password=PASSWORD, is_active=False)
    user_factory(email="nopassword@example.com")

    replies = [
        api.post(LOGIN, {"email": email, "password": password})
        for email, password in [
            ("nobody@example.com", PASSWORD),
            (EMAIL, "wrong-otter-91"),
            ("closed@example.com", PASSWORD),
            ("nopassword@example.com", PASSWORD),
            ("no address", PASSWORD),
        ]
    ]

    assert {reply.status for reply in replies} == {401}
    assert all(reply.body == replies[0].body for reply in replies)
    assert replies[0].body["code"] == "wrong_login"


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com", "closed@example.com", "nopassword@example.com"])
def test_every_refusal_costs_one_hash(hashings, ana, user_factory, email):
    user_factory(email="closed@example.com", password=PASSWORD, is_active=False)
    user_factory(email="nopassword@example.com")
    hashings.clear()

    with pytest.raises(WrongLogin):
        log_in("wrong-otter-91", email=email)

    assert len(hashings) == 1


def test_staff_door_is_for_staff(api, ana, user_factory):
    user_factory(email="staff@example.com", password=PASSWORD, is_staff=True)

    customer = api.post("/api/v1/auth/admin-login", {"email": EMAIL, "password": PASSWORD})
    wrong = api.post("/api/v1/auth/admin-login", {"email": "staff@example.com", "password": "wrong-otter-91"})
    staff = api.post("/api/v1/auth/admin-login", {"email": "staff@example.com", "password": PASSWORD})

    assert (customer.status, customer.body["code"]) == (403, "staff_only")
    assert (wrong.status, wrong.body["code"]) == (401, "wrong_login")
    assert staff.body["data"]["user"]["isStaff"] is True
    with pytest.raises(StaffOnly):
        services.log_in(email=EMAIL, password=PASSWORD, address="203.0.113.7", staff_only=True)


def test_guessing_from_one_address_is_slowed_down(settings, ana):
    settings.LOGIN_TRIES = 3
    for _ in range(3):
        with pytest.raises(WrongLogin):
            log_in("wrong-otter-91")

    with pytest.raises(limits.TooManyLogins) as refusal:
        log_in()

    assert 1 <= refusal.value.retry_after <= settings.LOGIN_WINDOW_SECONDS
    assert log_in(address="203.0.113.8") == ana


def test_right_logins_are_not_counted(settings, ana):
    settings.LOGIN_TRIES = 3

    for _ in range(8):
        assert log_in() == ana


def test_attackers_everywhere_do_not_lock_the_owner_out_of_a_known_place(settings, ana):
    settings.LOGIN_TRIES_PER_ACCOUNT = 5
    log_in(address="198.51.100.1")
    for number in range(5):
        with pytest.raises(WrongLogin):
            log_in("wrong-otter-91", address=f"203.0.113.{number}")

    with pytest.raises(limits.TooManyLogins):
        log_in("wrong-otter-91", address="203.0.113.99")

    assert log_in(address="198.51.100.1") == ana


def test_slowing_down_says_nothing_about_whether_there_is_an_account(settings, api, ana):
    settings.LOGIN_TRIES = 1

    replies = [
        [api.post(LOGIN, {"email": email, "password": "wrong-otter-91"}) for _ in range(2)]
        for email in (EMAIL, "nobody@example.com")
    ]

    assert [[reply.status for reply in pair] for pair in replies] == [[401, 429]] * 2
    assert replies[0][1].body == replies[1][1].body


@pytest.mark.django_db(transaction=True)
def test_parallel_guesses_are_counted_before_they_are_compared(settings, ana):
    settings.LOGIN_TRIES = 4

    outcomes = race([lambda: log_in("wrong-otter-91")] * 12)

    refusals = [type(error) for error in errors(outcomes)]
    assert refusals.count(WrongLogin) == 4
    assert refusals.count(limits.TooManyLogins) == 8


def test_network_address_is_stored_as_a_keyed_hash(ana):
    log_in(address="203.0.113.7")
    log_in(address="203.0.113.7")

    assert list(KnownAddress.objects.values_list("digest", flat=True)) == [limits.address_digest("203.0.113.7")]
    assert "203.0.113.7" not in KnownAddress.objects.get().digest


def test_login_without_redis_is_refused_not_unlimited(api, ana, monkeypatch):
    from redis.exceptions import ConnectionError as RedisAway

    from common import ratelimit

    def away(*_, **__):
        raise RedisAway("away")

    monkeypatch.setattr(ratelimit, "take", away)

    reply = api.post(LOGIN, {"email": EMAIL, "password": PASSWORD})

    assert (reply.status, reply.body["code"]) == (503, "busy")
    assert "Retry-After" in api.last.headers


# -- Refresh tokens ---------------------------------------------------------------------------------------------------


def expire_grace() -> None:
    """Make every rotation look as if it had happened a minute ago."""
    RefreshToken.objects.filter(rotated_at__isnull=False).update(rotated_at=Now() - timedelta(minutes=1))


def test_refresh_gives_the_next_pair(api, ana):
    first = services.open_session(user=ana)

    status, body = api.post(REFRESH, {"refresh": first.refresh})

    assert status == 200
    assert body["data"]["refresh"] != first.refresh
    assert api.with_token(body["data"]["access"]).get(PROFILE).status == 200
    assert api.post(REFRESH, {"refresh": body["data"]["refresh"]}).status == 200


def test_refresh_tokens_are_not_stored_in_clear(ana):
    first = services.open_session(user=ana)
    second = services.rotate_refresh_token(token=first.refresh)

    stored = " ".join(str(value) for row in RefreshToken.objects.values() for value in row.values())

    assert first.refresh not in stored
    assert second.refresh not in stored
    assert fingerprint(second.refresh) in stored


def test_successor_can_not_be_made_without_the_secret(settings, ana):
    first = services.open_session(user=ana)
    successor = derive_successor(first.refresh)
    settings.SECRET_KEY = "a-guess-of-fifty-characters-or-more-0123456789012345"

    assert derive_successor(first.refresh) != successor


def test_repeat_within_the_grace_gets_the_same_pair(ana):
    first = services.open_session(user=ana)

    second = services.rotate_refresh_token(token=first.refresh)

    assert services.rotate_refresh_token(token=first.refresh) == second
    assert TokenFamily.objects.get().revoked_at is None


def test_repeat_within_the_grace_after_the_next_use_is_refused_without_ending_the_session(ana):
    first = services.open_session(user=ana)
    second = services.rotate_refresh_token(token=first.refresh)
    third = services.rotate_refresh_token(token=second.refresh)

    with pytest.raises(SessionOver):
        services.rotate_refresh_token(token=first.refresh)

    assert services.rotate_refresh_token(token=third.refresh)


def test_reuse_after_the_grace_ends_the_whole_session_and_tells_the_owner(api, ana):
    first = services.open_session(user=ana)
    second = services.rotate_refresh_token(token=first.refresh)
    other = services.open_session(user=ana)
    expire_grace()

    with capture_logs() as logs:
        reply = api.post(REFRESH, {"refresh": first.refresh})

    assert (reply.status, reply.body["code"]) == (401, "session_over")
    assert api.post(REFRESH, {"refresh": second.refresh}).status == 401
    assert api.post(REFRESH, {"refresh": first.refresh}).status == 401
    assert api.post(REFRESH, {"refresh": other.refresh}).status == 200
    assert [line for line in logs if line["event"] == "accounts.refresh_token_reused"]
    assert [sent.subject for sent in mails_to(EMAIL)] == ["We ended a session of yours, for safety"]


def test_grace_is_a_setting(settings, ana):
    settings.REFRESH_GRACE_SECONDS = 0
    first = services.open_session(user=ana)
    services.rotate_refresh_token(token=first.refresh)

    with pytest.raises(SessionOver):
        services.rotate_refresh_token(token=first.refresh)

    assert TokenFamily.objects.get().revoked_because == "reuse"


def test_expired_refresh_token_is_refused(ana):
    first = services.open_session(user=ana)
    RefreshToken.objects.update(expires_at=Now() - timedelta(seconds=1))

    with pytest.raises(SessionOver):
        services.rotate_refresh_token(token=first.refresh)

    assert TokenFamily.objects.get().revoked_at is None


@pytest.mark.parametrize("token", ["", "x", "a" * 200, "é" * 20])
def test_unknown_refresh_token_is_refused(api, token):
    assert api.post(REFRESH, {"refresh": token}).status == (401 if token else 400)


def test_refresh_of_a_deleted_or_closed_person_is_401(api, ana, user_factory):
    tokens = services.open_session(user=ana)
    closed = user_factory()
    theirs = services.open_session(user=closed)
    User.objects.filter(pk=closed.pk).update(is_active=False)
    ana.delete()

    assert api.post(REFRESH, {"refresh": tokens.refresh}).status == 401
    assert api.post(REFRESH, {"refresh": theirs.refresh}).status == 401


def test_session_version_ends_every_token(api, ana):
    tokens = services.open_session(user=ana)
    services.end_all_sessions(user_id=ana.pk, because="test")

    assert api.post(REFRESH, {"refresh": tokens.refresh}).status == 401
    assert api.with_token(tokens.access).get(PROFILE).status == 401


def test_rotation_in_flight_while_sessions_end_leaves_nothing_alive(ana):
    tokens = services.open_session(user=ana)
    User.objects.filter(pk=ana.pk).update(
        session_version=F("session_version") + 1
    )  # its UPDATE of families saw no successor

    with pytest.raises(SessionOver):
        services.rotate_refresh_token(token=tokens.refresh)


@pytest.mark.django_db(transaction=True)
def test_sixteen_refreshes_at_once_give_one_new_pair(api, ana):
    first = services.open_session(user=ana)

    outcomes = race(
        [lambda: api.with_token("").post(REFRESH, {"refresh": first.refresh})] * 16, gate="accounts_refreshtoken"
    )

    replies = results(outcomes)
    assert {reply.status for reply in replies} == {200}
    assert len({(reply.body["data"]["access"], reply.body["data"]["refresh"]) for reply in replies}) == 1
    assert RefreshToken.objects.count() == 2
    assert RefreshToken.objects.filter(rotated_at__isnull=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_sixteen_refreshes_at_once_without_grace_succeed_once(settings, ana):
    settings.REFRESH_GRACE_SECONDS = 0
    first = services.open_session(user=ana)

    outcomes = race([lambda: services.rotate_refresh_token(token=first.refresh)] * 16, gate="accounts_refreshtoken")

    assert len(results(outcomes)) == 1
    assert {type(error) for error in errors(outcomes)} == {SessionOver}


def naive_rotation(token: str) -> str:
    """Rotation as it is usually written: read, check, write, with fresh random tokens."""
    held = RefreshToken.objects.get(token_hash=fingerprint(token))
    if held.rotated_at is not None:
        raise SessionOver
    fresh = new_token()
    held.rotated_at = Now()
    held.save(update_fields=["rotated_at"])
    family = TokenFamily.objects.create(user_id=held.family.user_id, session_version=1)
    RefreshToken.objects.create(token_hash=fingerprint(fresh), family=family, expires_at=Now() + timedelta(days=1))
    return fresh


@pytest.mark.django_db(transaction=True)
def test_control_a_naive_rotation_multiplies_the_session(ana):
    first = services.open_session(user=ana)

    outcomes = race([lambda: naive_rotation(first.refresh)] * 16, gate="accounts_refreshtoken")

    assert len(set(results(outcomes))) > 1


@pytest.mark.django_db(transaction=True)
def test_password_change_racing_refreshes_leaves_no_session(ana):
    families = [services.open_session(user=ana) for _ in range(8)]

    outcomes = race(
        [
            *(lambda t=tokens.refresh: services.rotate_refresh_token(token=t) for tokens in families),
            lambda: services.change_password(
                user_id=ana.pk, current_password=PASSWORD, new_password="another-otter-92"
            ),
        ],
        gate="accounts_refreshtoken",
    )

    survivors = [outcome.result.refresh for outcome in outcomes[:-1] if outcome.error is None]
    assert outcomes[-1].error is None
    for refresh in [*survivors, *(tokens.refresh for tokens in families)]:
        with pytest.raises(SessionOver):
            services.rotate_refresh_token(token=refresh)


def test_family_has_one_live_token_by_constraint(ana):
    services.open_session(user=ana)

    with pytest.raises(IntegrityError, match="token_family_has_one_live_token"), transaction.atomic():
        RefreshToken.objects.create(token_hash="x", family=TokenFamily.objects.get(), expires_at=Now())


# -- Logging out ------------------------------------------------------------------------------------------------------


def test_logout_ends_the_session_of_the_access_token(api, ana):
    mine, other = services.open_session(user=ana), services.open_session(user=ana)

    status, _ = api.with_token(mine.access).post("/api/v1/auth/logout")

    assert status == 200
    assert api.post(REFRESH, {"refresh": mine.refresh}).status == 401
    assert api.post(REFRESH, {"refresh": other.refresh}).status == 200


def test_logout_ends_the_session_of_a_named_refresh_token(api, ana):
    mine, other = services.open_session(user=ana), services.open_session(user=ana)

    api.with_token(mine.access).post("/api/v1/auth/logout", {"refresh": other.refresh})

    assert api.post(REFRESH, {"refresh": other.refresh}).status == 401
    assert api.post(REFRESH, {"refresh": mine.refresh}).status == 200


def test_logout_does_not_touch_other_peoples_sessions(api, ana, user_factory):
    theirs = services.open_session(user=user_factory())
    mine = services.open_session(user=ana)

    assert api.with_token(mine.access).post("/api/v1/auth/logout", {"refresh": theirs.refresh}).status == 200
    assert api.post(REFRESH, {"refresh": theirs.refresh}).status == 200


def test_logout_needs_a_session(api):
    assert api.post("/api/v1/auth/logout", {"refresh": "x"}).status == 401


def test_page_sessions_end_with_all_others(client_for, ana):
    client = client_for(ana)
    assert client.session["_auth_user_id"] == str(ana.pk)
    services.end_all_sessions(user_id=ana.pk, because="test")

    from django.contrib.auth import get_user
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.session = client.session

    assert get_user(request).is_anonymous


def test_page_sessions_survive_a_new_secret(settings, client_for, ana):
    client = client_for(ana)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a-new-secret-of-fifty-characters-or-more-0123456789"

    from django.contrib.auth import get_user
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.session = client.session

    assert get_user(request) == ana
