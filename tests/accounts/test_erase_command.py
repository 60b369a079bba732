"""`manage.py erase_user`: an operator erases a person, never by surprise."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from accounts.notifications import notify
from bookings.models import Booking
from bookings.services import confirm_booking, hold_seats
from tests.factories import TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db


def erase(*args):
    out = StringIO()
    call_command("erase_user", *args, stdout=out)
    return out.getvalue()


def test_person_is_erased_and_what_is_gone_is_said():
    user = UserFactory(email="ana@example.test")
    notify(user_id=user.pk, kind="password_changed", cause="1")

    said = erase(" Ana@Example.test")

    assert f"Erased {user.pk}" in said
    assert "1 notifications, 0 sessions" in said
    assert User.objects.get(pk=user.pk).erased_at
    with pytest.raises(CommandError, match="Nobody has this address"):
        erase("ana@example.test")


def test_tickets_for_events_to_come_stop_it_unless_told_otherwise():
    user = UserFactory(email="ana@example.test")
    category = TicketCategoryFactory()
    booking = confirm_booking(booking_id=hold_seats(user_id=user.pk, category_id=category.pk, quantity=1).pk)

    with pytest.raises(CommandError, match="or erase with --cancel"):
        erase("ana@example.test")
    assert not User.objects.get(pk=user.pk).erased_at
    erase("ana@example.test", "--cancel")

    assert User.objects.get(pk=user.pk).erased_at
    assert Booking.objects.get(pk=booking.pk).status == "cancelled"
