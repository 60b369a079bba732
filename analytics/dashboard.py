"""The admin's own pages: the first one, with today and what waits; and what happened to one booking or person."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.permissions import may
from analytics import queries
from analytics.pictures import amounts, count, day_plots, hour_plot, percent
from analytics.plots import steps
from analytics.timeline import booking_timeline, person_timeline
from bookings.models import Booking
from bookings.references import spoken
from common.money import display_sum

LATE = timedelta(minutes=5)  # figures older than this say so


def staff_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the figures to the context of the admin's first page (unfold's DASHBOARD_CALLBACK), for who may see them."""
    if not may(request.user, "analytics.view_salesday"):
        return context
    found = queries.dashboard()
    counted_at = found["counted_at"]
    return context | {
        "tiles": tiles(found),
        "waiting": [one for one in waiting(found["to_do"]) if request.user.has_perm(one[0])],
        "plots": sorted([hour_plot(found["hours"]), *day_plots(found["days"])], key=lambda plot: plot.is_empty),
        "funnel": steps([(step["step"], step["count"]) for step in found["funnel"]]),
        "top_events": [
            event
            | {"url": reverse("admin:events_event_change", args=[event["event_id"]])}
            | {"earned": display_sum(event["revenue_minor"], event["currency"])}
            for event in found["top_events"]
        ],
        "counted_at": counted_at,
        "late": counted_at is not None and timezone.now() - counted_at > LATE,
        "days": queries.DAYS,
    }


def tiles(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return label, figure and a further word for each figure on top."""
    today, ever, seats, people = found["today"], found["totals"], found["seats"], found["engagement"]
    free = max(0, seats["capacity"] - seats["sold"] - seats["held"] - seats["offered"])
    return [
        ("Sold today", count(today["tickets"], "ticket"), f"in {count(today['bookings'], 'booking')}"),
        ("Earned today", amounts(today["revenue"]), f"{count(today['cancelled'], 'booking')} cancelled"),
        ("Sold ever", count(ever["tickets"], "ticket"), f"{percent(ever['cancellation_rate'])} of sales cancelled"),
        ("Earned ever", amounts(ever["revenue"]), f"from {count(ever['bookings'], 'booking')}"),
        ("Free seats", f"{free:,}", f"of {seats['capacity']:,}; {percent(seats['utilisation'])} sold"),
        ("Held now", count(seats["held"], "seat"), "being paid for"),
        ("Offered now", count(seats["offered"], "seat"), f"{count(seats['waiting'], 'seat')} waited for"),
        ("In line now", count(found["in_line"], "person", "people"), "in waiting rooms"),
        ("Payments failed", f"{found['payment_failures']:,}", "in 24 hours"),
        (
            "People with tickets",
            f"{people['buyers']:,}",
            f"{people['returning']:,} came again, {percent(people['returning_rate'])}",
        ),
    ]


def waiting(counts: dict[str, int]) -> list[tuple[str, str, int, str]]:
    """
    Return what waits for somebody: the permission it takes, what it is, how many, where to go.

    Nothing is left out for being zero, so that zero can be seen.
    """
    return [
        (
            "registrations.view_registration",
            "Face checks to review",
            counts["checks_to_review"],
            reverse("admin:registrations_registration_changelist") + "?review=waiting",
        ),
        (
            "payments.view_attention",
            "Payments to look at",
            counts["payments_to_look_at"],
            reverse("admin:payments_attention_changelist"),
        ),
        (
            "common.view_outboxmessage",
            "Messages given up",
            counts["messages_given_up"],
            reverse("admin:common_outboxmessage_changelist") + "?state=given_up",
        ),
    ]


def booking_history(request: HttpRequest, booking_id: UUID) -> HttpResponse:
    """A page of the admin: everything that happened to one booking."""
    booking = get_object_or_404(Booking.objects.select_related("event", "user"), pk=booking_id)
    require(request, "bookings.view_booking", booking.event.created_by_id)
    context = {
        "title": f"Booking {spoken(booking.reference)}: what happened",
        "moments": booking_timeline(booking=booking),
        "links": [
            ("The booking", reverse("admin:bookings_booking_change", args=[booking.pk])),
            ("Its buyer", reverse("person_history", args=[booking.user_id])),
        ],
    }
    return render(request, "admin/analytics/history.html", admin.site.each_context(request) | context)


def person_history(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """A page of the admin: what one person did and what was done for them."""
    person = get_object_or_404(User, pk=user_id)
    require(request, "accounts.view_user")
    require(request, "registrations.view_registration")  # their face checks are told here too
    context = {
        "title": f"{person.display_name}: what happened",
        "moments": person_timeline(user_id=person.pk),
        "links": [("The account", reverse("admin:accounts_user_change", args=[person.pk]))],
    }
    return render(request, "admin/analytics/history.html", admin.site.each_context(request) | context)


def require(request: HttpRequest, permission: str, organiser_id: UUID | None = None) -> None:
    """
    See that a member of staff has a permission, for all events or for this organiser's.

    :raises PermissionDenied: if not
    """
    if not may(request.user, permission, organiser_id=organiser_id):
        raise PermissionDenied
