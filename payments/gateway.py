"""
The provider of card payments, behind the official SDK: Stripe, or the sandbox that speaks its wire format.

Everything that leaves here is a plain value or an error of ours. Every call has a timeout, takes part in a bounded number of
calls at once (a slow provider must not take every thread of the shop with it) and refuses to run inside a transaction.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from math import ceil
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlsplit

import requests
import stripe
import structlog
from django.conf import settings
from django.db import connection

from common.errors import Conflict, NotFound, PaymentRequired, Unavailable

log = structlog.get_logger(__name__)

API_VERSION = "2026-10-28.endive"  # pinned: an update of the SDK must not change what the wire means
TIMEOUTS = (2.0, 8.0)  # connect, read; the SDK's own default is 80 s
RETRIES = 1
CALLS_AT_ONCE = 8
WAIT_FOR_A_TURN = 2.0


class ProviderUnavailable(Unavailable):
    code = "payment_provider_unavailable"
    message = "The payment service does not answer. Nothing was lost. Try again in a few seconds."


class CardDeclined(PaymentRequired):
    code = "card_declined"
    message = "Your card was declined. Nothing was charged."


class ProviderRefused(Conflict):
    """The provider understood and said no; `reason` is its own code."""

    code = "payment_refused"
    message = "The payment service refused that step."

    def __init__(self, message: str = "", *, reason: str = "") -> None:
        self.reason = reason
        super().__init__(message)


class UnknownToProvider(NotFound):
    code = "payment_unknown"
    message = "The payment service does not know that payment."


@dataclass(frozen=True)
class Intent:
    """A PaymentIntent as it is now."""

    id: str
    status: str
    amount_minor: int
    currency: str
    received_minor: int
    client_secret: str = field(repr=False, default="")
    metadata: dict[str, str] = field(default_factory=dict)
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True)
class Returned:
    """A refund at the provider as it is now."""

    id: str
    intent_id: str
    status: str
    amount_minor: int
    currency: str
    metadata: dict[str, str] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Checkout:
    """A hosted checkout as it is now."""

    id: str
    status: str
    url: str
    intent_id: str


@lru_cache(maxsize=4)
def client_for(api_key: str, api_base: str) -> stripe.StripeClient:
    """Return the SDK's client for a key and an address."""
    session = None
    if urlsplit(api_base).hostname in {"127.0.0.1", "localhost", "::1"}:
        session = requests.Session()
        session.trust_env = False  # a proxy of the machine is no way to the machine itself
    return stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses={"api": api_base},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=TIMEOUTS, session=session),
    )


class Gateway:
    """The calls we make, each named for what it means to us."""

    def __init__(self, api_key: str, api_base: str, *, methods: Sequence[str] = ("card",)) -> None:
        self.api = client_for(api_key, api_base).v1
        # No list at all: whatever is switched on in the provider's dashboard.
        self.methods: dict[str, Any] = {"allowed_payment_method_types": list(methods)} if methods else {}

    def create_intent(self, *, amount_minor: int, currency: str, metadata: dict[str, str], key: str) -> Intent:
        """
        Ask for money.

        :raises ProviderUnavailable: if there is no answer
        """
        with calling("create_intent"):
            return intent_from(
                self.api.payment_intents.create(
                    {
                        "amount": amount_minor,
                        "currency": currency.lower(),
                        "metadata": metadata,
                        **self.methods,  # type: ignore[typeddict-item]
                    },
                    {"idempotency_key": key},
                )
            )

    def get_intent(self, intent_id: str) -> Intent:
        """
        Read an intent.

        :raises UnknownToProvider: if there is none
        :raises ProviderUnavailable: if there is no answer
        """
        with calling("get_intent"):
            return intent_from(self.api.payment_intents.retrieve(intent_id))

    def cancel_intent(self, intent_id: str) -> Intent:
        """
        Close an intent for good, or find out that it is too late: the answer is how it stands now.

        No idempotency key: a refusal (the bank is working on it) must not be replayed to the next try.

        :raises UnknownToProvider: if there is none
        :raises ProviderUnavailable: if there is no answer
        """
        try:
            with calling("cancel_intent"):
                return intent_from(self.api.payment_intents.cancel(intent_id))
        except ProviderRefused:
            return self.get_intent(intent_id)

    def create_refund(self, *, intent_id: str, amount_minor: int, metadata: dict[str, str], key: str) -> Returned:
        """
        Send money back.

        :raises ProviderRefused: if there is not that much left to send
        :raises ProviderUnavailable: if there is no answer
        """
        with calling("create_refund"):
            return refund_from(
                self.api.refunds.create(
                    {"payment_intent": intent_id, "amount": amount_minor, "metadata": metadata},
                    {"idempotency_key": key},
                )
            )

    def get_refund(self, refund_id: str) -> Returned:
        """
        Read a refund.

        :raises UnknownToProvider: if there is none
        :raises ProviderUnavailable: if there is no answer
        """
        with calling("get_refund"):
            return refund_from(self.api.refunds.retrieve(refund_id))

    def list_refunds(self, intent_id: str) -> list[Returned]:
        """
        Read every refund of an intent, whoever made it.

        :raises ProviderUnavailable: if there is no answer
        """
        with calling("list_refunds"):
            found = self.api.refunds.list({"payment_intent": intent_id, "limit": 100})
            return [refund_from(item) for item in found.data]

    def intents_made(self, since: datetime, until: datetime) -> Iterator[list[Intent]]:
        """
        Yield every intent made in a period, a page at a time.

        :raises ProviderUnavailable: if there is no answer
        """
        yield from self.pages("list_intents", self.api.payment_intents.list, intent_from, since, until)

    def refunds_made(self, since: datetime, until: datetime) -> Iterator[list[Returned]]:
        """
        Yield every refund made in a period, whoever made it, a page at a time.

        :raises ProviderUnavailable: if there is no answer
        """
        yield from self.pages("list_refunds_made", self.api.refunds.list, refund_from, since, until)

    def pages(
        self, step: str, listed: Callable[[Any], Any], read: Callable[[Any], Any], since: datetime, until: datetime
    ) -> Iterator[list[Any]]:
        """Read a list of the provider to its end; whole seconds, as it counts."""
        wish: dict[str, Any] = {
            "created": {"gte": int(since.timestamp()), "lt": ceil(until.timestamp())},
            "limit": 100,
        }
        while True:
            with calling(step):
                page = listed(wish)
                found = [read(item) for item in page.data]
            yield found
            if not page.has_more or not found:
                return
            wish["starting_after"] = found[-1].id

    def create_checkout(
        self,
        *,
        amount_minor: int,
        currency: str,
        title: str,
        metadata: dict[str, str],
        expires_at: int,
        success_url: str,
        cancel_url: str,
        key: str,
    ) -> Checkout:
        """
        Open a hosted page to pay on, for browsers without JavaScript.

        :raises ProviderUnavailable: if there is no answer
        """
        wish: Any = {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": currency.lower(),
                        "unit_amount": amount_minor,
                        "product_data": {"name": title},
                    },
                }
            ],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "expires_at": expires_at,
            "success_url": success_url,
            "cancel_url": cancel_url,
            **self.methods,
        }
        with calling("create_checkout"):
            return checkout_from(self.api.checkout.sessions.create(wish, {"idempotency_key": key}))

    def get_checkout(self, checkout_id: str) -> Checkout:
        """
        Read a hosted checkout.

        :raises UnknownToProvider: if there is none
        :raises ProviderUnavailable: if there is no answer
        """
        with calling("get_checkout"):
            return checkout_from(self.api.checkout.sessions.retrieve(checkout_id))

    def expire_checkout(self, checkout_id: str) -> Checkout:
        """
        Close a hosted checkout, or find out that it is too late: the answer is how it stands now.

        :raises UnknownToProvider: if there is none
        :raises ProviderUnavailable: if there is no answer
        """
        try:
            with calling("expire_checkout"):
                return checkout_from(self.api.checkout.sessions.expire(checkout_id))
        except ProviderRefused:
            return self.get_checkout(checkout_id)


def gateway() -> Gateway:
    """Return the gateway that the settings name."""
    methods = [] if settings.STRIPE_PAYMENT_METHODS == ["dashboard"] else settings.STRIPE_PAYMENT_METHODS
    return Gateway(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, methods=methods)


turns = BoundedSemaphore(CALLS_AT_ONCE)


@contextmanager
def calling(step: str) -> Iterator[None]:
    """Run one call of the SDK: never inside a transaction, never too many at once, its errors turned into ours."""
    if connection.in_atomic_block:
        raise RuntimeError(f"{step} wanted to call the payment provider inside a transaction.")
    if not turns.acquire(timeout=WAIT_FOR_A_TURN):
        raise ProviderUnavailable(retry_after=5)
    try:
        yield
    except stripe.CardError as error:
        raise CardDeclined(error.user_message or "", decline_code=getattr(error.error, "decline_code", None)) from error
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            raise UnknownToProvider from error
        log.warning("payments.refused", step=step, refusal=error.code, reason=error.user_message)
        raise ProviderRefused(error.user_message or "", reason=error.code or "") from error
    except stripe.StripeError as error:
        # Unreachable, overloaded, broken, or our key is wrong: for the buyer all of these mean "later".
        expected = isinstance(error, stripe.APIConnectionError | stripe.RateLimitError | stripe.APIError)
        log.log(
            30 if expected else 40, "payments.unavailable", step=step, error=type(error).__name__, reason=str(error)
        )
        raise ProviderUnavailable(retry_after=5) from error
    finally:
        turns.release()


def intent_from(found: stripe.PaymentIntent) -> Intent:
    """Turn the SDK's object into ours."""
    error = found.last_payment_error
    return Intent(
        id=found.id,
        status=found.status,
        amount_minor=found.amount,
        currency=found.currency.upper(),
        received_minor=getattr(found, "amount_received", 0) or 0,
        client_secret=found.client_secret or "",
        metadata=metadata_of(found),
        error_code=field_of(error, "decline_code") or field_of(error, "code"),
        error_message=field_of(error, "message"),
    )


def refund_from(found: stripe.Refund) -> Returned:
    """Turn the SDK's object into ours."""
    return Returned(
        id=found.id,
        intent_id=id_of(found.payment_intent),
        status=found.status or "",
        amount_minor=found.amount,
        currency=found.currency.upper(),
        metadata=metadata_of(found),
        failure=field_of(found, "failure_reason"),
    )


def checkout_from(found: Any) -> Checkout:
    """Turn the SDK's object into ours."""
    return Checkout(id=found.id, status=found.status or "", url=found.url or "", intent_id=id_of(found.payment_intent))


def metadata_of(found: Any) -> dict[str, str]:
    """Return an object's metadata as a plain dict."""
    metadata = getattr(found, "metadata", None)
    return dict(metadata.to_dict()) if metadata is not None else {}


def field_of(found: Any, name: str) -> str:
    """Return a text that an object may lack."""
    return str(getattr(found, name, None) or "") if found is not None else ""


def id_of(found: Any) -> str:
    """Return the id of something that may be expanded, an id, or missing."""
    return found if isinstance(found, str) else field_of(found, "id")
