"""Rows for tests, without surprises: an event on sale with one category of 100 seats at 49.00."""

from datetime import timedelta
from typing import Any

import factory
from django.contrib.auth.models import Group
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.models import User
from events.models import Event, Seat, SeatInventory, TicketCategory

PASSWORD = "correct-horse-battery"


class UserFactory(DjangoModelFactory):
    """A person with a confirmed address; `password=None` gives an account that can not log in (and saves the hashing)."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person{n}@example.test")
    name = factory.Sequence(lambda n: f"Person {n}")

    @classmethod
    def _create(
        cls, model_class: type, *args: Any, password: str | None = None, role: str = "manager", **fields: Any
    ) -> User:
        """Staff are managers unless `role=` says otherwise ("" for none)."""
        user = User.objects.create_user(password=password, **fields)
        if user.is_staff and not user.is_superuser and role:
            user.groups.add(Group.objects.get(name=role))
        return user


class StaffFactory(UserFactory):
    """Somebody who may enter the admin."""

    is_staff = True


class OrganiserFactory(UserFactory):
    """Somebody who may create events."""

    is_organiser = True


class EventFactory(DjangoModelFactory):
    """A published event 30 days ahead, on sale; it has no category yet."""

    class Meta:
        model = Event

    name = factory.Sequence(lambda n: f"Concert {n}")
    location = "Town Hall"
    starts_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=30))
    ends_at = factory.LazyAttribute(lambda event: event.starts_at + timedelta(hours=3))
    status = Event.Status.PUBLISHED


class TicketCategoryFactory(DjangoModelFactory):
    """
    A category with its inventory, on sale.

    `capacity=` sets the seats. `rows={"A": 10, "B": 12}` makes it numbered with those rows, best first, and sets the capacity.
    """

    class Meta:
        model = TicketCategory

    event = factory.SubFactory(EventFactory)
    name = factory.Sequence(lambda n: f"General {n}")
    price_minor = 4900

    @classmethod
    def _create(
        cls, model_class: type, *args: Any, capacity: int = 100, rows: dict[str, int] | None = None, **fields: Any
    ) -> TicketCategory:
        category = TicketCategory.objects.create(**fields | ({"numbered": True} if rows else {}))
        SeatInventory.objects.create(category=category, capacity=sum(rows.values()) if rows else capacity)
        if rows:
            add_numbered_seats(category, rows)
        return category


def add_numbered_seats(category: TicketCategory, rows: dict[str, int]) -> list[Seat]:
    """Give a numbered category its seats: the name of each row and how many seats it has, the best row first."""
    return Seat.objects.bulk_create(
        Seat(category=category, row=row, number=number, rank=rank)
        for rank, (row, count) in enumerate(rows.items())
        for number in range(1, count + 1)
    )
