"""Partial booking: what is left now, and the rest on the waitlist, in one transaction."""

from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from bookings.locks import lock_person
from bookings.models import Booking
from bookings.refusals import CategoryNotFound, CodesNotForWaitlist, PartlyAvailable, SoldOut
from bookings.services.holds import hold_seats
from events.models import TicketCategory


class Held(NamedTuple):
    """What somebody got: a booking, a place on the waitlist (the id of its entry) for the rest, or one of them."""

    booking: Booking | None
    entry_id: UUID | None


@transaction.atomic
def hold_or_wait(
    *,
    user_id: UUID,
    category_id: UUID,
    quantity: int,
    event_id: UUID | None = None,
    code: str = "",
    price_minor: int | None = None,
    address: str = "",
) -> Held:
    """
    Hold what is left of a category, at most `quantity` seats, and put the rest of the wish on the waitlist.

    With nothing left (or what is left belongs to those who wait) it is the waitlist alone: there is never a booking of no
    seats. The waitlist stands above bookings; it is called through settings.WAITLIST_JOIN. It knows no codes: what it offers
    costs what it costs everybody, so a wish with a code is not split.

    :raises CodesNotForWaitlist: if there is a code and fewer are left
    :raises TicketLimit, TooManyTickets, AlreadyBooked, HoldExists, TooManyHolds: if the person has enough
    :raises SaleNotOpen, SaleClosed, EventCancelled, CategoryNotFound: if nothing is on sale
    :raises QueueRequired, VerificationRequired: if a gate has not let the person through
    """
    category = TicketCategory.objects.filter(pk=category_id).only("event_id").first()
    if category is None or (event_id is not None and category.event_id != event_id):
        raise CategoryNotFound
    if code:
        try:
            whole = hold_seats(
                user_id=user_id,
                category_id=category_id,
                event_id=category.event_id,
                quantity=quantity,
                code=code,
                price_minor=price_minor,
                address=address,
            )
        except (SoldOut, PartlyAvailable) as error:
            raise CodesNotForWaitlist(**error.extra) from error
        return Held(whole, None)
    lock_person(user_id, category.event_id)
    try:
        with transaction.atomic():
            booking = hold_seats(
                user_id=user_id,
                category_id=category_id,
                event_id=category.event_id,
                quantity=quantity,
                allow_partial=True,
                price_minor=price_minor,
            )
    except SoldOut:
        booking = None
    rest = quantity - (booking.quantity if booking else 0)
    if not rest:
        return Held(booking, None)
    join_rest = import_string(settings.WAITLIST_JOIN)
    entry_id = join_rest(user_id=user_id, event_id=category.event_id, category_id=category_id, quantity=rest)
    return Held(booking, entry_id)
