"""
Answers of the two hottest reads, kept rendered in each process.

A rendered event is good for exactly one version of its rows (`events.queries`), which is read from the database at every
request: nothing stale is ever served, only rendering and loading are saved.
"""

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.utils.urls import replace_query_param

from events.api.serializers import render_event
from events.queries import Found, etag, load_events

KEPT = 2000
RENDERED: dict[UUID, tuple[str, bytes]] = {}


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
            RENDERED[event.pk] = versions[event.pk], good[event.pk]
        while len(RENDERED) > KEPT:
            RENDERED.pop(next(iter(RENDERED)), None)
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
