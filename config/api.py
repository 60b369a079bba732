"""The API's error table, written once: every exception a request can end with, as the contract's body."""

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response

from common.errors import FairseatError
from config.renderers import camel, with_keys

log = structlog.get_logger(__name__)

BUSY = "We're very busy. Nothing was lost. Try again in a few seconds."
# PostgreSQL: lock timeout, statement cancelled, deadlock, serialisation, too many connections, shutting down.
TRANSIENT = {"55P03", "57014", "40P01", "40001", "53300", "57P01", "57P02", "57P03", "25P03"}

CODES = {
    "not_authenticated": "not_authenticated",
    "authentication_failed": "not_authenticated",
    "permission_denied": "forbidden",
    "not_found": "not_found",
    "method_not_allowed": "method_not_allowed",
    "unsupported_media_type": "unsupported_media_type",
    "parse_error": "malformed_body",
    "throttled": "too_many_requests",
}
MESSAGES = {
    "not_authenticated": "Log in first: send your access token as `Authorization: Bearer …`.",
    "not_found": "There is nothing here, or it is not yours.",
    "unsupported_media_type": "Send JSON: `Content-Type: application/json`.",
    "throttled": "Too many requests. Wait a moment and try again.",
}


def body(status: int, code: str, message: str, errors: Any = None, **extra: Any) -> dict[str, Any]:
    """Return the body of an error: `fail` for 4xx, `error` for 5xx."""
    whole = {"status": "fail" if status < 500 else "error", "code": code, "message": message, **extra}
    if errors:
        whole["errors"] = errors
    return whole


def render_error(error: Exception, context: Any) -> Response | None:
    """Return the response for an exception raised in a view; None lets Django's own 500 handling have it."""
    if isinstance(error, FairseatError):
        headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
        if error.status == 503:
            headers.setdefault("Retry-After", "2")
        return Response(
            body(error.status, error.code, error.text, error.errors, **error.extra), error.status, headers=headers
        )
    if isinstance(error, exceptions.ValidationError):
        errors = field_errors(error.detail)
        return Response(body(400, "invalid", first_message(errors), errors), 400)
    if isinstance(error, exceptions.APIException):
        return render_framework_error(error)
    if isinstance(error, Http404):
        return Response(body(404, "not_found", MESSAGES["not_found"]), 404)
    if isinstance(error, PermissionDenied):
        return Response(body(403, "forbidden", "You may not do that."), 403)
    if isinstance(error, RequestDataTooBig):
        return Response(body(413, "body_too_large", "The body is too large."), 413)
    if is_transient(error):
        log.warning("api.busy", error=type(error).__name__, reason=str(error)[:200])
        return Response(body(503, "busy", BUSY), 503, headers={"Retry-After": "2"})
    return None


def render_framework_error(error: exceptions.APIException) -> Response:
    """Return the response for one of DRF's own exceptions."""
    name = error.default_code
    headers = {}
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(int(error.wait or 1))
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header
    message = MESSAGES.get("not_authenticated" if error.status_code == 401 else name, str(error.detail))
    code = "not_authenticated" if error.status_code == 401 else CODES.get(name, name)
    return Response(body(error.status_code, code, message), error.status_code, headers=headers)


def is_transient(error: Exception) -> bool:
    """Whether trying again soon is likely to work: a lock or pool timeout, a restart of PostgreSQL or Redis."""
    if isinstance(error, RedisError | InterfaceError):
        return True
    if not isinstance(error, DatabaseError):
        return False
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    return sqlstate in TRANSIENT or (isinstance(error, OperationalError) and sqlstate is None)


def field_errors(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Flatten DRF's nested errors into `{"categories.0.price": ["…"]}` with camelCase names."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for key, value in detail.items():
            found |= field_errors(value, f"{prefix}.{camel(str(key))}" if prefix else camel(str(key)))
        return found
    if isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        found = {}
        for index, value in enumerate(detail):
            found |= field_errors(value, f"{prefix}.{index}" if prefix else str(index))
        return found
    items = detail if isinstance(detail, list) else [detail]
    return {prefix or "nonFieldErrors": [str(item) for item in items]} if items else {}


def first_message(errors: dict[str, list[str]]) -> str:
    """Return one sentence that names the first field that is wrong."""
    for field, messages in errors.items():
        return messages[0] if field == "nonFieldErrors" else f"{field}: {messages[0]}"
    return "Please check what you sent."


def json_error(status: int, code: str, message: str, **headers: str) -> JsonResponse:
    """Return an error outside DRF (unknown path, crash, middleware) in the same shape."""
    return JsonResponse(
        with_keys(body(status, code, message), camel),
        status=status,
        headers={k.replace("_", "-"): v for k, v in headers.items()},
    )


def is_api(request: HttpRequest) -> bool:
    """Whether the request is for the API rather than a page."""
    return request.path_info.startswith("/api/")
