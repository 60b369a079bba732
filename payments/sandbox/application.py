"""The sandbox put together: one store, Stripe's API, the pages, the switches, and the clock of what happens later."""

import logging
import threading

from payments.sandbox import markup
from payments.sandbox.api import Api
from payments.sandbox.checkout import Checkout
from payments.sandbox.configuration import Config
from payments.sandbox.control import Control
from payments.sandbox.pages import Pages, page
from payments.sandbox.refunds import Refunds
from payments.sandbox.store import Store
from payments.sandbox.switches import Switches
from payments.sandbox.webhooks import Webhooks
from payments.sandbox.wire import Refusal, Reply, Request

log = logging.getLogger("sandbox")
TICK_SECONDS = 0.1


class Sandbox:
    """Answers requests and runs the clock of delayed payments and webhooks."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.switches = Switches()
        self.store = Store(config.path)
        self.webhooks = Webhooks(
            self.store,
            self.switches,
            url=config.webhook_url,
            secret=config.webhook_secret,
            api_version=config.api_version,
        )
        self.stopping = threading.Event()
        self.checkout = Checkout(self.store, self.switches, self.webhooks, base_url=config.base_url)
        self.refunds = Refunds(self.store, self.switches, self.webhooks, self.checkout.intents)
        self.api = Api(
            config, self.store, self.switches, checkout=self.checkout, refunds=self.refunds, stopping=self.stopping
        )
        self.control = Control(config, self.store, self.switches, webhooks=self.webhooks, refunds=self.refunds)
        self.pages = Pages(config, self.checkout)

    def tick_forever(self) -> None:
        """Deliver webhooks and run timers until told to stop."""
        while not self.stopping.is_set():
            try:
                self.checkout.intents.run_timers()
                self.webhooks.deliver_due()
            except Exception:
                if self.stopping.is_set():
                    return
                log.exception("the sandbox's clock stumbled")
            self.webhooks.wake.wait(TICK_SECONDS)
            self.webhooks.wake.clear()

    def answer(self, request: Request) -> Reply:
        """Return the answer to any request."""
        is_page = not request.path.startswith(("/v1/", "/sandbox/"))
        try:
            if request.path.startswith("/v1/"):
                return self.api.answer(request)
            if not is_page:
                return self.control.answer(request)
            with self.store.transaction():
                return self.pages.answer(request)
        except Refusal as refusal:
            if is_page:
                return page(refusal.status, markup.message("That does not work", str(refusal), self.config.site_url))
            return Reply(refusal.status, refusal.body)
