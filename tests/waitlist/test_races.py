"""Rivals at the same moment: two answers to one offer, an answer and its deadline, parallel processors, join and release."""

from collections import Counter
from functools import partial

import pytest
from django.db import transaction
from django.db.models.functions import Now

from bookings import services as bookings
from bookings.models import Booking, Ticket
from bookings.refusals import OfferExpired
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race, results
from tests.waitlist.worlds import broken, counters, hold, join, let_pass, line, offer_all, sold_out, states
from waitlist import refusals, services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _sound():
    yield
    assert broken() == []


def offered(**fields):
    """Return a category with one seat, an entry that has an offer of it, and the offer."""
    category, [booking] = sold_out(**fields)
    entry = join(category)
    bookings.cancel_booking(booking_id=booking.pk, by="staff")
    [offer] = offer_all(category)
    return category, entry, offer


def accept(entry):
    return services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)


# -- One offer, several answers ---------------------------------------------------------------------------------------


def test_offer_accepted_many_times_at_once_is_one_ticket():
    category, entry, _ = offered(price_minor=0)

    outcomes = race([partial(accept, entry)] * 10, gate="bookings_booking")

    assert errors(outcomes) == []
    assert len({booking.pk for booking in results(outcomes)}) == 1
    assert Ticket.objects.filter(booking__user_id=entry.user_id).count() == 1
    assert counters(category) == (0, 0, 0, 1, 0)


def test_naive_accept_makes_several_in_the_same_race():
    """The control: who looks first and then writes makes a booking of their own each time."""
    _category, entry, _ = offered(price_minor=0)
    made = []

    def naive():
        known = WaitlistEntry.objects.get(pk=entry.pk)
        if known.status == "offered":
            Booking.objects.filter(pk=known.booking_id).update(status="pending", expires_at=Now())
            WaitlistEntry.objects.filter(pk=entry.pk).update(status="accepted", ended_at=Now())
            made.append(known.booking_id)

    outcomes = race([naive] * 5, gate="bookings_booking")

    assert errors(outcomes) == []
    assert len(made) > 1
    Booking.objects.filter(pk=made[0]).update(status="expired")


@pytest.mark.parametrize("gate", ["bookings_booking", "waitlist_waitlistentry"])
def test_accept_against_the_deadline_has_one_winner(gate):
    category, entry, offer = offered()
    other = join(category)
    let_pass(offer.booking_id)
    WaitlistEntry.objects.filter(pk=entry.pk).update(offer_expires_at=Now())

    outcomes = race([partial(accept, entry), services.lapse_due, bookings.expire_due, services.lapse_due], gate=gate)

    assert isinstance(outcomes[0].error, OfferExpired)
    services.lapse_due()
    assert line(category) == [other.pk, entry.pk]
    assert counters(category) == (1, 0, 0, 0, 2)


@pytest.mark.parametrize("round_", range(5))
def test_accept_and_an_end_by_staff_have_one_winner(round_):
    category, entry, _offer = offered()
    staff = StaffFactory()
    end = partial(services.expire_offer, entry_id=entry.pk, staff_id=staff.pk, reason="Late")

    taken, ended = race([partial(accept, entry), end], gate="bookings_booking")

    assert (taken.error is None) != (ended.error is None)
    if taken.error is None:
        assert isinstance(ended.error, refusals.OfferNotFound)
        assert (states(entry), counters(category)) == (["accepted"], (0, 1, 0, 0, 0))
    else:
        assert isinstance(taken.error, OfferExpired)
        assert (states(entry), counters(category)) == (["waiting"], (1, 0, 0, 0, 1))


@pytest.mark.parametrize("round_", range(5))
def test_accept_reject_and_leave_have_one_winner(round_):
    category, entry, offer = offered()
    actions = [
        partial(accept, entry),
        partial(services.reject_offer, entry_id=entry.pk, user_id=entry.user_id),
        partial(services.leave, user_id=entry.user_id, event_id=category.event_id),
    ]

    accepted, rejected, left = race(actions, gate="waitlist_waitlistentry")

    booking = Booking.objects.get(pk=offer.booking_id)
    if accepted.error is None:
        assert (booking.status, states(entry)) == ("pending", ["accepted"])
        assert isinstance(rejected.error, OfferExpired)
        assert isinstance(left.error, refusals.NotOnWaitlist)
    else:
        assert isinstance(accepted.error, OfferExpired)
        assert (booking.status, states(entry)) == ("cancelled", ["rejected"])
        assert counters(category) == (1, 0, 0, 0, 0)


def test_payment_and_the_end_of_an_accepted_hold_have_one_winner():
    category, entry, _ = offered()
    booking = accept(entry)
    let_pass(booking.pk)

    paid, followed = race(
        [partial(bookings.settle_paid_booking, booking_id=booking.pk), services.follow_bookings],
        gate="bookings_booking",
    )

    assert errors([paid, followed]) == []
    services.follow_bookings()
    services.serve_late_payers()
    assert states(entry) == ["accepted"]
    assert counters(category) == (0, 0, 0, 1, 0)


# -- Many at once -----------------------------------------------------------------------------------------------------


def test_processors_in_parallel_make_as_many_offers_as_there_are_seats_in_order():
    category, holds = sold_out(30)
    entries = [join(category) for _ in range(40)]
    for booking in holds:
        bookings.give_up_hold(booking_id=booking.pk)

    outcomes = race([partial(offer_all, category)] * 5)

    made = [offer for offers in results(outcomes) for offer in offers]
    assert errors(outcomes) == []
    assert sorted(offer.entry_id for offer in made) == sorted(entry.pk for entry in entries[:30])
    assert line(category) == [entry.pk for entry in entries[30:]]
    assert counters(category) == (0, 0, 30, 0, 10)


def test_naive_processors_offer_a_seat_twice_in_the_same_race():
    """The control: reading the head of the list and the free seats first, then writing."""
    category, [booking] = sold_out()
    entries = [join(category) for _ in range(3)]
    bookings.give_up_hold(booking_id=booking.pk)
    chosen = []

    def naive():
        free, *_ = counters(category)
        head = WaitlistEntry.objects.filter(status="waiting", event_id=category.event_id).first()
        if free and head:
            WaitlistEntry.objects.filter(pk=head.pk).update(offers=head.offers + 1)
            chosen.append(head.pk)

    race([naive] * 5, gate="waitlist_waitlistentry")

    assert len(chosen) == 5
    assert set(chosen) == {entries[0].pk}


def test_seat_that_staff_give_twice_is_given_once():
    category, [booking] = sold_out()
    entry, staff = join(category), StaffFactory()
    bookings.give_up_hold(booking_id=booking.pk)
    give = partial(services.offer_to, entry_id=entry.pk, staff_id=staff.pk, reason="Please")

    outcomes = race([give, give, partial(offer_all, category)], gate="waitlist_waitlistentry")

    offers = [result for result in results(outcomes) if result]
    assert len(offers) == 1
    assert all(isinstance(error, refusals.NotOnWaitlist | refusals.NoSeatToOffer) for error in errors(outcomes))
    assert counters(category) == (0, 0, 1, 0, 0)


@pytest.mark.parametrize("round_", range(5))
def test_join_that_meets_the_last_release_is_never_lost(round_):
    category, [booking] = sold_out()
    person, stranger = UserFactory(), UserFactory()

    joined, released, bought = race(
        [
            partial(join, category, person),
            partial(bookings.give_up_hold, booking_id=booking.pk),
            partial(hold, category, stranger),
        ],
        gate="bookings_booking",
    )
    offers = offer_all(category)

    assert released.error is None
    if joined.error is not None:
        assert isinstance(joined.error, refusals.TicketsAvailable)
        assert offers == []
    elif bought.error is None:
        assert (offers, line(category)) == ([], [joined.result.pk])
    else:
        assert [offer.entry_id for offer in offers] == [joined.result.pk]


def test_partial_bookings_at_once_hold_what_there_is_and_everybody_waits_for_the_rest():
    category = TicketCategoryFactory(capacity=3)
    people = [UserFactory() for _ in range(10)]

    outcomes = race(
        [partial(bookings.hold_or_wait, user_id=person.pk, category_id=category.pk, quantity=2) for person in people],
        gate="bookings_booking",
    )

    assert errors(outcomes) == []
    assert sum(held.booking.quantity for held in results(outcomes) if held.booking) == 3
    assert counters(category) == (0, 3, 0, 0, 17)
    assert sum(WaitlistEntry.objects.values_list("quantity", flat=True)) == 17


def test_everything_at_once_never_deadlocks():
    """Lock order: whatever meets, each gets its turn or a refusal a person understands."""
    category, holds = sold_out(6, event__max_tickets_per_booking=4)
    second = TicketCategoryFactory(event=category.event, capacity=2)
    blocks = [hold(second), hold(second)]
    entries = [join(category, category_ids=[]) for _ in range(4)] + [join(category, quantity=2) for _ in range(4)]
    bookings.give_up_hold(booking_id=holds[0].pk)
    bookings.give_up_hold(booking_id=blocks[0].pk)
    first = offer_all(category)
    actions = [
        partial(offer_all, category),
        partial(offer_all, category),
        *(partial(bookings.give_up_hold, booking_id=booking.pk) for booking in [*holds[1:], blocks[1]]),
        *(partial(services.accept_offer, entry_id=offer.entry_id, user_id=offer.user_id) for offer in first),
        *(partial(services.reject_offer, entry_id=offer.entry_id, user_id=offer.user_id) for offer in first),
        *(partial(services.leave, user_id=entry.user_id, event_id=category.event_id) for entry in entries[:3]),
        *(
            partial(bookings.hold_or_wait, user_id=UserFactory().pk, category_id=one.pk, quantity=2)
            for one in (category, second, category)
        ),
        partial(services.change_wish, user_id=entries[5].user_id, event_id=category.event_id, category_ids=[second.pk]),
    ]

    outcomes = race(actions)

    kinds = Counter(type(error).__name__ for error in errors(outcomes))
    assert set(kinds) <= {"OfferExpired", "NotOnWaitlist"}, kinds
    with transaction.atomic():
        offer_all(category)
