"""
The two answers a crowd in line asks for, given before Django is asked: where one stands, and how the line moves.

A request costs Django and REST framework a millisecond around a service that takes a tenth of it. Here the same services are
called and the same bytes and headers sent; whatever is not the plain case (no token or a bad one, another method, a browser of
another origin, somebody without a place, Redis away) goes the long way and gets its answer there. A test compares both ways.
"""

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import orjson
import structlog
from django.conf import settings
from django.db import connection
from redis.exceptions import RedisError
from rest_framework.exceptions import AuthenticationFailed

from accounts.authentication import read_access_token
from bookings.api.queue import etag_of, rendered
from bookings.waitingroom import services
from common.errors import FairseatError
from config import metrics
from config.middleware import given_request_id
from config.renderers import camel

log = structlog.get_logger("http")

Environ = dict[str, Any]
Start = Callable[..., Any]
Application = Callable[[Environ, Start], Iterable[bytes]]
STATUS, SERVING = "queue/status", "queue/serving/"
BASES = ("/api/v1/", "/api/")
HSTS = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
LEEWAY_SECONDS = 5  # as REST framework's way allows
# What Django's middleware puts on every answer of the API.
HEADERS = [
    ("Content-Type", "application/json"),
    ("Allow", "GET, HEAD, OPTIONS"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Vary", "origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", settings.SECURE_REFERRER_POLICY),
    ("Cross-Origin-Opener-Policy", settings.SECURE_CROSS_ORIGIN_OPENER_POLICY),
]


def quick(application: Application) -> Application:
    """Wrap the WSGI application."""

    def answer(environ: Environ, start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] == "GET" and path.startswith("/api/") and "/queue/s" in path and is_plain(environ):
            began = time.perf_counter()
            try:
                found = status(environ, path) if path.endswith(STATUS) else serving(path)
            finally:
                if connection.connection is not None:
                    connection.close()  # back to the pool: a line was restored, or a tick lent a hand
            if found is not None:
                return send(environ, start, began, *found)
        return application(environ, start)

    return answer


def is_plain(environ: Environ) -> bool:
    """Whether this request needs nothing more of Django's middleware: neither CORS nor a redirect to https."""
    return "HTTP_ORIGIN" not in environ and (is_secure(environ) or not settings.SECURE_SSL_REDIRECT)


def is_secure(environ: Environ) -> bool:
    """Whether the client speaks https, to us or to a proxy of ours."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        if name in environ:
            return environ[name].split(",")[0].strip() == value
    return environ["wsgi.url_scheme"] == "https"


def status(environ: Environ, path: str) -> tuple[str, int, list[tuple[str, str]], bytes] | None:
    """Return where the person of the token stands: route, status, headers, body."""
    base = path.removesuffix(STATUS)
    query = environ.get("QUERY_STRING", "")
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if base not in BASES or scheme.lower() != "bearer":
        return None
    try:
        user_id, ends = principal(token)
        if ends + LEEWAY_SECONDS <= time.time():
            return None
        standing = services.status(user_id=user_id, event_id=event_in(query))
    except (AuthenticationFailed, FairseatError, KeyError, RedisError, TypeError, ValueError):
        return None
    if standing.status == "outside":
        return None
    body = rendered(standing)
    etag = etag_of(body)
    headers = [
        ("ETag", etag),
        ("Next-Poll-Ms", str(standing.next_poll_ms)),
        ("Cache-Control", "private, no-cache"),
    ]
    if environ.get("HTTP_IF_NONE_MATCH") == etag:
        return base[1:] + STATUS, 304, headers, b""
    return base[1:] + STATUS, 200, headers, enveloped(body)


def serving(path: str) -> tuple[str, int, list[tuple[str, str]], bytes] | None:
    """Return how a line moves."""
    base, _, event = path.partition(SERVING)
    if base not in BASES or len(event) != 36:
        return None
    try:
        body = serving_body(UUID(event))
    except (FairseatError, RedisError, ValueError):
        return None
    return f"{base[1:]}{SERVING}<str:event_id>", 200, [("Cache-Control", "public, max-age=1")], body


_written: dict[UUID, tuple[dict[str, Any], bytes]] = {}


def serving_body(event_id: UUID) -> bytes:
    """Return the shared answer, written once for as long as the service gives the same one."""
    shown = services.serving(event_id)
    kept = _written.get(event_id)
    if kept is None or kept[0] is not shown:
        if len(_written) > 1000:
            _written.clear()
        kept = _written[event_id] = (shown, enveloped(shown))
    return kept[1]


@lru_cache(maxsize=50_000)
def principal(token: str) -> tuple[UUID, int]:
    """
    Return the person of a token and when it ends. Its signature is checked once; what is refused is not kept.

    :raises AuthenticationFailed: if it is not good
    """
    claims = read_access_token(token)
    UUID(claims["fam"]) if "fam" in claims else None
    int(claims["sv"])
    return UUID(claims["sub"]), int(claims["exp"])


@lru_cache(maxsize=4096)
def event_in(query: str) -> UUID:
    """
    Return the event that a query names.

    :raises ValueError: if it names none, or more than that
    """
    ((name, (value,)),) = parse_qs(query, strict_parsing=True).items()
    if name != "eventId":
        raise ValueError(name)
    return UUID(value)


def enveloped(body: dict[str, Any]) -> bytes:
    """Write a body the way the API's renderer does; these have one level."""
    return orjson.dumps(
        {"status": "success", "data": {camel(name): value for name, value in body.items()}}, option=orjson.OPT_UTC_Z
    )


def send(
    environ: Environ, start: Start, began: float, route: str, code: int, headers: list[tuple[str, str]], body: bytes
) -> list[bytes]:
    """Send the answer, count it and log it as every other one."""
    own = [("X-Request-Id", given_request_id(environ) or uuid4().hex)]
    if settings.SECURE_HSTS_SECONDS and is_secure(environ):
        own.append(("Strict-Transport-Security", HSTS))
    if code == 200:
        own.append(("Content-Length", str(len(body))))
    start("200 OK" if code == 200 else "304 Not Modified", [*HEADERS, *headers, *own])
    took = time.perf_counter() - began
    metrics.observe("GET", route, code, took)
    if settings.LOG_REQUESTS:
        log.info("request", method="GET", route=route, status=code, ms=round(took * 1000, 1), request_id=own[0][1])
    return [body]
