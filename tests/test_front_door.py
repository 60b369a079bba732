"""What every request meets before a view: second paths, other origins, compression, headers; and settings that stop a start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.urls import resolve

from config.aliases import ALIASES
from tests.factories import TicketCategoryFactory, UserFactory

ROOT = Path(__file__).resolve().parent.parent
SECOND_PATHS = {
    "auth/register": "auth/signup/email",
    "auth/signup": "auth/signup/email",
    "auth/login": "auth/login/email",
    "admin/users": "users",
    "events/initialize": "events",
    "concert": "events",
    "concert/<str:event_id>": "events/<str:event_id>",
    "tickets/book": "bookings",
    "waitinglists/join-waitlist": "waitlist/join",
    "booking": "bookings",
    "booking/mine": "bookings/mine",
    "booking/pending": "bookings/pending",
    "booking/confirmed/<str:booking_id>": "bookings/confirmed/<str:booking_id>",
    "booking/<str:booking_id>/confirm": "bookings/<str:booking_id>/confirm",
    "payment/pub-key": "payments/pub-key",
    "payment/create-intent": "payments/create-intent",
    "payment/webhook/stripe": "payments/webhook/stripe",
}
OF_THEIR_OWN = {"tickets/cancel", "waitinglists"}  # the booking's id comes in the body, the event's in the query


def view_of(route: str) -> type:
    """Return the view behind a route below the API's base."""
    return resolve("/api/v1/" + route.replace("<str:event_id>", "1").replace("<str:booking_id>", "1")).func.view_class


@pytest.mark.parametrize(("second", "first"), SECOND_PATHS.items())
def test_second_paths_lead_to_the_same_doors(second, first):
    assert view_of(second) is view_of(first)


def test_every_second_path_is_known_here():
    assert set(SECOND_PATHS) | OF_THEIR_OWN == ALIASES


@pytest.mark.django_db
def test_a_second_path_works_below_the_short_base(api):
    category = TicketCategoryFactory()
    client = api.as_user(UserFactory())

    status, body = client.post("/api/tickets/book", {"category_id": str(category.pk), "quantity": 2})

    assert (status, body["data"]["booking"]["status"]) == (201, "pending")
    assert client.get("/api/booking/pending").body["data"]["id"] == body["data"]["booking"]["id"]


def test_the_admin_answers_without_its_slash_too(client):
    assert client.get("/admin").headers["Location"] == "/admin/"


@pytest.fixture
def other_origins(settings):
    """One origin is on the allow-list."""
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", "https://app.example"),
        ("https://app.example.evil.test", None),
        ("http://app.example", None),
        ("null", None),
    ],
)
def test_only_listed_origins_may_read_answers_and_none_with_cookies(api, other_origins, origin, allowed):
    api.get("/api/v1/events", Origin=origin)

    assert api.last.headers.get("Access-Control-Allow-Origin") == allowed
    assert "Access-Control-Allow-Credentials" not in api.last.headers


@pytest.mark.django_db
def test_a_listed_origin_may_send_what_the_contract_needs(api, other_origins):
    api.send(
        "OPTIONS",
        "/api/v1/bookings",
        Origin="https://app.example",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type,idempotency-key",
    )

    assert api.last.status_code == 200
    allowed = api.last.headers["Access-Control-Allow-Headers"]
    assert [name for name in ("authorization", "content-type", "idempotency-key") if name not in allowed] == []


@pytest.mark.django_db
def test_pages_are_for_no_other_origin(client, other_origins):
    answer = client.get("/", headers={"Origin": "https://app.example"})

    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.django_db
def test_long_answers_are_compressed_and_short_ones_are_not(client):
    for _ in range(5):
        TicketCategoryFactory()
    wish = {"Accept-Encoding": "gzip"}

    short = client.get("/api/v1/payments/pub-key", headers=wish)
    long = client.get("/api/v1/events", headers=wish)

    assert (short.status_code, short.headers.get("Content-Encoding")) == (200, None)
    assert (long.status_code, long.headers.get("Content-Encoding")) == (200, "gzip")
    assert long.content[:2] == b"\x1f\x8b"
    assert "Accept-Encoding" in long.headers["Vary"]


@pytest.mark.django_db
def test_pages_carry_the_security_headers(client):
    answer = client.get("/")

    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert (policy["default-src"], policy["frame-ancestors"], policy["object-src"]) == ("'self'", "'none'", "'none'")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.django_db
def test_json_may_load_nothing(api):
    api.get("/api/v1/events")

    assert api.last.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert api.last.headers["X-Content-Type-Options"] == "nosniff"


COMPLETE = {
    "DEBUG": "0",
    "SECRET_KEY": "x" * 60,
    "ALLOWED_HOSTS": "tickets.example",
    "SITE_URL": "https://tickets.example",
    "DATABASE_URL": "postgresql://fairseat@db/fairseat",
    "REDIS_URL": "redis://cache/0",
    "STRIPE_SECRET_KEY": "sk_live_1",
    "STRIPE_PUBLISHABLE_KEY": "pk_live_1",
    "STRIPE_WEBHOOK_SECRETS": "whsec_1",
    "FACE_TEMPLATE_KEYS": "b2JzZXJ2ZS10aGlzLWlzLW5vLXJlYWwta2V5LTEyMzQ=",
    "EMAIL_URL": "smtp://mail:25",
    "DEFAULT_FROM_EMAIL": "Fairseat <tickets@tickets.example>",
}


def start(environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Load the settings in a process of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        cwd=ROOT,
        env=kept | {"DATA_DIR": os.environ["DATA_DIR"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_complete_settings_start():
    assert start(COMPLETE).stderr == ""


@pytest.mark.parametrize("name", sorted(COMPLETE.keys() - {"DEBUG", "EMAIL_URL"}))
def test_a_missing_setting_stops_the_start_with_its_name(name):
    stopped = start({key: value for key, value in COMPLETE.items() if key != name})

    assert stopped.returncode == 1
    assert stopped.stderr.startswith(f"Setting {name}: is required here and is not set.")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HOLD_SECONDS", "ten", "is 'ten'; write a whole number."),
        ("HOLD_SECONDS", "1", "is 1; write a number from 5 to 86400."),
        ("DATABASE_URL", "mysql://db/x", "must begin with one of: postgres://, postgresql://."),
        ("SECURE_TRANSPORT", "maybe", "is 'maybe'; write 1 or 0."),
    ],
)
def test_a_malformed_setting_stops_the_start_and_says_what_to_write(name, value, words):
    stopped = start(COMPLETE | {name: value})

    assert stopped.returncode == 1
    assert stopped.stderr.startswith(f"Setting {name}: {words}")
