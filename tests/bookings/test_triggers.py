"""What the database refuses, whoever asks: steps, seats, limits, tickets."""

from datetime import timedelta
from itertools import product

import pgtrigger
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from bookings import services
from bookings.models import Booking, Ticket
from bookings.references import new_reference, new_ticket_code
from bookings.states import BUCKETS, INITIAL, LIVE, TRANSITIONS, Status
from events.models import SeatInventory
from tests.factories import TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db

LEGAL = {(source, step.target) for step in TRANSITIONS.values() for source in step.sources}
COLUMNS = {Status.CONFIRMED: {"confirmed_at": timezone.now()}}


def insert(category, status=Status.PENDING, quantity=2, user=None, **fields):
    return Booking.objects.create(
        reference=new_reference(),
        user=user or UserFactory(),
        event=category.event,
        category=category,
        quantity=quantity,
        amount_minor=100,
        currency="EUR",
        status=status,
        expires_at=timezone.now() + timedelta(minutes=10),
        **COLUMNS.get(status, {}) | fields,
    )


def bring_to(category, status):
    """Insert a booking and walk it to `status` along legal steps."""
    booking = insert(category, Status.OFFERED if status == Status.OFFERED else Status.PENDING)
    if status not in INITIAL:
        change(booking, status)
    return booking


def change(booking, status):
    Booking.objects.filter(pk=booking.pk).update(status=status, confirmed_at=timezone.now())
    if status == Status.CONFIRMED:
        add_tickets(booking)


def add_tickets(booking):
    for number in range(1, booking.quantity + 1):
        Ticket.objects.create(booking=booking, code=new_ticket_code(), number=number)


def buckets(category):
    inventory = SeatInventory.objects.get(category=category)
    return inventory.held, inventory.offered, inventory.sold


def sqlstate(error):
    return error.value.__cause__.sqlstate


@pytest.mark.parametrize("status", Status.values)
def test_booking_begins_only_in_an_initial_status(status):
    category = TicketCategoryFactory()

    if status in INITIAL:
        assert insert(category, status).status == status
        return
    with pytest.raises(DatabaseError) as error, transaction.atomic():
        insert(category, status)
    assert sqlstate(error) == "FS002"


@pytest.mark.parametrize(
    ("source", "target"), [pair for pair in product(Status.values, Status.values) if pair[0] != pair[1]]
)
def test_booking_changes_status_only_along_the_table(source, target):
    category = TicketCategoryFactory()
    booking = bring_to(category, source)

    if (source, target) in LEGAL:
        change(booking, target)
        assert Booking.objects.get(pk=booking.pk).status == target
        expected = {"held": 0, "offered": 0, "sold": 0} | ({BUCKETS[target]: 2} if target in LIVE else {})
        assert buckets(category) == tuple(expected.values())
        return
    with pytest.raises(DatabaseError) as error, transaction.atomic():
        change(booking, target)
    assert sqlstate(error) == "FS002"
    assert sum(buckets(category)) == (2 if source in LIVE else 0)


@pytest.mark.parametrize("status", LIVE)
def test_bulk_update_and_delete_give_the_seats_back(status):
    category = TicketCategoryFactory(capacity=10)
    booking = bring_to(category, status)

    with transaction.atomic():
        booking.tickets.filter(number=2).update(status="void", void_at=timezone.now())
        Booking.objects.filter(pk=booking.pk).update(quantity=1)
    after_shrinking = sum(buckets(category))
    booking.tickets.all().delete()
    Booking.objects.filter(pk=booking.pk).delete()

    assert after_shrinking == 1
    assert buckets(category) == (0, 0, 0)


def test_booking_never_grows_nor_moves():
    category = TicketCategoryFactory()
    other = TicketCategoryFactory(event=category.event)
    booking = insert(category)

    for changes in ({"quantity": 3}, {"category": other}, {"user": UserFactory()}, {"source": "staff"}):
        with pytest.raises(DatabaseError) as error, transaction.atomic():
            Booking.objects.filter(pk=booking.pk).update(**changes)
        assert sqlstate(error) == "FS004"


def test_insert_beyond_capacity_is_refused():
    category = TicketCategoryFactory(capacity=3)
    insert(category, quantity=2)

    with pytest.raises(DatabaseError) as error, transaction.atomic():
        insert(category, quantity=2)

    assert sqlstate(error) == "FS001"
    assert buckets(category) == (2, 0, 0)


def test_public_hold_is_refused_while_somebody_waits_but_an_offer_is_not():
    category = TicketCategoryFactory(capacity=5)
    SeatInventory.objects.filter(category=category).update(waiting=1)

    with pytest.raises(DatabaseError) as error, transaction.atomic():
        insert(category)
    insert(category, Status.OFFERED, source="waitlist")

    assert sqlstate(error) == "FS001"
    assert buckets(category) == (0, 2, 0)


def test_counters_can_not_be_made_to_lie():
    category = TicketCategoryFactory(capacity=3)
    insert(category, quantity=2)

    for changes, constraint in (
        ({"capacity": 1}, "inventory_is_never_oversold"),
        ({"held": -1}, "inventory_held_is_not_negative"),
        ({"offered": -1}, "inventory_offered_is_not_negative"),
        ({"sold": -1}, "inventory_sold_is_not_negative"),
        ({"waiting": -1}, "inventory_waiting_is_not_negative"),
    ):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            SeatInventory.objects.filter(category=category).update(**changes)


def test_without_the_trigger_the_table_oversells():
    """The control: the refusals above come from the trigger and from nothing else."""
    category = TicketCategoryFactory(capacity=3)

    with pgtrigger.ignore("bookings.Booking:booking_moves_seats"):
        insert(category, quantity=2)
        insert(category, quantity=2)

    assert Booking.objects.filter(category=category).count() == 2
    assert buckets(category) == (0, 0, 0)


def test_person_has_one_live_booking_per_event_and_source():
    category = TicketCategoryFactory()
    person = UserFactory()
    insert(category, user=person)

    with pytest.raises(IntegrityError, match="one_live_booking_per_person_event_and_source"), transaction.atomic():
        insert(category, user=person)
    insert(category, Status.OFFERED, user=person, source="waitlist")


def test_person_has_one_claim_from_the_waitlist_and_may_have_bought_from_it_before():
    category = TicketCategoryFactory()
    person = UserFactory()
    bought = insert(category, user=person, source="waitlist")
    services.confirm_booking(booking_id=bought.pk)
    insert(category, Status.OFFERED, user=person, source="waitlist")

    with pytest.raises(IntegrityError, match="one_waitlist_claim_per_person_and_event"), transaction.atomic():
        insert(category, user=person, source="waitlist")


def test_person_has_at_most_the_events_limit_over_all_sources():
    category = TicketCategoryFactory(event__max_tickets_per_booking=3)
    person = UserFactory()
    insert(category, user=person, quantity=2)

    with pytest.raises(DatabaseError) as error, transaction.atomic():
        insert(category, Status.OFFERED, user=person, source="waitlist", quantity=2)
    insert(category, user=person, source="staff", quantity=2)

    assert sqlstate(error) == "FS003"


def test_every_change_of_status_is_remembered_by_the_database():
    booking = insert(TicketCategoryFactory())

    Booking.objects.filter(pk=booking.pk).update(status="expired", end_reason="lapsed")

    assert list(booking.history.values_list("from_status", "to_status", "reason")) == [("pending", "expired", "lapsed")]
    booking.refresh_from_db()
    assert booking.ended_at is not None


@pytest.mark.django_db(transaction=True)
def test_confirmed_booking_without_its_tickets_can_not_be_committed():
    booking = insert(TicketCategoryFactory())

    with pytest.raises(DatabaseError) as error:
        Booking.objects.filter(pk=booking.pk).update(status=Status.CONFIRMED, confirmed_at=timezone.now())

    assert sqlstate(error) == "FS005"
    assert Booking.objects.get(pk=booking.pk).status == Status.PENDING


@pytest.mark.django_db(transaction=True)
def test_tickets_are_void_from_the_commit_that_ends_their_booking():
    booking = services.confirm_booking(booking_id=insert(TicketCategoryFactory()).pk)

    Booking.objects.filter(pk=booking.pk).update(status="cancelled")

    assert set(booking.tickets.values_list("status", flat=True)) == {"void"}


def test_numbered_seat_belongs_to_one_live_booking_and_one_valid_ticket():
    category = TicketCategoryFactory(rows={"A": 4})
    first, second = insert(category, quantity=1), insert(category, quantity=1)
    seat = category.seats.first()
    first.booking_seats.create(seat=seat)
    Ticket.objects.create(booking=first, seat=seat, code=new_ticket_code(), number=1)

    with pytest.raises(IntegrityError, match="one_live_booking_per_seat"), transaction.atomic():
        second.booking_seats.create(seat=seat)
    with pytest.raises(IntegrityError, match="one_valid_ticket_per_seat"), transaction.atomic():
        Ticket.objects.create(booking=second, seat=seat, code=new_ticket_code(), number=1)


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"status": "unheard_of"}, "FS002"),
        ({"quantity": 0}, "booking_has_seats"),
        ({"expires_at": None}, "booking_that_lapses_has_a_deadline"),
    ],
)
def test_booking_constraints_hold(changes, constraint):
    booking = insert(TicketCategoryFactory())

    with pytest.raises(DatabaseError) as error, transaction.atomic():
        Booking.objects.filter(pk=booking.pk).update(**changes)

    assert constraint in str(error.value) or sqlstate(error) == constraint


def test_counter_updates_stay_in_their_page():
    """Heap-only updates are what keeps a hot category from slowing down as it sells."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reloptions FROM pg_class WHERE relname = 'events_seatinventory'")
        assert "fillfactor=10" in cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE tablename = 'events_seatinventory'")
        assert cursor.fetchone()[0] == 1
