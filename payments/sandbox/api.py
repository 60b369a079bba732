"""Stripe's API paths in the sandbox: keys, idempotency, and the faults that a test ordered."""

import hashlib
import json
import threading

from payments.sandbox.checkout import Checkout
from payments.sandbox.configuration import Config
from payments.sandbox.refunds import Refunds
from payments.sandbox.store import Store
from payments.sandbox.switches import Fault, Switches
from payments.sandbox.wire import Params, Refusal, Reply, Request, server_error


class Api:
    """Answers what the SDK and Stripe.js ask."""

    def __init__(
        self,
        config: Config,
        store: Store,
        switches: Switches,
        *,
        checkout: Checkout,
        refunds: Refunds,
        stopping: threading.Event,
    ) -> None:
        self.config = config
        self.store = store
        self.switches = switches
        self.checkout = checkout
        self.refunds = refunds
        self.stopping = stopping
        self.busy: set[str] = set()

    def answer(self, request: Request) -> Reply:
        """Answer one of Stripe's paths, under its idempotency key if there is one."""
        self.authenticate(request)
        fault = self.switches.take_fault(request.method, request.path)
        if fault and fault.kind == "fail_before":
            return server_error()
        key = f"{request.key}:{request.idempotency_key}" if request.idempotency_key else ""
        if request.method != "POST" or not key:
            with self.store.transaction():
                reply = self.route(request)
            return self.spoil(fault, reply)
        return self.once(request, key, fault)

    def once(self, request: Request, key: str, fault: Fault | None) -> Reply:
        """Do a POST once for its key; the same key with other parameters is refused, a running one is a conflict."""
        meaning = fingerprint(request.method, request.path, request.params)
        with self.store.lock:
            if kept := self.store.answer_for(key):
                if kept[0] != meaning:
                    raise Refusal(
                        400,
                        "Keys for idempotent requests can only be used with the same parameters they were first used "
                        f"with. Try using a key other than '{request.idempotency_key}'.",
                        kind="idempotency_error",
                    )
                headers = {"Idempotent-Replayed": "true"} | ({"Stripe-Should-Retry": "false"} if kept[1] >= 500 else {})
                return Reply(kept[1], kept[2], headers)
            if key in self.busy:
                raise Refusal(
                    409,
                    "There is currently another in-progress request using this Idempotent Key.",
                    kind="idempotency_error",
                    code="idempotency_key_in_use",
                )
            self.busy.add(key)
        try:
            if fault and fault.kind == "slow":
                self.stopping.wait(fault.seconds)
            with self.store.transaction():
                reply = self.route(request)
                kept_reply = (
                    server_error() if fault and (fault.kind, fault.replays) == ("fail_after", "error") else reply
                )
                self.store.keep_answer(key, meaning, kept_reply.status, kept_reply.body)
            return self.spoil(fault, reply)
        finally:
            with self.store.lock:
                self.busy.discard(key)

    def spoil(self, fault: Fault | None, reply: Reply) -> Reply:
        """Let the answer to something that happened get lost or late."""
        if fault and fault.kind == "fail_after":
            return server_error()
        if fault and fault.kind == "hang":
            self.stopping.wait(fault.seconds)
        return reply

    def authenticate(self, request: Request) -> None:
        """
        Accept the secret key, and the publishable key with a client secret for what Stripe.js may do.

        :raises Refusal: 401
        """
        if request.key == self.config.secret_key:
            return
        parts = request.path.split("/")
        public = parts[2] == "payment_intents" and len(parts) in {4, 5} and (len(parts) == 4 or parts[4] == "confirm")
        if request.key == self.config.publishable_key and public and "client_secret" in request.params:
            return
        raise Refusal(401, "Invalid API Key provided." if request.key else "You did not provide an API key.")

    def route(self, request: Request) -> Reply:
        """
        Call the method that a path names.

        :raises Refusal: 404 for an unknown one
        """
        intents, refunds, checkout = self.checkout.intents, self.refunds, self.checkout
        params = dict(request.params)
        secret = params.pop("client_secret", None)
        match [request.method, *request.path.strip("/").split("/")[1:]]:
            case ["POST", "payment_intents"]:
                return intents.create(params)
            case ["GET", "payment_intents"]:
                return intents.page(params)
            case ["GET", "payment_intents", intent_id]:
                return Reply(200, intents.get(intent_id, secret=secret))
            case ["POST", "payment_intents", intent_id] if request.key == self.config.secret_key:
                return intents.update(intents.get(intent_id), params)
            case ["POST", "payment_intents", intent_id, "confirm"]:
                return intents.confirm(intents.get(intent_id, secret=secret), params)
            case ["POST", "payment_intents", intent_id, "cancel"]:
                return intents.cancel(intents.get(intent_id), params)
            case ["POST", "refunds"]:
                return refunds.create(params)
            case ["GET", "refunds"]:
                return refunds.page(params)
            case ["GET", "refunds", refund_id]:
                return Reply(200, refunds.get(refund_id))
            case ["POST", "checkout", "sessions"]:
                return checkout.create(params)
            case ["GET", "checkout", "sessions", session_id]:
                return Reply(200, checkout.get(session_id))
            case ["POST", "checkout", "sessions", session_id, "expire"]:
                return checkout.expire(session_id)
        raise Refusal(404, f"Unrecognized request URL ({request.method}: {request.path}).")


def fingerprint(method: str, path: str, params: Params) -> str:
    """Return what two requests under one idempotency key must share."""
    return hashlib.sha256(json.dumps([method, path, params], sort_keys=True).encode()).hexdigest()
