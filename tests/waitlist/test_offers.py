"""Offers and their answers: who is next, what they get, what becomes of it."""

import pytest

from bookings import services as bookings
from bookings.models import Booking
from bookings.services import give_up_hold, hold_seats
from events.models import SeatInventory
from tests.factories import TicketCategoryFactory, UserFactory
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


def test_rest_of_a_partial_booking_waits_with_its_time():
    category = TicketCategoryFactory(capacity=3)
    person = UserFactory()

    held = bookings.hold_or_wait(user_id=person.pk, category_id=category.pk, quantity=5)

    entry = WaitlistEntry.objects.get(pk=held.entry_id)
    assert (held.booking.quantity, entry.quantity, entry.category_ids, entry.all_together) == (3, 2, [category.pk], False)
    bookings.give_up_hold(booking_id=held.booking.pk)
    [offer] = services.offer_next(event_id=category.event_id)
    assert (offer.entry_id, offer.quantity) == (entry.pk, 2)


def test_partial_booking_of_nothing_is_a_place_on_the_list_and_no_booking():
    category, _ = sold_out(capacity=2)
    person = UserFactory()

    held = bookings.hold_or_wait(user_id=person.pk, category_id=category.pk, quantity=2)

    assert held.booking is None
    assert WaitlistEntry.objects.get(pk=held.entry_id).quantity == 2
    assert not Booking.objects.filter(user=person).exists()


def test_partial_booking_that_gets_all_it_wants_waits_for_nothing():
    category = TicketCategoryFactory(capacity=3)

    held = bookings.hold_or_wait(user_id=UserFactory().pk, category_id=category.pk, quantity=3)

    assert (held.booking.quantity, held.entry_id) == (3, None)
