"""Two pages on which a line can be checked: everybody's, and one's own receipt."""

import json
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from bookings.waitingroom import chain, receipts
from bookings.waitingroom.models import ChainLink, WaitingRoom
from common.pages import members_only, page
from events.models import Event
from events.pages import load
from events.queries import find_event

LATEST = 12
WORDS = {
    "lobby": "The promise was published",
    "opened": "The lobby opened",
    "draw": "The list was closed and drawn",
    "open": "The line began to move",
    "pause": "The line was paused",
    "resume": "The line went on",
    "rate": "The pace was changed",
    "drain": "Nobody new could line up any more",
    "joinable": "People could line up again",
    "restored": "The line was restored from its book",
    "message": "Everybody in line was told something",
    "soldOut": "Everything was sold",
    "ended": "The sale was over",
}
MOVED = {
    "joined": "lined up behind",
    "called": "let in",
    "staff": "let in by staff",
    "parked": "away, place kept",
    "missed": "did not come, place kept",
    "back": "back in line",
    "left": "left",
    "done": "finished",
    "lapsed": "ran out of time",
    "dropped": "did not come twice",
    "restored": "got their lost place back",
    "regained": "got their lost turn back",
}


@require_safe
@page
def fairness(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """What was promised, drawn and done in a line, and the check of all of it in the browser."""
    event = shown_event(request, event_id)
    room = receipts.room_of(event_id)
    latest = ChainLink.objects.filter(event_id=event_id).order_by("-number")[:LATEST]
    context = context_of(event, room) | {"latest": [{"link": link, "text": said(link)} for link in latest]}
    response = render(request, "waitingroom/fairness.html", context)
    if not request.user.is_authenticated:
        response.headers["Cache-Control"] = "public, max-age=5"
    return response


@require_safe
@members_only
def receipt(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """One's own place, and the check of it."""
    event = shown_event(request, event_id)
    own = receipts.receipt_of(user_id=request.user.pk, event_id=event_id)
    room = receipts.room_of(event_id)
    context = context_of(event, room) | {"receipt": own, "receipt_json": json.dumps(receipts.rendered(own))}
    return render(request, "waitingroom/receipt.html", context)


def shown_event(request: HttpRequest, event_id: UUID) -> Event:
    """Load an event as the catalogue shows it."""
    (shown,) = load({event_id: find_event(event_id=event_id, viewer_id=request.user.pk)})
    return shown


def context_of(event: Event, room: WaitingRoom) -> dict[str, Any]:
    """Return what both pages show."""
    return {"event": event, "room": room, "head": chain.head(event.pk)}


def said(link: ChainLink) -> str:
    """Return a link in words."""
    if link.kind != "moves":
        return WORDS.get(link.kind, link.kind)
    counts: dict[str, int] = {}
    for move, *_ in link.payload["moves"]:
        counts[move] = counts.get(move, 0) + 1
    return ", ".join(f"{count} {MOVED.get(move, move)}" for move, count in counts.items()).capitalize()
