"""Who takes part in the tests of payments: the running sandbox, and a shop with buyers."""

import threading
import time
from collections.abc import Callable
from typing import Any

import requests
from django.db.models.functions import Now

from bookings import services as bookings
from bookings.models import Booking
from events.models import SeatInventory
from payments import services
from payments.sandbox.api import fingerprint
from payments.sandbox.application import Sandbox
from payments.sandbox.configuration import Config
from payments.sandbox.server import Server
from tests.factories import TicketCategoryFactory, UserFactory


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait until something has happened; the test's own assertion says what was missing."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)


class Provider:
    """The running sandbox, with the handles a test needs."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.sandbox = Sandbox(config)
        self.server = Server(self.sandbox)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        self.http = requests.Session()
        self.http.trust_env = False

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(10)
        self.http.close()

    def call(self, method: str, path: str, *, key: str = "", secret: bool = True, **data: Any) -> requests.Response:
        """Send one request as Stripe's clients do: form-encoded, with a key."""
        bearer = self.config.secret_key if secret else self.config.publishable_key
        headers = {"Authorization": f"Bearer {bearer}"} | ({"Idempotency-Key": key} if key else {})
        where = {"params": data} if method == "GET" else {"data": data}
        return self.http.request(method, self.config.base_url + path, headers=headers, timeout=60, **where)

    def control(self, **switches: Any) -> None:
        """Turn switches."""
        headers = {"Authorization": f"Bearer {self.config.secret_key}"}
        answer = self.http.post(f"{self.config.base_url}/sandbox/control", json=switches, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text

    def pay(self, view: services.IntentView, card: str = "pm_card_visa") -> requests.Response:
        """Confirm an intent the way a browser does: publishable key and client secret."""
        return self.call(
            "POST",
            f"/v1/payment_intents/{view.payment_intent_id}/confirm",
            secret=False,
            payment_method=card,
            client_secret=view.client_secret,
        )

    def events(self, about: str = "") -> list[dict[str, Any]]:
        """Return what was announced, oldest first."""
        told = self.call("GET", "/sandbox/events", **({"about": about} if about else {})).json()["data"]
        return list(reversed(told))

    def event(self, kind: str, about: str) -> dict[str, Any]:
        """Return the newest announcement of a kind about an intent, as it is on the wire."""
        event = next(event for event in reversed(self.events(about)) if event["type"] == kind)
        event.pop("deliveries")
        return event

    def remember_failure(self, method: str, path: str, params: dict[str, Any], *, key: str) -> None:
        """Let an idempotency key answer 500, as it does after a request that failed inside."""
        with self.sandbox.store.transaction():
            self.sandbox.store.keep_answer(
                f"{self.config.secret_key}:{key}",
                fingerprint(method, path, params),
                500,
                {"error": {"type": "api_error"}},
            )

    def hasten(self) -> None:
        """Let the bank decide now what it took its time for."""
        assert self.call("POST", "/sandbox/hasten").status_code == 200
        self.sandbox.checkout.intents.run_timers()


class Shop:
    """A category on sale, and people who buy."""

    def __init__(self) -> None:
        self.category = TicketCategoryFactory(capacity=10)

    def hold(self, user: Any = None, quantity: int = 2) -> Booking:
        """Hold seats for somebody."""
        user = user or UserFactory()
        return bookings.hold_seats(user_id=user.pk, category_id=self.category.pk, quantity=quantity)

    def intent(self, booking: Booking) -> services.IntentView:
        """Open the payment of a hold."""
        return services.create_intent(booking_id=booking.pk, user_id=booking.user_id)

    def lapse(self, booking: Booking) -> None:
        """Let a hold's deadline pass."""
        Booking.objects.filter(pk=booking.pk).update(expires_at=Now())

    def expire(self, booking: Booking) -> None:
        """Let a hold lapse and the sweep find it."""
        self.lapse(booking)
        assert bookings.expire_booking(booking_id=booking.pk)

    def sell_out(self) -> None:
        """Sell every seat that is free to others."""
        for _ in range(self.category.inventory.capacity):
            self.category.inventory.refresh_from_db()
            if not self.category.inventory.free:
                return
            hold = self.hold(quantity=1)
            bookings.confirm_booking(booking_id=hold.pk)

    def let_somebody_wait(self) -> None:
        """Give somebody on a waitlist a claim to the next seats, until `close`."""
        SeatInventory.objects.update(waiting=1)

    def close(self) -> None:
        """Leave the counters as the rows have them."""
        SeatInventory.objects.filter(waiting=1).update(waiting=0)

    def status(self, booking: Booking) -> str:
        """Return a booking's status now."""
        return Booking.objects.values_list("status", flat=True).get(pk=booking.pk)
