"""What happens to a person's places on waitlists when their account is erased (a step of settings.ERASURE_STEPS)."""

from uuid import UUID

from django.db import transaction

from waitlist.models import WaitlistEntry


@transaction.atomic
def forget_entries(*, user_id: UUID, cancel: bool, by: str = "buyer") -> None:
    """Delete a person's entries; the trigger takes what they waited for off the counters."""
    WaitlistEntry.objects.filter(user_id=user_id).delete()
