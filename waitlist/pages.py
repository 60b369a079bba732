"""The waitlist as pages: joining, one's place, an offer with its deadline, and what became of it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import limits
from accounts.permissions import may
from bookings.models import Booking
from bookings.refusals import OfferExpired, VerificationRequired
from common.errors import FairseatError, IllegalTransition, NotFound
from common.pages import form_problems, members_only, page, refusal_problems, to_login
from events.models import Event, TicketCategory
from events.queries import get_event
from events.standing import standing_of
from waitlist import places, queries, services
from waitlist.console import released_by_day
from waitlist.forms import WishForm
from waitlist.models import WaitlistEntry
from waitlist.services.deferring import wait_for_all

PER_PAGE = 20
OFFERS_PER_PAGE = 50
Status = WaitlistEntry.Status


@require_http_methods(["GET", "HEAD", "POST"])
@page
def join(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Join an event's list; who is not logged in does that first and comes back here."""
    if not request.user.is_authenticated:
        return to_login(request, request.get_full_path())
    event = get_event(event_id=event_id, viewer_id=request.user.pk)
    known = queries.get_live_entry(user_id=request.user.pk, event_id=event_id)
    if known is not None:
        return redirect("waitlist-entry", known.pk)
    if event.requires_face_verification and not is_verified(request, event_id):
        messages.info(request, "This event checks faces. Who has been checked joins the waitlist.")
        return redirect(reverse("event", args=[event_id]) + "#tickets")
    if request.method != "POST":
        return render(request, "waitlist/join.html", join_context(request, event, asked_form(event, request.GET)))
    limits.check(request, scope="booking")
    form = wish_form(event, request.POST)
    if not form.is_valid():
        return join_again(request, event, form, form_problems(form), 400)
    try:
        joined = services.join_as_buyer(user_id=request.user.pk, event_id=event_id, **form.wish)
    except services.AlreadyWaiting:
        return redirect("waitlist")
    except services.TicketsAvailable as error:
        messages.info(request, error.text)
        return redirect(reverse("event", args=[event_id]) + "#tickets")
    except FairseatError as error:
        if error.status in {404, 503}:
            raise
        return join_again(request, event, form, refusal_problems(error), error.status)
    messages.success(request, "You’re on the waitlist. We mail you a confirmation.")
    return redirect("waitlist-entry", joined.pk)


@require_safe
@members_only
def entry_list(request: HttpRequest) -> HttpResponse:
    """Every place of the person: offers first, then those that wait, then what is over."""
    shown = Paginator(places.list_own(user_id=request.user.pk), PER_PAGE).get_page(request.GET.get("page"))
    context = {"entries": shown, "section": "tickets", "now": timezone.now()}
    return render(request, "waitlist/list.html", context)


@require_safe
@members_only
def entry(request: HttpRequest, entry_id: UUID) -> HttpResponse:
    """One place on a list: waiting, offered, or over."""
    shown = own_entry(request, entry_id)
    if shown.status == Status.ACCEPTED and shown.booking_id:
        booking = shown.booking
        assert booking is not None
        return redirect("booking-done" if booking.status == Booking.Status.CONFIRMED else "booking", booking.pk)
    return render(request, *shown_as(request, shown))


@require_POST
@members_only
def accept(request: HttpRequest, entry_id: UUID) -> HttpResponse:
    """Take the seats of an offer, all or some of them: on to paying, or to the tickets."""
    limits.check(request, scope="booking")
    shown = own_entry(request, entry_id)
    wanted = request.POST.get("quantity", "")
    quantity = int(wanted) if wanted.isdecimal() and len(wanted) < 4 else None
    try:
        booking = services.accept_offer(entry_id=entry_id, user_id=request.user.pk, quantity=quantity)
    except VerificationRequired:
        messages.warning(request, "This event checks faces. Get checked first; the offer stays yours until its time.")
        return redirect("waitlist-entry", entry_id)
    except (OfferExpired, IllegalTransition):
        return redirect("waitlist-entry", entry_id)
    except FairseatError as error:
        if error.status in {404, 503}:
            raise
        template, context = shown_as(request, shown)
        return render(request, template, context | {"problems": refusal_problems(error)}, status=error.status)
    return redirect("booking-done" if booking.status == Booking.Status.CONFIRMED else "booking-tickets", booking.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def decline(request: HttpRequest, entry_id: UUID) -> HttpResponse:
    """Pass an offer on to the next person: first what that means, then the deed."""
    shown = own_entry(request, entry_id)
    if not has_offer(shown):
        return redirect("waitlist-entry", entry_id)
    if request.method != "POST":
        return render(request, "waitlist/decline.html", entry_context(request, shown))
    limits.check(request, scope="booking")
    try:
        services.reject_offer(entry_id=entry_id, user_id=request.user.pk)
    except FairseatError as error:
        if error.status in {404, 503}:
            raise
    else:
        messages.success(request, "Thank you. The next person is asked now.")
    return redirect("waitlist-entry", entry_id)


@require_POST
@members_only
def wait(request: HttpRequest, entry_id: UUID) -> HttpResponse:
    """Pass an offer of too few seats on, and wait until all are free together."""
    limits.check(request, scope="booking")
    try:
        wait_for_all(entry_id=entry_id, user_id=request.user.pk)
    except FairseatError as error:
        if error.status in {404, 503}:
            raise
    else:
        messages.success(request, "Thank you. You keep your place, and are asked when all are free at once.")
    return redirect("waitlist-entry", entry_id)


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def change(request: HttpRequest, entry_id: UUID) -> HttpResponse:
    """Change how many seats of which kind one waits for."""
    shown = own_entry(request, entry_id)
    if shown.status != Status.WAITING:
        return redirect("waitlist-entry", entry_id)
    event = get_event(event_id=shown.event_id, viewer_id=request.user.pk)
    if request.method != "POST":
        form = wish_form(event, None, initial=wish_of(shown, event))
        return render(request, "waitlist/change.html", join_context(request, event, form) | {"entry": shown})
    limits.check(request, scope="booking")
    form = wish_form(event, request.POST)
    problems, status = None, 400
    if form.is_valid():
        try:
            services.change_wish(user_id=request.user.pk, event_id=event.pk, **form.wish)
        except FairseatError as error:
            if error.status in {404, 503}:
                raise
            problems, status = refusal_problems(error), error.status
    else:
        problems = form_problems(form)
    if problems:
        context = join_context(request, event, form) | {"entry": shown, "problems": problems}
        return render(request, "waitlist/change.html", context, status=status)
    messages.success(request, "Your wish is changed.")
    return redirect("waitlist-entry", entry_id)


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def leave(request: HttpRequest, entry_id: UUID) -> HttpResponse:
    """Leave a list: first what that means, then the deed."""
    shown = own_entry(request, entry_id)
    if shown.status != Status.WAITING:
        return redirect("waitlist-entry", entry_id)
    if request.method != "POST":
        return render(request, "waitlist/leave.html", entry_context(request, shown))
    limits.check(request, scope="booking")
    try:
        services.leave(user_id=request.user.pk, event_id=shown.event_id)
    except FairseatError as error:
        if error.status in {404, 503}:
            raise
    else:
        messages.success(request, "You left the waitlist.")
    return redirect("waitlist-entry", entry_id)


@require_safe
@members_only
def offers(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Every offer that was made for an event, without names: anybody who waits can see that the order was kept."""
    event = get_event(event_id=event_id, viewer_id=request.user.pk)
    shown = Paginator(places.list_offers(event_id=event.pk), OFFERS_PER_PAGE).get_page(request.GET.get("page"))
    made = [places.as_made(booking, request.user.pk) for booking in shown]
    return render(request, "waitlist/offers.html", {"event": event, "offers": made, "pages": shown})


@require_safe
@members_only
def overview(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """The list of one's own event, for its organiser; staff act on it in the admin."""
    event = get_event(event_id=event_id, viewer_id=request.user.pk)
    if event.created_by_id != request.user.pk and not may(request.user, "waitlist.view_waitlistentry"):
        raise NotFound
    console = queries.console(event_id=event.pk)
    shown = Paginator(console.rows, OFFERS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "event": event,
        "rows": shown,
        "tallies": [
            ("people wait", console.people),
            ("seats they want", console.seats),
            ("seats free", console.free),
            ("offers open", console.offers),
            ("seats came back in 7 days", sum(seats for _, seats in released_by_day(event.pk))),
        ],
    }
    return render(request, "waitlist/overview.html", context)


# -- Pieces -----------------------------------------------------------------------------------------------------------


def own_entry(request: HttpRequest, entry_id: UUID) -> WaitlistEntry:
    """Load the person's own entry; other people's are not there."""
    return places.get_entry_for(user_id=request.user.pk, entry_id=entry_id)


def has_offer(entry: WaitlistEntry) -> bool:
    """Whether there is an offer to answer, as far as a page can tell; services ask the database."""
    lapses = entry.offer_expires_at
    return entry.status == Status.OFFERED and lapses is not None and lapses > timezone.now()


def shown_as(request: HttpRequest, entry: WaitlistEntry) -> tuple[str, dict[str, Any]]:
    """Return the template and the context for where an entry is in its life."""
    context = entry_context(request, entry)
    if entry.event.status == Event.Status.CANCELLED:
        return "waitlist/ended.html", context
    if has_offer(entry):
        return "waitlist/offer.html", context
    if entry.status == Status.WAITING:
        return "waitlist/entry.html", context
    return "waitlist/ended.html", context


def entry_context(request: HttpRequest, entry: WaitlistEntry) -> dict[str, Any]:
    """Return what the pages of one entry show."""
    now = timezone.now()
    booking = entry.booking
    verified = not entry.event.requires_face_verification or is_verified(request, entry.event_id)
    return {
        "entry": entry,
        "event": entry.event,
        "booking": booking,
        "standing": queries.standing_of(entry),
        "kinds": kinds_of(entry),
        "left": time_left(entry.offer_expires_at, now) if has_offer(entry) else None,
        "fewer": range(1, booking.quantity) if booking is not None else (),
        "is_verified": verified,
        "journey": journey(request, entry.event_id) if not verified else None,
        "most_lapses": settings.WAITLIST_MAX_LAPSES + 1,
        "offer_hours": max(1, settings.OFFER_SECONDS // 3600),
        "hold_minutes": max(1, settings.HOLD_SECONDS // 60),
        "is_over": entry.event.status != Event.Status.PUBLISHED or entry.event.ends_at <= now,
        "section": "tickets",
    }


def time_left(deadline: datetime | None, now: datetime) -> dict[str, str]:
    """Say what is left as a clock face: hours and minutes, in the last hour minutes and seconds."""
    gap = max(timedelta(), (deadline or now) - now)
    seconds = int(gap.total_seconds())
    if seconds >= 3600:
        return {"clock": f"{seconds // 3600}:{seconds // 60 % 60:02d}", "unit": "hours and minutes left"}
    return {"clock": f"{seconds // 60}:{seconds % 60:02d}", "unit": "minutes and seconds left"}


def kinds_of(entry: WaitlistEntry) -> list[str]:
    """Return the names of the categories somebody waits for; all of them when any will do."""
    known = {category.pk: category.name for category in entry.event.categories.all()}
    return [known[pk] for pk in entry.category_ids if pk in known] or list(known.values())


def is_verified(request: HttpRequest, event_id: UUID) -> bool:
    """Whether the person has passed the face check of an event."""
    found = journey(request, event_id)
    return found is not None and found.registration.status == "verified"


def journey(request: HttpRequest, event_id: UUID) -> Any:
    """Return where the person stands with an event that checks faces; the apps above lend pages this look."""
    return request.journey(event_id)  # type: ignore[attr-defined]


def most_of(event: Event) -> int:
    """Return for how many seats one may wait."""
    return standing_of(event, now=timezone.now()).most


def open_categories(event: Event) -> list[TicketCategory]:
    """Return the categories one may wait for."""
    return [category for category in event.categories.all() if not category.closed and not category.hidden]


def wish_form(event: Event, sent: QueryDict | None, **kwargs: Any) -> WishForm:
    return WishForm(sent, categories=open_categories(event), most=most_of(event), **kwargs)


def asked_form(event: Event, asked: QueryDict) -> WishForm:
    """Return the form as it is first shown; what the address names is ticked."""
    quantity = asked.get("quantity", "")
    known = [str(category.pk) for category in open_categories(event)]
    named = [pk for pk in asked.getlist("category") if pk in known]
    most = most_of(event)
    chosen = min(int(quantity), most) if quantity.isdecimal() and int(quantity[:4]) > 0 else min(2, most)
    return wish_form(event, None, initial={"quantity": chosen, "together": "any", "category": named or known})


def wish_of(entry: WaitlistEntry, event: Event) -> dict[str, Any]:
    """Return a wish as the form shows it."""
    chosen = [str(pk) for pk in entry.category_ids] or [str(category.pk) for category in open_categories(event)]
    together = "together" if entry.all_together else "any"
    return {"quantity": entry.quantity, "together": together, "category": chosen}


def join_context(request: HttpRequest, event: Event, form: WishForm) -> dict[str, Any]:
    """Return what the pages with the form show; numbers and ticks come from what was sent, or from the start."""
    quantity, together, ticked = form["quantity"].value(), form["together"].value(), form["category"].value() or []
    return {
        "event": event,
        "form": form,
        "numbers": range(1, form.most + 1),
        "quantity": int(quantity) if str(quantity).isdecimal() else 0,
        "together": together,
        "tiers": [(category, str(category.pk) in ticked) for category in form.categories],
        "waited_for": max((category.inventory.waiting for category in form.categories), default=0),
        "offer_hours": max(1, settings.OFFER_SECONDS // 3600),
        "hold_minutes": max(1, settings.HOLD_SECONDS // 60),
        "section": "tickets",
    }


def join_again(request: HttpRequest, event: Event, form: WishForm, problems: Any, status: int) -> HttpResponse:
    """Show the form again with what went wrong."""
    context = join_context(request, event, form) | {"problems": problems}
    return render(request, "waitlist/join.html", context, status=status)
