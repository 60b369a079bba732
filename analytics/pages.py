"""An organiser's own pages: their events, and how each one's sale goes."""

from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Case, F, When
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from analytics import queries
from analytics.pictures import amounts, day_plots, earnings_plot, hour_plot
from analytics.plots import steps, strip
from common.errors import Forbidden, NotFound
from common.money import display_sum
from common.pages import members_only, page
from events.models import Event
from events.queries import get_event_to_change, with_categories
from events.standing import standing_of

PER_PAGE = 20
# What is still to come first, soonest first; then what is over, latest first.
TO_COME = Case(When(ends_at__gt=Now(), then=F("starts_at")))
ORDER = (TO_COME.asc(nulls_last=True), F("starts_at").desc(), "id")


def organiser(request: HttpRequest) -> User:
    """
    Return the organiser who asks; for everybody else there are no such pages.

    :raises NotFound: if they are none
    """
    user = request.user
    if not isinstance(user, User) or not (user.is_organiser or user.is_staff):
        raise NotFound
    return user


@require_safe
@page
@members_only
def own_events(request: HttpRequest) -> HttpResponse:
    """The organiser's events, those to come first, with how full each is, and how all of them sell."""
    owner = organiser(request)
    mine = Event.objects.filter(created_by=owner, deleted_at__isnull=True)
    shown = Paginator(with_categories(mine).order_by(*ORDER), PER_PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    rows = [
        {
            "event": event,
            "standing": standing_of(event, now=now),
            "sold": sold,
            "full": strip(queries.rate(sold, event.total_tickets)),
            "scans": may_scan(owner, event),
        }
        for event in shown
        for sold in [sum(category.inventory.sold for category in event.categories.all())]
    ]
    context = {"rows": rows, "pages": shown, "scans": any(row["scans"] for row in rows), "section": "organiser"}
    if rows:
        sums = queries.sums_of(mine)
        days = queries.house_days(mine)
        context |= {
            "today": sums["today"],
            "totals": sums["totals"],
            "earned_today": amounts(sums["today"]["revenue"]),
            "earned": amounts(sums["totals"]["revenue"]),
            "plot": day_plots(days)[0],
        }
    return render(request, "organiser/events.html", context)


@require_safe
@page
@members_only
def event_figures(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """How one event's sale goes: seats, money, days, people, checks."""
    viewer = organiser(request)
    try:
        event = get_event_to_change(event_id=event_id, viewer=viewer)
    except Forbidden:
        raise NotFound from None
    history = queries.event_history(event=event)
    stats = queries.event_statistics(event=event, history=history)
    today = queries.local_today(event)
    days = queries.days_of(history, last=today, columns=queries.SALES | queries.EARNED)
    hours = queries.hours_of(Event.objects.filter(pk=event.pk), zone=event.timezone)
    had_line = event.queue_enabled or bool(stats["people"]["lined_up"])
    first, others = day_plots(days)[0], day_plots(days)[1:]
    context = {
        "event": event,
        "stats": stats,
        "standing": standing_of(event, now=timezone.now()),
        "scans": may_scan(viewer, event),
        "revenue": display_sum(stats["revenue_minor"], event.currency),
        "categories": [
            one | {"earned": display_sum(one["revenue_minor"], event.currency)} for one in stats["categories"]
        ],
        # Of sales always, quiet ones last and in a word; of people only where there were any.
        "plots": sorted(
            [
                hour_plot(hours),
                first,
                earnings_plot(days, event.currency),
                *(plot for plot in others if not plot.is_empty),
            ],
            key=lambda plot: plot.is_empty,
        ),
        "had_line": had_line,
        "funnel": steps([(step["step"], step["count"]) for step in queries.funnel(days, line=had_line)]),
        "checks": [(name.replace("_", " ").capitalize(), number) for name, number in stats["verification"].items()],
        "days": queries.DAYS,
        "section": "organiser",
    }
    return render(request, "organiser/figures.html", context)


def may_scan(viewer: User, event: Event) -> bool:
    """Whether this person may stand at the event's gate: its organiser, or staff with the right; a draft has none."""
    if event.status == Event.Status.DRAFT:
        return False
    return event.created_by_id == viewer.pk or any(viewer.has_perm(right) for right in ("gate.scan", "gate.supervise"))
