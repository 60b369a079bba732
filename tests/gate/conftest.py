"""An event that is on tonight, with people who bought tickets and people who stand at its gates."""

from datetime import timedelta

import pytest
from django.utils import timezone


def permit(person, *codenames):
    """Give somebody permissions at the gate, as a role does."""
    from django.contrib.auth.models import Permission

    person.user_permissions.add(
        *Permission.objects.filter(content_type__app_label="gate", codename__in=codenames),
        Permission.objects.get(codename="every_event"),
    )
    return type(person).objects.get(pk=person.pk)


def plain_staff(email):
    """Return somebody of staff whom no role permits anything yet."""
    from accounts.models import User

    return User.objects.create_user(email, is_staff=True)


@pytest.fixture
def organiser(db):
    from tests.factories import OrganiserFactory

    return OrganiserFactory()


@pytest.fixture
def show(organiser):
    """An event that starts in an hour, so that its gate is open."""
    from tests.factories import EventFactory, TicketCategoryFactory

    now = timezone.now()
    event = EventFactory(
        name="Tonight", starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=5), created_by=organiser
    )
    TicketCategoryFactory(event=event, name="Standing", capacity=50)
    return event


@pytest.fixture
def guard(db):
    """Somebody who may scan."""
    return permit(plain_staff(email="guard@example.test"), "scan")


@pytest.fixture
def boss(db):
    """Somebody who may undo."""
    return permit(plain_staff(email="boss@example.test"), "scan", "supervise")


@pytest.fixture
def sell():
    """`sell(event)` returns the tickets of somebody new who bought `quantity`."""
    from bookings.services import confirm_booking, hold_seats
    from tests.factories import UserFactory

    def sold(event, *, quantity=1, person=None):
        buyer = person or UserFactory()
        category = event.categories.get()
        booking = hold_seats(user_id=buyer.pk, category_id=category.pk, quantity=quantity)
        return list(confirm_booking(booking_id=booking.pk).tickets.order_by("number"))

    return sold
