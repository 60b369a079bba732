"""
The request's way in: one short stack for the API, the full one for pages.

Sessions, CSRF, messages and framing mean nothing to an API of bearer tokens, and cost a third of its throughput; `pages_only`
keeps each of them for the pages.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from corsheaders.middleware import CorsMiddleware as Cors
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.core.paginator import InvalidPage
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.middleware import clickjacking, csrf, gzip, security
from django.views.defaults import page_not_found
from whitenoise.middleware import WhiteNoiseMiddleware

from common.addresses import client_address
from config import metrics
from config.api import is_api

log = structlog.get_logger("http")
GetResponse = Callable[[HttpRequest], HttpResponse]
QUIET = ("/healthz", "/readyz", "/metrics", "/static/")


def pages_only(base: Any) -> Any:
    """Return a subclass of the middleware `base` that lets API requests and probes pass untouched."""

    class PagesOnly(base):  # type: ignore[misc]
        def __call__(self, request: HttpRequest) -> Any:
            if is_api(request) or request.path_info in QUIET:
                return self.get_response(request)
            return super().__call__(request)

        def process_view(self, request: HttpRequest, *rest: Any) -> Any:
            if is_api(request) or not hasattr(super(), "process_view"):
                return None
            return super().process_view(request, *rest)

    PagesOnly.__name__ = PagesOnly.__qualname__ = base.__name__
    return PagesOnly


SessionMiddleware = pages_only(sessions.SessionMiddleware)
CsrfViewMiddleware = pages_only(csrf.CsrfViewMiddleware)
AuthenticationMiddleware = pages_only(auth.AuthenticationMiddleware)
MessageMiddleware = pages_only(messages.MessageMiddleware)
FrameOptionsMiddleware = pages_only(clickjacking.XFrameOptionsMiddleware)
SecurityMiddleware = security.SecurityMiddleware
CorsMiddleware = Cors


class CompressionMiddleware(gzip.GZipMiddleware):
    """Compresses what is worth it: small API answers cost more to compress than to send."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if not response.streaming and len(response.content) < 1000:
            return response
        return super().process_response(request, response)


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Serves static files; the API never asks for one."""

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request) if is_api(request) else super().__call__(request)


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """Two policies: strict for the shop, and the one the admin's scripts need. JSON needs none but is told to load nothing."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        if is_api(request) and response.headers.get("Content-Type", "").startswith("application/json"):
            response.headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
            return response
        if request.path_info.startswith("/admin"):
            response._csp_replace = settings.ADMIN_CONTENT_SECURITY_POLICY  # type: ignore[attr-defined]
        return super().process_response(request, response)


class RequestMiddleware:
    """
    First in, last out: a request id through every log line, the client's true address, one log line, the metrics.

    The address comes from the right end of X-Forwarded-For, as many hops in as there are proxies of ours
    (TRUSTED_PROXIES), so a client can not choose it.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        request_id = given_request_id(request.META) or uuid.uuid4().hex
        request.META["REMOTE_ADDR"] = client_address(request.META, settings.TRUSTED_PROXIES)
        if is_api(request):
            request.path = request.path_info = request.path_info.rstrip("/")  # a trailing slash is accepted everywhere
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self.get_response(request)
        took = time.perf_counter() - started
        response.headers["X-Request-Id"] = request_id
        if not response.streaming and "Content-Length" not in response.headers:
            response.headers["Content-Length"] = str(len(response.content))  # one write instead of chunks
        for name, value in getattr(request, "rate_limit_headers", {}).items():
            response.headers[name] = value
        if not request.path_info.startswith(QUIET):
            route = request.resolver_match.route if request.resolver_match else "unknown"
            metrics.observe(request.method or "", route, response.status_code, took)
            level = "error" if response.status_code >= 500 else "info"
            if settings.LOG_REQUESTS or level == "error":
                getattr(log, level)(
                    "request", method=request.method, route=route, status=response.status_code, ms=round(took * 1000, 1)
                )
        return response


class NonsenseMiddleware:
    """
    Answer 404 to an address whose words no view can mean: a page that is no number or past the end, letters that are none.

    Views of our own say so themselves; this is for those that come with the admin.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Turn what Django's own parts make of such words into a page that says there is nothing."""
        null = isinstance(exception, ValueError | DataError) and "%00" in request.META.get("QUERY_STRING", "")
        if null or isinstance(exception, InvalidPage):
            return page_not_found(request, exception)
        return None


def given_request_id(meta: Mapping[str, Any]) -> str:
    """Return the request id that a proxy of ours gave, if it is a plausible one."""
    given = meta.get("HTTP_X_REQUEST_ID", "") if settings.TRUSTED_PROXIES else ""
    return given if 8 <= len(given) <= 64 and given.replace("-", "").isalnum() else ""
