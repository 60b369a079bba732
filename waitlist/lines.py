"""Whoever stood in a line that sold out stands on the waitlist where they stood, through whatever door they come."""

from bookings.waitingroom import wishes
from waitlist.models import WaitlistEntry


def stand_where_they_stood(entry: WaitlistEntry) -> None:
    """
    Give an entry that waits the time that its person's place in line was written down with; that place is used up by it.

    Who waited longer already, or let an offer lapse meanwhile, keeps the time they have. The person must be locked.
    """
    since = wishes.lock_claim(user_id=entry.user_id, event_id=entry.event_id)
    if since is None:
        return
    waiting = WaitlistEntry.objects.filter(pk=entry.pk, status=WaitlistEntry.Status.WAITING, lapses=0)
    if waiting.filter(joined_at__gt=since).update(joined_at=since):
        entry.joined_at = since
    wishes.mark_claimed(event_id=entry.event_id, user_ids=[entry.user_id])
