"""`manage.py payment_sandbox`: runs the server that stands in for Stripe, on the loopback interface."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from payments.gateway import API_VERSION
from payments.sandbox.application import Sandbox
from payments.sandbox.configuration import Config
from payments.sandbox.server import Server


def sandbox_config() -> Config:
    """Return the sandbox's configuration as the settings say."""
    return Config(
        port=settings.SANDBOX_PORT,
        site_url=settings.SITE_URL,
        webhook_url=f"{settings.SITE_URL}/api/v1/payments/webhook/stripe",
        webhook_secret=settings.STRIPE_WEBHOOK_SECRETS[0],
        secret_key=settings.STRIPE_SECRET_KEY,
        publishable_key=settings.STRIPE_PUBLISHABLE_KEY,
        api_version=API_VERSION,
        path=settings.DATA_DIR / "sandbox.sqlite3",
        late_seconds=settings.HOLD_SECONDS + settings.PAYMENT_GRACE_SECONDS + 15,
    )


class Command(BaseCommand):
    help = "Run the payment sandbox (test mode)."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.PAYMENTS_SANDBOX:
            raise CommandError(
                "The payment sandbox is off here: it takes no real money and gives out tickets all the same. It runs with "
                "DEBUG=1 and no STRIPE_SECRET_KEY, or where PAYMENTS_SANDBOX=1 asks for it by name."
            )
        config = sandbox_config()
        try:
            server = Server(Sandbox(config))
        except OSError as error:
            raise CommandError(f"Port {config.port} is taken ({error}). Set SANDBOX_PORT to another one.") from error
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: threading.Thread(target=server.stop).start())
        self.stdout.write(f"Payment sandbox at {config.base_url} (test mode: no money moves)")
        server.run()
