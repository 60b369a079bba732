"""Offers and their answers: who is next, what they get, what becomes of it."""

import pytest

from accounts.models import StaffAction
from bookings.models import Booking
from bookings.services import give_up_hold, hold_seats
from events.models import SeatInventory
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from waitlist import services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db
Status = WaitlistEntry.Status


def sold_out(capacity=1, **fields):
    """Return a category all of whose seats are held, and the holds."""
    category = TicketCategoryFactory(capacity=capacity, **fields)
    holds = [hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1) for _ in range(capacity)]
    return category, holds


def join(category, person=None, **wish):
    wish.setdefault("category_ids", [category.pk])
    return services.join_as_buyer(user_id=(person or UserFactory()).pk, event_id=category.event_id, **wish)


def test_released_seat_goes_to_the_head_of_the_list():
    category, holds = sold_out()
    first, second = join(category), join(category)
    give_up_hold(booking_id=holds[0].pk)

    offers = services.offer_next(event_id=category.event_id)

    assert [offer.entry_id for offer in offers] == [first.pk]
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("offered", "waiting")
    inventory = SeatInventory.objects.get(category=category)
    assert (inventory.offered, inventory.waiting, inventory.free) == (1, 1, 0)
    booking = services.accept_offer(entry_id=first.pk, user_id=first.user_id)
    assert (booking.status, booking.source, booking.quantity) == ("pending", "waitlist", 1)
