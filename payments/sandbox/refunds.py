"""Refunds in the sandbox: never more than what is left of the charge."""

import time

from payments.sandbox.intents import Intents
from payments.sandbox.store import Body, Store, new_id
from payments.sandbox.switches import Switches
from payments.sandbox.webhooks import Webhooks
from payments.sandbox.wire import Params, Refusal, Reply, listing, only, text_map, whole_number


class Refunds:
    """Every method that returns a Reply is one request of Stripe's API, run in one transaction of the store."""

    def __init__(self, store: Store, switches: Switches, webhooks: Webhooks, intents: Intents) -> None:
        self.store = store
        self.switches = switches
        self.webhooks = webhooks
        self.intents = intents

    def create(self, params: Params) -> Reply:
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
            self.finish(refund, self.switches.refund_outcome)
        return Reply(200, refund)

    def finish(self, refund: Body, outcome: str) -> Body:
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
            intent = self.intents.get(str(params.get("payment_intent", "")))
            charge = self.store.get("charge", intent["latest_charge"] or "")
            if charge is None:
                raise Refusal(400, f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
        if charge is None:
            raise Refusal(404, f"No such charge: '{params['charge']}'", code="resource_missing")
        return charge

    def get(self, refund_id: str) -> Body:
        """
        Load a refund.

        :raises Refusal: 404 as Stripe
        """
        refund = self.store.get("refund", refund_id)
        if refund is None:
            raise Refusal(404, f"No such refund: '{refund_id}'", code="resource_missing", param="refund")
        return refund

    def page(self, params: Params) -> Reply:
        """GET /v1/refunds"""
        only(params, "payment_intent", "charge", "created", "limit", "starting_after", "expand")
        items = self.store.all("refund", parent=params.get("payment_intent"))
        if charge := params.get("charge"):
            items = [item for item in items if item["charge"] == charge]
        return Reply(200, listing("/v1/refunds", items, params))
