"""The sandbox keeps Stripe's promises on the wire."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import stripe

from config import doctor
from payments.sandbox.application import Sandbox
from payments.sandbox.cards import CARDS
from payments.sandbox.configuration import Config
from payments.sandbox.server import Server
from payments.sandbox.store import Store
from payments.sandbox.webhooks import signature
from tests.payments.peers import Provider, wait_for


def new_intent(provider, **data) -> dict:
    answer = provider.call("POST", "/v1/payment_intents", **({"amount": 9800, "currency": "eur"} | data))
    assert answer.status_code == 200, answer.text
    return answer.json()


def confirm(provider, intent, card="pm_card_visa", **data):
    return provider.call(
        "POST",
        f"/v1/payment_intents/{intent['id']}/confirm",
        secret=False,
        payment_method=card,
        client_secret=intent["client_secret"],
        **data,
    )


def test_card_numbers_pass_the_check_every_card_form_makes():
    def checksum(number: str) -> int:
        digits = [int(digit) for digit in reversed(number)]
        return sum(digit if place % 2 == 0 else sum(divmod(digit * 2, 10)) for place, digit in enumerate(digits)) % 10

    assert [card.number for card in CARDS if checksum(card.number)] == []


def test_intent_is_paid_with_the_publishable_key_and_its_secret(provider):
    intent = new_intent(provider, **{"metadata[booking]": "b1"})

    paid = confirm(provider, intent).json()

    assert (paid["status"], paid["amount_received"], paid["metadata"]) == ("succeeded", 9800, {"booking": "b1"})
    assert paid["latest_charge"].startswith("ch_")


@pytest.mark.parametrize(
    ("path", "secret_known", "status"),
    [("", True, 200), ("", False, 404), ("/confirm", False, 404), ("/cancel", True, 401)],
)
def test_publishable_key_does_only_what_a_browser_may(provider, path, secret_known, status):
    intent = new_intent(provider)

    answer = provider.call(
        "POST" if path else "GET",
        f"/v1/payment_intents/{intent['id']}{path}",
        secret=False,
        client_secret=intent["client_secret"] if secret_known else "pi_x_secret_y",
        **({"payment_method": "pm_card_visa"} if path == "/confirm" else {}),
    )

    assert answer.status_code == status


@pytest.mark.parametrize("header", ["", "Bearer sk_test_other", "Bearer pk_test_sandbox"])
def test_secret_paths_refuse_other_keys(provider, header):
    answer = requests.post(
        f"{provider.config.base_url}/v1/refunds",
        data={},
        headers={"Authorization": header} if header else {},
        timeout=60,
    )

    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")


@pytest.mark.parametrize("card", [card for card in CARDS if card.outcome == "decline"], ids=lambda card: card.name)
def test_declined_card_leaves_the_intent_open(provider, card):
    intent = new_intent(provider)

    refused = confirm(provider, intent, card.name)

    error = refused.json()["error"]
    assert refused.status_code == 402
    assert (error["type"], error["code"], error.get("decline_code", "")) == ("card_error", card.code, card.decline_code)
    assert error["payment_intent"]["status"] == "requires_payment_method"
    assert confirm(provider, intent).json()["status"] == "succeeded"


def test_card_can_be_given_by_number(provider):
    intent = new_intent(provider)
    number = {"payment_method_data[type]": "card", "payment_method_data[card][number]": "4242 4242 4242 4242"}

    answer = provider.call(
        "POST",
        f"/v1/payment_intents/{intent['id']}/confirm",
        secret=False,
        client_secret=intent["client_secret"],
        **number,
    )

    assert answer.json()["status"] == "succeeded"


def test_challenge_waits_for_the_banks_page(provider):
    intent = new_intent(provider)

    asked = confirm(
        provider, intent, "pm_card_authenticationRequired", return_url=f"{provider.config.site_url}/done"
    ).json()
    page = asked["next_action"]["redirect_to_url"]["url"]
    back = provider.http.post(page, data={"answer": "approve"}, allow_redirects=False, timeout=60)

    assert asked["status"] == "requires_action"
    assert back.status_code == 303
    assert back.headers["Location"].startswith(f"{provider.config.site_url}/done?payment_intent={intent['id']}&")
    assert back.headers["Location"].endswith("redirect_status=succeeded")


def test_refused_challenge_leaves_the_intent_open(provider):
    intent = new_intent(provider)
    asked = confirm(provider, intent, "pm_card_authenticationRequired").json()

    provider.http.post(
        asked["next_action"]["redirect_to_url"]["url"], data={"answer": "decline"}, allow_redirects=False, timeout=60
    )

    now = provider.call("GET", f"/v1/payment_intents/{intent['id']}").json()
    assert (now["status"], now["last_payment_error"]["code"]) == (
        "requires_payment_method",
        "payment_intent_authentication_failure",
    )


@pytest.mark.parametrize("card", ["pm_card_delayed", "pm_card_late"])
def test_slow_bank_can_not_be_cancelled_and_decides_later(provider, card):
    intent = new_intent(provider)

    assert confirm(provider, intent, card).json()["status"] == "processing"
    refused = provider.call("POST", f"/v1/payment_intents/{intent['id']}/cancel")
    provider.hasten()

    assert refused.json()["error"]["code"] == "payment_intent_unexpected_state"
    assert provider.call("GET", f"/v1/payment_intents/{intent['id']}").json()["status"] == "succeeded"


def test_what_is_forgotten_is_neither_decided_nor_announced(provider):
    intent, paid = new_intent(provider), new_intent(provider)
    confirm(provider, intent, "pm_card_delayed")
    confirm(provider, paid)

    assert provider.call("POST", "/sandbox/forget").status_code == 200
    provider.hasten()

    assert provider.call("GET", f"/v1/payment_intents/{intent['id']}").json()["status"] == "processing"
    assert {delivery["state"] for event in provider.events() for delivery in event["deliveries"]} == {"dropped"}
    assert provider.call("GET", "/sandbox/control").json()["webhooks_paused"] is False


def test_cancel_and_success_exclude_each_other(provider):
    cancelled, paid = new_intent(provider), new_intent(provider)
    provider.call("POST", f"/v1/payment_intents/{cancelled['id']}/cancel")
    confirm(provider, paid)

    late = confirm(provider, cancelled)
    late_cancel = provider.call("POST", f"/v1/payment_intents/{paid['id']}/cancel")

    assert late.json()["error"]["code"] == "payment_intent_unexpected_state"
    assert late_cancel.json()["error"]["payment_intent"]["status"] == "succeeded"


def test_same_key_and_parameters_replay_the_first_answer(provider):
    first = provider.call("POST", "/v1/payment_intents", key="k1", amount=500, currency="eur")

    again = provider.call("POST", "/v1/payment_intents", key="k1", amount=500, currency="eur")

    assert again.json() == first.json()
    assert (first.headers.get("Idempotent-Replayed"), again.headers.get("Idempotent-Replayed")) == (None, "true")


def test_same_key_with_other_parameters_is_refused(provider):
    provider.call("POST", "/v1/payment_intents", key="k1", amount=500, currency="eur")

    other = provider.call("POST", "/v1/payment_intents", key="k1", amount=501, currency="eur")

    assert (other.status_code, other.json()["error"]["type"]) == (400, "idempotency_error")


def test_key_in_use_is_a_conflict(provider):
    provider.control(faults=[{"path": "/v1/payment_intents", "kind": "slow", "seconds": 50}])
    wish = {"key": "k1", "amount": 500, "currency": "eur"}
    slow = threading.Thread(target=provider.call, args=("POST", "/v1/payment_intents"), kwargs=wish)
    slow.start()
    wait_for(lambda: provider.sandbox.api.busy)

    rival = provider.call("POST", "/v1/payment_intents", **wish)

    provider.sandbox.stopping.set()
    slow.join(60)
    assert (rival.status_code, rival.json()["error"]["code"]) == (409, "idempotency_key_in_use")


def test_validation_failures_do_not_use_up_a_key(provider):
    wrong = provider.call("POST", "/v1/payment_intents", key="k1", amount=0, currency="eur")

    right = provider.call("POST", "/v1/payment_intents", key="k1", amount=500, currency="eur")

    assert (wrong.status_code, wrong.json()["error"]["code"], right.status_code) == (
        400,
        "parameter_invalid_integer",
        200,
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"amount": "1.5", "currency": "eur"}, "parameter_invalid_integer"),
        ({"amount": -1, "currency": "eur"}, "parameter_invalid_integer"),
        ({"amount": 5, "currency": "eur", "price": 1}, "parameter_unknown"),
        ({"amount": 5, "currency": "euros"}, None),
        (
            {"amount": 5, "currency": "eur", "payment_method_types[0]": "card"},
            "payment_method_types_no_longer_supported",
        ),
        ({"amount": 5, "currency": "eur", "allowed_payment_method_types[0]": "sepa_debit"}, None),
        ({"amount": 5, "currency": "eur", "metadata": "x"}, None),
    ],
)
def test_wrong_parameters_are_named(provider, data, code):
    answer = provider.call("POST", "/v1/payment_intents", **data)

    assert (answer.status_code, answer.json()["error"].get("code")) == (400, code)


def test_refunds_never_exceed_the_charge(provider):
    intent = new_intent(provider)
    confirm(provider, intent)

    part = provider.call("POST", "/v1/refunds", payment_intent=intent["id"], amount=9000)
    more = provider.call("POST", "/v1/refunds", payment_intent=intent["id"], amount=801)
    rest = provider.call("POST", "/v1/refunds", payment_intent=intent["id"])
    none = provider.call("POST", "/v1/refunds", payment_intent=intent["id"])

    assert [part.status_code, more.status_code, rest.json()["amount"]] == [200, 400, 800]
    assert none.json()["error"]["code"] == "charge_already_refunded"


def test_refund_that_the_bank_returns_is_on_the_charge_again(provider):
    intent = new_intent(provider)
    confirm(provider, intent)
    provider.control(refund_outcome="pending")
    refund = provider.call("POST", "/v1/refunds", payment_intent=intent["id"]).json()

    provider.call("POST", f"/sandbox/refunds/{refund['id']}", status="failed")

    assert provider.call("GET", f"/v1/refunds/{refund['id']}").json()["status"] == "failed"
    assert provider.call("POST", "/v1/refunds", payment_intent=intent["id"]).status_code == 200


def test_unpaid_intent_can_not_be_refunded(provider):
    intent = new_intent(provider)

    assert provider.call("POST", "/v1/refunds", payment_intent=intent["id"]).status_code == 400


def test_lists_page_newest_first(provider):
    ids = [new_intent(provider)["id"] for _ in range(3)]

    first = provider.call("GET", "/v1/payment_intents", limit=2).json()
    rest = provider.call("GET", "/v1/payment_intents", limit=2, starting_after=first["data"][-1]["id"]).json()

    assert [item["id"] for item in first["data"]] == [ids[2], ids[1]]
    assert [item["id"] for item in rest["data"]] == [ids[0]]
    assert (first["has_more"], rest["has_more"]) == (True, False)


@pytest.mark.parametrize(("seconds", "status"), [(31 * 60, 200), (60, 400), (25 * 3600, 400)])
def test_checkout_lives_between_30_minutes_and_24_hours(provider, seconds, status):
    answer = provider.call(
        "POST",
        "/v1/checkout/sessions",
        mode="payment",
        success_url=f"{provider.config.site_url}/done",
        expires_at=int(time.time()) + seconds,
        **{
            "line_items[0][quantity]": 1,
            "line_items[0][price_data][currency]": "eur",
            "line_items[0][price_data][unit_amount]": 900,
            "line_items[0][price_data][product_data][name]": "Ticket",
        },
    )

    assert answer.status_code == status


def test_restart_forgets_nothing(tmp_path: Path, provider_config: Config):
    path = tmp_path / "sandbox.sqlite3"
    Store(path).put({"id": "pi_1", "object": "payment_intent"})

    assert Store(path).get("payment_intent", "pi_1") == {"id": "pi_1", "object": "payment_intent"}


def test_signature_is_one_the_sdk_accepts():
    payload = json.dumps({"id": "evt_1"}).encode()

    header = signature(payload, "whsec_x", at=int(time.time()))

    assert stripe.WebhookSignature.verify_header(payload, header, "whsec_x", 300)


def test_switches_need_the_secret_key_and_know_their_names(provider):
    nobody = requests.post(f"{provider.config.base_url}/sandbox/control", json={"webhook_drop": 1}, timeout=60)
    unknown = requests.post(
        f"{provider.config.base_url}/sandbox/control",
        json={"weather": 1},
        headers={"Authorization": f"Bearer {provider.config.secret_key}"},
        timeout=60,
    )

    assert (nobody.status_code, unknown.status_code) == (401, 400)


def test_only_the_shop_may_call_from_a_browser(provider):
    url = f"{provider.config.base_url}/v1/payment_intents/pi_x/confirm"
    ask = {"Access-Control-Request-Method": "POST"}

    shop = requests.options(url, headers=ask | {"Origin": provider.config.site_url}, timeout=60)
    other = requests.options(url, headers=ask | {"Origin": "https://evil.example"}, timeout=60)

    assert shop.headers["Access-Control-Allow-Origin"] == provider.config.site_url
    assert "Access-Control-Allow-Origin" not in other.headers


def test_listens_on_the_loopback_interface_only(provider):
    assert provider.server.server_address[0] == "127.0.0.1"


def test_oversized_and_malformed_requests_get_an_answer(provider):
    url = f"{provider.config.base_url}/v1/payment_intents"
    headers = {"Authorization": f"Bearer {provider.config.secret_key}"}

    large = requests.post(url, data=b"x" * 1_000_001, headers=headers, timeout=60)
    deep = requests.post(url, data="a" + "[b]" * 50 + "=1", headers=headers, timeout=60)
    unknown = requests.get(f"{provider.config.base_url}/v1/customers", headers=headers, timeout=60)

    assert [large.status_code, deep.status_code, unknown.status_code] == [413, 400, 404]


class Listener:
    """A shop's webhook address that notes what it hears and refuses the first so many."""

    def __init__(self, refuse: int = 0) -> None:
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        self.heard: list[str] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                stripe.WebhookSignature.verify_header(raw, self.headers["Stripe-Signature"], "whsec_sandbox", 300)
                listener.heard.append(json.loads(raw)["type"])
                self.send_response(503 if len(listener.heard) <= refuse else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def wait_for(self, count: int) -> list[str]:
        wait_for(lambda: len(self.heard) >= count)
        return self.heard

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def listener(request):
    listener = Listener(**getattr(request, "param", {}))
    yield listener
    listener.stop()


@pytest.fixture
def talking(listener, provider_config):
    """A sandbox that announces to the listener."""

    running = Provider(replace(provider_config, webhook_url=listener.url))
    yield running
    running.stop()


def test_announcements_arrive_in_order(talking, listener):
    confirm(talking, new_intent(talking))

    assert listener.wait_for(3) == ["payment_intent.created", "payment_intent.succeeded", "charge.succeeded"]


@pytest.mark.parametrize("listener", [{"refuse": 2}], indirect=True)
def test_refused_announcement_comes_again(talking, listener):
    new_intent(talking)

    assert listener.wait_for(3) == ["payment_intent.created"] * 3


def test_switches_copy_reorder_and_drop_announcements(talking, listener):
    talking.control(webhook_reorder=True)
    confirm(talking, new_intent(talking))
    reordered = list(listener.wait_for(3))
    listener.heard.clear()
    talking.control(webhook_reorder=False, webhook_copies=3)
    new_intent(talking)
    copied = list(listener.wait_for(3))
    listener.heard.clear()
    talking.control(webhook_copies=1, webhook_drop=1)
    confirm(talking, new_intent(talking))

    assert reordered == ["charge.succeeded", "payment_intent.succeeded", "payment_intent.created"]
    assert copied == ["payment_intent.created"] * 3
    assert listener.wait_for(2) == ["payment_intent.succeeded", "charge.succeeded"]


def test_port_that_is_taken_is_an_error(provider):
    with pytest.raises(OSError, match="in use"):
        Server(Sandbox(provider.config))


def test_doctor_finds_the_sandbox_well(provider):
    (found,) = doctor.examine(only=["stripe"])

    assert (found.state, found.detail) == (doctor.WELL, "the sandbox (test mode) answers")
