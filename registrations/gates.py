"""What registrations say before seats are held (settings.BOOKING_GATES)."""

from uuid import UUID

from registrations.models import Registration


def face_verified(user_id: UUID, category_id: UUID) -> str | None:
    """Return "face" if the person passed this event's face check or staff approved them, else None."""
    verified = Registration.objects.filter(
        user_id=user_id, event__categories=category_id, status=Registration.Status.VERIFIED
    )
    return "face" if verified.exists() else None
