"""What one person may have of a category holds for what the waitlist offers, whatever else they would take."""

import pytest

from bookings import refusals
from bookings.models import Booking
from bookings.services import confirm_booking, give_up_hold, hold_seats
from tests.factories import TicketCategoryFactory, UserFactory
from tests.waitlist.worlds import broken, join, offer_all
from waitlist import services
from waitlist.models import WaitlistEntry
from waitlist.refusals import TicketLimit, TooManyTickets

pytestmark = pytest.mark.django_db


def full(quantity=4, **fields):
    """Return a category whose seats one person holds, and that hold."""
    category = TicketCategoryFactory(capacity=quantity, **fields)
    return category, hold_seats(
        user_id=UserFactory().pk, category_id=category.pk, quantity=quantity, source=Booking.Source.STAFF
    )


def test_any_category_offers_no_more_of_one_than_a_person_may_have():
    few, held = full(max_per_person=2)
    full(event=few.event)
    entry = join(few, category_ids=[], quantity=3)

    give_up_hold(booking_id=held.pk)

    (offer,) = offer_all(few)
    assert (offer.entry_id, offer.category_id, offer.quantity) == (entry.pk, few.pk, 2)
    assert not broken()


def test_category_with_enough_for_a_person_comes_before_one_with_too_few():
    few, first = full(max_per_person=2)
    many, second = full(event=few.event)
    join(few, category_ids=[], quantity=3)

    give_up_hold(booking_id=first.pk)
    give_up_hold(booking_id=second.pk)

    (offer,) = offer_all(few)
    assert (offer.category_id, offer.quantity) == (many.pk, 3)


def test_who_wants_more_together_than_they_may_have_keeps_no_seats_from_others():
    few, held = full(max_per_person=2)
    full(event=few.event)
    entry = join(few, category_ids=[], quantity=3, all_together=True)
    give_up_hold(booking_id=held.pk)

    assert offer_all(few) == []
    assert WaitlistEntry.objects.get(pk=entry.pk).aside_for == "ticket_limit"
    services.put_back_in_line()
    assert WaitlistEntry.objects.get(pk=entry.pk).aside_for == "ticket_limit"
    assert hold_seats(user_id=UserFactory().pk, category_id=few.pk, quantity=2).quantity == 2
    assert not broken()


def test_what_a_person_has_already_counts():
    few, held = full(max_per_person=2)
    person = UserFactory()
    type(few.inventory).objects.filter(category=few).update(capacity=5)
    mine = hold_seats(user_id=person.pk, category_id=few.pk, quantity=1)
    confirm_booking(booking_id=mine.pk)
    entry = join(few, person, category_ids=[few.pk], quantity=2)

    give_up_hold(booking_id=held.pk)

    (offer,) = offer_all(few)
    assert (offer.entry_id, offer.quantity) == (entry.pk, 1)


def test_staff_offer_no_more_than_a_person_may_have_either():
    few, held = full(max_per_person=2)
    full(event=few.event)
    entry = join(few, category_ids=[], quantity=3)
    give_up_hold(booking_id=held.pk)

    offer = services.offer_to(entry_id=entry.pk, staff_id=UserFactory().pk, reason="Asked by phone")

    assert offer.quantity == 2


def test_wish_for_more_than_any_category_allows_is_refused():
    few, _ = full(max_per_person=2)

    with pytest.raises(TooManyTickets) as limit:
        join(few, category_ids=[], quantity=3)
    assert limit.value.extra == {"limit": 2}


def test_database_itself_refuses_an_offer_of_too_many():
    few, held = full(max_per_person=2)
    give_up_hold(booking_id=held.pk)

    with pytest.raises((refusals.TicketLimit, TicketLimit)):
        hold_seats(user_id=UserFactory().pk, category_id=few.pk, quantity=3, source=Booking.Source.WAITLIST)
