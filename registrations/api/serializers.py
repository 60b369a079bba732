"""What registrations look like on the wire: S1's shapes."""

import math
from typing import Any

from rest_framework import serializers

from accounts.models import User
from bookings.api.serializers import BookingOut, TicketOut, local_date, render_booking, render_ticket
from common.api import Input
from common.errors import Forbidden
from events.models import Event
from faceverify.engines import Analysis
from registrations.models import BatchItem, BatchRun, Registration, VerificationAttempt
from registrations.queries import STEPS, Journey
from registrations.refusals import FaceMismatch
from waitlist.api.serializers import WaitlistEntryOut, position_in, render_entry

FOR_STAFF = ("user_id", "admin_booked", "admin_override_reason")


class StaffOnly(Forbidden):
    code = "staff_only"
    message = "Only staff may register somebody else or issue tickets."


class RegistrationIn(Input):
    protected = ("status", "face_verification_status", "verification_attempts", "ticket_issued", "identity_method")

    event_id = serializers.CharField(max_length=64)
    user_id = serializers.CharField(max_length=64, required=False, help_text="Staff only.")
    admin_booked = serializers.BooleanField(required=False, help_text="Staff only: issue the ticket at once.")
    admin_override_reason = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=2000, help_text="Staff only."
    )


class FaceImageIn(Input):
    protected = ("user_id", "similarity", "similarity_score", "success", "engine", "attempts")

    face_image_key = serializers.CharField(max_length=200, help_text="From POST /face-images.")


class VerifyIn(FaceImageIn):
    similarity_threshold = serializers.FloatField(
        min_value=0, max_value=100, required=False, allow_null=True, help_text="Can only be stricter than the event's."
    )


class OverrideIn(Input):
    protected = ("status", "ticket_issued", "quantity", "amount_minor", "price")

    override_reason = serializers.CharField(max_length=2000, allow_blank=True)
    category_id = serializers.UUIDField(
        required=False, help_text="Needed when the event sells several kinds of tickets."
    )
    exceed_capacity = serializers.BooleanField(
        default=False, help_text="Raise the capacity by one if no seat is free. Needs a permission of its own."
    )


class ReviewIn(Input):
    action = serializers.ChoiceField(choices=("approve", "reject", "request_retry"))
    reason = serializers.CharField(max_length=2000, allow_blank=True)


class BatchIn(Input):
    action = serializers.ChoiceField(choices=BatchRun.Action.choices)
    registration_ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=10_000)
    reason = serializers.CharField(max_length=2000, allow_blank=True)


class PersonOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.EmailField()
    phone = serializers.CharField()


class EventOfRegistrationOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    date = serializers.DateField()
    location = serializers.CharField()


class RegistrationOut(serializers.Serializer):
    id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    user = PersonOut()
    event_id = serializers.UUIDField()
    event = EventOfRegistrationOut()
    status = serializers.ChoiceField(choices=Registration.Status.choices)
    face_verification_status = serializers.ChoiceField(choices=Registration.FaceStatus.choices)
    ticket_availability_status = serializers.ChoiceField(choices=("pending", "available", "unavailable"))
    identity_method = serializers.ChoiceField(choices=Registration.IdentityMethod.choices)
    verification_attempts = serializers.IntegerField()
    attempts_left = serializers.IntegerField()
    last_verification_attempt = serializers.DateTimeField(allow_null=True)
    ticket_issued = serializers.BooleanField()
    ticket_issued_date = serializers.DateTimeField(allow_null=True)
    admin_booked = serializers.BooleanField()
    admin_override_reason = serializers.CharField(allow_null=True, help_text="For staff only; null otherwise.")
    created_at = serializers.DateTimeField()
    next_step = serializers.ChoiceField(choices=STEPS)


class CreatedOut(serializers.Serializer):
    registration = RegistrationOut()


class OutcomeOut(serializers.Serializer):
    success = serializers.BooleanField()
    message = serializers.CharField()
    action = serializers.ChoiceField(
        choices=("TICKET_ISSUED", "PAYMENT_REQUIRED", "ADDED_TO_WAITLIST", "VERIFIED"), required=False
    )
    registration = RegistrationOut()
    ticket = TicketOut(required=False)
    booking = BookingOut(required=False)
    waitlist = WaitlistEntryOut(required=False)


class StatusOut(serializers.Serializer):
    status = serializers.CharField()
    message = serializers.CharField()
    registration = RegistrationOut()
    next_step = serializers.ChoiceField(choices=STEPS)
    face_verification_status = serializers.ChoiceField(choices=Registration.FaceStatus.choices)
    verification_attempts = serializers.IntegerField()
    ticket = TicketOut(required=False)
    booking = BookingOut(required=False)
    waitlist = WaitlistEntryOut(required=False)


class QualityOut(serializers.Serializer):
    brightness = serializers.FloatField()
    sharpness = serializers.FloatField()


class ValueOut(serializers.Serializer):
    value = serializers.BooleanField()
    confidence = serializers.FloatField()


class AttributesOut(serializers.Serializer):
    age_range = serializers.DictField(allow_null=True, help_text="Always null: we ask for no age.")
    eyes_open = ValueOut(allow_null=True)
    mouth_open = ValueOut(allow_null=True)
    emotions = serializers.ListField(
        child=serializers.DictField(), allow_null=True, help_text="Always null: we ask for no emotions."
    )


class FaceImageCheckedOut(serializers.Serializer):
    success = serializers.BooleanField()
    message = serializers.CharField()
    confidence = serializers.FloatField()
    quality = QualityOut()
    attributes = AttributesOut()


class FailedVerificationsOut(serializers.Serializer):
    failed_verifications = RegistrationOut(many=True)


class TicketStatsOut(serializers.Serializer):
    total_registrations = serializers.IntegerField()
    tickets_issued = serializers.IntegerField()
    admin_booked = serializers.IntegerField()


class GroupOut(serializers.Serializer):
    id = serializers.CharField(help_text="The value; clients of S1 find it as `_id` too.")
    count = serializers.IntegerField()


class ReasonCountOut(serializers.Serializer):
    reason = serializers.CharField()
    count = serializers.IntegerField()


class CheckDayOut(serializers.Serializer):
    date = serializers.DateField()
    passed = serializers.IntegerField()
    mismatched = serializers.IntegerField()
    returned = serializers.IntegerField()


class VerificationStatsOut(serializers.Serializer):
    passed = serializers.IntegerField()
    mismatched = serializers.IntegerField()
    returned = serializers.IntegerField(help_text="Given back: the picture or the engine failed, not the face.")
    success_rate = serializers.FloatField(allow_null=True, help_text="Passed of those that were scored, 0 to 1.")
    failure_reasons = ReasonCountOut(many=True)
    trend = CheckDayOut(many=True)


class StatisticsOut(serializers.Serializer):
    status_stats = GroupOut(many=True)
    face_verification_stats = GroupOut(many=True)
    ticket_stats = TicketStatsOut()
    verification = VerificationStatsOut()


class BatchOut(serializers.Serializer):
    id = serializers.UUIDField()
    action = serializers.ChoiceField(choices=BatchRun.Action.choices)
    reason = serializers.CharField()
    total = serializers.IntegerField()
    waiting = serializers.IntegerField()
    done = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    failed = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


def render_person(user: User) -> dict[str, Any]:
    """Return the short form of a person."""
    return {"id": user.pk, "name": user.name, "email": user.email, "phone": user.phone}


def render_event_of(event: Event) -> dict[str, Any]:
    """Return the short form of an event."""
    return {"id": event.pk, "name": event.name, "date": local_date(event), "location": event.location}


def render_registration(journey: Journey, *, for_staff: bool = False) -> dict[str, Any]:
    """Return a registration's form on the wire; what staff wrote is for staff."""
    registration, booking = journey.registration, journey.booking
    return {
        "id": registration.pk,
        "user_id": registration.user_id,
        "user": render_person(registration.user),
        "event_id": registration.event_id,
        "event": render_event_of(registration.event),
        "status": registration.status,
        "face_verification_status": registration.face_verification_status,
        "ticket_availability_status": journey.ticket_availability,
        "identity_method": registration.identity_method,
        "verification_attempts": registration.verification_attempts,
        "attempts_left": journey.attempts_left,
        "last_verification_attempt": registration.last_verification_attempt,
        "ticket_issued": journey.ticket_issued,
        "ticket_issued_date": booking.confirmed_at if booking and journey.ticket_issued else None,
        "admin_booked": registration.admin_booked,
        "admin_override_reason": (registration.admin_override_reason or None) if for_staff else None,
        "created_at": registration.created_at,
        "next_step": journey.next_step,
    }


def render_claims(journey: Journey) -> dict[str, Any]:
    """Return the ticket, hold or place on the waitlist that a person has, under S1's names."""
    found: dict[str, Any] = {}
    if journey.booking is not None:
        found["booking"] = render_booking(journey.booking)
        own = [ticket for ticket in journey.booking.tickets.all() if ticket.holder_id == journey.booking.user_id]
        if journey.ticket_issued and own:
            found["ticket"] = render_ticket(own[0], journey.booking)
    if journey.given is not None:
        found["ticket"] = render_ticket(journey.given, journey.given.booking, viewer_id=journey.given.holder_id)
    if journey.entry is not None:
        found["waitlist"] = render_entry(journey.entry, position_in(journey.entry))
    return found


def render_status(journey: Journey, *, for_staff: bool = False) -> dict[str, Any]:
    """Return where a registration stands and what comes next (S1 §1.2)."""
    status, message = journey.words
    return {
        "status": status,
        "message": message,
        "registration": render_registration(journey, for_staff=for_staff),
        "next_step": journey.next_step,
        "face_verification_status": journey.registration.face_verification_status,
        "verification_attempts": journey.registration.verification_attempts,
        **render_claims(journey),
    }


def render_analysis(analysis: Analysis) -> dict[str, Any]:
    """Return what was found in a picture that will do (S1 §2.1)."""
    return {
        "success": True,
        "message": "Face image is valid",
        "confidence": round(analysis.confidence, 1),
        "quality": {"brightness": round(analysis.brightness, 1), "sharpness": round(analysis.sharpness, 1)},
        "attributes": {
            "age_range": None,
            "eyes_open": render_flag(analysis.eyes_open),
            "mouth_open": render_flag(analysis.mouth_open),
            "emotions": None,
        },
    }


def render_flag(flag: Any) -> dict[str, Any] | None:
    """Return a yes or no with how sure the engine is."""
    return None if flag is None else {"value": flag.value, "confidence": round(flag.confidence, 1)}


def render_miss(journey: Journey, attempt: VerificationAttempt) -> dict[str, Any]:
    """Return S1's answer to a face that did not match (§2.2); the similarity is rounded down, which helps nobody to climb."""
    found: dict[str, Any] = {
        "success": False,
        "message": FaceMismatch.message,
        "action": "ADDED_TO_WAITLIST" if journey.entry is not None else "RETRY_VERIFICATION",
        "similarity_score": math.floor(attempt.similarity or 0),
        "threshold": math.ceil(attempt.threshold),
        "attempts_left": journey.attempts_left,
        "next_step": journey.next_step,
        "registration": render_registration(journey),
    }
    return found | {name: value for name, value in render_claims(journey).items() if name == "waitlist"}


def render_batch(batch: BatchRun) -> dict[str, Any]:
    """Return a batch with how far it is."""
    counts = dict.fromkeys(BatchItem.Outcome.values, 0)
    for outcome in batch.items.values_list("outcome", flat=True):
        counts[outcome] += 1
    return {
        "id": batch.pk,
        "action": batch.action,
        "reason": batch.reason,
        "total": sum(counts.values()),
        **counts,
        "created_at": batch.created_at,
        "finished_at": batch.finished_at,
    }
