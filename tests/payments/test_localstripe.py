"""
A second peer: localstripe, somebody else's idea of Stripe, in a process of its own.

Only for the calls it does right (it knows no idempotency keys and refunds more than was paid); it shows that the gateway
speaks Stripe's wire and not only our sandbox's.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from django.conf import settings

from payments.gateway import Gateway, ProviderRefused, UnknownToProvider
from tests.conftest import free_port
from tests.payments.peers import wait_for

KEY = "sk_test_12345"
WRAPPER = Path(__file__).parent / "loopback"


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    """The address of a running localstripe."""
    port = free_port(settings.PORT + 4)
    home = tmp_path_factory.mktemp("localstripe")
    log = (home / "log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"],
        cwd=home,
        env={"PYTHONPATH": str(WRAPPER), "TMPDIR": str(home), "PATH": os.environ["PATH"]},
        stdout=log,
        stderr=log,
    )
    base = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return requests.get(f"{base}/js.stripe.com/v3/", timeout=60).status_code == 200
        except requests.ConnectionError:
            return process.poll() is not None

    wait_for(is_up)
    assert process.poll() is None, (home / "log").read_text()
    yield base
    process.terminate()
    process.wait(60)
    log.close()


@pytest.fixture
def api(peer):
    # It is older than the list of allowed ways to pay.
    return Gateway(KEY, peer, methods=())


def pay(peer, amount: int) -> str:
    """Return the id of an intent that somebody paid there."""
    paid = requests.post(
        f"{peer}/v1/payment_intents",
        data={"amount": amount, "currency": "eur", "payment_method": "pm_card_visa", "confirm": "true"},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=60,
    )
    assert paid.json()["status"] == "succeeded", paid.text
    return paid.json()["id"]


def test_peer_listens_on_the_loopback_interface_only(peer):
    port = int(peer.rpartition(":")[2])
    listening = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()
    ]
    addresses = {
        fields[1].rpartition(":")[0] for fields in listening if fields[1].endswith(f":{port:04X}") and fields[3] == "0A"
    }

    assert addresses == {"0000000000000000FFFF00000100007F"}


def test_intent_is_created_and_read(api):
    made = api.create_intent(amount_minor=9800, currency="EUR", metadata={"booking": "b1"}, key="k1")

    found = api.get_intent(made.id)

    assert made == found
    assert (found.status, found.amount_minor, found.currency) == ("requires_payment_method", 9800, "EUR")
    assert (found.metadata, found.received_minor) == ({"booking": "b1"}, 0)


def test_intent_is_cancelled_once_and_stays_so(api):
    made = api.create_intent(amount_minor=9800, currency="EUR", metadata={}, key="k2")

    assert [api.cancel_intent(made.id).status, api.cancel_intent(made.id).status] == ["canceled", "canceled"]


def test_cancel_of_a_paid_intent_finds_it_paid(api, peer):
    assert api.cancel_intent(pay(peer, 700)).status == "succeeded"


def test_refund_is_made_and_found(api, peer):
    intent_id = pay(peer, 700)

    made = api.create_refund(intent_id=intent_id, amount_minor=300, metadata={"refund": "r1"}, key="r1")

    assert (made.status, made.amount_minor, made.currency, made.intent_id) == ("succeeded", 300, "EUR", intent_id)
    assert api.get_refund(made.id) == made
    assert [found.metadata for found in api.list_refunds(intent_id)] == [{"refund": "r1"}]


def test_unknown_intent_is_an_error_of_ours(api):
    with pytest.raises((UnknownToProvider, ProviderRefused)):
        api.get_intent("pi_none")
