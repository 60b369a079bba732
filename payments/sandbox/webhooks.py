"""Announcing to the shop what happened, signed as Stripe signs, until the shop says 2xx."""

import hashlib
import hmac
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from payments.sandbox.store import Body, Store, new_id
from payments.sandbox.switches import Switches
from payments.sandbox.wire import public

log = logging.getLogger("sandbox")
RETRIES = 15
COLLECT_SECONDS = 0.4
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the shop is on this machine, not behind a proxy


def signature(payload: bytes, secret: str, *, at: int) -> str:
    """Return the `Stripe-Signature` header for a payload."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


class Webhooks:
    """Writes events beside the change that caused them and delivers them from a thread of its own."""

    def __init__(self, store: Store, switches: Switches, *, url: str, secret: str, api_version: str) -> None:
        self.store = store
        self.switches = switches
        self.url = url
        self.secret = secret
        self.api_version = api_version
        self.wake = threading.Event()
        self.sending = threading.Lock()

    def announce(self, kind: str, subject: Body) -> None:
        """Write an event about `subject` in the current transaction of the store."""
        event: Body = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": self.api_version,
            "created": int(time.time()),
            "data": {"object": public(subject)},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": new_id("req"), "idempotency_key": None},
            "type": kind,
        }
        self.store.put(event, parent=subject.get("payment_intent") or subject["id"])
        self.queue(event["id"])

    def queue(self, event_id: str) -> None:
        """Queue the copies of an event that the switches ask for."""
        wait = max(self.switches.webhook_delay_seconds, COLLECT_SECONDS if self.switches.webhook_reorder else 0.0)
        for _ in range(self.switches.webhook_copies):
            state = "dropped" if self.switches.take_drop() else "waiting"
            self.store.queue_delivery(event_id, due_at=time.time() + wait, state=state)
        self.wake.set()

    def deliver_due(self) -> int:
        """Send what is due and return how much that was; copies of one event leave at the same moment."""
        with self.sending:
            return self.send_due()

    def forget(self) -> None:
        """Announce nothing of what happened until now; what is just being sent arrives first."""
        with self.sending, self.store.transaction():
            self.store.forget_the_future()

    def send_due(self) -> int:
        """Do the work of `deliver_due`."""
        if self.switches.webhooks_paused:
            return 0
        with self.store.lock:
            due = self.store.due_deliveries(newest_first=self.switches.webhook_reorder)
            events = {event_id: self.store.get("event", event_id) for _, event_id, _ in due}
        work = [(seq, event, attempts) for seq, event_id, attempts in due if (event := events[event_id]) is not None]
        if self.switches.webhook_copies == 1:
            for delivery in work:
                self.send(*delivery)
        elif work:
            with ThreadPoolExecutor(max_workers=len(work)) as pool:
                list(pool.map(lambda delivery: self.send(*delivery), work))
        return len(work)

    def send(self, seq: int, event: Body, attempts: int) -> None:
        """Send one delivery and write down the answer; anything but 2xx is tried again, ever later."""
        payload = json.dumps(event).encode()
        header = signature(payload, self.secret, at=int(time.time()))
        request = urllib.request.Request(  # noqa: S310 (the address is the operator's own)
            self.url, payload, {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": header}
        )
        try:
            with DIRECT.open(request, timeout=20) as response:
                answer, state = str(response.status), "delivered"
        except urllib.error.HTTPError as error:
            answer, state = str(error.code), "waiting"
            error.close()
        except OSError as error:
            answer, state = type(error).__name__, "waiting"
        if state == "waiting" and attempts + 1 >= RETRIES:
            state = "given up"
        if state != "delivered":
            log.warning("webhook %s not taken: %s", event["type"], answer)
        with self.store.transaction():
            self.store.note_delivery(
                seq, state=state, answer=answer, due_at=time.time() + min(60.0, 0.5 * 2 ** min(attempts, 10))
            )
