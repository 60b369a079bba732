"""Pages that belong to no app: the site's context, errors, the development mailbox."""

import sys
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from config.api import BUSY, is_api, is_transient, json_error


def site(request: HttpRequest) -> dict[str, Any]:
    """Template context of every page."""
    return {"test_mode": settings.PAYMENTS_SANDBOX, "debug": settings.DEBUG}


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404 for a path that does not exist, as page or JSON."""
    if is_api(request):
        return json_error(404, "not_found", "There is nothing at this address.")
    return render(request, "404.html", status=404)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403 as page or JSON."""
    if is_api(request):
        return json_error(403, "forbidden", "You may not do that.")
    return render(request, "403.html", status=403)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400 for what Django refuses before a view sees it."""
    if is_api(request):
        return json_error(400, "invalid", "The request could not be understood.")
    return render(request, "400.html", status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """500, or 503 when the cause is one that passes by itself."""
    error = sys.exc_info()[1]
    if error is not None and is_transient(error):
        if is_api(request):
            return json_error(503, "busy", BUSY, Retry_After="2")
        return render(request, "503.html", status=503, headers={"Retry-After": "2"})
    if is_api(request):
        return json_error(
            500, "internal", "Something went wrong on our side. Nothing was charged. Try again in a moment."
        )
    return render(request, "500.html", status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was open too long or sent from elsewhere."""
    return render(request, "csrf.html", status=403)
