"""Everything we hold about one person, as JSON: for the person. Faces and vectors are not in it, only that there were any."""

from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q

from accounts.models import Authenticator, Passkey, RecoveryCode, User
from bookings.models import Booking, TicketHandover
from bookings.queries import list_bookings_for, tickets_with_all
from bookings.references import spoken
from common.errors import NotFound
from faceverify.models import BiometricConsent, DeletionLog, FaceReference, FaceView
from registrations.models import Registration, VerificationAttempt
from waitlist.models import WaitlistEntry

ENCODER = DjangoJSONEncoder


def export_person(*, user_id: UUID) -> dict[str, Any]:
    """
    Return what we hold about a person: profile, bookings with tickets, registrations with their checks, consent, waitlist.

    :raises NotFound: if there is no such person, or they were erased
    """
    person = User.objects.filter(pk=user_id, erased_at__isnull=True).first()
    if person is None:
        raise NotFound("There is no such person.")
    registrations = Registration.objects.filter(user=person).select_related("event")
    return {
        "profile": columns(
            person, "id", "email", "name", "phone", "is_organiser", "is_staff", "created_at", "last_login"
        ),
        "second_factors": {
            "app_since": Authenticator.objects.filter(user=person).values_list("confirmed_at", flat=True).first(),
            "passkeys": [
                columns(passkey, "name", "synced", "created_at", "last_used_at", "copied_at")
                for passkey in Passkey.objects.filter(user=person)
            ],
            "recovery_codes_left": RecoveryCode.objects.filter(user=person, used_at__isnull=True).count(),
        },
        "bookings": [booking(row) for row in list_bookings_for(user_id=user_id)],
        "tickets_from_others": [
            columns(ticket, "code", "number", "holder_name", "status", "issued_at")
            | {"event": ticket.booking.event.name}
            for ticket in tickets_with_all().filter(holder=person).exclude(booking__user=person)
        ],
        "holders_named": [
            columns(handover, "status", "email", "created_at", "sent_at", "accepted_at", "expires_at", "ended_at")
            for handover in TicketHandover.objects.filter(named_by=person)
        ],
        "invitations": [
            columns(handover, "status", "created_at", "sent_at", "accepted_at", "expires_at", "ended_at")
            for handover in TicketHandover.objects.filter(Q(invitee=person) | Q(email=person.email))
        ],
        "registrations": [registration(row) for row in registrations.prefetch_related("attempts", "decisions")],
        "waitlist": [
            columns(entry, "event_id", "quantity", "status", "reason", "eligible", "joined_at", "ended_at")
            for entry in WaitlistEntry.objects.filter(user=person)
        ],
        "faces": {
            "consents": [
                columns(
                    consent,
                    "policy_version",
                    "text_sha256",
                    "language",
                    "purpose",
                    "method",
                    "given_at",
                    "withdrawn_at",
                )
                for consent in BiometricConsent.objects.filter(user=person)
            ],
            "enrolments": [
                columns(
                    face,
                    "engine",
                    "model_version",
                    "photos",
                    "created_at",
                    "replaced_at",
                    "delete_after",
                    "forgotten_at",
                )
                for face in FaceReference.objects.filter(user=person)
            ],
            "looked_at_by_staff": [
                columns(view, "kind", "reason", "at") for view in FaceView.objects.filter(subject=person)
            ],
            "deleted": [columns(entry, "what", "why", "at") for entry in DeletionLog.objects.filter(user_id=user_id)],
        },
    }


def booking(row: Booking) -> dict[str, Any]:
    """Return a booking with its tickets."""
    found = columns(
        row, "status", "quantity", "amount_minor", "currency", "source", "created_at", "confirmed_at", "ended_at"
    )
    found |= {"reference": spoken(row.reference), "event": row.event.name, "category": row.category.name}
    found["refund_minor"] = row.refund_minor
    found["tickets"] = [
        columns(ticket, "number", "holder_name", "status", "issued_at")
        | {"code": ticket.code if ticket.holder_id == row.user_id else ""}
        for ticket in row.tickets.all()
    ]
    return found


def registration(row: Registration) -> dict[str, Any]:
    """Return a registration with its checks and what staff decided."""
    found = columns(
        row,
        "id",
        "status",
        "face_verification_status",
        "identity_method",
        "verification_attempts",
        "passed_by",
        "verified_at",
        "admin_booked",
        "admin_override_reason",
        "created_at",
    )
    found["event"] = row.event.name
    found["attempts"] = [attempt(one) for one in row.attempts.all()]
    found["decisions"] = [columns(decision, "action", "reason", "at") for decision in row.decisions.all()]
    return found


def attempt(row: VerificationAttempt) -> dict[str, Any]:
    """Return one check: figures, no picture and no vector."""
    return columns(
        row,
        "status",
        "engine",
        "model_version",
        "similarity",
        "threshold",
        "confidence",
        "brightness",
        "sharpness",
        "failure_code",
        "milliseconds",
        "reserved_at",
        "decided_at",
    )


def columns(row: Any, *names: str) -> dict[str, Any]:
    """Return some columns of a row."""
    return {name: getattr(row, name) for name in names}
