"""The catalogue as pages: finding an event, choosing tickets, its poster."""

from collections import OrderedDict
from datetime import datetime
from threading import Lock
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.crypto import salted_hmac
from django.views.decorators.http import require_safe

from common.errors import NotFound
from common.money import SYMBOLS, exponent
from common.pages import form_problems, page
from events import artwork, queries
from events.forms import WHEN, ChoiceForm, SearchForm
from events.models import Event
from events.standing import Standing, Tier, standing_of

LAYOUT = "3"  # part of every ETag: raise it when the pages' look changes without a change of the events
KEPT_EVENTS = 1000
KEPT_PAGES = 100
_kept: "OrderedDict[tuple[UUID, str], Event]" = OrderedDict()
_rendered: "OrderedDict[str, bytes]" = OrderedDict()
_lock = Lock()


@require_safe
@page
def home(request: HttpRequest) -> HttpResponse:
    """The front door: search, and every event that can still be attended."""
    now = timezone.now()
    form = SearchForm(request.GET)
    valid = form.is_valid()
    filters = form.filters(now=now)
    found = queries.find_events(filters, viewer_id=request.user.pk)
    events = load(found.versions)
    standings = [standing_of(event, now=now) for event in events]
    etag = page_etag(request, now, [found.count, *found.versions.values(), *[one.state for one in standings]])
    return answer(
        request,
        etag,
        "events/home.html",
        {
            "form": form,
            "problems": None if valid else form_problems(form),
            "found": found,
            "standings": standings,
            "periods": [(key, label) for key, label in WHEN.items()],
            "period": form.cleaned_data.get("when") or "",
        },
    )


def event_list(request: HttpRequest) -> HttpResponse:
    """`/events` is the front door."""
    query = request.GET.urlencode()
    return HttpResponsePermanentRedirect(f"/?{query}" if query else "/")


@require_safe
@page
def event(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """One event: what, when, where, and the form that holds tickets."""
    now = timezone.now()
    version = queries.find_event(event_id=event_id, viewer_id=request.user.pk)
    (shown,) = load({event_id: version})
    word = word_of(request, event_id, request.GET)
    standing = standing_of(shown, now=now, code=word)
    mine = request.live_booking(event_id)  # type: ignore[attr-defined]
    journey = journey_of(request, shown)
    place = request.waitlist_entry(event_id)  # type: ignore[attr-defined]
    waits = place and (place.pk, place.status, place.position, place.quantity, place.offer_expires_at, place.eligible)
    parts = [version, standing.state, mine and (mine.pk, mine.status, mine.expires_at), waits, mark_of(journey)]
    parts += [line_mark(line_of(request, shown)), word and word.mark, [tier.available for tier in standing.tiers]]
    etag = page_etag(request, now, parts)
    context = event_context(request, standing, request.GET, word)
    return answer(request, etag, "events/event.html", context, shared=word is None)


def word_of(request: HttpRequest, event_id: UUID, asked: QueryDict) -> Any:
    """Return what the code in an address or a form does, or the one kept from before; None where there is none."""
    typed = asked.get("code")
    return request.sale_code(event_id, None if typed is None else typed[:64])  # type: ignore[attr-defined]


def event_context(request: HttpRequest, standing: Standing, asked: QueryDict, word: Any = None) -> dict[str, object]:
    """Return what the event page shows; what was asked for (in the address after a log-in) is ticked again."""
    choice = ChoiceForm(asked)
    choice.is_valid()
    wanted = choice.cleaned_data.get("category")
    open_tiers = [tier for tier in standing.tiers if tier.available]
    chosen = next((tier for tier in open_tiers if tier.category.pk == wanted), open_tiers[0] if open_tiers else None)
    most_free = max((tier.available for tier in open_tiers), default=0)
    return {
        "event": standing.event,
        "standing": standing,
        "mine": request.live_booking(standing.event.pk),  # type: ignore[attr-defined]
        "place": request.waitlist_entry(standing.event.pk),  # type: ignore[attr-defined]
        "waitable": [tier for tier in standing.tiers if is_waitable(tier)],
        "word": word,
        "journey": journey_of(request, standing.event),
        "line": line_of(request, standing.event),
        "chosen": chosen.category.pk if chosen else None,
        "quantity": choice.cleaned_data.get("quantity") or min(2, standing.most, max(1, most_free)),
        "open_tiers": open_tiers,
        "most_free": most_free,
        "more": range(most_free + 1, standing.most + 1) if most_free else (),
        "numbers": range(1, min(standing.most, max(1, most_free)) + 1),
        "kept": wanted is not None,
        "hold_minutes": max(1, settings.HOLD_SECONDS // 60),
        "cancel_hours": settings.CANCEL_UNTIL_HOURS,
        "money_prefix": SYMBOLS.get(standing.event.currency, f"{standing.event.currency} "),
        "money_decimals": exponent(standing.event.currency),
    }


def is_waitable(tier: Tier) -> bool:
    """Whether people may wait for a category: it is on sale to everybody, and nothing is left of it."""
    off = tier.category.closed or tier.category.hidden or tier.is_over or tier.opens_at is not None
    return not tier.available and not off


def journey_of(request: HttpRequest, event: Event) -> Any:
    """Return where the person stands with an event that checks faces; None where there is nothing to check, or no start yet."""
    return request.journey(event.pk) if event.requires_face_verification else None  # type: ignore[attr-defined]


def line_of(request: HttpRequest, event: Event) -> Any:
    """Return the person's place in the event's line; None where there is no line, or they have no place in it."""
    return request.line(event) if event.queue_enabled else None  # type: ignore[attr-defined]


def line_mark(line: Any) -> tuple[object, ...]:
    """Return what of a place in line the page shows, for its ETag."""
    return line and (str(line.phase), line.position, line.expires_at)


def mark_of(journey: Any) -> tuple[object, ...]:
    """Return what of a journey the page shows, for its ETag."""
    return journey and (journey.registration.status, journey.next_step, journey.entry and journey.entry.position)


@require_safe
@page
def poster(request: HttpRequest, version: int, event_id: UUID) -> HttpResponse:
    """An event's picture; its address changes when the drawing does, so browsers may keep it for good."""
    if version != artwork.VERSION:
        raise NotFound
    response = HttpResponse(artwork.poster(event_id), content_type="image/svg+xml")
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def load(versions: dict[UUID, str]) -> list[Event]:
    """Return these events in order, from this process's memory where the version is still the same."""
    with _lock:
        known = {pk: _kept[pk, version] for pk, version in versions.items() if (pk, version) in _kept}
    missing = [pk for pk in versions if pk not in known]
    if missing:
        for loaded in queries.load_events(missing):
            known[loaded.pk] = loaded
            with _lock:
                _kept[loaded.pk, versions[loaded.pk]] = loaded
                while len(_kept) > KEPT_EVENTS:
                    _kept.popitem(last=False)
    return [known[pk] for pk in versions if pk in known]


def page_etag(request: HttpRequest, now: datetime, parts: list[object]) -> str:
    """Return the ETag of a page for this person at this minute (pages say `in 5 minutes`)."""
    secret = request.META.get("CSRF_COOKIE", "") if request.user.is_authenticated else ""
    person = salted_hmac("page-etag", f"{request.user.pk} {secret}", algorithm="sha256").hexdigest()
    minute = int(now.timestamp()) // 60
    hold = request.current_hold()  # type: ignore[attr-defined]
    held = f"{hold.pk} {hold.expires_at}" if hold else ""
    held += " ".join(f"{stub.event_id} {line.title}" for stub, line in request.lines())  # type: ignore[attr-defined]
    return queries.etag(LAYOUT, request.get_full_path(), person, held, str(minute), *[str(part) for part in parts])


def rendered(request: HttpRequest, etag: str, template: str, context: dict[str, object], *, keep: bool) -> bytes:
    """
    Return the page's HTML. A page for nobody in particular is the same for a whole crowd until its ETag changes, so it is
    rendered once and kept; it holds no form token and no name.
    """
    if request.user.is_authenticated or not keep:
        return render(request, template, context).content
    with _lock:
        html = _rendered.get(etag)
    if html is None:
        html = render(request, template, context).content
        with _lock:
            _rendered[etag] = html
            while len(_rendered) > KEPT_PAGES:
                _rendered.popitem(last=False)
    return html


def answer(
    request: HttpRequest, etag: str, template: str, context: dict[str, object], *, shared: bool = True
) -> HttpResponse:
    """
    Render a page under its ETag, or say that the browser's copy is still right; messages to show always render.

    What is not `shared` shows something of this browser's own, logged in or not: a code.
    """
    pending = request.session.get("_messages")
    unchanged = None if pending else get_conditional_response(request, etag=etag)
    response = unchanged or HttpResponse(rendered(request, etag, template, context, keep=shared and not pending))
    if not pending:
        response.headers["ETag"] = etag
    person = "public" if shared and not request.user.is_authenticated else "private"
    response.headers["Cache-Control"] = "private, no-store" if pending else f"{person}, no-cache"
    patch_vary_headers(response, ["Cookie"])
    return response
