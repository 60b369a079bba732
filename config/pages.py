"""Pages that belong to no app: the site's context, errors, help, the development mailbox."""

import secrets
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from bookings.codes import guessers
from bookings.kept_codes import keep_code, kept_code
from bookings.models import Booking
from bookings.pages import seconds_in_words
from bookings.queries import Word, get_current_hold, get_live_booking_for, look_up_code
from bookings.refusals import TooManyCodes
from bookings.waitingroom.pages import line_for, lines_of
from common.errors import Unavailable
from common.models import SentMail
from common.pages import busy
from config.api import BUSY, is_api, is_transient, json_error
from faceverify.drawings import DEMO_FACES, POSES, STRANGER, VISITOR, photo, selfie
from registrations.queries import Journey, find_registration, journey_of
from waitlist.models import WaitlistEntry
from waitlist.queries import get_live_entry


def site(request: HttpRequest) -> dict[str, Any]:
    """Template context of every page."""
    return {"test_mode": settings.PAYMENTS_SANDBOX, "debug": settings.DEBUG}


class CurrentHoldMiddleware:
    """
    Gives pages `request.current_hold()`, the hold that a person has right now, `request.live_booking(event_id)`,
    `request.waitlist_entry(event_id)`, `request.journey(event_id)`, where they stand with an event that checks faces, and
    `request.line(event)` and `request.lines()`, their place in the line of an event and in all of them; and
    `request.sale_code(event_id, typed)`, what a code does that they have for an event.

    Each is looked up at most once and only when asked. The catalogue lies below and may not import them, yet its pages show
    the bar with the time left, the tickets that somebody has already and the way through the face check.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api(request):
            request.current_hold = cache(partial(current_hold, request))  # type: ignore[attr-defined]
            request.live_booking = cache(partial(live_booking, request))  # type: ignore[attr-defined]
            request.waitlist_entry = cache(partial(waitlist_entry, request))  # type: ignore[attr-defined]
            request.journey = cache(partial(journey, request))  # type: ignore[attr-defined]
            request.sale_code = cache(partial(sale_code, request))  # type: ignore[attr-defined]
            request.line = cache(partial(line_for, request))  # type: ignore[attr-defined]
            request.lines = cache(partial(lines_of, request))  # type: ignore[attr-defined]
        return self.get_response(request)


def current_hold(request: HttpRequest) -> Booking | None:
    """Return the live hold of the person behind a request; nobody has none."""
    user = getattr(request, "user", None)
    return get_current_hold(user_id=user.pk) if user is not None and user.is_authenticated else None


def live_booking(request: HttpRequest, event_id: UUID) -> Booking | None:
    """Return the live booking that the person behind a request has for an event."""
    user = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    return get_live_booking_for(user_id=user.pk, event_id=event_id) if user is not None and signed_in else None


def waitlist_entry(request: HttpRequest, event_id: UUID) -> WaitlistEntry | None:
    """Return the place on an event's waitlist that the person behind a request has, or None."""
    user = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    return get_live_entry(user_id=user.pk, event_id=event_id) if user is not None and signed_in else None


def journey(request: HttpRequest, event_id: UUID) -> Journey | None:
    """Return where the person behind a request stands with an event that checks faces, if they have begun."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    registration = find_registration(user_id=user.pk, event_id=event_id)
    return journey_of(registration) if registration is not None else None


def sale_code(request: HttpRequest, event_id: UUID, typed: str | None) -> Word | None:
    """
    Return what a code that somebody typed does for an event, or the one they came with before where they typed none (None).

    One that the event has is kept for this browser; an empty one takes the kept one away. None where there is no code.
    """
    kept = typed is None
    wanted = kept_code(request.session, event_id) if typed is None else typed.strip()
    if not wanted:
        keep_code(request.session, event_id, "")
        return None
    try:
        word = look_up_code(event_id=event_id, typed=wanted, who=guessers(request), now=timezone.now())
    except (TooManyCodes, Unavailable) as error:
        return Word(wanted, problem=error)
    if word.code is not None:
        keep_code(request.session, event_id, wanted)
    elif kept:  # the organiser deleted it
        keep_code(request.session, event_id, "")
        return None
    return word


@require_safe
def static_page(request: HttpRequest, name: str) -> HttpResponse:
    """A page of words: help, privacy, accessibility."""
    context = {
        "hold_minutes": max(1, settings.HOLD_SECONDS // 60),
        "more_minutes": max(1, settings.HOLD_EXTENSION_SECONDS // 60),
        "more_times": settings.HOLD_MAX_EXTENSIONS,
        "slot_minutes": seconds_in_words(settings.QUEUE_SLOT_SECONDS),
        "cancel_hours": settings.CANCEL_UNTIL_HOURS,
        "transfer_hours": settings.TRANSFER_UNTIL_HOURS,
        "code_minutes": max(1, settings.OTP_SECONDS // 60),
        "session_days": settings.SESSION_COOKIE_AGE // 86_400,
        "most": settings.MAX_TICKETS_PER_BOOKING,
        "contact": settings.DEFAULT_FROM_EMAIL,
        "face_tries": settings.MAX_VERIFICATION_ATTEMPTS,
        "offer_hours": max(1, settings.OFFER_SECONDS // 3600),
    }
    response = render(request, f"site/{name}.html", context)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """The mails that were sent, for developers and tests: a page, or JSON for who accepts it. Not there without DEBUG."""
    if not settings.DEBUG:
        raise Http404
    mails = SentMail.objects.all()
    if to := request.GET.get("to", "").strip().lower():
        mails = mails.filter(to=to)
    if request.accepts("application/json") and not request.accepts("text/html"):
        newest = [
            {"to": mail.to, "subject": mail.subject, "text": mail.text, "sentAt": mail.sent_at} for mail in mails[:100]
        ]
        response: HttpResponse = JsonResponse(newest, safe=False)
    else:
        shown = Paginator(mails, 25).get_page(request.GET.get("page"))
        response = render(request, "site/mailbox.html", {"mails": shown, "to": to})
    response.headers["Cache-Control"] = "no-store"
    return response


@require_safe
def demo_face(request: HttpRequest, kind: str) -> HttpResponse:
    """A drawn face to try the check with, in development only: a profile photo, a selfie that fits, a stranger."""
    if not settings.DEBUG:
        return not_found(request)
    email = request.user.email if request.user.is_authenticated else ""
    person = DEMO_FACES.get(email, VISITOR)
    if kind == "stranger":
        picture = selfie(STRANGER, secrets.randbelow(len(POSES)))
    else:
        picture = photo(person, 0 if kind == "profile" else 1 + secrets.randbelow(2))
    headers = {"Content-Disposition": f'attachment; filename="drawn-{kind}.jpg"', "Cache-Control": "no-store"}
    return HttpResponse(picture, content_type="image/jpeg", headers=headers)


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
        return busy(request)
    if is_api(request):
        return json_error(
            500, "internal", "Something went wrong on our side. Nothing was charged. Try again in a moment."
        )
    return render(request, "500.html", status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was open too long or sent from elsewhere."""
    return render(request, "csrf.html", status=403)
