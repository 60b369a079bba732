"""Taking seats: the rules of the sale, parts of an order, numbered seats, more time."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from bookings import refusals, services
from bookings.models import Booking
from bookings.queries import get_current_hold
from events.models import Event, SeatInventory, TicketCategory
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db


def hold(category, user=None, quantity=1, **options):
    return services.hold_seats(
        user_id=(user or UserFactory()).pk, category_id=category.pk, quantity=quantity, **options
    )


def free(category):
    return SeatInventory.objects.get(category=category).free


def lapse(booking):
    Booking.objects.filter(pk=booking.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def test_hold_takes_seats_and_answers_with_what_was_stored(settings):
    category = TicketCategoryFactory(capacity=5, price_minor=4900)
    person = UserFactory()

    booking = hold(category, person, 2)

    stored = Booking.objects.get(pk=booking.pk)
    for field in ("reference", "user_id", "event_id", "category_id", "quantity", "amount_minor", "currency", "status"):
        assert getattr(booking, field) == getattr(stored, field), field
    assert (booking.expires_at, booking.created_at) == (stored.expires_at, stored.created_at)
    assert booking.expires_at - booking.created_at == timedelta(seconds=settings.HOLD_SECONDS)
    assert (booking.amount_minor, booking.event.name, booking.category.name) == (
        9800,
        category.event.name,
        category.name,
    )
    assert free(category) == 3


def test_hold_is_one_statement_and_one_commit(django_assert_num_queries):
    category, person = TicketCategoryFactory(), UserFactory()

    with django_assert_num_queries(1):
        hold(category, person)


def test_hold_is_refused_when_sold_out():
    category = TicketCategoryFactory(capacity=1)
    hold(category)

    with pytest.raises(refusals.SoldOut):
        hold(category)


def test_hold_of_more_than_is_left_says_how_many_there_are():
    category = TicketCategoryFactory(capacity=3)

    with pytest.raises(refusals.PartlyAvailable) as error:
        hold(category, quantity=5)

    assert error.value.extra == {"available": 3}
    assert free(category) == 3


def test_partial_hold_takes_what_is_left():
    category = TicketCategoryFactory(capacity=3)

    booking = hold(category, quantity=5, allow_partial=True)

    assert (booking.quantity, booking.amount_minor, free(category)) == (3, 3 * 4900, 0)
    with pytest.raises(refusals.SoldOut):
        hold(category, quantity=2, allow_partial=True)


def test_public_gets_nothing_while_somebody_waits():
    category = TicketCategoryFactory(capacity=3)
    SeatInventory.objects.filter(category=category).update(waiting=1)

    with pytest.raises(refusals.SoldOut):
        hold(category, allow_partial=True)
    assert hold(category, source="waitlist").source == "waitlist"


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"status": Event.Status.CANCELLED}, refusals.EventCancelled),
        ({"status": Event.Status.COMPLETED}, refusals.SaleClosed),
        ({"status": Event.Status.DRAFT}, refusals.CategoryNotFound),
        ({"sale_starts_at": timezone.now() + timedelta(hours=1)}, refusals.SaleNotOpen),
        ({"sale_ends_at": timezone.now() - timedelta(hours=1)}, refusals.SaleClosed),
        ({"starts_at": timezone.now() - timedelta(hours=1)}, refusals.SaleClosed),
        ({"queue_enabled": True}, refusals.QueueRequired),
        ({"requires_face_verification": True, "face_necessity": "Named tickets"}, refusals.VerificationRequired),
        ({"max_tickets_per_booking": 1}, refusals.TooManyTickets),
    ],
)
def test_hold_follows_the_rules_of_the_sale(event, error):
    category = TicketCategoryFactory(event=EventFactory(**event))

    with pytest.raises(error):
        hold(category, quantity=2)

    assert free(category) == 100


def test_hold_in_a_closed_category_or_another_event_is_refused():
    category = TicketCategoryFactory(closed=True)
    open_category = TicketCategoryFactory()

    with pytest.raises(refusals.SaleClosed):
        hold(category)
    with pytest.raises(refusals.CategoryNotFound):
        hold(open_category, event_id=category.event_id)
    with pytest.raises(refusals.CategoryNotFound):
        services.hold_seats(user_id=UserFactory().pk, category_id=uuid4(), quantity=1)


def test_closed_account_holds_nothing():
    category = TicketCategoryFactory()

    with pytest.raises(refusals.AccountInactive):
        hold(category, UserFactory(is_active=False))


def test_gate_lets_through_whom_it_names(settings):
    category = TicketCategoryFactory(event=EventFactory(queue_enabled=True))
    settings.BOOKING_GATES = ["tests.bookings.test_holds.open_gate"]

    assert hold(category).is_hold


def open_gate(user_id, category_id):
    return "queue"


def test_second_hold_names_the_first():
    category, person = TicketCategoryFactory(), UserFactory()
    first = hold(category, person)

    with pytest.raises(refusals.HoldExists) as error:
        hold(category, person)
    assert error.value.extra == {"booking_id": str(first.pk)}

    services.confirm_booking(booking_id=first.pk)
    with pytest.raises(refusals.AlreadyBooked):
        hold(category, person)


def test_lapsed_hold_of_ones_own_makes_room_for_a_new_one():
    event = EventFactory()
    cheap, dear = TicketCategoryFactory(event=event, capacity=1), TicketCategoryFactory(event=event, capacity=1)
    person = UserFactory()
    lapse(hold(cheap, person))

    second = hold(dear, person)

    assert second.is_hold
    assert (free(cheap), free(dear)) == (1, 0)


def test_lapsed_holds_of_others_count_as_free_without_any_sweep():
    category = TicketCategoryFactory(capacity=2)
    late = hold(category, quantity=2)
    lapse(late)

    assert hold(category, quantity=2).is_hold
    assert Booking.objects.get(pk=late.pk).status == "expired"


def test_holding_again_and_again_is_bounded(settings):
    settings.HOLDS_PER_HOUR = 2
    category, person = TicketCategoryFactory(), UserFactory()
    for _ in range(2):
        services.give_up_hold(booking_id=hold(category, person).pk)

    with pytest.raises(refusals.TooManyHolds):
        hold(category, person)


def test_free_tickets_are_confirmed_at_once():
    category = TicketCategoryFactory(price_minor=0)

    booking = hold(category, quantity=2)

    assert booking.status == "confirmed"
    assert booking.tickets.count() == 2


def test_tickets_paid_at_the_door_are_confirmed_at_once():
    category = TicketCategoryFactory(event=EventFactory(payment_collection="at_door"))

    assert hold(category).status == "confirmed"


def seat_labels(booking):
    return [
        f"{taken.seat.row}{taken.seat.number}" for taken in booking.booking_seats.order_by("seat__rank", "seat__number")
    ]


def test_numbered_seats_are_the_best_that_are_together():
    category = TicketCategoryFactory(rows={"A": 5, "B": 7})

    assert seat_labels(hold(category, quantity=3)) == ["A2", "A3", "A4"]
    assert seat_labels(hold(category, quantity=2)) == ["B3", "B4"]
    assert seat_labels(hold(category, quantity=1)) == ["A1"]
    assert seat_labels(hold(category, quantity=3)) == ["B5", "B6", "B7"]
    assert seat_labels(hold(category, quantity=3)) == ["A5", "B1", "B2"]
    assert free(category) == 0


def test_numbered_seats_come_back_when_the_hold_ends():
    category = TicketCategoryFactory(rows={"A": 2})
    services.give_up_hold(booking_id=hold(category, quantity=2).pk)

    assert seat_labels(hold(category, quantity=2)) == ["A1", "A2"]


def test_extension_adds_time_a_bounded_number_of_times(settings):
    settings.HOLD_MAX_EXTENSIONS = 2
    booking = hold(TicketCategoryFactory())

    for _ in range(2):
        extended = services.extend_hold(booking_id=booking.pk, user_id=booking.user_id)
    with pytest.raises(refusals.ExtensionRefused):
        services.extend_hold(booking_id=booking.pk, user_id=booking.user_id)

    assert extended.expires_at - booking.expires_at == timedelta(seconds=2 * settings.HOLD_EXTENSION_SECONDS)


def test_extension_is_refused_after_the_deadline_or_by_the_event():
    booking = hold(TicketCategoryFactory())
    strict = hold(TicketCategoryFactory(event__allow_hold_extension=False))
    lapse(booking)

    with pytest.raises(refusals.HoldExpired):
        services.extend_hold(booking_id=booking.pk, user_id=booking.user_id)
    with pytest.raises(refusals.ExtensionRefused):
        services.extend_hold(booking_id=strict.pk, user_id=strict.user_id)


def test_grace_for_a_payment_under_way_is_given_once():
    booking = hold(TicketCategoryFactory())
    soon = timezone.now() + timedelta(seconds=30)
    Booking.objects.filter(pk=booking.pk).update(expires_at=soon)

    assert services.grant_payment_grace(booking_id=booking.pk)
    kept_until = Booking.objects.get(pk=booking.pk).expires_at
    assert services.grant_payment_grace(booking_id=booking.pk)

    assert timedelta(seconds=60) < kept_until - timezone.now() <= timedelta(seconds=120)
    assert Booking.objects.get(pk=booking.pk).expires_at == kept_until
    lapse(booking)
    assert not services.grant_payment_grace(booking_id=booking.pk)


def test_current_hold_is_the_live_one():
    category, person = TicketCategoryFactory(), UserFactory()
    booking = hold(category, person)

    assert get_current_hold(user_id=person.pk).pk == booking.pk
    lapse(booking)
    assert get_current_hold(user_id=person.pk) is None


@pytest.mark.django_db(transaction=True)
def test_many_buyers_of_few_seats_get_exactly_those():
    category = TicketCategoryFactory(capacity=5)
    people = [UserFactory() for _ in range(20)]

    outcomes = race([lambda person=person: hold(category, person) for person in people], gate="bookings_booking")

    assert len(results(outcomes)) == 5
    assert {type(error) for error in errors(outcomes)} == {refusals.SoldOut}
    assert free(category) == 0


@pytest.mark.django_db(transaction=True)
def test_naive_booking_oversells_in_the_same_race():
    """The control: read, decide, write — the way it is often done — sells seats that are not there."""
    category = TicketCategoryFactory(capacity=5)
    sold = []

    def naive():
        inventory = SeatInventory.objects.get(category=category)
        if inventory.free >= 1:
            TicketCategory.objects.filter(pk=category.pk).select_for_update().update(description="sold one")
            SeatInventory.objects.filter(pk=inventory.pk).update(held=inventory.held + 1)
            sold.append(1)

    race([naive for _ in range(20)], gate="events_ticketcategory")

    assert len(sold) > 5


@pytest.mark.django_db(transaction=True)
def test_double_click_is_one_hold():
    category, person = TicketCategoryFactory(), UserFactory()

    outcomes = race([lambda: hold(category, person) for _ in range(8)], gate="bookings_booking")

    assert len(results(outcomes)) == 1
    assert {type(error) for error in errors(outcomes)} == {refusals.HoldExists}
    assert free(category) == 99


@pytest.mark.django_db(transaction=True)
def test_parallel_partial_holds_take_exactly_what_is_left():
    category = TicketCategoryFactory(capacity=7)
    people = [UserFactory() for _ in range(10)]

    outcomes = race(
        [lambda person=person: hold(category, person, 3, allow_partial=True) for person in people],
        gate="bookings_booking",
    )

    assert sum(booking.quantity for booking in results(outcomes)) == 7
    assert free(category) == 0


@pytest.mark.django_db(transaction=True)
def test_two_categories_in_opposite_order_do_not_deadlock():
    event = EventFactory()
    one, two = TicketCategoryFactory(event=event, capacity=50), TicketCategoryFactory(event=event, capacity=50)
    people = [UserFactory() for _ in range(12)]
    for index, person in enumerate(people):
        lapse(hold(one if index % 2 else two, person))

    outcomes = race(
        [
            lambda index=index, person=person: hold(two if index % 2 else one, person)
            for index, person in enumerate(people)
        ],
        gate="bookings_booking",
    )

    assert errors(outcomes) == []
    assert free(one) + free(two) == 88


@pytest.mark.django_db(transaction=True)
def test_numbered_seats_are_given_once_each_under_fire():
    category = TicketCategoryFactory(rows={"A": 10, "B": 10})
    people = [UserFactory() for _ in range(10)]

    outcomes = race([lambda person=person: hold(category, person, 2) for person in people], gate="bookings_booking")

    taken = [label for booking in results(outcomes) for label in seat_labels(booking)]
    assert len(taken) == len(set(taken)) == 20
