"""An organiser's own pages: their events, and how each one's sale goes."""

from datetime import date
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from analytics import queries
from analytics.plots import Plot, bars, steps
from common.errors import Forbidden
from common.money import display as money
from common.pages import members_only, page
from events.models import Event
from events.queries import get_event_to_change, with_categories
from events.standing import standing_of

PER_PAGE = 20


class NotAnOrganiser(Forbidden):
    code = "not_an_organiser"
    message = "These pages are for people who organise events. Ask the people of this site to make you one."


def organiser(request: HttpRequest) -> User:
    """
    Return the organiser who asks.

    :raises NotAnOrganiser: if they are none
    """
    user = request.user
    if not isinstance(user, User) or not (user.is_organiser or user.is_staff):
        raise NotAnOrganiser
    return user


@require_safe
@page
@members_only
def own_events(request: HttpRequest) -> HttpResponse:
    """The organiser's events, those to come first, with how full each is."""
    mine = with_categories(Event.objects.filter(created_by=organiser(request), deleted_at__isnull=True))
    shown = Paginator(mine.order_by("-starts_at", "id"), PER_PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    rows = [
        {
            "event": event,
            "standing": standing_of(event, now=now),
            "sold": sold,
            "share": queries.rate(sold, event.total_tickets),
        }
        for event in shown
        for sold in [sum(category.inventory.sold for category in event.categories.all())]
    ]
    return render(request, "organiser/events.html", {"rows": rows, "pages": shown, "section": "organiser"})


@require_safe
@page
@members_only
def event_figures(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """How one event's sale goes: seats, money, days, people, checks."""
    event = get_event_to_change(event_id=event_id, viewer=organiser(request))
    stats = queries.event_statistics(event=event)
    only = Event.objects.filter(pk=event.pk)
    days = queries.days_of(only)
    context = {
        "event": event,
        "stats": stats,
        "standing": standing_of(event, now=timezone.now()),
        "revenue": money(stats["revenue_minor"], event.currency),
        "categories": [one | {"earned": money(one["revenue_minor"], event.currency)} for one in stats["categories"]],
        "plots": pictures(queries.hours_of(only), days),
        "funnel": steps([(step["step"], step["count"]) for step in queries.funnel(days)]),
        "checks": [(name.replace("_", " ").capitalize(), count) for name, count in stats["verification"].items()],
        "days": queries.DAYS,
        "section": "organiser",
    }
    return render(request, "organiser/figures.html", context)


def pictures(hours: list[dict], days: list[dict]) -> list[Plot]:
    """Return the pictures of an event that show anything; of the first two always."""
    day = [(f"{date.fromisoformat(one['date']):%d %b}", one) for one in days]
    always = [
        bars(
            f"Tickets per hour, {queries.HOURS} hours",
            [(f"{one['hour']:%d %b %H:00} UTC", one["tickets"]) for one in hours],
            what="tickets",
        ),
        bars(f"Tickets per day, {queries.DAYS} days", [(label, one["tickets"]) for label, one in day], what="tickets"),
    ]
    others = [
        bars("Cancelled bookings per day", [(label, one["cancelled"]) for label, one in day], what="cancellations"),
        bars("Joined the waitlist per day", [(label, one["waitlisted"]) for label, one in day], what="people"),
        bars("Face checks passed per day", [(label, one["checks_passed"]) for label, one in day], what="checks passed"),
        bars("Face checks missed per day", [(label, one["checks_missed"]) for label, one in day], what="checks missed"),
    ]
    return always + [plot for plot in others if not plot.is_empty]
