"""Payment intents in the sandbox: what a card does to them, as Stripe documents it."""

import time
from collections.abc import Callable

from payments.sandbox import cards
from payments.sandbox.cards import Card
from payments.sandbox.store import Body, Store, new_id
from payments.sandbox.switches import Switches
from payments.sandbox.webhooks import Webhooks
from payments.sandbox.wire import Params, Refusal, Reply, currency_of, listing, only, text_map, whole_number

PAYABLE = ("requires_payment_method", "requires_confirmation", "requires_action")


class Intents:
    """Every method that returns a Reply is one request of Stripe's API, run in one transaction of the store."""

    def __init__(
        self, store: Store, switches: Switches, webhooks: Webhooks, *, base_url: str, when_paid: Callable[[Body], None]
    ) -> None:
        self.store = store
        self.switches = switches
        self.webhooks = webhooks
        self.base_url = base_url
        self.when_paid = when_paid

    def create(self, params: Params) -> Reply:
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
        intent = self.new(
            amount=whole_number(params, "amount"),
            currency=currency_of(params.get("currency")),
            metadata=text_map(params.get("metadata", {})),
            description=params.get("description"),
        )
        self.webhooks.announce("payment_intent.created", intent)
        if params.get("confirm") == "true":
            return self.confirm(intent, params)
        return Reply(200, intent)

    def new(self, *, amount: int, currency: str, metadata: dict[str, str], description: str | None) -> Body:
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

    def get(self, intent_id: str, *, secret: str | None = None) -> Body:
        """
        Load an intent; with `secret`, only for whoever knows it.

        :raises Refusal: 404 as Stripe
        """
        intent = self.store.get("payment_intent", intent_id)
        if intent is None or (secret is not None and secret != intent["client_secret"]):
            raise Refusal(404, f"No such payment_intent: '{intent_id}'", code="resource_missing", param="intent")
        return intent

    def page(self, params: Params) -> Reply:
        """GET /v1/payment_intents"""
        only(params, "limit", "starting_after", "created", "expand")
        items = self.store.all("payment_intent")
        return Reply(200, listing("/v1/payment_intents", items, params))

    def update(self, intent: Body, params: Params) -> Reply:
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

    def cancel(self, intent: Body, params: Params) -> Reply:
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
        self.when_paid(intent)
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


def unexpected_state(intent: Body, step: str) -> Refusal:
    """Return Stripe's refusal of a step that the intent's status does not allow."""
    return Refusal(
        400,
        f"This PaymentIntent's status is {intent['status']}, so it can not be {step}.",
        code="payment_intent_unexpected_state",
        payment_intent=intent,
    )


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
