"""What happens to a person's registrations when their account is erased (a step of settings.ERASURE_STEPS)."""

from uuid import UUID

from django.db import transaction

from registrations.models import Registration, ReviewDecision


@transaction.atomic
def anonymise_registrations(*, user_id: UUID, cancel: bool, by: str = "buyer") -> None:
    """
    Take off a person's registrations what staff wrote about them and any open review.

    The figures of checks stay, without a face; faces themselves are the business of their own step.
    """
    mine = Registration.objects.filter(user_id=user_id)
    mine.exclude(admin_override_reason="").update(admin_override_reason="erased")
    mine.filter(admin_booked=False).update(admin_override_reason="")
    mine.update(review_requested_at=None)
    ReviewDecision.objects.filter(registration__user_id=user_id).update(reason="erased")
