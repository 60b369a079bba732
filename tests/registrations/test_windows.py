"""Who was verified takes a ticket when it is on sale: not before its time, not after, and at the price of their code."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bookings.models import Booking
from bookings.services import Terms, create_code
from events.models import SeatInventory
from registrations.services.seating import take_seat
from tests.factories import OrganiserFactory, TicketCategoryFactory, UserFactory
from tests.registrations.scenes import face_category, face_event, registered
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db
LATER = timedelta(days=2)


def verified(category):
    """Return what was given to somebody who was just verified for a category's event, and who it was."""
    registration = registered(UserFactory(), category.event)
    type(registration).objects.filter(pk=registration.pk).update(
        status="verified", face_verification_status="success", verified_at=timezone.now(), passed_by="face"
    )
    registration.refresh_from_db()
    return take_seat(registration=registration), registration.user


@pytest.mark.parametrize(
    "window",
    [{"sale_starts_at": timezone.now() + LATER}, {"sale_ends_at": timezone.now() - LATER}, {"closed": True}],
    ids=["not-open-yet", "over", "closed"],
)
def test_nobody_is_given_a_ticket_of_a_category_that_does_not_sell_now(window):
    category = face_category()
    type(category).objects.filter(pk=category.pk).update(**window)

    booking, _ = verified(category)

    assert booking is None
    assert not Booking.objects.exists()
    assert SeatInventory.objects.get(category=category).held == 0


def test_categories_that_are_over_count_as_nothing_left():
    event = face_event()
    full = TicketCategoryFactory(event=event, capacity=1)
    TicketCategoryFactory(event=event, sale_ends_at=timezone.now() - LATER)
    SeatInventory.objects.filter(category=full).update(capacity=0)

    _, person = verified(full)

    assert WaitlistEntry.objects.get(user=person).status == "waiting"


def test_category_that_opens_later_is_something_to_come_for():
    event = face_event()
    full = TicketCategoryFactory(event=event, capacity=1)
    TicketCategoryFactory(event=event, sale_starts_at=timezone.now() + LATER)
    SeatInventory.objects.filter(category=full).update(capacity=0)

    _, person = verified(full)

    assert not WaitlistEntry.objects.filter(user=person).exists()


def test_who_may_have_a_code_chooses_themselves_instead_of_being_held_one_at_the_full_price():
    category = face_category(price_minor=4900)
    code = create_code(
        event_id=category.event_id, actor_id=OrganiserFactory().pk, terms=Terms(percent=50), code="SUMMER"
    )

    assert verified(category)[0] is None
    type(code).objects.filter(pk=code.pk).update(active=False)
    booking, _ = verified(category)

    assert booking is not None
    assert booking.amount_minor == 4900
