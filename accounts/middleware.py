"""What stands before the admin, whose views are not ours: the log-in's rate limit and the second factor."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts import limits, second_factor
from common.errors import FairseatError, TooMany, Unavailable
from common.pages import refused

ADMIN = "/admin/"
ADMIN_LOGIN = "/admin/login"
OPEN = ("/admin/login", "/admin/logout", "/admin/jsi18n")


class LoginLimitMiddleware:
    """Counts each POST to the admin's log-in form, and answers 429 or 503 where that or the log-in itself says no."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if is_admin_login(request):
            try:
                limits.check(request, scope="auth")
            except FairseatError as refusal:
                return refused(request, refusal)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if is_admin_login(request) and isinstance(error, TooMany | Unavailable):
            return refused(request, error)
        return None


def is_admin_login(request: HttpRequest) -> bool:
    """Whether somebody sends the admin's log-in form; the form stands on every admin page to who is not logged in."""
    return request.method == "POST" and request.path_info.rstrip("/") == ADMIN_LOGIN


class SecondFactorMiddleware:
    """
    Takes the rights of staff away from page sessions that have yet to prove their second factor, and leads them from the
    admin to the page that asks for it, or that sets it up. For who is signed in and no member of staff there is no admin.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        second_factor.proven.set(False)
        if hasattr(request, "user") and hasattr(request, "session"):
            request.user = SimpleLazyObject(partial(marked, request, request.user))  # type: ignore[assignment]
            if request.path_info.startswith(ADMIN) and not request.path_info.startswith(OPEN):
                user = request.user
                if user.is_authenticated and user.lacks_second_factor:
                    name = "second-factor" if second_factor.is_enrolled(user) else "second-factor-setup"
                    onward = request.get_full_path() if request.method in {"GET", "HEAD"} else ADMIN
                    return redirect(f"{reverse(name)}?{urlencode({'next': onward})}")
                if user.is_authenticated and not user.is_staff:
                    raise Http404
        return self.get_response(request)


def marked(request: HttpRequest, user: Any) -> Any:
    """Return the person of a session, noting whether they have yet to prove their second factor."""
    if not user.is_authenticated:
        return user
    at = second_factor.proven_in(request, user)
    second_factor.proven.set(second_factor.is_fresh(at))
    return second_factor.mark(user, at)
