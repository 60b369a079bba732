"""Answers to an offer, what becomes of those that get none, and of seats that were accepted and not paid for."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from accounts.models import Notification
from bookings import services as bookings
from bookings.models import Booking, Ticket
from bookings.refusals import SeatsGone, VerificationRequired
from common import jobs
from events.models import Event
from tests.factories import TicketCategoryFactory, UserFactory
from tests.waitlist.worlds import broken, counters, hold, join, let_pass, line, offer_all, sold_out, states
from waitlist import refusals, services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sound():
    yield
    assert broken() == []


def offered(capacity=1, quantity=1, **fields):
    """Return a category, an entry that has an offer of all its seats, and the offer."""
    category, holds = sold_out(capacity, **fields)
    entry = join(category, quantity=quantity)
    for booking in holds:
        bookings.cancel_booking(booking_id=booking.pk, by="staff")
    [offer] = offer_all(category)
    return category, entry, offer


# -- Yes --------------------------------------------------------------------------------------------------------------


def test_accepting_is_a_hold_to_pay_with_its_own_time():
    category, entry, offer = offered()

    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)

    assert (booking.pk, booking.status, booking.quantity) == (offer.booking_id, "pending", 1)
    assert Booking.objects.filter(pk=booking.pk, expires_at__lte=Now() + timedelta(seconds=601)).exists()
    assert counters(category) == (0, 1, 0, 0, 0)
    assert states(entry) == ["accepted"]
    bookings.confirm_booking(booking_id=booking.pk)
    assert services.follow_bookings() == 1
    assert WaitlistEntry.objects.get(pk=entry.pk).unpaid is False


@pytest.mark.parametrize("fields", [{"price_minor": 0}, {"event__payment_collection": "at_door"}])
def test_accepting_what_costs_nothing_now_is_the_ticket_at_once(fields):
    _category, entry, _ = offered(quantity=2, capacity=2, **fields)

    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)

    assert booking.status == "confirmed"
    assert Ticket.objects.filter(booking=booking, status="active").count() == 2
    assert (states(entry), WaitlistEntry.objects.get(pk=entry.pk).unpaid) == (["accepted"], False)


def test_accepting_again_returns_the_same_booking():
    _, entry, _ = offered()

    first = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    again = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    bookings.confirm_booking(booking_id=first.pk)
    paid = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)

    assert first.pk == again.pk == paid.pk
    assert paid.status == "confirmed"


def test_taking_fewer_gives_the_others_to_the_next():
    category, entry, _ = offered(capacity=3, quantity=3)
    next_one = join(category)

    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id, quantity=1)

    assert (booking.quantity, booking.amount_minor) == (1, 4900)
    assert states(entry) == ["accepted"]
    assert [offer.entry_id for offer in offer_all(category)] == [next_one.pk]
    assert counters(category) == (1, 1, 1, 0, 0)


@pytest.mark.parametrize("quantity", [0, -1, 4])
def test_nobody_takes_more_than_was_offered_or_nothing(quantity):
    _, entry, _ = offered(capacity=3, quantity=3)

    with pytest.raises(refusals.BadWish, match="1 to 3"):
        services.accept_offer(entry_id=entry.pk, user_id=entry.user_id, quantity=quantity)


def test_price_of_the_offer_holds_though_the_category_s_changes():
    category, entry, _ = offered()
    type(category).objects.filter(pk=category.pk).update(price_minor=9900)

    assert services.accept_offer(entry_id=entry.pk, user_id=entry.user_id).amount_minor == 4900


def test_offer_of_an_event_that_checks_faces_is_only_for_the_verified():
    category, entry, _ = offered()
    Event.objects.filter(pk=category.event_id).update(requires_face_verification=True, face_necessity="Resale")

    with pytest.raises(VerificationRequired):
        services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)

    assert states(entry) == ["offered"]


def test_offers_of_others_and_those_that_never_were_are_not_there():
    category, entry, _ = offered()
    stranger = UserFactory()
    waits = join(category)

    for entry_id, user_id in ((entry.pk, stranger.pk), (stranger.pk, stranger.pk), (waits.pk, waits.user_id)):
        with pytest.raises(refusals.OfferNotFound):
            services.accept_offer(entry_id=entry_id, user_id=user_id)
        with pytest.raises(refusals.OfferNotFound):
            services.reject_offer(entry_id=entry_id, user_id=user_id)


# -- No ---------------------------------------------------------------------------------------------------------------


def test_turning_down_ends_the_place_and_the_seats_go_to_the_next():
    category, entry, _ = offered()
    next_one = join(category)

    services.reject_offer(entry_id=entry.pk, user_id=entry.user_id)
    services.reject_offer(entry_id=entry.pk, user_id=entry.user_id)

    assert states(entry) == ["rejected"]
    assert [offer.entry_id for offer in offer_all(category)] == [next_one.pk]
    with pytest.raises(refusals.OfferExpired):
        services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)


def test_leaving_with_an_offer_turns_it_down():
    category, entry, _ = offered()

    services.leave(user_id=entry.user_id, event_id=category.event_id)

    assert (states(entry), counters(category)) == (["rejected"], (1, 0, 0, 0, 0))


# -- No answer --------------------------------------------------------------------------------------------------------


def test_offer_that_lapsed_is_gone_before_any_sweep():
    _, entry, offer = offered()
    let_pass(offer.booking_id)

    with pytest.raises(refusals.OfferExpired):
        services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    with pytest.raises(refusals.OfferExpired):
        services.reject_offer(entry_id=entry.pk, user_id=entry.user_id)


def test_unanswered_offer_sends_a_person_behind_the_others_twice_and_then_their_place_ends():
    category, entry, offer = offered()
    other = join(category)
    for turn in (1, 2):
        let_pass(offer.booking_id)
        assert services.lapse_due() == 1
        assert services.lapse_due() == 0
        entry.refresh_from_db()
        assert (entry.status, entry.lapses) == ("waiting", turn)
        assert line(category) == [other.pk, entry.pk]
        [took] = offer_all(category)
        assert took.entry_id == other.pk
        services.reject_offer(entry_id=other.pk, user_id=other.user_id)
        [offer] = offer_all(category)
        assert offer.entry_id == entry.pk
        other = join(category)

    let_pass(offer.booking_id)
    services.lapse_due()

    assert states(entry) == ["expired"]
    told = Notification.objects.filter(user=entry.user, kind="waitlist_offer_lapsed")
    assert told.count() == 3
    assert "has ended" in told.get(cause=str(offer.booking_id)).context["next"]


def test_offer_whose_booking_the_other_sweep_ended_lapses_all_the_same():
    _category, entry, offer = offered()
    let_pass(offer.booking_id)

    assert bookings.expire_due() == 1
    assert services.lapse_due() == 1

    entry.refresh_from_db()
    assert (entry.status, entry.lapses) == ("waiting", 1)


def test_booking_that_staff_cancel_ends_the_entry_it_was_offered_to():
    _, entry, offer = offered()

    bookings.cancel_booking(booking_id=offer.booking_id, by="staff")
    services.lapse_due()

    assert states(entry) == ["expired"]


def test_clean_up_counts_the_offers_it_moved():
    _, entry, offer = offered()
    assert services.clean_up() == 0
    let_pass(offer.booking_id)

    assert services.clean_up() == 1

    assert states(entry) == ["waiting"]


# -- Not paid ---------------------------------------------------------------------------------------------------------


def test_accepted_and_unpaid_goes_behind_the_others_and_its_seats_to_the_next():
    category, entry, _ = offered(capacity=2, quantity=2)
    next_one = join(category)
    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    let_pass(booking.pk)

    assert jobs.run("waitlist.process") == 2

    entry.refresh_from_db()
    assert (entry.lapses, entry.quantity, entry.went_back_for) == (1, 2, None)
    assert states(next_one, entry) == ["offered", "offered"]
    assert entry.joined_at > next_one.joined_at


def test_rest_of_a_wish_and_what_was_not_paid_for_wait_together_at_the_end():
    category, holds = sold_out(4)
    group = join(category, quantity=3)
    bookings.give_up_hold(booking_id=holds[0].pk)
    offer_all(category)
    booking = services.accept_offer(entry_id=group.pk, user_id=group.user_id)
    behind = join(category)
    let_pass(booking.pk)

    assert services.follow_bookings() == 1

    group.refresh_from_db()
    assert (group.status, group.quantity, group.lapses, group.unpaid) == ("waiting", 3, 1, False)
    assert line(category) == [behind.pk, group.pk]


def test_accepted_hold_that_is_given_up_ends_there():
    _, entry, _ = offered()
    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    bookings.give_up_hold(booking_id=booking.pk)

    assert services.follow_bookings() == 1

    assert (states(entry), WaitlistEntry.objects.get(pk=entry.pk).unpaid) == (["accepted"], False)


def test_who_joined_anew_meanwhile_has_one_place_when_the_old_hold_lapses():
    category, entry, _ = offered(event__max_tickets_per_booking=4)
    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    anew = join(category, entry.user)
    let_pass(booking.pk)

    services.follow_bookings()

    assert states(entry, anew) == ["accepted", "waiting"]


def test_money_that_comes_late_and_finds_the_seats_ends_the_waiting():
    category, entry, _ = offered()
    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    let_pass(booking.pk)
    services.follow_bookings()
    assert states(entry) == ["waiting"]

    assert bookings.settle_paid_booking(booking_id=booking.pk).status == "confirmed"
    assert services.serve_late_payers() == 1

    assert states(entry) == ["accepted"]
    assert offer_all(category) == []


def test_money_that_comes_late_does_not_pass_those_who_wait():
    category, entry, _ = offered()
    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    other = join(category)
    let_pass(booking.pk)
    services.follow_bookings()

    with pytest.raises(SeatsGone):
        bookings.settle_paid_booking(booking_id=booking.pk)

    assert [offer.entry_id for offer in offer_all(category)] == [other.pk]
    assert states(entry) == ["waiting"]


def test_who_may_not_have_the_seats_keeps_them_from_nobody_who_pays_late():
    category, entry, _ = offered()
    booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
    unverified = join(category)
    WaitlistEntry.objects.filter(pk=unverified.pk).update(eligible=False)
    let_pass(booking.pk)

    assert bookings.settle_paid_booking(booking_id=booking.pk).status == "confirmed"


def test_seats_unpaid_three_times_end_the_place():
    category, entry, _ = offered()
    for _ in range(3):
        booking = services.accept_offer(entry_id=entry.pk, user_id=entry.user_id)
        let_pass(booking.pk)
        services.follow_bookings()
        offer_all(category)

    assert states(entry) == ["expired"]
    assert hold(category).status == "pending"


def test_seat_that_somebody_got_another_way_ends_their_place_and_their_offer():
    category, entry, offer = offered(capacity=1)
    sold = TicketCategoryFactory(event=category.event, capacity=1)
    booking = hold(sold, entry.user)

    services.serve(user_id=entry.user_id, event_id=category.event_id, booking_id=booking.pk)

    entry.refresh_from_db()
    assert (entry.status, entry.booking_id) == ("accepted", booking.pk)
    assert Booking.objects.get(pk=offer.booking_id).status == "cancelled"
    assert counters(category) == (1, 0, 0, 0, 0)
