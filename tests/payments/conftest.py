"""What the tests of payments stand on: a sandbox of their own, a shop that sells, and books that must balance."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest


@pytest.fixture(scope="session")
def spare_port() -> int:
    """A port beside those of the running site."""
    from django.conf import settings

    from tests.conftest import free_port

    return free_port(settings.PORT + 2)


@pytest.fixture(autouse=True)
def _own_address(settings: Any, spare_port: int) -> None:
    """Give these tests a sandbox address of their own: at the usual one the running site's sandbox may be listening."""
    settings.SANDBOX_PORT = spare_port
    settings.SANDBOX_URL = settings.STRIPE_API_BASE = f"http://127.0.0.1:{settings.SANDBOX_PORT}"


@pytest.fixture
def provider_config() -> "Config":  # noqa: F821
    """The sandbox's configuration as the settings say, with a memory that ends with the test."""
    from payments.management.commands.payment_sandbox import sandbox_config

    return replace(sandbox_config(), path=None)


@pytest.fixture
def provider(provider_config: "Config") -> Iterator["Provider"]:  # noqa: F821
    """The sandbox over HTTP at the address the settings name; it keeps its announcements to itself."""
    from tests.payments.peers import Provider

    running = Provider(provider_config)
    running.control(webhooks_paused=True)
    yield running
    running.stop()


class Books:
    """Whether the test's end checks that the books balance; a test that breaks them on purpose says so."""

    broken_on_purpose = False


@pytest.fixture
def books(transactional_db: None) -> Iterator[Books]:
    """Check at the end: seats, money, tickets and notices agree, recounted from the rows."""
    from django.core.management import call_command

    from common.invariants import breaches

    books = Books()
    yield books
    if not books.broken_on_purpose:
        assert {name: found for name, found in breaches().items() if found} == {}
        call_command("audit_inventory")


@pytest.fixture
def shop(books: Books) -> Iterator["Shop"]:  # noqa: F821
    """A shop with ten seats on sale, whose books are checked at the end."""
    from tests.payments.peers import Shop

    shop = Shop()
    yield shop
    shop.close()


@pytest.fixture
def announce() -> Callable[..., None]:
    """`announce(event)` hands a signed event to the webhook's service, as the API does."""
    from django.conf import settings

    from payments import services
    from payments.sandbox.webhooks import signature

    def announce(event: dict[str, Any], *, secret: str = "", age: int = 0) -> None:
        payload = json.dumps(event).encode()
        header = signature(payload, secret or settings.STRIPE_WEBHOOK_SECRETS[0], at=int(time.time()) - age)
        services.handle_webhook(payload=payload, signature=header)

    return announce
