"""What being verified leads to: a ticket, a hold to pay, a place on the waitlist, or the way to the tickets."""

from contextlib import suppress
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from bookings.models import Booking
from bookings.queries import may_have_code
from bookings.refusals import PartlyAvailable, SoldOut
from bookings.services import hold_seats
from bookings.services.handovers import holds_ticket
from common.errors import FairseatError
from events.models import Event, SeatInventory
from registrations.models import Registration
from registrations.services.invitations import take_given_ticket, was_invited
from waitlist import services as waitlist
from waitlist.models import WaitlistEntry

Reason = WaitlistEntry.Reason


@transaction.atomic
def take_seat(*, registration: Registration) -> Booking | None:
    """
    Give somebody who was just verified what their event has for them, in the caller's transaction.

    Who accepted a ticket that somebody else bought gets that one, and nothing is bought for them.
    Free, or collected at the door: a ticket. Paid online: a hold to pay. Sold out: the waitlist, with the time of an earlier
    entry. Nothing when the sale is not open, a queue stands before it or there is a choice to make: of several kinds of
    tickets, or of how many.
    """
    waitlist.waiting_entry(registration.user_id, registration.event_id)  # locked before the seats, as everywhere
    if was_invited(registration):
        if take_given_ticket(registration) is not None:
            stop_waiting(registration)
        return None
    category_id = only_ticket(registration.event)
    if category_id is None:
        if sold_out(registration.event_id):
            wait(registration)
        else:
            stop_waiting(registration)
        return None
    try:
        with transaction.atomic():
            booking = hold_seats(
                user_id=registration.user_id, category_id=category_id, event_id=registration.event_id, quantity=1
            )
    except (SoldOut, PartlyAvailable):
        wait(registration)
        return None
    except FairseatError:  # not open yet, a queue before it, tickets already: `next_step` says which
        stop_waiting(registration)
        return None
    waitlist.serve(user_id=registration.user_id, event_id=registration.event_id, booking_id=booking.pk)
    return booking


def wait(registration: Registration) -> WaitlistEntry:
    """Put a verified person on the waitlist; who failed before and waits already keeps their time."""
    return waitlist.join(
        user_id=registration.user_id,
        event_id=registration.event_id,
        reason=Reason.TICKETS_SOLD_OUT,
        eligible=True,
        registration_id=registration.pk,
    )


def wait_unverified(registration: Registration) -> WaitlistEntry | None:
    """
    Note since when somebody whose face did not match has been trying; nothing is offered to them until they are verified.

    Before the sale there is no list to be on: who fails early would otherwise be ahead of who passed early. Nor does who
    came for a ticket that somebody else bought wait for one to buy.
    """
    if was_invited(registration) or not sale_has_begun(registration):
        return None
    return waitlist.join(
        user_id=registration.user_id,
        event_id=registration.event_id,
        reason=Reason.FACE_VERIFICATION_FAILED,
        eligible=False,
        registration_id=registration.pk,
    )


def stop_waiting(registration: Registration) -> None:
    """Take somebody off the waitlist who needs it no longer, or whom staff have refused."""
    with suppress(waitlist.NotOnWaitlist):
        waitlist.leave(user_id=registration.user_id, event_id=registration.event_id)


def only_ticket(event: Event) -> UUID | None:
    """
    Return the category of the one ticket that a person may have, or None when they choose which, how many, or with what code.

    Who has a code types it, or came with it, on the event's page: nothing is held for them at a price that is not theirs.
    """
    categories = list(event.categories.all()[:2])
    if len(categories) != 1 or may_have_code(event.pk):
        return None
    own = categories[0].max_per_person or event.max_tickets_per_booking
    return categories[0].pk if min(own, event.max_tickets_per_booking) == 1 else None


def sold_out(event_id: UUID) -> bool:
    """Whether no category of the event has a seat for the public, now or when it opens."""
    coming = Q(category__sale_ends_at=None) | Q(category__sale_ends_at__gt=Now())
    inventories = SeatInventory.objects.filter(
        coming, category__event_id=event_id, category__closed=False, category__hidden=False
    )
    return not any(inventory.available for inventory in inventories)


def sale_has_begun(registration: Registration) -> bool:
    """Whether the event's sale has opened, by the database's clock."""
    opened = Q(event__sale_starts_at__isnull=True) | Q(event__sale_starts_at__lte=Now())
    return Registration.objects.filter(opened, pk=registration.pk).exists()


def ticketed(*, user_id: UUID, event_id: UUID) -> bool:
    """Whether the person has a ticket for the event, bought or taken."""
    if holds_ticket(user_id=user_id, event_id=event_id):
        return True
    return Booking.objects.filter(user_id=user_id, event_id=event_id, status=Booking.Status.CONFIRMED).exists()
