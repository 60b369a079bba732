"""Confirming, money that comes late, and the races between paying, lapsing and cancelling."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from bookings import refusals, services
from bookings.models import Booking
from bookings.references import normalise_reference, spoken
from bookings.services.admission import lock_ticket_booking, use_ticket
from bookings.services.endings import end
from bookings.signals import booking_confirmed, booking_ended
from common.errors import IllegalTransition, NotFound
from common.models import OutboxMessage
from events.models import Event, SeatInventory
from tests.bookings.test_holds import free, hold, lapse
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db(transaction=True)


def inventory(category):
    row = SeatInventory.objects.get(category=category)
    return row.held, row.sold


@pytest.fixture
def announced():
    """Collect what bookings announces."""
    heard = []

    def on_confirmed(booking_id, **_):
        heard.append("confirmed")

    def on_ended(booking_id, **_):
        heard.append("ended")

    booking_confirmed.connect(on_confirmed)
    booking_ended.connect(on_ended)
    yield heard
    booking_confirmed.disconnect(on_confirmed)
    booking_ended.disconnect(on_ended)


def test_confirming_makes_tickets_and_one_mail(announced):
    category = TicketCategoryFactory()
    booking = hold(category, UserFactory(name="Ana"), 2)

    confirmed = services.confirm_booking(booking_id=booking.pk)

    tickets = list(confirmed.tickets.all())
    assert [(ticket.number, ticket.status, ticket.holder_name) for ticket in tickets] == [
        (1, "active", "Ana"),
        (2, "active", "Ana"),
    ]
    assert len({ticket.code for ticket in tickets}) == 2
    assert all(len(ticket.code) == 26 for ticket in tickets)
    assert confirmed.expires_at is None
    assert inventory(category) == (0, 2)
    assert OutboxMessage.objects.filter(dedupe_key=f"tickets_mail:{booking.pk}").count() == 1
    assert announced == ["confirmed"]


def test_confirming_takes_at_most_eight_statements(django_assert_max_num_queries):
    plain, numbered = hold(TicketCategoryFactory(), quantity=4), hold(TicketCategoryFactory(rows={"A": 4}), quantity=4)

    with django_assert_max_num_queries(8):
        services.confirm_booking(booking_id=plain.pk)
    with django_assert_max_num_queries(8):
        services.confirm_booking(booking_id=numbered.pk)


def test_numbered_tickets_carry_their_seats():
    booking = hold(TicketCategoryFactory(rows={"A": 3}), quantity=2)

    confirmed = services.confirm_booking(booking_id=booking.pk)

    assert [ticket.seat.label for ticket in confirmed.tickets.select_related("seat")] == [
        "Row A · Seat 1",
        "Row A · Seat 2",
    ]


def test_lapsed_hold_can_not_be_confirmed():
    category = TicketCategoryFactory()
    booking = hold(category)
    lapse(booking)

    with pytest.raises(refusals.HoldExpired):
        services.confirm_booking(booking_id=booking.pk)

    assert Booking.objects.get(pk=booking.pk).status == "pending"
    assert services.expire_due() == 1
    with pytest.raises(refusals.HoldExpired):
        services.confirm_booking(booking_id=booking.pk)


def test_confirming_twice_or_what_is_not_there_is_refused():
    booking = hold(TicketCategoryFactory())
    services.confirm_booking(booking_id=booking.pk)

    with pytest.raises(IllegalTransition):
        services.confirm_booking(booking_id=booking.pk)
    with pytest.raises(NotFound):
        services.confirm_booking(booking_id=booking.user_id)


def test_settling_is_idempotent(announced):
    booking = hold(TicketCategoryFactory())

    first = services.settle_paid_booking(booking_id=booking.pk)
    second = services.settle_paid_booking(booking_id=booking.pk)

    assert first.status == second.status == "confirmed"
    assert Booking.objects.get(pk=booking.pk).tickets.count() == 1
    assert announced == ["confirmed"]


@pytest.mark.parametrize("swept", [True, False])
def test_late_money_takes_the_seats_again_while_they_are_free(swept):
    category = TicketCategoryFactory(capacity=2)
    booking = hold(category, quantity=2)
    lapse(booking)
    if swept:
        services.expire_due()

    settled = services.settle_paid_booking(booking_id=booking.pk)

    assert (settled.status, settled.ended_at, settled.tickets.count()) == ("confirmed", None, 2)
    assert inventory(category) == (0, 2)
    assert list(settled.history.values_list("from_status", "to_status")) == [
        ("pending", "expired"),
        ("expired", "confirmed"),
    ]


def test_late_money_for_numbered_seats_gets_free_ones():
    category = TicketCategoryFactory(rows={"A": 4})
    booking = hold(category, quantity=2)
    lapse(booking)
    services.expire_due()
    rival = hold(category, quantity=2)

    settled = services.settle_paid_booking(booking_id=booking.pk)

    mine = {ticket.seat_id for ticket in settled.tickets.all()}
    assert len(mine) == 2
    assert mine.isdisjoint(rival.booking_seats.values_list("seat_id", flat=True))


@pytest.mark.parametrize("case", ["seats sold", "somebody waits", "event cancelled", "given up", "person holds others"])
def test_late_money_goes_back_when_the_seats_can_not_be_had(case):
    category = TicketCategoryFactory(capacity=2, event=EventFactory(max_tickets_per_booking=2))
    booking = hold(category, quantity=2)
    if case == "given up":
        services.give_up_hold(booking_id=booking.pk)
    else:
        lapse(booking)
        services.expire_due()
    if case == "seats sold":
        hold(category)
    if case == "somebody waits":
        SeatInventory.objects.filter(category=category).update(waiting=1)
    if case == "event cancelled":
        Event.objects.filter(pk=category.event_id).update(status="cancelled")
    if case == "person holds others":
        services.hold_seats(
            user_id=booking.user_id, category_id=TicketCategoryFactory(event=category.event).pk, quantity=1
        )

    with pytest.raises(refusals.SeatsGone):
        services.settle_paid_booking(booking_id=booking.pk)

    assert Booking.objects.get(pk=booking.pk).status in {"expired", "cancelled"}
    assert inventory(category)[1] == 0


def test_confirm_against_expiry_has_one_winner():
    for round_number in range(6):
        category = TicketCategoryFactory(capacity=1)
        booking = hold(category)
        if round_number % 2:
            lapse(booking)

        outcomes = race(
            [
                lambda booking=booking: services.confirm_booking(booking_id=booking.pk),
                lambda booking=booking: services.expire_booking(booking_id=booking.pk),
                lambda booking=booking: services.expire_due(),
            ],
            gate="bookings_booking",
        )

        status = Booking.objects.get(pk=booking.pk).status
        assert status == ("expired" if round_number % 2 else "confirmed")
        assert inventory(category) == ((0, 0) if round_number % 2 else (0, 1))
        assert all(isinstance(error, refusals.HoldExpired) for error in errors(outcomes))


def test_reading_before_writing_lets_both_win():
    """The control: the same race with a check in Python confirms a hold that has just expired."""
    category = TicketCategoryFactory(capacity=1)
    booking = hold(category)
    winners = []

    def naive(status):
        if Booking.objects.get(pk=booking.pk).status == "pending":
            winners.append(status)
            SeatInventory.objects.filter(category=category).select_for_update().first()

    race([lambda: naive("confirmed"), lambda: naive("expired")], gate="events_seatinventory")

    assert sorted(winners) == ["confirmed", "expired"]


def test_settling_from_many_sides_makes_one_set_of_tickets():
    booking = hold(TicketCategoryFactory(), quantity=2)

    outcomes = race(
        [lambda: services.settle_paid_booking(booking_id=booking.pk) for _ in range(6)], gate="bookings_booking"
    )

    assert len(results(outcomes)) == 6
    assert Booking.objects.get(pk=booking.pk).tickets.count() == 2


def test_giving_up_never_cancels_a_sale():
    category = TicketCategoryFactory()
    booking = hold(category)

    race(
        [
            lambda: services.confirm_booking(booking_id=booking.pk),
            lambda: services.give_up_hold(booking_id=booking.pk),
        ],
        gate="bookings_booking",
    )

    ended = Booking.objects.get(pk=booking.pk)
    assert ended.tickets.filter(status="active").count() == (1 if ended.status == "confirmed" else 0)
    assert inventory(category) == ((0, 1) if ended.status == "confirmed" else (0, 0))
    if ended.status == "confirmed":
        with pytest.raises(IllegalTransition):
            services.give_up_hold(booking_id=booking.pk)


def test_buyer_cancels_until_a_day_before_and_staff_always(announced):
    category = TicketCategoryFactory(event=EventFactory(starts_at=timezone.now() + timedelta(hours=30)))
    late = TicketCategoryFactory(event=EventFactory(starts_at=timezone.now() + timedelta(hours=23)))
    in_time, too_late = (services.confirm_booking(booking_id=hold(row).pk) for row in (category, late))

    cancelled = services.cancel_booking(booking_id=in_time.pk, by="buyer")
    with pytest.raises(refusals.CancelTooLate) as error:
        services.cancel_booking(booking_id=too_late.pk, by="buyer")
    by_staff = services.cancel_booking(booking_id=too_late.pk, by="staff", reason="goodwill")

    assert cancelled.status == "cancelled"
    assert cancelled.tickets.filter(status="void").count() == 1
    assert error.value.code == "cancel_too_late"
    assert (by_staff.status, by_staff.end_reason) == ("cancelled", "goodwill")
    assert free(category) == free(late) == 100
    assert announced == ["confirmed", "confirmed", "ended", "ended"]


def test_parallel_cancels_release_once():
    category = TicketCategoryFactory(capacity=4)
    booking = services.confirm_booking(booking_id=hold(category, quantity=2).pk)

    outcomes = race(
        [lambda: services.cancel_booking(booking_id=booking.pk, by="staff") for _ in range(8)], gate="bookings_booking"
    )

    assert len(results(outcomes)) == 1
    assert {type(error) for error in errors(outcomes)} == {IllegalTransition}
    assert free(category) == 4


def test_sweep_ends_what_is_due_and_nothing_else():
    category = TicketCategoryFactory()
    due, live = hold(category), hold(category)
    lapse(due)

    outcomes = race([services.expire_due for _ in range(4)])

    assert sum(results(outcomes)) == 1
    assert Booking.objects.get(pk=live.pk).status == "pending"
    assert inventory(category) == (1, 0)


def test_reference_can_be_read_aloud_and_typed_back():
    booking = hold(TicketCategoryFactory())

    said = spoken(booking.reference)

    assert len(said) == 9
    assert normalise_reference(said.lower().replace("-", " ")) == booking.reference


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("careful", [True, False], ids=["guarded", "control"])
def test_who_came_in_gets_no_money_back_even_at_the_same_moment(careful):
    """The control cancels without asking whether a ticket was used."""
    category = TicketCategoryFactory(event__payment_collection="at_door")
    both = 0
    for _ in range(6):
        booking = services.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)
        inside = race([lambda booking=booking: come_in(booking), lambda booking=booking: leave(booking, careful)])[
            0
        ].result
        booking.refresh_from_db()
        both += bool(inside and booking.status == "cancelled")
        if inside:
            outcome = race([lambda booking=booking: leave(booking, careful)])[0]
            both += outcome.error is None
            assert not careful or isinstance(outcome.error, refusals.TicketUsed)
    come_in(booking := services.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1))
    both += race([lambda: leave(booking, careful)])[0].error is None

    assert bool(both) is not careful


def come_in(booking):
    """Use the booking's ticket at the door; whether it let somebody in."""
    ticket = booking.tickets.get(number=1)
    with transaction.atomic():
        lock_ticket_booking(ticket_id=ticket.pk)
        return use_ticket(ticket_id=ticket.pk, code=ticket.code)


def leave(booking, careful):
    """Cancel as the buyer does, or as somebody would who forgot the door."""
    if careful:
        return services.cancel_booking(booking_id=booking.pk, by="buyer")
    with transaction.atomic():
        return end(booking.pk, Q(status="confirmed"), reason="naive")
