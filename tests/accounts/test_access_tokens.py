"""Attacks on access tokens: each of them is a 401, never a 500 and never somebody."""

import base64
import json
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from django.utils import timezone

from accounts import services
from accounts.authentication import AUDIENCE, ISSUER, backend, issue_access_token

PROFILE = "/api/v1/auth/profile"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana(user_factory):
    return user_factory(email="ana@example.com")


@pytest.fixture
def claims(ana):
    """The claims of a good token, for a test to spoil."""
    now = int(timezone.now().timestamp())
    return {
        "sub": str(ana.pk),
        "sv": 1,
        "typ": "access",
        "iat": now,
        "exp": now + 300,
        "jti": uuid4().hex,
        "aud": AUDIENCE,
        "iss": ISSUER,
    }


@pytest.fixture
def key(settings):
    return backend(settings.SECRET_KEY).signing_key


def part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_good_claims_are_somebody(api, claims, key):
    assert api.with_token(jwt.encode(claims, key, "HS256")).get(PROFILE).status == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-api"},
        {"aud": None},
        {"iss": "somebody"},
        {"iss": None},
        {"typ": "refresh"},
        {"typ": None},
        {"exp": None},
        {"exp": 1},
        {"exp": "soon"},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"sub": None},
        {"sub": "1 OR 1=1"},
        {"sub": 7},
        {"sub": "6f1c2a50-0c52-4c55-9c0b-3f6a6f1d9d11"},
        {"sv": None},
        {"sv": 2},
        {"sv": "x"},
        {"fam": "x"},
    ],
    ids=lambda changes: "-".join(f"{name}={value}" for name, value in changes.items()),
)
def test_spoiled_claims_are_nobody(api, claims, key, changes):
    spoiled = {name: value for name, value in (claims | changes).items() if value is not None}

    reply = api.with_token(jwt.encode(spoiled, key, "HS256")).get(PROFILE)

    assert (reply.status, reply.body["code"]) == (401, "not_authenticated")


def test_unsigned_token_is_nobody(api, claims):
    for name in ("none", "None", "NONE", ""):
        unsigned = f"{part({'alg': name, 'typ': 'JWT'})}.{part(claims)}."

        assert api.with_token(unsigned).get(PROFILE).status == 401


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_nobody(api, claims, key, algorithm):
    assert api.with_token(jwt.encode(claims, key, algorithm)).get(PROFILE).status == 401


def test_token_signed_with_a_public_key_algorithm_is_nobody(api, claims):
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    assert api.with_token(jwt.encode(claims, private, "RS256")).get(PROFILE).status == 401


def test_token_of_another_secret_or_another_use_of_the_secret_is_nobody(api, claims, settings):
    for key in ("x" * 64, settings.SECRET_KEY):
        assert api.with_token(jwt.encode(claims, key, "HS256")).get(PROFILE).status == 401


def test_changed_claims_break_the_signature(api, ana, claims, user_factory):
    staff = user_factory(is_staff=True)
    head, _, signature = issue_access_token(user=ana, now=timezone.now()).split(".")

    forged = f"{head}.{part(claims | {'sub': str(staff.pk)})}.{signature}"

    assert api.with_token(forged).get("/api/v1/users").status == 401


def test_refresh_token_is_no_access_token_and_the_other_way_round(api, ana):
    tokens = services.open_session(user=ana)

    assert api.with_token(tokens.refresh).get(PROFILE).status == 401
    assert api.post("/api/v1/auth/refresh", {"refresh": tokens.access[:200]}).status == 401


def test_expired_token_is_nobody(api, ana, settings):
    old = issue_access_token(user=ana, now=timezone.now() - timedelta(seconds=settings.ACCESS_TOKEN_SECONDS + 10))

    assert api.with_token(old).get(PROFILE).status == 401


def test_token_of_the_previous_secret_is_good_while_it_is_a_fallback(api, ana, settings):
    token = issue_access_token(user=ana, now=timezone.now())
    previous, settings.SECRET_KEY = settings.SECRET_KEY, "a-new-secret-of-fifty-characters-or-more-0123456789"

    assert api.with_token(token).get(PROFILE).status == 401
    settings.SECRET_KEY_FALLBACKS = [previous]
    assert api.with_token(token).get(PROFILE).status == 200


def test_token_is_not_read_from_a_cookie_or_the_address(api, ana):
    token = issue_access_token(user=ana, now=timezone.now())
    api.client.cookies["access"] = token
    api.client.cookies["Authorization"] = f"Bearer {token}"

    assert api.get(PROFILE).status == 401
    assert api.get(f"{PROFILE}?access={token}&access_token={token}").status == 401


def test_page_session_is_nobody_to_the_api(client_for, ana):
    assert client_for(ana).get(PROFILE).status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "Bearer ÿ", "Token x", "bearer x.y.z"]
)
def test_malformed_header_is_401(api, header):
    reply = api.get(PROFILE, Authorization=header)

    assert reply.status == 401
    assert api.last.headers["WWW-Authenticate"] == 'Bearer realm="fairseat"'


def test_closed_account_loses_access_at_once(api, ana):
    mine = api.as_user(ana)
    assert mine.get(PROFILE).status == 200
    ana.is_active = False
    ana.save(update_fields=["is_active"])

    assert mine.get(PROFILE).status == 401


def test_staff_right_taken_away_counts_at_the_next_request(api, user_factory):
    staff = user_factory(is_staff=True)
    door = api.as_user(staff)
    assert door.get("/api/v1/users").status == 200
    staff.is_staff = False
    staff.save(update_fields=["is_staff"])

    assert door.get("/api/v1/users").status == 403
