"""Capacity and status changed in the middle of a sale: whoever comes first, the sums are right."""

import pytest

from bookings.models import Booking
from bookings.services import cancel_event_bookings, confirm_booking, hold_seats
from bookings.tasks import cancel_of_cancelled_events
from common.errors import Conflict, IllegalTransition
from events import services
from events.models import Event, SeatInventory
from events.refusals import CapacityBelowTaken, EventHasBookings
from events.services import categories
from tests.factories import TicketCategoryFactory, UserFactory
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db(transaction=True)


def holds_and_lowered_capacity(category, capacity):
    """Let 50 people hold a seat each while the capacity is lowered; return what became of both."""
    people = [UserFactory() for _ in range(50)]
    actions = [
        lambda person=person: hold_seats(user_id=person.pk, category_id=category.pk, quantity=1) for person in people
    ]
    actions.insert(25, lambda: services.set_capacity(category_id=category.pk, capacity=capacity))
    outcomes = race(actions, gate="events_seatinventory")
    lowering = outcomes.pop(25)
    return lowering, outcomes


def test_lowered_capacity_against_fifty_holds_never_oversells():
    category = TicketCategoryFactory(capacity=60)

    lowering, holds = holds_and_lowered_capacity(category, 20)

    stock = SeatInventory.objects.get(pk=category.pk)
    assert stock.held == len(results(holds)) == Booking.objects.filter(status="pending").count()
    assert stock.held <= stock.capacity
    if lowering.error is None:
        assert (stock.capacity, stock.held) == (20, 20)
        assert {error.code for error in errors(holds)} == {"sold_out"}
    else:
        assert isinstance(lowering.error, CapacityBelowTaken)
        assert lowering.error.extra["minimum"] > 20
        assert (stock.capacity, stock.held) == (60, 50)


def test_control_check_then_write_is_caught_by_the_database(monkeypatch):
    """Without the guard in the UPDATE, the check is stale by the time it writes; only the table's CHECK is left."""

    def naive(category_id, capacity):
        stock = SeatInventory.objects.get(pk=category_id)
        if stock.taken > capacity:
            return False
        with_gate = SeatInventory.objects.filter(pk=category_id)
        hold_seats(user_id=UserFactory().pk, category_id=category_id, quantity=5)
        with_gate.update(capacity=capacity)
        return True

    monkeypatch.setattr(categories, "try_capacity", naive)
    category = TicketCategoryFactory(capacity=10)

    with pytest.raises(Exception, match="inventory_is_never_oversold"):
        services.set_capacity(category_id=category.pk, capacity=4)

    assert SeatInventory.objects.get(pk=category.pk).capacity == 10


def test_raised_and_lowered_at_once_ends_at_one_of_them():
    category = TicketCategoryFactory(rows={"A": 10, "B": 10})

    outcomes = race(
        [
            lambda: services.set_capacity(category_id=category.pk, capacity=25),
            lambda: services.set_capacity(category_id=category.pk, capacity=15),
            lambda: services.set_capacity(category_id=category.pk, capacity=32),
        ]
    )

    assert errors(outcomes) == []
    assert SeatInventory.objects.get(pk=category.pk).capacity == category.seats.count()


def test_deleting_against_confirming_has_one_outcome():
    for _ in range(5):
        category = TicketCategoryFactory(capacity=5)
        booking = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=2)

        deleting, confirming = race(
            [
                lambda event=category.event_id: services.delete_event(event_id=event),
                lambda booking=booking: confirm_booking(booking_id=booking.pk),
            ],
            gate="events_seatinventory",
        )

        event = Event.objects.get(pk=category.event_id)
        if isinstance(deleting.error, EventHasBookings):
            assert (event.status, event.deleted_at, confirming.error) == ("published", None, None)
        else:
            assert deleting.error is None
            assert event.deleted_at is not None
            assert confirming.error is None or isinstance(confirming.error, Conflict | IllegalTransition)
            # A sale of the last moment is undone like every booking of a cancelled event.
            cancel_of_cancelled_events()
            assert list(Booking.objects.filter(event=event).values_list("status", flat=True)) == ["cancelled"]
            assert SeatInventory.objects.get(pk=category.pk).taken == 0


def test_cancelled_event_loses_its_bookings_even_those_of_the_last_moment():
    category = TicketCategoryFactory(capacity=30)
    people = [UserFactory() for _ in range(20)]
    actions = [
        lambda person=person: hold_seats(user_id=person.pk, category_id=category.pk, quantity=1) for person in people
    ]

    outcomes = race([lambda: services.cancel_event(event_id=category.event_id), *actions])

    assert {error.code for error in errors(outcomes)} <= {"event_cancelled"}
    while cancel_event_bookings(event_id=category.event_id, limit=7):
        pass
    assert set(Booking.objects.values_list("status", flat=True)) <= {"cancelled"}
    assert SeatInventory.objects.get(pk=category.pk).taken == 0
    assert cancel_of_cancelled_events() == 0
    with pytest.raises(Conflict):
        hold_seats(user_id=people[0].pk, category_id=category.pk, quantity=1)
