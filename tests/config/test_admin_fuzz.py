"""
What nobody types but somebody sends: every list, page and action of the whole admin, with nonsense for ids, filters, searches,
pages and orders. Walked from the admin's own registry, so a new model is covered by being registered.
"""

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import transaction
from django.http import Http404, QueryDict
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, resolve, reverse

from tests.config.test_permission_matrix import World

pytestmark = pytest.mark.django_db

IDS = ("abc", "9" * 40, "\x00", "é/..", "00000000-0000-0000-0000-000000000000", "_0")
QUERIES = (
    {"q": "a\x00b"},
    {"q": "%" * 3000},
    {"q": "'; --", "p": "abc", "o": "abc", "all": "\x00", "e": "1", "_facets": "x"},
    {"p": "9" * 40, "o": "999.-999"},
    {"p": "-1", "o": "9" * 40},
    {"_popup": "1", "_to_field": "password"},
    {"id__exact": "abc"},
    {"pk__in": "abc,\x00"},
    {"id__exact": "9" * 40},
    {"no_such_field": "x"},
    {"user__password__startswith": "a"},
)
VALUES = ("\x00", "abc", "9" * 40)


@pytest.fixture
def world():
    return World()


def names() -> list[str]:
    """Return every registered model, as its label."""
    return sorted(model._meta.label_lower for model in admin.site._registry)


def registered(label: str) -> Any:
    """Return the ModelAdmin of a label."""
    return next(one for model, one in admin.site._registry.items() if model._meta.label_lower == label)


def answer(person: Any, method: str, path: str, **sent: Any) -> int:
    """Return the status that a view answers with, not yet drawn as a page; what it changed is undone, and an error is one."""
    words = sent.pop("words", "")
    request = getattr(RequestFactory(), method)(path, **sent)
    request.GET = QueryDict(words)
    request.META["QUERY_STRING"] = words
    request.user, request.session = person, SessionStore()
    request._messages = FallbackStorage(request)
    request._dont_enforce_csrf_checks = True
    found = resolve(request.path_info)
    request.resolver_match = found
    try:
        with transaction.atomic():
            reply = found.func(request, *found.args, **found.kwargs)
            shown = getattr(reply, "context_data", None) or {}
            if "cl" in shown:
                list(shown["cl"].result_list)
            if hasattr(reply, "streaming_content"):
                b"".join(reply.streaming_content)
            transaction.set_rollback(True)
    except Http404:
        return 404
    except PermissionDenied:
        return 403
    except SuspiciousOperation:
        return 400
    return int(reply.status_code)


def filter_names(one: Any) -> list[str]:
    """Return the parameters that a list's own filters and its hierarchy of dates read."""
    found = [] if not one.date_hierarchy else [f"{one.date_hierarchy}__{part}" for part in ("year", "month", "day")]
    for given in one.list_filter:
        field = given[0] if isinstance(given, tuple) else given
        if isinstance(field, str):
            found += [f"{field}__{lookup}" for lookup in ("exact", "isnull")]
        else:
            found.append(field.parameter_name)
    return found


def list_questions(one: Any) -> list[dict[str, str]]:
    return [*QUERIES, *({name: value} for name in filter_names(one) for value in VALUES)]


def addresses(one: Any, object_id: str) -> list[str]:
    """Return every page of one row: Django's own, and those of its actions."""
    opts = one.model._meta
    found = []
    for name in ("change", "history", "delete", *(action.action_name for action in one._get_base_actions_detail())):
        full = name if name.startswith(opts.app_label) else f"{opts.app_label}_{opts.model_name}_{name}"
        try:
            found.append(reverse(f"admin:{full}", args=["@"]).replace("@", quote(object_id, safe="")))
        except NoReverseMatch:
            continue
    return found


def broken_by(person: Any, method: str, path: str, wanted: range | set[int], **sent: Any) -> list[str]:
    """Return what is wrong with an answer, in words; nothing if it is one of the wanted ones."""
    try:
        status = answer(person, method, path, **sent)
    except Exception as error:
        return [f"{method} {path} {sent}: {type(error).__name__}: {error}"[:400]]
    return [] if status in wanted else [f"{method} {path} {sent}: {status}"[:400]]


REFUSED = {403, 404, 405}
ANYTHING = range(200, 500)


@pytest.mark.parametrize("who", ["O", "C"], ids=["owner", "organiser"])
def test_nonsense_in_lists_is_no_error(world, who):
    broken = []
    for label in names():
        path = reverse(f"admin:{label.replace('.', '_')}_changelist")
        for query in list_questions(registered(label)):
            broken += broken_by(world.people[who], "get", path, ANYTHING, words=urlencode(query))

    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("who", ["O", "C"], ids=["owner", "organiser"])
def test_nonsense_for_a_row_is_no_page(world, who):
    broken = []
    for label in names():
        for object_id in IDS:
            for path in addresses(registered(label), object_id):
                for method in ("get", "post"):
                    broken += broken_by(world.people[who], method, path, REFUSED)

    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("who", ["O", "C"], ids=["owner", "organiser"])
def test_nonsense_marked_in_a_list_is_no_error(world, who):
    broken = []
    for label in names():
        one = registered(label)
        path = reverse(f"admin:{label.replace('.', '_')}_changelist")
        names_of = [name if isinstance(name, str) else name.__name__ for name in one.actions or []]
        for action in (*names_of, "no_such_action", "\x00"):
            for index, marked in (("0", list(IDS)), ("abc", ["\x00"]), ("9", ["9" * 40])):
                sent = {"action": action, "_selected_action": marked, "index": index, "reason": "x", "confirmed": "1"}
                broken += broken_by(world.people[who], "post", path, ANYTHING, data=sent)

    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("who", ["O", "C"], ids=["owner", "organiser"])
@pytest.mark.parametrize("text", ["\x00", "a\x00b", "%" * 300, "'", "9" * 60])
def test_nonsense_in_the_searches_of_the_whole_admin_is_no_error(world, who, text):
    person = world.people[who]
    wish = {"app_label": "bookings", "model_name": "ticket", "field_name": "booking"}
    searched = [
        (reverse("admin:search"), {"s": text}),
        (reverse("admin:search"), {"s": text, "extended": "1", "page": text}),
        (reverse("admin:autocomplete"), wish | {"term": text}),
        (reverse("admin:autocomplete"), wish | {"term": "", "page": text}),
        (reverse("admin:autocomplete"), dict.fromkeys(("app_label", "model_name", "field_name", "term"), text)),
        (reverse("admin:waitlist_consoles"), {"page": text}),
        (
            reverse("admin:waitlist_console", args=[world.values["event_id"]]),
            {"search": text, "show": text, "page": text},
        ),
        (reverse("admin:payments_refund_find"), {"reference": text}),
    ]
    client = Client(raise_request_exception=False)
    client.force_login(person)

    answers = {(path, urlencode(words)): client.get(path, words).status_code for path, words in searched}

    assert [asked for asked, status in answers.items() if status >= 500] == []
