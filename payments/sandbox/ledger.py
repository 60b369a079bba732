"""The rules of money in the sandbox: intents, charges, refunds and checkout sessions, as Stripe documents them."""

import time
from typing import Any

from payments.sandbox import cards
from payments.sandbox.cards import Card
from payments.sandbox.store import Body, Store, new_id
from payments.sandbox.switches import Switches
from payments.sandbox.webhooks import Webhooks
from payments.sandbox.wire import Params, Refusal, Reply, listing, only, whole_number

PAYABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
CHECKOUT_SECONDS = (30 * 60, 24 * 3600)


class Ledger:
    """Every method is one request of Stripe's API; the server runs each in one transaction of the store."""

    def __init__(self, store: Store, switches: Switches, webhooks: Webhooks, *, base_url: str) -> None:
        self.store = store
        self.switches = switches
        self.webhooks = webhooks
        self.base_url = base_url

    # -- Payment intents ----------------------------------------------------------------------------------------------
    def create_intent(self, params: Params) -> Reply:
        """POST /v1/payment_intents"""
        cards_allowed(params)
        only(
            params,
            "amount",
            "currency",
            "metadata",
            "description",
            "allowed_payment_method_types",
            "automatic_payment_methods",
            "receipt_email",
            "payment_method",
            "confirm",
            "return_url",
            "expand",
        )
        intent = self.new_intent(
            amount=whole_number(params, "amount"),
            currency=currency_of(params.get("currency")),
            metadata=text_map(params.get("metadata", {})),
            description=params.get("description"),
        )
        self.webhooks.announce("payment_intent.created", intent)
        if params.get("confirm") == "true":
            return self.confirm(intent, params)
        return Reply(200, intent)

    def new_intent(self, *, amount: int, currency: str, metadata: dict[str, str], description: str | None) -> Body:
        """Write an intent that waits for a card."""
        intent_id = new_id("pi")
        intent = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_capturable": 0,
            "amount_received": 0,
            "automatic_payment_methods": None,
            "canceled_at": None,
            "cancellation_reason": None,
            "capture_method": "automatic_async",
            "client_secret": new_id(f"{intent_id}_secret"),
            "confirmation_method": "automatic",
            "created": int(time.time()),
            "currency": currency,
            "customer": None,
            "description": description,
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": metadata,
            "next_action": None,
            "payment_method": None,
            "payment_method_types": ["card"],
            "processing": None,
            "receipt_email": None,
            "status": "requires_payment_method",
        }
        self.store.put(intent)
        return intent

    def intent(self, intent_id: str, *, secret: str | None = None) -> Body:
        """
        Load an intent; with `secret`, only for whoever knows it.

        :raises Refusal: 404 as Stripe
        """
        intent = self.store.get("payment_intent", intent_id)
        if intent is None or (secret is not None and secret != intent["client_secret"]):
            raise Refusal(404, f"No such payment_intent: '{intent_id}'", code="resource_missing", param="intent")
        return intent

    def list_intents(self, params: Params) -> Reply:
        """GET /v1/payment_intents"""
        only(params, "limit", "starting_after", "created", "expand")
        items = self.store.all("payment_intent")
        created = params.get("created")
        if isinstance(created, dict) and "gte" in created:
            items = [item for item in items if item["created"] >= whole_number(created, "gte", low=0)]
        return Reply(200, listing("/v1/payment_intents", items, params))

    def update_intent(self, intent: Body, params: Params) -> Reply:
        """POST /v1/payment_intents/{id}"""
        only(params, "amount", "currency", "metadata", "description", "receipt_email", "expand")
        if {"amount", "currency"} & set(params) and intent["status"] not in PAYABLE:
            raise unexpected_state(intent, "updated")
        if "amount" in params:
            intent["amount"] = whole_number(params, "amount")
        if "currency" in params:
            intent["currency"] = currency_of(params["currency"])
        if "description" in params:
            intent["description"] = params["description"]
        intent["metadata"] |= text_map(params.get("metadata", {}))
        self.store.put(intent)
        return Reply(200, intent)

    def cancel_intent(self, intent: Body, params: Params) -> Reply:
        """POST /v1/payment_intents/{id}/cancel"""
        only(params, "cancellation_reason", "expand")
        if intent["status"] not in PAYABLE:
            raise unexpected_state(intent, "canceled")
        intent |= {
            "status": "canceled",
            "canceled_at": int(time.time()),
            "cancellation_reason": params.get("cancellation_reason"),
            "next_action": None,
        }
        self.store.put(intent)
        self.webhooks.announce("payment_intent.canceled", intent)
        return Reply(200, intent)

    def confirm(self, intent: Body, params: Params) -> Reply:
        """POST /v1/payment_intents/{id}/confirm, as Stripe.js does it with the publishable key and the client secret."""
        if intent["status"] not in PAYABLE:
            raise unexpected_state(intent, "confirmed")
        return self.charge(intent, card_from(params), return_url=params.get("return_url", ""))

    def charge(self, intent: Body, card: Card, *, return_url: str = "") -> Reply:
        """Try a card on an intent."""
        intent |= {"payment_method": card.name, "last_payment_error": None, "next_action": None}
        intent["_return_url"] = return_url or intent.get("_return_url", "")
        if card.outcome == "decline":
            return self.decline(intent, card)
        if card.outcome == "challenge":
            url = f"{self.base_url}/challenge/{intent['id']}"
            intent |= {
                "status": "requires_action",
                "next_action": {
                    "type": "redirect_to_url",
                    "redirect_to_url": {"url": url, "return_url": intent["_return_url"] or None},
                },
            }
            self.store.put(intent)
            self.webhooks.announce("payment_intent.requires_action", intent)
        elif card.outcome == "succeed":
            self.succeed(intent)
        else:
            wait = self.switches.late_seconds if card.outcome == "late" else self.switches.delayed_seconds
            intent |= {"status": "processing", "processing": {"type": "card", "card": {}}}
            self.store.put(intent)
            self.store.set_timer(intent["id"], "succeed", due_at=time.time() + wait)
            self.webhooks.announce("payment_intent.processing", intent)
        return Reply(200, intent)

    def decline(self, intent: Body, card: Card) -> Reply:
        """Write down that the bank said no, and say so."""
        error = {"type": "card_error", "code": card.code, "message": card.message, "charge": new_id("ch")}
        if card.decline_code:
            error["decline_code"] = card.decline_code
        intent |= {"status": "requires_payment_method", "payment_method": None, "last_payment_error": error}
        self.store.put(intent)
        self.webhooks.announce("payment_intent.payment_failed", intent)
        return Reply(402, {"error": error | {"payment_intent": intent}})

    def succeed(self, intent: Body) -> Body:
        """Take the money."""
        charge = {
            "id": new_id("ch"),
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"],
            "amount_refunded": 0,
            "captured": True,
            "created": int(time.time()),
            "currency": intent["currency"],
            "disputed": False,
            "livemode": False,
            "metadata": intent["metadata"],
            "paid": True,
            "payment_intent": intent["id"],
            "refunded": False,
            "status": "succeeded",
        }
        self.store.put(charge, parent=intent["id"])
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "latest_charge": charge["id"],
            "next_action": None,
            "processing": None,
        }
        self.store.put(intent)
        self.webhooks.announce("payment_intent.succeeded", intent)
        self.webhooks.announce("charge.succeeded", charge)
        self.complete_session(intent)
        return intent

    def answer_challenge(self, intent: Body, *, approved: bool) -> Body:
        """
        Go on after the bank's page.

        :raises Refusal: if nothing was asked
        """
        if intent["status"] != "requires_action":
            raise unexpected_state(intent, "authenticated")
        if approved:
            return self.succeed(intent)
        error = {
            "type": "invalid_request_error",
            "code": "payment_intent_authentication_failure",
            "message": "The bank could not confirm that it is you. Try again or use another card.",
        }
        intent |= {
            "status": "requires_payment_method",
            "payment_method": None,
            "next_action": None,
            "last_payment_error": error,
        }
        self.store.put(intent)
        self.webhooks.announce("payment_intent.payment_failed", intent)
        return intent

    def run_timers(self) -> int:
        """Decide the intents whose time has come."""
        with self.store.transaction():
            due = self.store.take_due_timers()
            for intent_id, outcome in due:
                intent = self.store.get("payment_intent", intent_id)
                if intent is None or intent["status"] != "processing":
                    continue
                if outcome == "succeed":
                    self.succeed(intent)
                else:
                    intent["processing"] = None
                    self.decline(intent, cards.CARDS[2])
        return len(due)

    # -- Refunds ------------------------------------------------------------------------------------------------------
    def create_refund(self, params: Params) -> Reply:
        """POST /v1/refunds: never more than what is left of the charge."""
        only(params, "payment_intent", "charge", "amount", "reason", "metadata", "expand")
        charge = self.charge_of(params)
        left = charge["amount"] - charge["amount_refunded"]
        if left == 0:
            raise Refusal(400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        amount = whole_number(params, "amount") if "amount" in params else left
        if amount > left:
            raise Refusal(
                400,
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                param="amount",
            )
        refund = {
            "id": new_id("re"),
            "object": "refund",
            "amount": amount,
            "charge": charge["id"],
            "created": int(time.time()),
            "currency": charge["currency"],
            "failure_reason": None,
            "metadata": text_map(params.get("metadata", {})),
            "payment_intent": charge["payment_intent"],
            "reason": params.get("reason"),
            "status": "pending",
        }
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.store.put(charge, parent=charge["payment_intent"])
        self.store.put(refund, parent=charge["payment_intent"])
        self.webhooks.announce("refund.created", refund)
        self.webhooks.announce("charge.refunded", charge)
        if self.switches.refund_outcome != "pending":
            self.finish_refund(refund, self.switches.refund_outcome)
        return Reply(200, refund)

    def finish_refund(self, refund: Body, outcome: str) -> Body:
        """Let the bank take (`succeeded`) or return (`failed`) a refund; a returned one is again on the charge."""
        if outcome not in {"succeeded", "failed"} or refund["status"] == "failed":
            raise Refusal(400, "A refund ends as succeeded or failed, once.")
        refund["status"] = outcome
        if outcome == "failed":
            refund["failure_reason"] = "lost_or_stolen_card"
            charge = self.store.get("charge", refund["charge"])
            assert charge is not None
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self.store.put(charge, parent=charge["payment_intent"])
        self.store.put(refund, parent=refund["payment_intent"])
        self.webhooks.announce("refund.failed" if outcome == "failed" else "refund.updated", refund)
        return refund

    def charge_of(self, params: Params) -> Body:
        """
        Return the charge that a refund names by itself or by its intent.

        :raises Refusal: if there is none
        """
        if "charge" in params:
            charge = self.store.get("charge", str(params["charge"]))
        else:
            intent = self.intent(str(params.get("payment_intent", "")))
            charge = self.store.get("charge", intent["latest_charge"] or "")
            if charge is None:
                raise Refusal(400, f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
        if charge is None:
            raise Refusal(404, f"No such charge: '{params['charge']}'", code="resource_missing")
        return charge

    def refund(self, refund_id: str) -> Body:
        """
        Load a refund.

        :raises Refusal: 404 as Stripe
        """
        refund = self.store.get("refund", refund_id)
        if refund is None:
            raise Refusal(404, f"No such refund: '{refund_id}'", code="resource_missing", param="refund")
        return refund

    def list_refunds(self, params: Params) -> Reply:
        """GET /v1/refunds"""
        only(params, "payment_intent", "charge", "limit", "starting_after", "expand")
        items = self.store.all("refund", parent=params.get("payment_intent"))
        if charge := params.get("charge"):
            items = [item for item in items if item["charge"] == charge]
        return Reply(200, listing("/v1/refunds", items, params))

    # -- Checkout sessions --------------------------------------------------------------------------------------------
    def create_session(self, params: Params) -> Reply:
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
            "url": f"{self.base_url}/pay/{session_id}",
            "_intent_metadata": text_map(params.get("payment_intent_data", {}).get("metadata", {})),
        }
        self.store.put(session)
        return Reply(200, session)

    def session(self, session_id: str) -> Body:
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

    def expire_session(self, session_id: str) -> Reply:
        """POST /v1/checkout/sessions/{id}/expire"""
        session = self.session(session_id)
        if session["status"] != "open":
            raise Refusal(
                400,
                f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.',
            )
        if session["payment_intent"]:
            intent = self.intent(session["payment_intent"])
            if intent["status"] not in PAYABLE:
                raise Refusal(400, "This Checkout Session is being paid and can not be expired.")
            self.cancel_intent(intent, {})
        session |= {"status": "expired", "url": None}
        self.store.put(session)
        self.webhooks.announce("checkout.session.expired", session)
        return Reply(200, session)

    def intent_of_session(self, session: Body) -> Body:
        """Return the intent of a session, made when somebody first tries to pay."""
        if session["payment_intent"]:
            return self.intent(session["payment_intent"])
        intent = self.new_intent(
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

    def complete_session(self, intent: Body) -> None:
        """Close the session whose intent was paid."""
        session = self.store.get("checkout.session", intent.get("_session", ""))
        if session is not None:
            session |= {"status": "complete", "payment_status": "paid", "url": None}
            self.store.put(session)
            self.webhooks.announce("checkout.session.completed", session)


def unexpected_state(intent: Body, step: str) -> Refusal:
    """Return Stripe's refusal of a step that the intent's status does not allow."""
    return Refusal(
        400,
        f"This PaymentIntent's status is {intent['status']}, so it can not be {step}.",
        code="payment_intent_unexpected_state",
        payment_intent=intent,
    )


def currency_of(value: Any) -> str:
    """
    Read a currency.

    :raises Refusal: if it is none
    """
    text = str(value or "").lower()
    if len(text) != 3 or not text.isalpha():
        raise Refusal(400, f"Invalid currency: {text}.", param="currency")
    return text


def text_map(value: Any) -> dict[str, str]:
    """
    Read metadata: up to 50 short texts.

    :raises Refusal: if it is anything else
    """
    if not isinstance(value, dict) or len(value) > 50:
        raise Refusal(400, "Metadata is a map of at most 50 keys.", param="metadata")
    for key, text in value.items():
        if not isinstance(text, str) or len(key) > 40 or len(text) > 500:
            raise Refusal(400, f"Metadata values are texts of at most 500 characters: {key}", param="metadata")
    return value


def cards_allowed(params: Params) -> None:
    """
    Accept a list of allowed ways to pay that has cards in it.

    :raises Refusal: for the older parameter that this version of the API dropped, and where no way to pay is left
    """
    if "payment_method_types" in params:
        raise Refusal(
            400,
            "payment_method_types is not supported in this API version. Use allowed_payment_method_types.",
            code="payment_method_types_no_longer_supported",
            param="payment_method_types",
        )
    if "card" not in params.get("allowed_payment_method_types", ["card"]):
        raise Refusal(
            400, "No valid payment method types for this Payment Intent.", param="allowed_payment_method_types"
        )


def card_from(params: Params) -> Card:
    """
    Return the card that a confirmation names.

    :raises Refusal: if it is no test card
    """
    if name := params.get("payment_method"):
        card = cards.by_name(str(name))
        if card is None:
            raise Refusal(400, f"No such PaymentMethod: '{name}'", code="resource_missing", param="payment_method")
        return card
    given = params.get("payment_method_data") or {}
    number = str((given.get("card") or {}).get("number", "")) if isinstance(given, dict) else ""
    if not number:
        raise Refusal(400, "You must provide a payment method to confirm.", code="parameter_missing")
    card = cards.by_number(number)
    if card is None:
        raise Refusal(402, "Your card number is incorrect.", kind="card_error", code="incorrect_number", param="number")
    return card
