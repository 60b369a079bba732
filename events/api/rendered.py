"""
Answers of the two hottest reads, kept rendered in each process.

A rendered event is good for exactly one version of its rows (`events.queries`), which is read from the database at every
request: only rendering and loading are saved. Not even that is read while hundreds a second ask for the same thing: then one
answer is given to everybody for SHARED_READ_MS, far less than the `max-age` it carries. Whether there are seats is decided by
the database at the moment of the hold, never by what was shown.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.utils.urls import replace_query_param

from events.api.serializers import render_event
from events.queries import Found, etag, load_events

KEPT = 2000
CROWD = 20  # so many requests for one address within SHARED_READ_MS, in one process, are a crowd; so are,
CROWD_AT_ONCE = 3  # however slow the machine has become, so many that are being answered at the same moment
LOCK = Lock()
RENDERED: dict[UUID, tuple[str, bytes]] = {}


@dataclass(slots=True)
class Shared:
    """What is asked for at one address: how often in this window and the one before, and the answer a crowd is given."""

    since: float
    asked: int = 0
    asked_before: int = 0
    at_once: int = 0
    kept: tuple[float, str, bytes] | None = None  # when it was begun, its ETag, its body

    @property
    def is_crowd(self) -> bool:
        return max(self.asked, self.asked_before) > CROWD or self.at_once >= CROWD_AT_ONCE


SHARED: dict[str, Shared] = {}


def shared_by_a_crowd(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Wrap a view so that anonymous GETs get the same answer for SHARED_READ_MS while a crowd asks for it."""

    @wraps(view)
    def answer(request: HttpRequest, **path: str) -> HttpResponse:
        lifetime = settings.SHARED_READ_MS / 1000
        if not lifetime or request.method != "GET" or "HTTP_AUTHORIZATION" in request.META:
            return view(request, **path)
        started = time.monotonic()
        shared = asked(request.build_absolute_uri(), started, lifetime)
        if shared.is_crowd and shared.kept and started - shared.kept[0] < lifetime:
            _, tag, body = shared.kept
            unchanged = get_conditional_response(request, etag=tag)
            return with_headers(request, unchanged or HttpResponse(body, content_type="application/json"), tag)
        with LOCK:
            shared.at_once += 1
        try:
            response = view(request, **path)
        finally:
            with LOCK:
                shared.at_once -= 1
        if response.status_code == 200:
            shared.kept = started, response.headers["ETag"], response.content
        return response

    return answer


def asked(url: str, now: float, lifetime: float) -> Shared:
    """Count one request for `url` and return what is known of it; windows are `lifetime` long."""
    shared = SHARED.get(url)
    if shared is None:
        with LOCK:
            make_room(SHARED)
            shared = SHARED.setdefault(url, Shared(now))
    if now - shared.since > lifetime:
        shared.asked_before = shared.asked if now - shared.since < 2 * lifetime else 0
        shared.asked, shared.since = 0, now
    shared.asked += 1
    return shared


def make_room(kept: dict[Any, Any]) -> None:
    """Forget the oldest entries of a full store; the caller holds the lock."""
    while len(kept) >= KEPT:
        kept.pop(next(iter(kept)))


def to_json(value: Any) -> bytes:
    """Write JSON the way the API's renderer does."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def rendered_events(versions: dict[UUID, str]) -> list[bytes]:
    """Return these events in JSON; those whose rows changed since they were rendered are loaded, in two statements."""
    good = {
        event_id: kept[1]
        for event_id, version in versions.items()
        if (kept := RENDERED.get(event_id)) is not None and kept[0] == version
    }
    if missing := versions.keys() - good.keys():
        for event in load_events(missing):
            good[event.pk] = to_json(render_event(event))
            with LOCK:
                make_room(RENDERED)
                RENDERED[event.pk] = versions[event.pk], good[event.pk]
    return [good[event_id] for event_id in versions if event_id in good]


def list_answer(request: HttpRequest, found: Found) -> HttpResponse:
    """Return a page of events in the envelope, or 304 if the client has it."""
    url = request.build_absolute_uri()
    tag = etag(url, str(found.count), *(f"{event_id}={version}" for event_id, version in found.versions.items()))
    if unchanged := get_conditional_response(request, etag=tag):
        return with_headers(request, unchanged, tag)
    events = rendered_events(found.versions)
    head = {
        "status": "success",
        "results": len(events),
        "pagination": {
            "count": found.count,
            "next": found.next_page and replace_query_param(url, "page", found.next_page),
            "previous": found.previous_page and replace_query_param(url, "page", found.previous_page),
        },
    }
    body = to_json(head)[:-1] + b',"data":[' + b",".join(events) + b"]}"
    return with_headers(request, HttpResponse(body, content_type="application/json"), tag)


def event_answer(request: HttpRequest, event_id: UUID, version: str) -> HttpResponse | None:
    """Return one event in the envelope, or 304 if the client has it; None if it has just been deleted."""
    tag = etag(str(event_id), version)
    if unchanged := get_conditional_response(request, etag=tag):
        return with_headers(request, unchanged, tag)
    events = rendered_events({event_id: version})
    if not events:
        return None
    body = b'{"status":"success","data":' + events[0] + b"}"
    return with_headers(request, HttpResponse(body, content_type="application/json"), tag)


def with_headers(request: HttpRequest, response: HttpResponse, tag: str) -> HttpResponse:
    """Say how long the answer may be kept and by whom."""
    response.headers["ETag"] = tag
    personal = "HTTP_AUTHORIZATION" in request.META
    response.headers["Cache-Control"] = "private, no-cache" if personal else "public, max-age=1"
    patch_vary_headers(response, ["Authorization"])
    return response
