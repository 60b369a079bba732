"""The doors to the switches, for tests."""

from payments.sandbox.configuration import Config
from payments.sandbox.refunds import Refunds
from payments.sandbox.store import Store
from payments.sandbox.switches import Switches
from payments.sandbox.webhooks import Webhooks
from payments.sandbox.wire import Refusal, Reply, Request


class Control:
    """Turns switches, lets time pass, and tells what was announced."""

    def __init__(
        self, config: Config, store: Store, switches: Switches, *, webhooks: Webhooks, refunds: Refunds
    ) -> None:
        self.config = config
        self.store = store
        self.switches = switches
        self.webhooks = webhooks
        self.refunds = refunds
        self.fresh = Switches(delayed_seconds=config.delayed_seconds, late_seconds=config.late_seconds)
        switches.reset(self.fresh)

    def answer(self, request: Request) -> Reply:
        """
        The switches, for tests: only with the secret key.

        :raises Refusal: 401, 404
        """
        if request.key != self.config.secret_key:
            raise Refusal(401, "The switches need the secret key.")
        match [request.method, *request.path.strip("/").split("/")[1:]]:
            case ["GET", "control"]:
                return Reply(200, self.switches.state())
            case ["POST", "control"]:
                self.switches.change(request.params)
                self.webhooks.wake.set()
                return Reply(200, self.switches.state())
            case ["DELETE", "control"]:
                self.switches.reset(self.fresh)
                return Reply(200, self.switches.state())
            case ["POST", "hasten"]:
                with self.store.transaction():
                    self.store.hasten_timers()
                self.webhooks.wake.set()
                return Reply(200, {})
            case ["POST", "forget"]:
                self.webhooks.forget()
                self.switches.reset(self.fresh)
                return Reply(200, {})
            case ["GET", "events"]:
                with self.store.transaction():
                    events = self.store.all("event", parent=request.params.get("about"))
                    told = [event | {"deliveries": self.store.deliveries(event["id"])} for event in events]
                return Reply(200, {"data": told})
            case ["POST", "events", event_id, "resend"]:
                with self.store.transaction():
                    self.webhooks.queue(event_id)
                return Reply(200, {})
            case ["POST", "refunds", refund_id]:
                with self.store.transaction():
                    refund = self.refunds.finish(self.refunds.get(refund_id), str(request.params.get("status")))
                return Reply(200, refund)
        raise Refusal(404, "There is no such switch.")
