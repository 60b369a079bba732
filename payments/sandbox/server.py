"""The sandbox's HTTP server. Loopback only."""

import contextlib
import json
import logging
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from payments.sandbox.application import Sandbox
from payments.sandbox.store import new_id
from payments.sandbox.wire import Refusal, Reply, Request, decode, server_error

log = logging.getLogger("sandbox")
MAX_BODY = 1_000_000


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
            **(self.sandbox.pages.headers() if reply.content_type.startswith("text/html") else {}),
            **reply.headers,
        }
        if origin and self.sandbox.config.is_of_the_shop(origin):
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
