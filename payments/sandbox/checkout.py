"""Checkout sessions in the sandbox: Stripe's own payment page, which makes its intent when somebody tries to pay."""

import time

from payments.sandbox.intents import PAYABLE, Intents, cards_allowed
from payments.sandbox.store import Body, Store, new_id
from payments.sandbox.switches import Switches
from payments.sandbox.webhooks import Webhooks
from payments.sandbox.wire import Params, Refusal, Reply, currency_of, only, text_map, whole_number

CHECKOUT_SECONDS = (30 * 60, 24 * 3600)


class Checkout:
    """Every method that returns a Reply is one request of Stripe's API, run in one transaction of the store."""

    def __init__(self, store: Store, switches: Switches, webhooks: Webhooks, *, base_url: str) -> None:
        self.store = store
        self.webhooks = webhooks
        self.intents = Intents(store, switches, webhooks, base_url=base_url, when_paid=self.complete)

    def create(self, params: Params) -> Reply:
        """POST /v1/checkout/sessions, in `payment` mode with prices given in place."""
        cards_allowed(params)
        only(
            params,
            "mode",
            "line_items",
            "success_url",
            "cancel_url",
            "expires_at",
            "payment_intent_data",
            "metadata",
            "client_reference_id",
            "customer_email",
            "allowed_payment_method_types",
            "expand",
        )
        now = int(time.time())
        items = params.get("line_items") or []
        if params.get("mode") != "payment" or not items or not params.get("success_url"):
            raise Refusal(400, "Send mode=payment, line_items and success_url.")
        expires_at = whole_number(params, "expires_at") if "expires_at" in params else now + CHECKOUT_SECONDS[1]
        if not now + CHECKOUT_SECONDS[0] - 5 <= expires_at <= now + CHECKOUT_SECONDS[1] + 5:
            raise Refusal(
                400,
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.",
                param="expires_at",
            )
        session_id = new_id("cs_test")
        session = {
            "id": session_id,
            "object": "checkout.session",
            "amount_total": sum(
                whole_number(item["price_data"], "unit_amount") * whole_number(item, "quantity") for item in items
            ),
            "cancel_url": params.get("cancel_url"),
            "client_reference_id": params.get("client_reference_id"),
            "created": now,
            "currency": currency_of(items[0]["price_data"].get("currency")),
            "expires_at": expires_at,
            "livemode": False,
            "metadata": text_map(params.get("metadata", {})),
            "mode": "payment",
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "success_url": params["success_url"],
            "url": f"{self.intents.base_url}/pay/{session_id}",
            "_intent_metadata": text_map(params.get("payment_intent_data", {}).get("metadata", {})),
        }
        self.store.put(session)
        return Reply(200, session)

    def get(self, session_id: str) -> Body:
        """
        Load a checkout session, expired if its time is over.

        :raises Refusal: 404 as Stripe
        """
        session = self.store.get("checkout.session", session_id)
        if session is None:
            raise Refusal(404, f"No such checkout.session: {session_id}", code="resource_missing")
        if session["status"] == "open" and session["expires_at"] <= time.time():
            session |= {"status": "expired", "url": None}
            self.store.put(session)
        return session

    def expire(self, session_id: str) -> Reply:
        """POST /v1/checkout/sessions/{id}/expire"""
        session = self.get(session_id)
        if session["status"] != "open":
            raise Refusal(
                400,
                f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.',
            )
        if session["payment_intent"]:
            intent = self.intents.get(session["payment_intent"])
            if intent["status"] not in PAYABLE:
                raise Refusal(400, "This Checkout Session is being paid and can not be expired.")
            self.intents.cancel(intent, {})
        session |= {"status": "expired", "url": None}
        self.store.put(session)
        self.webhooks.announce("checkout.session.expired", session)
        return Reply(200, session)

    def intent_of(self, session: Body) -> Body:
        """Return the intent of a session, made when somebody first tries to pay."""
        if session["payment_intent"]:
            return self.intents.get(session["payment_intent"])
        intent = self.intents.new(
            amount=session["amount_total"],
            currency=session["currency"],
            metadata=session["_intent_metadata"],
            description=None,
        )
        intent["_session"] = session["id"]
        self.store.put(intent)
        session["payment_intent"] = intent["id"]
        self.store.put(session)
        return intent

    def complete(self, intent: Body) -> None:
        """Close the session whose intent was paid."""
        session = self.store.get("checkout.session", intent.get("_session", ""))
        if session is not None:
            session |= {"status": "complete", "payment_status": "paid", "url": None}
            self.store.put(session)
            self.webhooks.announce("checkout.session.completed", session)
