"""
The provider's announcements.

An announcement only says that something about an intent may have changed: what changed is read from the provider, before the
transaction, so order, age and repetition of announcements mean nothing. Its id is stored in the transaction of its effect.
"""

import json
from typing import Any

import stripe
import structlog
from django.conf import settings
from django.db import transaction

from payments.gateway import UnknownToProvider, gateway
from payments.models import Attention, Payment, StripeEvent
from payments.refusals import BadEvent, BadSignature
from payments.services.refunds import record_all
from payments.services.rows import note_attention
from payments.services.settlement import settle_intent

log = structlog.get_logger(__name__)

TOLERANCE_SECONDS = 300
MAX_BYTES = 1_000_000


def handle_webhook(*, payload: bytes, signature: str) -> None:
    """
    Take in one signed announcement.

    :raises BadSignature: if none of our secrets made the signature, or it is older than five minutes
    :raises BadEvent: if it is signed and no event all the same
    :raises ProviderUnavailable: if the provider can not be asked; it will announce again
    """
    check_signature(payload, signature)
    event = parse(payload)
    event_id, kind, subject = event["id"], event["type"], event["data"]["object"]
    if bool(event.get("livemode")) != ("_live_" in settings.STRIPE_SECRET_KEY):
        log.warning("webhook.other_mode", event_id=event_id, type=kind)
        return
    if StripeEvent.objects.filter(stripe_id=event_id).exists():
        return
    intent_id = intent_of(kind, subject)
    try:
        intent = gateway().get_intent(intent_id) if intent_id else None
        refunds = gateway().list_refunds(intent_id) if intent and is_about_refunds(kind) else None
    except UnknownToProvider:
        intent, refunds = None, None
        log.warning("webhook.unknown_intent", event_id=event_id, intent=intent_id)
    with transaction.atomic():
        # A repeat at the same moment waits here for the first one to commit, and then finds its row.
        _, is_new = StripeEvent.objects.get_or_create(
            stripe_id=event_id, defaults={"type": kind[:100], "intent_id": intent_id}
        )
        if not is_new:
            return
        payment = settle_intent(intent=intent) if intent else None
        if payment is not None and refunds is not None:
            record_all(payment=payment, found=refunds)
        if intent is None and intent_id:
            note_attention(
                Attention.Kind.UNKNOWN_INTENT, intent_id=intent_id, detail=f"announced by {event_id}: {kind}"
            )
        if payment is not None and kind.startswith("charge.dispute."):
            note_dispute(payment, kind, subject)
    log.info("webhook.done", event_id=event_id, type=kind)


def check_signature(payload: bytes, signature: str) -> None:
    """
    Accept a payload that any of our secrets has signed in the last five minutes.

    :raises BadSignature: otherwise
    """
    for secret in settings.STRIPE_WEBHOOK_SECRETS:
        try:
            stripe.WebhookSignature.verify_header(payload, signature, secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            continue
        return
    log.warning("webhook.bad_signature", size=len(payload))
    raise BadSignature


def parse(payload: bytes) -> dict[str, Any]:
    """
    Read an event.

    :raises BadEvent: if it is none
    """
    try:
        event = json.loads(payload)
        if not isinstance(event["data"]["object"], dict) or not isinstance(event["type"], str):
            raise BadEvent
        if not isinstance(event["id"], str) or not 1 <= len(event["id"]) <= 255:
            raise BadEvent
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadEvent from None
    return event


def intent_of(kind: str, subject: dict[str, Any]) -> str:
    """Return the id of the intent that an event is about; empty if it is about something else."""
    if kind.startswith("payment_intent."):
        found = subject.get("id")
    elif kind.startswith(("charge.", "refund.", "checkout.session.")):
        found = subject.get("payment_intent")
    else:
        found = None
    return found[:255] if isinstance(found, str) else ""


def is_about_refunds(kind: str) -> bool:
    """Whether an event says that a refund may have changed."""
    return kind.startswith(("refund.", "charge.refund"))


def note_dispute(payment: Payment, kind: str, subject: dict[str, Any]) -> None:
    """Put a dispute on the list of a person."""
    amount = subject.get("amount")
    note_attention(
        Attention.Kind.DISPUTED,
        intent_id=payment.intent_id or "",
        payment=payment,
        amount_minor=amount if isinstance(amount, int) and amount > 0 else payment.received_minor,
        currency=payment.currency,
        detail=f"{kind}: {subject.get('reason', '')}",
    )
