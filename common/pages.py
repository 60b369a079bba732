"""What every page view shares: refusals shown as pages, error summaries, the way back after logging in."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme

from common.errors import FairseatError, NotAuthenticated

View = Callable[..., HttpResponse]
TEMPLATES = {400: "400.html", 403: "403.html", 404: "404.html", 429: "429.html"}
BUSY_SECONDS = 5


@dataclass(frozen=True)
class Problem:
    """One line of the error summary; `field` is the id of the input it leads to."""

    text: str
    field: str = ""


@dataclass
class Problems:
    """The error summary on top of a page, announced and focused."""

    title: str = "Please check this"
    items: list[Problem] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.items)


def form_problems(form: BaseForm, title: str = "") -> Problems:
    """Return the summary of a form's errors, each leading to its input."""
    found = list(problems_of(form))
    return Problems(title or ("Please check this" if len(found) == 1 else f"Please check {len(found)} things"), found)


def problems_of(form: BaseForm) -> Iterator[Problem]:
    """Yield a form's errors in the order of its fields, those of no field first."""
    for text in form.non_field_errors():
        yield Problem(str(text))
    for bound in form:
        for text in list(bound.errors)[:1]:
            yield Problem(str(text), bound.id_for_label)


def refusal_problems(error: FairseatError, title: str = "") -> Problems:
    """Return the summary of a service's refusal."""
    return Problems(title or "That did not work", [Problem(error.text)])


def add_refusal(form: BaseForm, error: FairseatError, names: dict[str, str] | None = None) -> None:
    """
    Put a service's refusal onto the form that caused it: at its fields where it names them, else on top.

    `names` maps the service's names of fields to the form's.
    """
    placed = False
    for name, texts in error.errors.items():
        own = (names or {}).get(name, name)
        if own in form.fields:
            form.add_error(own, list(texts))
            placed = True
    if not placed:
        form.add_error(None, error.text)


def page(view: View) -> View:
    """
    Decorate a page: refusals that the view does not catch become the page that fits, and nothing personal is cached.

    A view that sets Cache-Control itself keeps its own.
    """

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except NotAuthenticated:
            response = to_login(request)
        except FairseatError as error:
            response = refused(request, error)
        if not response.has_header("Cache-Control"):
            response.headers["Cache-Control"] = "private, no-store"
        return response

    return shown


def members_only(view: View) -> View:
    """Decorate a page that needs somebody to be logged in; others log in first and come back."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return to_login(request)
        return view(request, *args, **kwargs)

    return page(shown)


def refused(request: HttpRequest, error: FairseatError) -> HttpResponse:
    """Return the page for a refusal: its own template where the status has one, a plain one otherwise."""
    if error.status == 503:
        return busy(request, error.retry_after)
    context = {"message": error.text, "retry_after": error.retry_after, "back": request.path}
    response = render(request, TEMPLATES.get(error.status, "refused.html"), context, status=error.status)
    if error.status == 429:
        response.headers["Retry-After"] = str(error.retry_after or 2)
    return response


def busy(request: HttpRequest, retry_after: int | None = None) -> HttpResponse:
    """Return the page for a moment of overload: what was only looked at tries again by itself, what was sent does not."""
    seconds = max(BUSY_SECONDS, retry_after or 0)
    looked = request.method in {"GET", "HEAD"}
    response = render(request, "503.html", {"tries_again": seconds if looked else None}, status=503)
    response.headers["Retry-After"] = str(seconds)
    if looked:
        response.headers["Refresh"] = str(seconds)
    return response


def to_login(request: HttpRequest, back: str = "") -> HttpResponse:
    """Send somebody to log in and come back to `back`, or to this page if it can be opened by address."""
    back = back or (request.get_full_path() if request.method in {"GET", "HEAD"} else "")
    query = f"?{urlencode({'next': back})}" if back else ""
    return redirect(f"{settings.LOGIN_URL}{query}")


def next_path(request: HttpRequest, default: str = "") -> str:
    """Return where the person wants to go next, if that is a path of ours, else `default`."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if ours else default


def here_again(request: HttpRequest, default: str) -> str:
    """Return the page of ours that a small form named in `back`, else `default`."""
    wanted = request.POST.get("back", "")
    ours = wanted.startswith("/") and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None)
    return wanted if ours else default
