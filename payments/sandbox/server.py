"""The sandbox's HTTP server: Stripe's paths, the pages, and the switches for tests. Loopback only."""

import contextlib
import hashlib
import json
import logging
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from common.money import display
from payments.sandbox import cards, pages
from payments.sandbox.ledger import Ledger
from payments.sandbox.store import Body, Store, new_id
from payments.sandbox.switches import Fault, Switches
from payments.sandbox.webhooks import Webhooks
from payments.sandbox.wire import Params, Refusal, Reply, decode

log = logging.getLogger("sandbox")
MAX_BODY = 1_000_000
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Config:
    """Where the sandbox listens, who may speak to it, and whom it tells."""

    port: int
    site_url: str
    webhook_url: str
    webhook_secret: str
    secret_key: str
    publishable_key: str
    api_version: str
    path: Path | None = None
    delayed_seconds: float = 5.0
    late_seconds: float = 735.0

    @property
    def base_url(self) -> str:
        """The sandbox's own address."""
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Request:
    """A request as the routes see it."""

    method: str
    path: str
    params: Params
    key: str  # the API key that was sent
    idempotency_key: str
    origin: str


class Sandbox:
    """Answers requests and runs the clock of delayed payments and webhooks."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.fresh = Switches(delayed_seconds=config.delayed_seconds, late_seconds=config.late_seconds)
        self.switches = Switches()
        self.switches.reset(self.fresh)
        self.store = Store(config.path)
        self.webhooks = Webhooks(
            self.store,
            self.switches,
            url=config.webhook_url,
            secret=config.webhook_secret,
            api_version=config.api_version,
        )
        self.ledger = Ledger(self.store, self.switches, self.webhooks, base_url=config.base_url)
        self.stopping = threading.Event()
        self.busy: set[str] = set()

    # -- The clock ----------------------------------------------------------------------------------------------------
    def tick_forever(self) -> None:
        """Deliver webhooks and run timers until told to stop."""
        while not self.stopping.is_set():
            try:
                self.ledger.run_timers()
                self.webhooks.deliver_due()
            except Exception:
                if self.stopping.is_set():
                    return
                log.exception("the sandbox's clock stumbled")
            self.webhooks.wake.wait(TICK_SECONDS)
            self.webhooks.wake.clear()

    # -- Answers ------------------------------------------------------------------------------------------------------
    def answer(self, request: Request) -> Reply:
        """Return the answer to any request."""
        is_page = not request.path.startswith(("/v1/", "/sandbox/"))
        try:
            if request.path.startswith("/v1/"):
                return self.answer_api(request)
            if not is_page:
                return self.answer_control(request)
            with self.store.transaction():
                return self.answer_page(request)
        except Refusal as refusal:
            if is_page:
                return page(refusal.status, pages.message("That does not work", str(refusal), self.config.site_url))
            return Reply(refusal.status, refusal.body)

    def answer_api(self, request: Request) -> Reply:
        """Answer one of Stripe's paths, under its idempotency key if there is one."""
        self.authenticate(request)
        fault = self.switches.take_fault(request.method, request.path)
        if fault and fault.kind == "fail_before":
            return server_error()
        key = f"{request.key}:{request.idempotency_key}" if request.idempotency_key else ""
        if request.method != "POST" or not key:
            with self.store.transaction():
                reply = self.route(request)
            return self.spoil(fault, reply)
        return self.once(request, key, fault)

    def once(self, request: Request, key: str, fault: Fault | None) -> Reply:
        """Do a POST once for its key; the same key with other parameters is refused, a running one is a conflict."""
        meaning = fingerprint(request.method, request.path, request.params)
        with self.store.lock:
            if kept := self.store.answer_for(key):
                if kept[0] != meaning:
                    raise Refusal(
                        400,
                        "Keys for idempotent requests can only be used with the same parameters they were first used "
                        f"with. Try using a key other than '{request.idempotency_key}'.",
                        kind="idempotency_error",
                    )
                headers = {"Idempotent-Replayed": "true"} | ({"Stripe-Should-Retry": "false"} if kept[1] >= 500 else {})
                return Reply(kept[1], kept[2], headers)
            if key in self.busy:
                raise Refusal(
                    409,
                    "There is currently another in-progress request using this Idempotent Key.",
                    kind="idempotency_error",
                    code="idempotency_key_in_use",
                )
            self.busy.add(key)
        try:
            if fault and fault.kind == "slow":
                self.stopping.wait(fault.seconds)
            with self.store.transaction():
                reply = self.route(request)
                kept_reply = (
                    server_error() if fault and (fault.kind, fault.replays) == ("fail_after", "error") else reply
                )
                self.store.keep_answer(key, meaning, kept_reply.status, kept_reply.body)
            return self.spoil(fault, reply)
        finally:
            with self.store.lock:
                self.busy.discard(key)

    def spoil(self, fault: Fault | None, reply: Reply) -> Reply:
        """Let the answer to something that happened get lost or late."""
        if fault and fault.kind == "fail_after":
            return server_error()
        if fault and fault.kind == "hang":
            self.stopping.wait(fault.seconds)
        return reply

    def authenticate(self, request: Request) -> None:
        """
        Accept the secret key, and the publishable key with a client secret for what Stripe.js may do.

        :raises Refusal: 401
        """
        if request.key == self.config.secret_key:
            return
        parts = request.path.split("/")
        public = parts[2] == "payment_intents" and len(parts) in {4, 5} and (len(parts) == 4 or parts[4] == "confirm")
        if request.key == self.config.publishable_key and public and "client_secret" in request.params:
            return
        raise Refusal(401, "Invalid API Key provided." if request.key else "You did not provide an API key.")

    def route(self, request: Request) -> Reply:
        """
        Call the ledger's method for a path.

        :raises Refusal: 404 for an unknown one
        """
        ledger, params = self.ledger, dict(request.params)
        secret = params.pop("client_secret", None)
        match [request.method, *request.path.strip("/").split("/")[1:]]:
            case ["POST", "payment_intents"]:
                return ledger.create_intent(params)
            case ["GET", "payment_intents"]:
                return ledger.list_intents(params)
            case ["GET", "payment_intents", intent_id]:
                return Reply(200, ledger.intent(intent_id, secret=secret))
            case ["POST", "payment_intents", intent_id] if request.key == self.config.secret_key:
                return ledger.update_intent(ledger.intent(intent_id), params)
            case ["POST", "payment_intents", intent_id, "confirm"]:
                return ledger.confirm(ledger.intent(intent_id, secret=secret), params)
            case ["POST", "payment_intents", intent_id, "cancel"]:
                return ledger.cancel_intent(ledger.intent(intent_id), params)
            case ["POST", "refunds"]:
                return ledger.create_refund(params)
            case ["GET", "refunds"]:
                return ledger.list_refunds(params)
            case ["GET", "refunds", refund_id]:
                return Reply(200, ledger.refund(refund_id))
            case ["POST", "checkout", "sessions"]:
                return ledger.create_session(params)
            case ["GET", "checkout", "sessions", session_id]:
                return Reply(200, ledger.session(session_id))
            case ["POST", "checkout", "sessions", session_id, "expire"]:
                return ledger.expire_session(session_id)
        raise Refusal(404, f"Unrecognized request URL ({request.method}: {request.path}).")

    # -- Control ------------------------------------------------------------------------------------------------------
    def answer_control(self, request: Request) -> Reply:
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
                    refund = self.ledger.finish_refund(self.ledger.refund(refund_id), str(request.params.get("status")))
                return Reply(200, refund)
        raise Refusal(404, "There is no such switch.")

    # -- Pages --------------------------------------------------------------------------------------------------------
    def answer_page(self, request: Request) -> Reply:
        """Answer a browser."""
        match [request.method, *request.path.strip("/").split("/")]:
            case ["GET", ""]:
                return page(200, pages.home(self.config.site_url))
            case ["GET", "sandbox.css"]:
                return Reply(200, pages.CSS, {"Cache-Control": "max-age=3600"}, "text/css; charset=utf-8")
            case ["GET", "healthz"]:
                return Reply(200, {"status": "ok"})
            case ["GET" | "POST", "pay", subject]:
                return self.pay(request, subject)
            case ["GET", "challenge", intent_id]:
                return self.challenge(request, intent_id)
            case ["POST", "challenge", intent_id]:
                return self.challenge(request, intent_id)
        return page(404, pages.message("Nothing here", "There is no such page.", self.config.site_url))

    def pay(self, request: Request, subject: str) -> Reply:
        """The card form: of an intent, or of a checkout session."""
        session = self.ledger.session(subject) if subject.startswith("cs_") else None
        if session is not None:
            return_url = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
            back = session["cancel_url"] or ""
            if session["status"] == "expired":
                return page(410, pages.message("Too late", "This payment is closed. Nothing was charged.", back))
            intent = self.ledger.intent_of_session(session)
        else:
            intent = self.ledger.intent(subject)
            return_url = back = str(request.params.get("return_url", ""))
        if return_url and not self.is_of_the_shop(return_url):
            return page(400, pages.message("Not this shop", "The address to go back to is not the shop's."))
        if intent["status"] in {"succeeded", "processing"}:
            return see_other(after(intent, return_url or self.config.site_url))
        if intent["status"] == "canceled":
            return page(410, pages.message("Too late", "This payment is closed. Nothing was charged.", back))
        form: dict[str, Any] = {
            "action": f"/pay/{subject}"
            + (f"?{urlencode({'return_url': return_url})}" if not session and return_url else ""),
            "amount": display(intent["amount"], intent["currency"].upper()),
            "title": intent["metadata"].get("title", ""),
            "back": back if back and self.is_of_the_shop(back) else "",
        }
        if request.method == "GET":
            return page(200, pages.pay(**form))
        values = {name: str(request.params.get(name, "")) for name in pages.FIELDS}
        if errors := pages.wrong_fields(values):
            return page(422, pages.pay(**form, values=values, errors=errors))
        card = cards.by_number(values["number"])
        assert card is not None
        reply = self.ledger.charge(intent, card, return_url=return_url)
        if reply.status != 200:
            return page(402, pages.pay(**form, values=values, declined=reply.body["error"]["message"]))
        if intent["status"] == "requires_action":
            return see_other(intent["next_action"]["redirect_to_url"]["url"])
        return see_other(after(intent, return_url or self.config.site_url))

    def challenge(self, request: Request, intent_id: str) -> Reply:
        """The bank's page."""
        intent = self.ledger.intent(intent_id)
        back = intent.get("_return_url") or self.config.site_url
        if not self.is_of_the_shop(back):
            back = self.config.site_url
        if intent["status"] != "requires_action":
            return see_other(after(intent, back))
        if request.method == "GET":
            return page(200, pages.challenge(intent))
        intent = self.ledger.answer_challenge(intent, approved=request.params.get("answer") == "approve")
        return see_other(after(intent, back))

    def is_of_the_shop(self, url: str) -> bool:
        """Whether an address is the shop's, by its configured name or by another name of this machine."""
        wanted, given = urlsplit(self.config.site_url), urlsplit(url)
        try:
            if (given.scheme, given.port) != (wanted.scheme, wanted.port) or "\\" in url:
                return False
        except ValueError:
            return False
        return given.hostname == wanted.hostname or {given.hostname, wanted.hostname} <= LOOPBACK

    def page_headers(self) -> dict[str, str]:
        """The security headers of the pages: no scripts at all, forms only here and back to the shop."""
        shop = urlsplit(self.config.site_url)
        names = LOOPBACK - {"::1"} if shop.hostname in LOOPBACK else {shop.hostname}
        port = f":{shop.port}" if shop.port else ""
        shops = " ".join(sorted(f"{shop.scheme}://{name}{port}" for name in names))
        return {
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {shops}",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }


def fingerprint(method: str, path: str, params: Params) -> str:
    """Return what two requests under one idempotency key must share."""
    return hashlib.sha256(json.dumps([method, path, params], sort_keys=True).encode()).hexdigest()


def page(status: int, html: str) -> Reply:
    """Return an HTML answer."""
    return Reply(status, html, {"Cache-Control": "no-store"}, "text/html; charset=utf-8")


def see_other(url: str) -> Reply:
    """Send the browser on."""
    return Reply(303, "", {"Location": url}, "text/html; charset=utf-8")


def after(intent: Body, return_url: str) -> str:
    """Return the shop's address with what Stripe appends to it."""
    parts = urlsplit(return_url)
    status = {"succeeded": "succeeded", "processing": "processing"}.get(intent["status"], "failed")
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("payment_intent", intent["id"]),
        ("payment_intent_client_secret", intent["client_secret"]),
        ("redirect_status", status),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))


def server_error() -> Reply:
    """Return what Stripe answers when something broke on its side."""
    return Reply(500, {"error": {"type": "api_error", "message": "An unknown error occurred."}})


class Handler(BaseHTTPRequestHandler):
    """Reads a request off the socket and writes the sandbox's answer."""

    protocol_version = "HTTP/1.1"
    server_version = "FairseatSandbox"
    wbufsize = 65536
    disable_nagle_algorithm = True
    timeout = 60
    sandbox: Sandbox

    def handle_any(self) -> None:
        """Answer, whatever the method."""
        parts = urlsplit(self.path)
        origin = self.headers.get("Origin", "")
        try:
            reply = self.sandbox.answer(self.read(parts.path, parts.query, origin))
        except Refusal as refusal:
            reply = Reply(refusal.status, refusal.body)
            self.close_connection = True
        except Exception:
            log.exception("%s %s failed", self.command, parts.path)
            reply = server_error()
        self.write(reply, origin)

    do_GET = do_POST = do_DELETE = handle_any  # noqa: N815

    def do_OPTIONS(self) -> None:
        """Answer a browser's question before a cross-origin request."""
        self.write(Reply(204, "", {"Access-Control-Max-Age": "600"}), self.headers.get("Origin", ""))

    def read(self, path: str, query: str, origin: str) -> Request:
        """
        Read the request.

        :raises Refusal: if its body is too long or malformed
        """
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY or "Transfer-Encoding" in self.headers:
            raise Refusal(413, "The body is too long or has no length.")
        raw = self.rfile.read(int(length)).decode("utf-8", "replace")
        params = decode(query)
        if "json" in self.headers.get("Content-Type", ""):
            try:
                sent = json.loads(raw or "{}")
            except ValueError:
                raise Refusal(400, "Malformed JSON.") from None
            params |= sent if isinstance(sent, dict) else {}
        else:
            params |= decode(raw)
        scheme, _, key = self.headers.get("Authorization", "").partition(" ")
        return Request(
            method=self.command,
            path=path,
            params=params,
            key=str(params.pop("key", "")) if scheme.lower() != "bearer" else key.strip(),
            idempotency_key=self.headers.get("Idempotency-Key", ""),
            origin=origin,
        )

    def write(self, reply: Reply, origin: str) -> None:
        """Write the answer with its headers."""
        content = reply.encoded() if reply.status != 204 else b""
        headers = {
            "Content-Type": reply.content_type,
            "Content-Length": str(len(content)),
            "Request-Id": new_id("req"),
            **(self.sandbox.page_headers() if reply.content_type.startswith("text/html") else {}),
            **reply.headers,
        }
        if origin and self.sandbox.is_of_the_shop(origin):
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": "authorization, content-type, idempotency-key, stripe-version",
                "Vary": "Origin",
            }
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(reply.status)
            for name, value in headers.items():
                self.send_header(name, value.replace("\n", "").replace("\r", ""))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log through the program's own log."""
        log.debug(format, *args)


class Server(ThreadingHTTPServer):
    """Listens on the loopback interface and nowhere else."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(("127.0.0.1", sandbox.config.port), type("BoundHandler", (Handler,), {"sandbox": sandbox}))
        self.sandbox = sandbox
        self.clock = threading.Thread(target=sandbox.tick_forever, name="sandbox-clock", daemon=True)
        self.connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember each connection: a client keeps it open for its next request, also beyond the server's end."""
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that ends."""
        self.connections.discard(request)
        super().shutdown_request(request)

    def run(self) -> None:
        """Serve until `stop` is called, then leave everything closed."""
        self.clock.start()
        try:
            self.serve_forever(poll_interval=0.05)
        finally:
            self.sandbox.stopping.set()
            self.sandbox.webhooks.wake.set()
            self.server_close()
            for connection in list(self.connections):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self.clock.join(timeout=25)
            self.sandbox.store.close()

    def stop(self) -> None:
        """End `run`; called from another thread."""
        self.shutdown()
