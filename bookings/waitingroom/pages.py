"""The line as pages: joining, one's place, one's turn; and the small answers that the page's script asks for."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import limits
from bookings.pages import seconds_in_words
from bookings.waitingroom import cookie, services
from bookings.waitingroom.cookie import Stub, Stubs
from bookings.waitingroom.refusals import NoLine
from bookings.waitingroom.wishes import get_wish, set_wish
from bookings.waitingroom.wording import Line, Phase, answer_of, etag_of, line_of, people
from common.errors import Conflict, FairseatError, NotFound, Unavailable
from common.pages import members_only, page, to_login
from events.models import Event
from events.pages import event_context, load, word_of
from events.queries import find_event
from events.standing import Standing, standing_of

RETRY_SECONDS = 5
ROOMS = {"closed": "soon", "drawing": "lobby", "ended": "closed"}  # the states whose page has another name
POLLED = {Phase.LOBBY, Phase.WAITING, Phase.PAUSED, Phase.ACTIVE, Phase.RESTORING}


@dataclass(frozen=True)
class Room:
    """What anybody may know of a line, in the words of its page."""

    phase: str
    waiting: int = 0
    lobby_opens_at: datetime | None = None
    opens_at: datetime | None = None
    message: str = ""

    @property
    def joinable(self) -> bool:
        return self.phase in {"lobby", "open", "paused"}

    @property
    def people(self) -> str:
        """Say how many are in line."""
        if not self.waiting:
            return "Nobody is in line right now."
        return f"{people(self.waiting)} {'is' if self.waiting == 1 else 'are'} in line."


@require_safe
@page
def line(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """One's place in the line of an event, whatever became of it; for others what the line is and how to join it."""
    standing = shown_event(request, event_id)
    event = standing.event
    if not event.queue_enabled:
        return redirect("event", event.pk)
    stubs = own_stubs(request)
    known = stubs.of(event.pk) if stubs else None
    place = place_of(request, event, standing.most, known.first if known else None)
    word = word_of(request, event.pk, request.GET) if place.phase == Phase.ACTIVE else None
    if word is not None:
        standing = standing_of(event, now=timezone.now(), code=word)
    context = event_context(request, standing, request.GET, word) | {
        "line": place,
        "room": room_of(event) if place.phase not in POLLED else None,
        "refresh": refresh_of(place),
        "slot_minutes": seconds_in_words(settings.QUEUE_SLOT_SECONDS),
    }
    if place.moves or place.phase == Phase.SOLD_OUT:
        context["wish"] = get_wish(user_id=request.user.pk, event_id=event.pk)
        context["wish_numbers"] = range(1, standing.most + 1)
    response = render(request, "waitingroom/line.html", context)
    remember(response, request, stubs, stub_for(event, standing.most, place), place)
    return response


@require_safe
def status(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Where the browser's person stands, for the page's script: one call of Redis and no statement, by the signed cookie."""
    stubs = cookie.read(request)
    stub = stubs.of(event_id) if stubs else None
    if stubs is None or stub is None:
        return private(JsonResponse({"code": "not_in_line"}, status=401))
    try:
        place = ask(stubs.user_id, event_id, most=stub.most, first=stub.first)
    except Unavailable as error:
        response = private(JsonResponse({"code": error.code}, status=503))
        response.headers["Retry-After"] = str(error.retry_after or RETRY_SECONDS)
        return response
    body = answer_of(place)
    etag = etag_of(body)
    same = request.headers.get("If-None-Match") == etag
    response = private(HttpResponse(status=304) if same else JsonResponse(body))
    response.headers["ETag"] = etag
    response.headers["Next-Poll-Ms"] = str(place.next_poll_ms)
    if stub.first is None and place.position is not None:
        cookie.write(response, stubs.with_stub(replace(stub, first=place.position)))
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@page
def join(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Line up; who is not logged in does that first and finds the door again."""
    back = reverse("line", args=[event_id])
    if not request.user.is_authenticated:
        return to_login(request, back)
    if request.method != "POST":
        return redirect(back)
    limits.check(request, scope="booking")
    shown_event(request, event_id)
    try:
        services.join(user_id=request.user.pk, event_id=event_id)
    except FairseatError as error:
        if error.status in {404, 503}:
            raise
        messages.warning(request, error.text)
    return redirect(back)


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def leave(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Give one's place up: first what that means, then the deed."""
    standing = shown_event(request, event_id)
    if request.method != "POST":
        place = place_of(request, standing.event, standing.most)
        if not place.has_place:
            return redirect("line", event_id)
        return render(request, "waitingroom/leave.html", {"event": standing.event, "line": place})
    try:
        services.leave(user_id=request.user.pk, event_id=event_id)
    except NotFound:
        return redirect("line", event_id)
    messages.success(request, "You left the line.")
    return redirect("line", event_id)


@require_POST
@members_only
def more(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """ "I need more time" to choose."""
    limits.check(request, scope="booking")
    try:
        services.need_more_time(user_id=request.user.pk, event_id=event_id)
    except Conflict as error:
        messages.warning(request, error.text)
    else:
        messages.success(request, f"You have {seconds_in_words(settings.QUEUE_EXTENSION_SECONDS)} more.")
    return redirect("line", event_id)


@require_POST
@members_only
def wishes(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """What somebody wants besides their turn."""
    standing = shown_event(request, event_id)
    asked = request.POST.get("waitlist", "0")
    quantity = min(int(asked), standing.most) if asked.isdecimal() and len(asked) < 4 else 0
    set_wish(
        user_id=request.user.pk, event_id=event_id, mail_at_turn="mail" in request.POST, waitlist_quantity=quantity
    )
    messages.success(request, "Saved.")
    return redirect("line", event_id)


def shown_event(request: HttpRequest, event_id: UUID) -> Standing:
    """Load an event as the catalogue shows it: from this process's memory unless it changed."""
    version = find_event(event_id=event_id, viewer_id=request.user.pk)
    (shown,) = load({event_id: version})
    return standing_of(shown, now=timezone.now())


def place_of(request: HttpRequest, event: Event, most: int, first: int | None = None) -> Line:
    """Return where the person behind a request stands in the line of an event."""
    if not request.user.is_authenticated:
        return Line(Phase.OUTSIDE)
    return ask(request.user.pk, event.pk, most=most, first=first)


def ask(user_id: UUID, event_id: UUID, *, most: int, first: int | None = None) -> Line:
    """
    Ask the waiting room where somebody stands.

    :raises LineAway: if Redis does not answer
    """
    try:
        return line_of(services.status(user_id=user_id, event_id=event_id), most=most, first=first)
    except NoLine:
        return Line(Phase.OUTSIDE)


def refresh_of(place: Line) -> int | None:
    """After how many seconds a browser without scripts looks again; at one's turn not before it is over: a form is open."""
    if place.phase == Phase.ACTIVE and place.expires_at is not None:
        return max(5, int((place.expires_at - timezone.now()).total_seconds()) + 2)
    return place.refresh_seconds if place.phase in POLLED else None


# -- The cookie and the bar on other pages -----------------------------------------------------------------------------
def own_stubs(request: HttpRequest) -> Stubs | None:
    """Return the lines in a browser's cookie if they are those of the person who is logged in."""
    stubs = cookie.read(request)
    return stubs if stubs and request.user.is_authenticated and request.user.pk == stubs.user_id else None


def stub_for(event: Event, most: int, place: Line) -> Stub:
    return Stub(event.pk, event.name, most, place.first or place.position)


def remember(response: HttpResponse, request: HttpRequest, stubs: Stubs | None, stub: Stub, place: Line) -> None:
    """Keep a place that moves in the cookie, and forget one that is over."""
    if place.phase in POLLED:
        cookie.write(response, (stubs or Stubs(request.user.pk)).with_stub(stub))
    elif stubs and stubs.of(stub.event_id):
        cookie.write(response, stubs.without(stub.event_id))


def lines_of(request: HttpRequest) -> list[tuple[Stub, Line]]:
    """
    Return the line to show in the bar on every page, if there is one: where it is somebody's turn, else the one they joined
    last. It costs a call of Redis for each line they stand in, and nothing for who stands in none.

    The pages of an event and of its line do not repeat themselves in the bar.
    """
    if cookie.NAME not in request.COOKIES:
        return []
    stubs = own_stubs(request)
    match = request.resolver_match
    here = match.kwargs.get("event_id") if match else None
    found = []
    for stub in reversed(stubs.stubs if stubs else ()):
        if stub.event_id == here or stubs is None:
            continue
        try:
            place = ask(stubs.user_id, stub.event_id, most=stub.most)
        except Unavailable:
            continue
        if place.has_place:
            found.append((stub, place))
    return sorted(found, key=lambda pair: pair[1].phase != Phase.ACTIVE)[:1]


def line_for(request: HttpRequest, event: Event) -> Line | None:
    """Return the place that the person behind a request has in one event's line, for the event's own page, if any."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    try:
        place = ask(user.pk, event.pk, most=1)
    except Unavailable:
        return None
    return place if place.has_place else None


def private(response: HttpResponse) -> HttpResponse:
    """Keep an answer out of every cache."""
    response.headers["Cache-Control"] = "private, no-store"
    return response


def room_of(event: Event) -> Room:
    """Return the line of an event as anybody may see it."""
    try:
        shown = services.serving(event.pk)
    except NoLine:
        return Room("closed")
    state = shown["state"]
    if state == "restoring":
        return Room("restoring")
    return Room(
        ROOMS.get(state, state),
        shown["waiting"],
        shown["lobby_opens_at"],
        shown["opens_at"],
        shown["message"],
    )
