"""The rate limit of the admin's own log-in form, which is not a view of ours."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts import limits
from common.errors import FairseatError, TooMany, Unavailable
from common.pages import refused

ADMIN_LOGIN = "/admin/login"


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
