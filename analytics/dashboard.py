"""The admin's own pages: the first one, with today and what waits; and what happened to one booking or person."""

from datetime import date
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from accounts.models import User
from accounts.permissions import may
from analytics import queries
from analytics.plots import Plot, bars, steps
from analytics.timeline import booking_timeline, person_timeline
from bookings.models import Booking
from bookings.references import spoken
from common.money import display as money
from events.models import Event


def staff_dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the figures to the context of the admin's first page (unfold's DASHBOARD_CALLBACK), for who may see them."""
    if not may(request.user, "analytics.view_salesday"):
        return context
    found = queries.dashboard(events=Event.objects.filter(deleted_at__isnull=True))
    return context | {
        "tiles": tiles(found, queries.payment_failures()),
        "waiting": waiting(queries.to_do()),
        "plots": plots(found),
        "funnel": steps([(step["step"], step["count"]) for step in found["funnel"]]),
        "top_events": [
            event
            | {"url": reverse("admin:events_event_change", args=[event["event_id"]])}
            | {"earned": money(event["revenue_minor"], event["currency"])}
            for event in found["top_events"]
        ],
        "engagement": found["engagement"],
        "counted_at": found["counted_at"],
        "days": queries.DAYS,
    }


def tiles(found: dict[str, Any], failures: int) -> list[tuple[str, str, str]]:
    """Return label, figure and a further word for each figure on top."""
    today, seats = found["today"], found["seats"]
    earned = ", ".join(money(row["revenue_minor"], row["currency"]) for row in today["revenue"]) or "–"
    free = max(0, seats["capacity"] - seats["sold"] - seats["held"] - seats["offered"])
    return [
        ("Sold today", f"{today['tickets']:,}", f"in {today['bookings']:,} bookings"),
        ("Earned today", earned, f"{today['cancelled']:,} cancelled"),
        ("Free seats", f"{free:,}", f"of {seats['capacity']:,} on sale or to come"),
        ("Held now", f"{seats['held']:,}", "being paid for"),
        ("Offered now", f"{seats['offered']:,}", f"{seats['waiting']:,} seats waited for"),
        ("In line now", f"{found['in_line']:,}", "in waiting rooms"),
        ("Payments failed", f"{failures:,}", "in 24 hours"),
        (
            "People with tickets",
            f"{found['engagement']['buyers']:,}",
            f"{found['engagement']['returning']:,} came again",
        ),
    ]


def waiting(counts: dict[str, int]) -> list[tuple[str, int, str]]:
    """Return what waits for somebody, with where to go; nothing is left out, so that zero can be seen."""
    return [
        (
            "Face checks to review",
            counts["checks_to_review"],
            reverse("admin:registrations_registration_changelist") + "?review=waiting",
        ),
        ("Payments to look at", counts["payments_to_look_at"], reverse("admin:payments_attention_changelist")),
        (
            "Messages given up",
            counts["messages_given_up"],
            reverse("admin:common_outboxmessage_changelist") + "?state=given_up",
        ),
    ]


def plots(found: dict[str, Any]) -> list[Plot]:
    """Return the pictures of the page."""
    hours, days = found["hours"], found["days"]
    day = [(f"{date.fromisoformat(one['date']):%d %b}", one) for one in days]
    return [
        bars(
            f"Tickets sold per hour, {queries.HOURS} hours",
            [(f"{one['hour']:%d %b %H:00}", one["tickets"]) for one in hours],
            what="tickets",
        ),
        bars(
            f"Tickets sold per day, {queries.DAYS} days",
            [(label, one["tickets"]) for label, one in day],
            what="tickets",
        ),
        bars(
            f"Cancelled bookings per day, {queries.DAYS} days",
            [(label, one["cancelled"]) for label, one in day],
            what="cancellations",
        ),
        bars(
            f"Face checks passed per day, {queries.DAYS} days",
            [(label, one["checks_passed"]) for label, one in day],
            what="checks passed",
        ),
        bars(
            f"Face checks missed per day, {queries.DAYS} days",
            [(label, one["checks_missed"]) for label, one in day],
            what="checks missed",
        ),
        bars(
            f"Joined a waitlist per day, {queries.DAYS} days",
            [(label, one["waitlisted"]) for label, one in day],
            what="people",
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
