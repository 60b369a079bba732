"""Figures of registrations: S1's counts, how often a check succeeds, why it does not, and both over time."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now, TruncDate

from bookings.models import Booking
from registrations.models import Registration, VerificationAttempt

DAYS = 30
Status = VerificationAttempt.Status


def registration_statistics(*, event_id: UUID | None = None) -> dict[str, Any]:
    """Return the counts of all registrations, or of one event's, and the figures of their face checks."""
    registrations = Registration.objects.filter(event_id=event_id) if event_id else Registration.objects.all()
    attempts = VerificationAttempt.objects.filter(registration__in=registrations) if event_id else None
    return {
        "status_stats": groups(registrations, "status"),
        "face_verification_stats": groups(registrations, "face_verification_status"),
        "ticket_stats": {
            "total_registrations": registrations.count(),
            "tickets_issued": registrations.filter(has_ticket()).count(),
            "admin_booked": registrations.filter(admin_booked=True).count(),
        },
        "verification": verification(VerificationAttempt.objects.all() if attempts is None else attempts),
    }


def has_ticket() -> Exists:
    """Registrations whose person has a ticket for the event."""
    return Exists(
        Booking.objects.filter(
            user_id=OuterRef("user_id"), event_id=OuterRef("event_id"), status=Booking.Status.CONFIRMED
        )
    )


def groups(registrations: QuerySet[Registration], field: str) -> list[dict[str, Any]]:
    """Return how many registrations have each value of a field, as S1 groups them."""
    counted = registrations.order_by().values_list(field).annotate(count=Count("pk")).order_by(field)
    # `_id` is how clients of S1 read the group; `id` is our own name for it.
    return [{"id": value, "_id": value, "count": count} for value, count in counted]


def verification(attempts: QuerySet[VerificationAttempt]) -> dict[str, Any]:
    """Return how checks went: success among those that were scored, reasons of the others, the last DAYS days."""
    passed, missed = Q(status=Status.PASSED), Q(status=Status.MISMATCH)
    returned = Q(status=Status.RETURNED)
    total = attempts.aggregate(
        passed=Count("pk", filter=passed),
        mismatched=Count("pk", filter=missed),
        returned=Count("pk", filter=returned),
    )
    scored = total["passed"] + total["mismatched"]
    reasons = attempts.filter(returned).order_by().values_list("failure_code").annotate(count=Count("pk"))
    failures = [{"reason": reason, "count": count} for reason, count in reasons]
    if total["mismatched"]:
        failures.append({"reason": "face_mismatch", "count": total["mismatched"]})
    days = (
        attempts.filter(reserved_at__gt=Now() - timedelta(days=DAYS))
        .order_by()
        .annotate(day=TruncDate("reserved_at"))
        .values("day")
        .annotate(
            passed=Count("pk", filter=passed),
            mismatched=Count("pk", filter=missed),
            returned=Count("pk", filter=returned),
        )
        .order_by("day")
    )
    return {
        **total,
        "success_rate": round(total["passed"] / scored, 4) if scored else None,
        "failure_reasons": sorted(failures, key=lambda failure: (-failure["count"], failure["reason"])),
        "trend": [
            {
                "date": day["day"].isoformat(),
                "passed": day["passed"],
                "mismatched": day["mismatched"],
                "returned": day["returned"],
            }
            for day in days
        ],
    }


def outcomes_of_event(event_id: UUID) -> dict[str, int]:
    """Return the outcomes of an event's registrations and checks, for its organiser; nothing where nobody registered."""
    if not Registration.objects.filter(event_id=event_id).exists():
        return {}
    registered = Registration.objects.filter(event_id=event_id).aggregate(
        registrations=Count("pk"),
        verified=Count("pk", filter=Q(status=Registration.Status.VERIFIED)),
        rejected=Count("pk", filter=Q(status=Registration.Status.REJECTED)),
        to_review=Count("pk", filter=Q(review_requested_at__isnull=False)),
    )
    checks = VerificationAttempt.objects.filter(registration__event_id=event_id).aggregate(
        passed=Count("pk", filter=Q(status=Status.PASSED)),
        mismatched=Count("pk", filter=Q(status=Status.MISMATCH)),
        returned=Count("pk", filter=Q(status=Status.RETURNED)),
    )
    return registered | checks
