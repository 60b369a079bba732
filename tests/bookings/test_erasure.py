"""What happens to bookings when their buyer's account is erased."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts.models import User
from accounts.services import erase_user
from bookings.erasure import FutureBookings
from bookings.models import Booking, Ticket
from bookings.refusals import CancelTooLate
from bookings.services import confirm_booking, hold_seats
from events.models import Event, SeatInventory
from tests.factories import TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db


def bought(user, category, quantity=2):
    booking = hold_seats(user_id=user.pk, category_id=category.pk, quantity=quantity)
    return confirm_booking(booking_id=booking.pk)


def test_tickets_of_events_to_come_stop_the_erasure(api):
    user, category = UserFactory(), TicketCategoryFactory()
    booking = bought(user, category)

    status, body = api.as_user(user).delete(f"/api/v1/users/{user.pk}")

    assert (status, body["code"], body["bookings"]) == (409, "future_bookings", 1)
    assert Booking.objects.get().status == booking.status == "confirmed"
    assert User.objects.get(pk=user.pk).erased_at is None


def test_cancel_releases_the_seats_and_keeps_the_sale_without_the_name(api):
    user, category = UserFactory(name="Ana"), TicketCategoryFactory(capacity=10)
    bought(user, category)
    hold_seats(user_id=user.pk, category_id=TicketCategoryFactory().pk, quantity=1)

    status, _ = api.as_user(user).delete(f"/api/v1/users/{user.pk}?cancel=true")

    assert status == 200
    assert {booking.status for booking in Booking.objects.all()} == {"cancelled"}
    assert {(ticket.status, ticket.holder_name) for ticket in Ticket.objects.all()} == {("void", "")}
    assert {inventory.taken for inventory in SeatInventory.objects.all()} == {0}


def test_past_sales_stay_as_they_are_without_the_name():
    user, category = UserFactory(name="Ana"), TicketCategoryFactory()
    bought(user, category)
    Event.objects.update(starts_at=Now() - timedelta(days=2), ends_at=Now() - timedelta(days=1))

    erase_user(user_id=user.pk)

    assert Booking.objects.get().status == "confirmed"
    assert {(ticket.status, ticket.holder_name) for ticket in Ticket.objects.all()} == {("active", "")}
    assert SeatInventory.objects.get().sold == 2


def test_a_hold_is_released_without_asking():
    user, category = UserFactory(), TicketCategoryFactory()
    hold_seats(user_id=user.pk, category_id=category.pk, quantity=3)

    erase_user(user_id=user.pk)

    assert Booking.objects.get().status == "cancelled"
    assert SeatInventory.objects.get().held == 0


def test_too_late_to_cancel_is_too_late_to_erase_except_for_staff():
    user, category, staff = UserFactory(), TicketCategoryFactory(), UserFactory(is_staff=True)
    bought(user, category)
    Event.objects.update(starts_at=Now() + timedelta(hours=3), ends_at=Now() + timedelta(hours=5))

    with pytest.raises(CancelTooLate):
        erase_user(user_id=user.pk, cancel=True)
    with pytest.raises(FutureBookings):
        erase_user(user_id=user.pk, actor=staff)

    erase_user(user_id=user.pk, actor=staff, cancel=True)

    assert Booking.objects.get().status == "cancelled"
