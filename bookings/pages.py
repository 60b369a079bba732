"""Holding tickets, looking at them, giving them back: the pages of a buyer."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import limits
from bookings import documents, queries, services
from bookings.codes import guessers, normalise_code
from bookings.forms import HolderForm
from bookings.kept_codes import keep_code
from bookings.models import Booking, Ticket, TicketHandover
from bookings.queries import Word
from bookings.refusals import (
    AlreadyBooked,
    CancelTooLate,
    CodeLimit,
    CodeNotForThese,
    CodeNotYet,
    CodeOver,
    CodesNotForWaitlist,
    CodeUnknown,
    CodeUsedUp,
    ExtensionRefused,
    HoldExists,
    HoldExpired,
    PartlyAvailable,
    QueueRequired,
    SaleNotOpen,
    SoldOut,
    TooManyCodes,
)
from bookings.services.handovers import give_until, giver_of
from bookings.states import Status
from common.errors import FairseatError, IllegalTransition, NotFound
from common.pages import Problem, Problems, form_problems, here_again, members_only, page, refusal_problems, to_login
from events.forms import ChoiceForm
from events.models import Event, TicketCategory
from events.pages import event_context, word_of
from events.queries import get_event
from events.standing import standing_of

PER_PAGE = 20


@require_http_methods(["GET", "HEAD", "POST"])
@page
def hold(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """Hold the chosen tickets; who is not logged in does that first and finds the choice kept."""
    asked = request.POST if request.method == "POST" else request.GET
    if "look" in asked and not asked.get("code", "").strip():
        keep_code(request.session, event_id, "")
    if request.method != "POST" or not request.user.is_authenticated or "look" in asked:
        kept = {name: asked[name] for name in ("category", "quantity", "code") if asked.get(name)}
        back = reverse("event", args=[event_id]) + (f"?{urlencode(kept)}" if kept else "") + "#tickets"
        looks = request.user.is_authenticated or "look" in asked
        return redirect(back) if looks else to_login(request, back)
    limits.check(request, scope="booking")
    form = ChoiceForm(asked)
    if not form.is_valid():
        return choose_again(request, event_id, form_problems(form), 400)
    wish = {
        "user_id": request.user.pk,
        "event_id": event_id,
        "category_id": form.cleaned_data["category"],
        "quantity": form.cleaned_data["quantity"] or 1,
        "code": form.cleaned_data["code"],
        "price_minor": agreed_price(request, event_id, form),
        "address": guessers(request).address,
    }
    try:
        if asked.get("partial"):
            return hold_part(request, event_id, wish)
        booking = services.hold_seats(**wish)
    except (HoldExists, AlreadyBooked) as error:
        messages.info(request, error.text)
        found = queries.get_live_booking_for(user_id=request.user.pk, event_id=event_id)
        return redirect(address_of(found)) if found else redirect("event", event_id)
    except PartlyAvailable as error:
        return choose_again(request, event_id, refusal_problems(error, "Not that many left"), 409, **error.extra)
    except SoldOut:
        kind = TicketCategory.objects.get(pk=form.cleaned_data["category"])
        words = f"The last {kind.name} tickets just went. Choose others, or join the waitlist: some may come back."
        return choose_again(request, event_id, Problems("Just gone", [Problem(words)]), 409)
    except QueueRequired as error:
        messages.info(request, error.text)
        return redirect("line", event_id)
    except (CodeUnknown, TooManyCodes) as error:
        word = Word(form.cleaned_data["code"], problem=error)
        return choose_again(request, event_id, about_the_code(error), error.status, word)
    except CodeUsedUp as error:
        return choose_again(request, event_id, about_the_code(error), 409, available=error.extra.get("left", 0))
    except CodeLimit as error:
        return choose_again(request, event_id, about_the_code(error), 409, available=error.extra["limit"])
    except (CodeNotYet, CodeOver, CodeNotForThese, CodesNotForWaitlist) as error:
        return choose_again(request, event_id, about_the_code(error), 409)
    except SaleNotOpen as error:
        return choose_again(request, event_id, refusal_problems(error, "A little early"), 409)
    except FairseatError as error:
        if error.status in {404, 503}:
            raise
        return choose_again(request, event_id, refusal_problems(error), error.status)
    return redirect("booking-done" if booking.status == Status.CONFIRMED else "booking-tickets", booking.pk)


def agreed_price(request: HttpRequest, event_id: UUID, form: ChoiceForm) -> int | None:
    """
    Return what one ticket may cost: as much as the page said, or less with a code that was typed since and not looked at.

    None where no price was shown.
    """
    shown = form.shown_price()
    if shown is None or normalise_code(form.cleaned_data["code"]) == normalise_code(form.data.get("priced-with", "")):
        return shown
    kinds = TicketCategory.objects.filter(pk=form.cleaned_data["category"], event_id=event_id)
    kind = kinds.select_related("event").first()
    word = word_of(request, event_id, form.data)
    return shown if kind is None or word is None else min(shown, word.price(kind))


def about_the_code(error: FairseatError) -> Problems:
    """Return the summary of what is wrong with a code, leading to its field."""
    return Problems("Your code", [Problem(error.text, "code")])


def hold_part(request: HttpRequest, event_id: UUID, wish: dict[str, Any]) -> HttpResponse:
    """Hold what is left and wait for the rest; with nothing left it is the waitlist alone."""
    held = services.hold_or_wait(**wish)
    if held.booking is None:
        messages.success(request, "None were left. You’re on the waitlist, and keep this place.")
        return redirect("waitlist-entry", held.entry_id)
    if held.entry_id is not None:
        rest = wish["quantity"] - held.booking.quantity
        messages.success(request, f"You’re on the waitlist for the other{'' if rest == 1 else f' {rest}'}.")
    confirmed = held.booking.status == Status.CONFIRMED
    return redirect("booking-done" if confirmed else "booking-tickets", held.booking.pk)


def choose_again(
    request: HttpRequest,
    event_id: UUID,
    problems: Problems,
    status: int,
    word: Word | None = None,
    available: int = 0,
    **_: Any,
) -> HttpResponse:
    """Show the event again with what went wrong and the choice as it was; `available` offers to take fewer."""
    event = get_event(event_id=event_id, viewer_id=request.user.pk)
    word = word or word_of(request, event_id, request.POST)
    context = event_context(request, standing_of(event, now=timezone.now(), code=word), request.POST, word)
    context |= {"problems": problems, "offer_less": available, "offer_code": request.POST.get("code", "")}
    if available:
        wanted = int(request.POST["quantity"])
        context |= {
            "offer_category": request.POST["category"],
            "offer_wanted": wanted,
            "offer_rest": wanted - available if may_wait(event, wanted) and not word else 0,
        }
    return render(request, "events/event.html", context, status=status)


def may_wait(event: Event, wanted: int) -> bool:
    """Whether the rest of a wish may go on the waitlist: where one person may have that many."""
    return wanted <= min(event.max_tickets_per_booking, settings.MAX_TICKETS_PER_BOOKING)


@require_safe
@members_only
def tickets_held(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """Step 1: the tickets that are held, before paying."""
    booking = queries.get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if not is_held(booking):
        return redirect(address_of(booking))
    context = {"booking": booking, "hold": booking, "event": booking.event, "minutes": hold_minutes()}
    return render(request, "bookings/held.html", context)


@require_POST
@members_only
def extend(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """ "I need more time"."""
    limits.check(request, scope="booking")
    booking = queries.get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    try:
        services.extend_hold(booking_id=booking.pk, user_id=request.user.pk)
    except HoldExpired:
        return redirect("booking", booking.pk)
    except ExtensionRefused as error:
        messages.warning(request, error.text)
    else:
        messages.success(request, f"You have {seconds_in_words(settings.HOLD_EXTENSION_SECONDS)} more.")
    return redirect(here_again(request, reverse("booking-tickets", args=[booking.pk])))


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def give_up(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """Give a hold back, to choose others or for good."""
    booking = queries.get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if not is_held(booking):
        return redirect(address_of(booking))
    if request.method != "POST":
        context = {"booking": booking, "hold": booking, "event": booking.event}
        return render(request, "bookings/give_up.html", context)
    try:
        services.give_up_hold(booking_id=booking.pk)
    except IllegalTransition:
        return redirect("booking", booking.pk)
    messages.success(request, "Your tickets were given back. Nothing was charged.")
    if request.POST.get("then") == "choose":
        kept = urlencode(
            {"category": booking.category_id, "quantity": booking.quantity}
            | ({"code": booking.code.code} if booking.code else {})
        )
        return redirect(f"{reverse('event', args=[booking.event_id])}?{kept}#tickets")
    return redirect("event", booking.event_id)


@require_safe
@members_only
def done(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """Step 3: the tickets are theirs."""
    booking = queries.get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if booking.status != Status.CONFIRMED:
        return redirect(address_of(booking))
    return render(request, "bookings/done.html", {"booking": booking, "event": booking.event} | shares(booking))


@require_safe
@members_only
def booking_list(request: HttpRequest) -> HttpResponse:
    """Every booking of the person, newest first."""
    pages = Paginator(queries.list_bookings_for(user_id=request.user.pk), PER_PAGE)
    shown = pages.get_page(request.GET.get("page"))
    return render(request, "bookings/list.html", {"bookings": shown, "section": "tickets", "now": timezone.now()})


@require_safe
@members_only
def booking(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """One booking, whatever became of it."""
    shown = queries.get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if is_held(shown):
        return redirect("booking-tickets", shown.pk)
    if shown.status == Status.OFFERED:
        return redirect("waitlist")  # where an offer is answered
    now = timezone.now()
    context = {
        "booking": shown,
        "event": shown.event,
        "has_lapsed": shown.status in {Status.EXPIRED, Status.PENDING},
        "can_cancel": shown.status == Status.CONFIRMED and cancel_until(shown) > now,
        "cancel_until": cancel_until(shown),
        "is_past": shown.event.ends_at <= now,
        "section": "tickets",
    }
    return render(request, "bookings/booking.html", context | shares(shown))


def others(booking: Booking) -> list[str]:
    """Return the names of those who hold a ticket of a booking that they did not buy."""
    held = [ticket for ticket in booking.tickets.all() if ticket.status in Ticket.OPENS]
    return [ticket.holder_name or "somebody" for ticket in held if ticket.holder_id != booking.user_id]


def shares(booking: Booking) -> dict[str, Any]:
    """Return which tickets of a booking are its buyer's own, and which wait for a holder."""
    valid = [ticket for ticket in booking.tickets.all() if ticket.status != Ticket.Status.VOID]
    own = sum(ticket.holder_id == booking.user_id for ticket in valid)
    unassigned = [ticket for ticket in valid if ticket.status == Ticket.Status.UNASSIGNED]
    return {"has_own": own > 0, "own_count": own, "unassigned": unassigned}


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def cancel(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """Cancel a booking: first what that means, then the deed."""
    shown = queries.get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if shown.status != Status.CONFIRMED:
        return redirect(address_of(shown))
    if request.method != "POST":
        context = {"booking": shown, "event": shown.event, "cancel_until": cancel_until(shown), "others": others(shown)}
        return render(request, "bookings/cancel.html", context)
    limits.check(request, scope="booking")
    try:
        services.cancel_booking(booking_id=shown.pk, by="buyer")
    except CancelTooLate:
        hours, until = settings.CANCEL_UNTIL_HOURS, cancel_until(shown).astimezone(ZoneInfo(shown.event.timezone))
        messages.error(request, f"You can cancel until {hours} hours before the event, that was {until:%d %B, %H:%M}.")
    except IllegalTransition:
        messages.info(request, "This booking has ended already.")
    else:
        messages.success(request, "Your booking is cancelled and its tickets are no longer valid.")
    return redirect("booking", shown.pk)


@require_safe
@members_only
def ticket_list(request: HttpRequest) -> HttpResponse:
    """The person's tickets: those still to come, or the old ones."""
    now = timezone.now()
    tickets = queries.list_tickets_for(user_id=request.user.pk)
    past = request.GET.get("show") == "past"
    if past:
        chosen = tickets.filter(booking__event__ends_at__lte=now).order_by("-booking__event__starts_at", "number")
    else:
        chosen = tickets.filter(booking__event__ends_at__gt=now)
    shown = Paginator(chosen, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "tickets": shown,
        "past": past,
        "section": "tickets",
        "hold": queries.get_current_hold(user_id=request.user.pk),
    }
    return render(request, "bookings/tickets.html", context)


@require_safe
@members_only
def ticket(request: HttpRequest, code: str) -> HttpResponse:
    """One ticket, to be scanned at the door."""
    shown = own_ticket(request, code)
    others = shown.booking.tickets.filter(number__gt=shown.number, holder=request.user)
    others = others.exclude(status=Ticket.Status.VOID)
    context = {
        "ticket": shown,
        "next_ticket": others.order_by("number").first(),
        "booking": shown.booking,
        "event": shown.booking.event,
        "is_valid": shown.status == Ticket.Status.ACTIVE,
        "is_buyer": shown.booking.user_id == request.user.pk,
        "can_give": may_give(shown, request.user.pk),
        "qr": mark_safe(documents.qr_svg(shown)),  # noqa: S308 - drawn by us from the code alone
        "section": "tickets",
    }
    return render(request, "bookings/ticket.html", context)


@require_safe
@members_only
def ticket_pdf(request: HttpRequest, code: str) -> HttpResponse:
    """One ticket to print."""
    shown = own_ticket(request, code)
    return download(
        documents.ticket_pdf(shown), "application/pdf", f"ticket-{shown.booking.reference}-{shown.number}.pdf"
    )


@require_safe
@members_only
def ticket_ics(request: HttpRequest, code: str) -> HttpResponse:
    """The event of one ticket for a calendar."""
    shown = own_ticket(request, code)
    return download(documents.ticket_ics(shown), "text/calendar; charset=utf-8", f"event-{shown.booking.reference}.ics")


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def ticket_holder(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """Whose a ticket is: name its next holder, see who is invited and what happened so far."""
    shown = queries.get_ticket_to_give(user_id=request.user.pk, ticket_id=ticket_id)
    if request.method != "POST":
        return render(request, "bookings/holder.html", holder_context(request, shown))
    limits.check(request, scope="booking")
    form = HolderForm(request.POST)
    problems = None if form.is_valid() else form_problems(form)
    status = 400
    if problems is None:
        try:
            services.name_holder(ticket_id=shown.pk, user_id=request.user.pk, email=form.cleaned_data["email"])
        except NotFound:
            raise
        except FairseatError as error:
            problems, status = refusal_problems(error), error.status
    if problems is not None:
        context = holder_context(request, shown) | {"form": form, "problems": problems}
        return render(request, "bookings/holder.html", context, status=status)
    messages.success(request, f"We are mailing {form.cleaned_data['email']} an invitation.")
    back = shown.booking.user_id == request.user.pk and shown.status == Ticket.Status.UNASSIGNED
    return redirect("booking", shown.booking_id) if back else redirect("ticket-holder", shown.pk)


@require_POST
@members_only
def recall(request: HttpRequest, ticket_id: UUID) -> HttpResponse:
    """Take an invitation back."""
    limits.check(request, scope="booking")
    try:
        services.recall_handover(ticket_id=ticket_id, user_id=request.user.pk)
    except NotFound:
        raise
    except FairseatError as error:
        messages.info(request, error.text)
    else:
        messages.success(request, "The invitation is taken back. Its link no longer works.")
    return redirect(here_again(request, reverse("ticket-holder", args=[ticket_id])))


def holder_context(request: HttpRequest, ticket: Ticket) -> dict[str, Any]:
    """Return what the page about a ticket's holder shows."""
    ended = ticket.handovers.filter(named_by=request.user).exclude(status__in=(*TicketHandover.WAITING, "taken"))
    return {
        "ticket": ticket,
        "booking": ticket.booking,
        "event": ticket.booking.event,
        "is_buyer": ticket.booking.user_id == request.user.pk,
        "is_mine": ticket.holder_id == request.user.pk,
        "can_give": may_give(ticket, request.user.pk),
        "give_until": give_until(ticket),
        "history": queries.history_of(ticket),
        "past_handovers": ended.order_by("-ended_at")[:10],
        "section": "tickets",
    }


def may_give(ticket: Ticket, user_id: UUID) -> bool:
    """Whether this person may name the ticket's next holder now, as far as a page can tell; services ask the database."""
    on = ticket.booking.event.status == "published" and give_until(ticket) > timezone.now()
    return on and ticket.booking.status == Status.CONFIRMED and giver_of(ticket) == user_id


@require_safe
@members_only
def booking_pdf(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """Every ticket of a booking in one file."""
    shown = confirmed(request, booking_id)
    return download(documents.tickets_pdf(shown), "application/pdf", f"tickets-{shown.reference}.pdf")


@require_safe
@members_only
def booking_ics(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """The event for a calendar."""
    shown = confirmed(request, booking_id)
    return download(documents.event_ics(shown), "text/calendar; charset=utf-8", f"event-{shown.reference}.ics")


def own_ticket(request: HttpRequest, code: str) -> Ticket:
    """Load the person's own ticket; other people's are not there."""
    return queries.get_ticket_for(user_id=request.user.pk, code=code.upper())


def confirmed(request: HttpRequest, booking_id: UUID) -> Booking:
    """Load the person's own booking if it has tickets of theirs."""
    found = queries.get_booking_for(user_id=request.user.pk, booking_id=booking_id)
    if found.status != Status.CONFIRMED:
        raise NotFound
    return found


def download(body: bytes, content_type: str, name: str) -> HttpResponse:
    """Return a file; the page decorator keeps it out of caches."""
    return HttpResponse(
        body, content_type=content_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def is_held(booking: Booking) -> bool:
    """Whether the seats are held now, as far as a page can tell; services ask the database."""
    return booking.is_hold and booking.expires_at is not None and booking.expires_at > timezone.now()


def address_of(booking: Booking) -> str:
    """Return the page that shows where a booking is in its life."""
    return reverse("booking-tickets" if is_held(booking) else "booking", args=[booking.pk])


def cancel_until(booking: Booking) -> Any:
    """Return until when the buyer may cancel."""
    return booking.event.starts_at - timedelta(hours=settings.CANCEL_UNTIL_HOURS)


def hold_minutes() -> int:
    return max(1, settings.HOLD_SECONDS // 60)


def seconds_in_words(seconds: int) -> str:
    """Say a setting in minutes where it is whole minutes."""
    if seconds % 60:
        return f"{seconds} seconds"
    minutes = seconds // 60
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
