"""Turning an offer of too few seats down without leaving: the person waits on until all they want are free together."""

from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from bookings.models import Booking
from waitlist.models import WaitlistEntry
from waitlist.nudges import nudge
from waitlist.refusals import BadWish, OfferExpired
from waitlist.services.answers import own_entry
from waitlist.services.joining import give_back


@transaction.atomic
def wait_for_all(*, entry_id: UUID, user_id: UUID) -> WaitlistEntry:
    """
    Pass an offer of fewer seats than wanted on, and keep the place for all of them together.

    :raises OfferNotFound: if there is no such offer, or it is somebody else's
    :raises OfferExpired: if there is nothing to pass on any more
    :raises BadWish: if all they want were offered
    """
    entry = own_entry(entry_id, user_id)
    offer = Booking.objects.filter(Q(pk=entry.booking_id), status=Booking.Status.OFFERED, expires_at__gt=Now()).first()
    if entry.status != WaitlistEntry.Status.OFFERED or offer is None:
        raise OfferExpired
    if offer.quantity >= entry.quantity:
        raise BadWish("All the tickets you wait for are offered to you.")
    entry.transition("wait_again", all_together=True, offer_expires_at=None)
    give_back(entry)
    nudge(entry.event_id)
    return entry
