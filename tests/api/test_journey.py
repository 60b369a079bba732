"""
From sign-up to two tickets by a client that knows only the contract, over real HTTP: web server, worker and payment sandbox.

The second half fails on purpose at each step and gets the contract's error.
"""

import json
import re
from http.client import HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from accounts.models import User
from bookings.models import Booking
from events.models import SeatInventory
from tests.factories import TicketCategoryFactory
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "A-long-enough-secret-42"


class Client:
    """An HTTP client with a base address and, once signed in, a token; it knows nothing of the code it talks to."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.token = ""

    def send(self, method: str, url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        url = url if url.startswith("http") else self.base + url
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        if isinstance(body, dict):
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(body).encode()
        request = Request(url, data=body, method=method, headers=headers)
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, read(response)
        except HTTPError as error:
            return error.code, read(error)


def read(response: HTTPResponse | HTTPError) -> Any:
    raw = response.read()
    return json.loads(raw) if "json" in response.headers.get("Content-Type", "") else raw


@pytest.fixture
def client(live_site):
    return Client(live_site.url)


def mailed_code(client, email):
    """Read the newest code from the development mailbox."""

    def look():
        _, mails = client.send("GET", f"/dev/mail?{urlencode({'to': email})}", Accept="application/json")
        found = [re.search(r"\b(\d{6})\b", mail["text"]) for mail in mails]
        return next((match.group(1) for match in found if match), None)

    return eventually(look)


def sign_up(client, email="ana@journey.test"):
    status, body = client.send(
        "POST", "/api/v1/auth/signup/email", {"email": email, "password": SECRET, "name": "Ana", "phone": "+49 30 123"}
    )
    assert (status, body["status"]) == (201, "success")
    status, body = client.send("POST", "/api/v1/auth/verify-otp", {"email": email, "otp": mailed_code(client, email)})
    assert status == 201
    assert body["data"]["user"]["email"] == email
    client.token = body["data"]["access"]
    return body["data"]


def pay_at_provider(client, intent, method="pm_card_visa"):
    """Confirm an intent the way Stripe.js does, with the publishable key and the client secret."""
    _, body = client.send("GET", "/api/v1/payments/pub-key")
    keys = body["data"]
    return client.send(
        "POST",
        f"{keys['apiBase']}/v1/payment_intents/{intent['paymentIntentId']}/confirm",
        urlencode({"payment_method": method, "client_secret": intent["clientSecret"]}).encode(),
        Authorization=f"Bearer {keys['publishableKey']}",
        Content_Type="application/x-www-form-urlencoded",
    )


def test_from_sign_up_to_two_tickets(client):
    category = TicketCategoryFactory(event__name="Aurora Live", capacity=10, price_minor=4900)
    sign_up(client)

    _, found = client.send("GET", "/api/v1/events?" + urlencode({"search": "aurora", "available": "true"}))
    event = found["data"][0]
    status, held = client.send(
        "POST",
        "/api/v1/bookings",
        {"eventId": event["id"], "categoryId": event["categories"][0]["id"], "quantity": 2},
        Idempotency_Key="first-try",
    )
    booking = held["data"]["booking"]
    assert (status, booking["status"], booking["amountMinor"]) == (201, "pending", 9800)

    status, intended = client.send("POST", "/api/v1/payments/create-intent", {"bookingId": booking["id"]})
    assert (status, intended["data"]["amountMinor"], intended["data"]["currency"]) in (
        (200, 9800, "EUR"),
        (201, 9800, "EUR"),
    )
    status, unpaid = client.send("PATCH", f"/api/v1/bookings/{booking['id']}/confirm", {})
    assert (status, unpaid["code"]) == (402, "payment_not_completed")
    status, paid = pay_at_provider(client, intended["data"])
    assert (status, paid["status"]) == (200, "succeeded")
    status, confirmed = client.send("PATCH", f"/api/v1/bookings/{booking['id']}/confirm", {})
    assert (status, confirmed["data"]["status"]) == (200, "confirmed")

    status, tickets = client.send("GET", "/api/v1/tickets")
    assert (status, tickets["results"]) == (200, 2)
    for ticket in tickets["data"]:
        assert (ticket["status"], ticket["price"], ticket["holderName"]) == ("active", "49.00", "Ana")
        for document, magic in (("qr.svg", b"<svg"), ("ticket.pdf", b"%PDF"), ("event.ics", b"BEGIN:VCALENDAR")):
            status, content = client.send("GET", f"/api/v1/tickets/{ticket['code']}/{document}")
            assert (status, magic in content[:200]) == (200, True), document

    def ticket_mail():
        _, mails = client.send("GET", "/dev/mail?to=ana@journey.test", Accept="application/json")
        return next((mail for mail in mails if "Aurora Live" in mail["subject"]), None)

    assert eventually(ticket_mail)
    inventory = SeatInventory.objects.get(category=category)
    assert (inventory.sold, inventory.held) == (2, 0)

    status, cancelled = client.send("PUT", f"/api/v1/bookings/{booking['id']}/cancel")
    assert (status, cancelled["data"]["status"]) == (200, "cancelled")

    def refunded():
        _, shown = client.send("GET", f"/api/v1/bookings/{booking['id']}")
        refund = shown["data"]["refund"]
        return refund if refund and refund["status"] == "succeeded" else None

    assert eventually(refunded) == {"amountMinor": 9800, "currency": "EUR", "status": "succeeded"}


def test_webhook_alone_is_enough(client):
    category = TicketCategoryFactory()
    sign_up(client, "webhook@journey.test")
    _, held = client.send("POST", "/api/v1/bookings", {"categoryId": str(category.pk), "quantity": 1})
    booking = held["data"]["booking"]
    _, intended = client.send("POST", "/api/v1/payments/create-intent", {"bookingId": booking["id"]})
    pay_at_provider(client, intended["data"])

    def confirmed():
        _, shown = client.send("GET", f"/api/v1/bookings/{booking['id']}")
        return shown["data"]["status"] == "confirmed"

    assert eventually(confirmed)


def refuse(answer, status, code):
    assert (answer[0], answer[1]["code"]) == (status, code)
    assert answer[1]["status"] == ("fail" if status < 500 else "error")
    assert answer[1]["message"]


def test_each_step_refuses_with_the_contracts_error(client):
    category = TicketCategoryFactory(capacity=2)
    book = {"categoryId": str(category.pk), "quantity": 1}

    refuse(
        client.send("POST", "/api/v1/auth/signup", {"email": "no address", "password": SECRET}), 400, "email_invalid"
    )
    refuse(client.send("POST", "/api/v1/bookings", book), 401, "not_authenticated")
    refuse(client.send("POST", "/api/v1/bookings", book, Authorization="Bearer x.y.z"), 401, "not_authenticated")

    client.send("POST", "/api/v1/auth/signup", {"email": "ben@journey.test", "password": SECRET})
    code = mailed_code(client, "ben@journey.test")
    wrong = "000000" if code != "000000" else "111111"
    status, body = client.send("POST", "/api/v1/auth/verify-otp", {"email": "ben@journey.test", "otp": wrong})
    assert (status, body["status"]) == (400, "fail")
    assert body["code"]
    sign_up(client, "cleo@journey.test")

    refuse(client.send("GET", "/api/v1/events/not-an-id"), 400, "invalid_id")
    refuse(client.send("GET", f"/api/v1/events/{category.pk}"), 404, "not_found")
    refuse(client.send("POST", "/api/v1/bookings", book | {"quantity": 0}), 400, "invalid")
    refuse(client.send("POST", "/api/v1/bookings", book | {"quantity": 3}), 409, "partial")
    refuse(client.send("POST", "/api/v1/bookings", book | {"amountMinor": 1}), 400, "protected_field")
    _, held = client.send("POST", "/api/v1/bookings", book)
    booking = held["data"]["booking"]
    refuse(client.send("POST", "/api/v1/bookings", book), 409, "hold_exists")

    _, intended = client.send("POST", "/api/v1/payments/create-intent", {"bookingId": booking["id"]})
    status, declined = pay_at_provider(client, intended["data"], "pm_card_chargeDeclined")
    assert (status, declined["error"]["code"]) == (402, "card_declined")
    refuse(client.send("PATCH", f"/api/v1/bookings/{booking['id']}/confirm", {}), 402, "payment_not_completed")

    stranger = Client(client.base)
    sign_up(stranger, "stranger@journey.test")
    refuse(stranger.send("POST", "/api/v1/payments/create-intent", {"bookingId": booking["id"]}), 404, "not_found")
    refuse(stranger.send("PATCH", f"/api/v1/bookings/{booking['id']}/confirm", {}), 404, "not_found")
    refuse(stranger.send("GET", f"/api/v1/bookings/{booking['id']}"), 404, "not_found")

    Booking.objects.filter(pk=booking["id"]).update(expires_at="2020-01-01T00:00:00Z")
    refuse(client.send("POST", "/api/v1/payments/create-intent", {"bookingId": booking["id"]}), 410, "hold_expired")
    refuse(client.send("PATCH", f"/api/v1/bookings/{booking['id']}/confirm", {}), 410, "hold_expired")
    refuse(client.send("GET", "/api/v1/tickets/0000"), 404, "not_found")
    refuse(client.send("GET", "/api/v1/nowhere"), 404, "not_found")
    refuse(client.send("DELETE", "/api/v1/bookings"), 405, "method_not_allowed")

    User.objects.filter(email="cleo@journey.test").update(is_active=False)
    refuse(
        client.send("POST", "/api/v1/auth/login", {"email": "ana@journey.test", "password": SECRET}),
        401,
        "wrong_login",
    )
