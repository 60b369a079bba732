"""The sandbox's pages: pay without JavaScript, and nothing else than that."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from django.conf import settings

from payments.gateway import Gateway
from tests.payments.peers import Provider, wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
CARD = {"number": "4242 4242 4242 4242", "expiry": "08 / 40", "cvc": "123"}


@pytest.fixture
def back(provider):
    return f"{provider.config.site_url}/bookings/1/return?step=3"


@pytest.fixture
def form(provider, back):
    """`form()` opens the page of a new intent, `form(number=…)` sends it filled."""
    intent = provider.call(
        "POST", "/v1/payment_intents", amount=9800, currency="eur", **{"metadata[title]": "2 × <b>Standing</b>"}
    ).json()

    def form(return_url: str = back, **fields: str) -> requests.Response:
        url = f"{provider.config.base_url}/pay/{intent['id']}"
        method = "POST" if fields else "GET"
        return provider.http.request(
            method, url, params={"return_url": return_url}, data=fields or None, allow_redirects=False, timeout=60
        )

    form.intent = intent
    return form


def test_page_shows_what_is_paid_and_runs_no_script(form):
    page = form()

    assert page.status_code == 200
    assert "Pay €98.00" in page.text
    assert "2 × &lt;b&gt;Standing&lt;/b&gt;" in page.text
    assert "Test mode" in page.text
    assert "<script" not in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")


def test_paying_leads_back_with_what_stripe_appends(form, back):
    done = form(**CARD)

    assert done.status_code == 303
    assert done.headers["Location"] == (
        f"{back}&payment_intent={form.intent['id']}&payment_intent_client_secret={form.intent['client_secret']}"
        "&redirect_status=succeeded"
    )


def test_paid_page_only_leads_back(form):
    form(**CARD)

    assert (form().status_code, form(**CARD).status_code) == (303, 303)


def test_declined_card_is_said_on_the_page(form):
    page = form(**CARD | {"number": "4000000000009995"})

    assert (page.status_code, "Your card has insufficient funds." in page.text) == (402, True)
    assert 'value="4000000000009995"' in page.text


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("number", "4111 1111 1111 1111", "Use one of the test card numbers below"),
        ("number", "", "Use one of the test card numbers below"),
        ("expiry", "13/40", "Write the expiry as month / year"),
        ("expiry", "soon", "Write the expiry as month / year"),
        ("expiry", "01/20", "This card has expired"),
        ("cvc", "12", "Write the three or four digits"),
    ],
)
def test_wrong_field_is_named_and_nothing_is_charged(provider, form, field, value, error):
    page = form(**CARD | {field: value})

    now = provider.call("GET", f"/v1/payment_intents/{form.intent['id']}").json()
    assert (page.status_code, error in page.text, f'href="#{field}"' in page.text) == (422, True, True)
    assert now["status"] == "requires_payment_method"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "http://localhost:1/",
        "javascript:alert(1)",
        "http://localhost@evil.example/",
        "http://evil.example\\@localhost/",
        "http://localhost:x/",
    ],
)
def test_nobody_is_led_elsewhere(form, elsewhere):
    assert form(return_url=elsewhere).status_code == 400
    assert form(return_url=elsewhere, **CARD).status_code == 400


def test_other_name_of_this_machine_is_the_shop_too(provider, form):
    port = provider.config.site_url.rpartition(":")[2]

    assert form(return_url=f"http://127.0.0.1:{port}/x", **CARD).status_code == 303


def test_closed_payment_says_so(provider, form):
    provider.call("POST", f"/v1/payment_intents/{form.intent['id']}/cancel")

    page = form(**CARD)

    assert (page.status_code, "Nothing was charged" in page.text) == (410, True)


def test_challenge_is_asked_and_answered_on_a_page(provider, form):
    asked = form(**CARD | {"number": "4000002500003155"}).headers["Location"]

    page = provider.http.get(asked, timeout=60)
    answered = provider.http.post(asked, data={"answer": "decline"}, allow_redirects=False, timeout=60)
    again = provider.http.get(asked, allow_redirects=False, timeout=60)

    assert (page.status_code, "Is it you who pays €98.00?" in page.text) == (200, True)
    assert answered.headers["Location"].endswith("redirect_status=failed")
    assert again.status_code == 303


def test_slow_bank_leads_back_as_processing(form):
    assert form(**CARD | {"number": "4000000000006009"}).headers["Location"].endswith("redirect_status=processing")


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/sandbox.css", 200), ("/healthz", 200), ("/pay/pi_x", 404), ("/x", 404)]
)
def test_other_pages(provider, path, status):
    assert provider.http.get(provider.config.base_url + path, timeout=60).status_code == status


def test_real_process_survives_a_kill_and_stops_when_asked(tmp_path: Path, provider_config):
    """`manage.py payment_sandbox` as the shop runs it."""
    config = replace(provider_config, path=None)
    environment = {
        "DEBUG": "1",
        "PATH": os.environ["PATH"],
        "PORT": str(settings.PORT),
        "SANDBOX_PORT": str(config.port),
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "REDIS_URL": os.environ["REDIS_URL"],
        "LOG_LEVEL": "CRITICAL",
    }

    def start() -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "payment_sandbox"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )
        wait_for(lambda: is_up(config.base_url) or process.poll() is not None, seconds=90)
        return process

    api = Gateway(config.secret_key, config.base_url)
    first = start()
    made = api.create_intent(amount_minor=500, currency="EUR", metadata={}, key="k")
    first.kill()
    first.wait(60)
    second = start()
    found = api.create_intent(amount_minor=500, currency="EUR", metadata={}, key="k")
    second.send_signal(signal.SIGTERM)

    assert (found, second.wait(60)) == (made, 0)


def is_up(base_url: str) -> bool:
    try:
        return requests.get(f"{base_url}/healthz", timeout=60).status_code == 200
    except requests.ConnectionError:
        return False


def test_two_sandboxes_do_not_share_a_port(provider):
    with pytest.raises(OSError, match="in use"):
        Provider(provider.config)
