"""Slots and holds: who may start a booking, how long a slot lasts, when it is free again."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from bookings import refusals
from bookings import services as bookings
from bookings.models import Booking
from bookings.waitingroom import services, store, tokens
from bookings.waitingroom.models import Place
from bookings.waitingroom.refusals import HoldRuns, NoLine, NotYourTurn, SlotExtensionRefused
from bookings.waitingroom.tokens import WrongToken, presented
from tests.factories import TicketCategoryFactory, UserFactory
from tests.waitingroom.lines import busy, join, line, lose, members, past, people, place, standing

pytestmark = pytest.mark.django_db(transaction=True)


def hold(category, person, **options):
    return bookings.hold_seats(user_id=person.pk, category_id=category.pk, quantity=1, **options)


@pytest.fixture
def redis_away(monkeypatch, settings):
    """`redis_away()`: from here on the line's Redis does not answer."""

    def away():
        settings.QUEUE_REDIS_URL = "unix:///nowhere/redis.sock"
        store.client.cache_clear()

    yield away
    store.client.cache_clear()


def test_only_an_active_person_may_start_a_booking():
    category = line(max_active_users=1)
    first, second, outsider = people(3)
    join(category.event, first, second)

    assert hold(category, first).is_hold
    for person in (second, outsider):
        with pytest.raises(refusals.QueueRequired):
            hold(category, person)


def test_called_person_may_book_without_having_looked():
    category = line(max_active_users=1)
    first, second = people(2)
    join(category.event, first, second)
    services.leave(user_id=first.pk, event_id=category.event_id)

    assert hold(category, second).is_hold


def test_more_time_at_ones_turn_is_given_so_often_and_only_to_who_has_it(settings):
    settings.QUEUE_MAX_EXTENSIONS = 2
    category = line(max_active_users=1)
    event = category.event
    first, second = people(2)
    before = join(event, first, second)[0]

    def more(person):
        return services.need_more_time(user_id=person.pk, event_id=event.pk)

    with pytest.raises(NotYourTurn):
        more(second)
    for _ in range(2):
        longer = more(first)
    with pytest.raises(SlotExtensionRefused):
        more(first)

    assert longer.expires_at - before.expires_at == timedelta(seconds=2 * settings.QUEUE_EXTENSION_SECONDS)
    assert standing(event, first).expires_at == longer.expires_at
    assert (busy(event), standing(event, second).position) == (1, 1)
    with presented(longer.receipt):
        assert hold(category, first).is_hold
    with pytest.raises(HoldRuns):
        more(first)


def test_more_time_begins_anew_with_the_next_turn_and_ends_with_this_one(settings):
    settings.QUEUE_MAX_EXTENSIONS = 1
    category = line(max_active_users=1)
    person = UserFactory()
    wish = {"user_id": person.pk, "event_id": category.event_id}
    join(category.event, person)
    services.need_more_time(**wish)
    past(category.event, "act", person)

    with pytest.raises(NotYourTurn):
        services.need_more_time(**wish)
    join(category.event, person)

    assert services.need_more_time(**wish).status == "active"


def test_more_time_is_refused_where_the_event_says_no_or_has_no_line():
    strict = line(allow_hold_extension=False)
    person = UserFactory()
    join(strict.event, person)

    with pytest.raises(SlotExtensionRefused, match="organiser"):
        services.need_more_time(user_id=person.pk, event_id=strict.event_id)
    with pytest.raises(NoLine):
        services.need_more_time(user_id=person.pk, event_id=TicketCategoryFactory().event_id)


def test_more_time_outlives_a_loss_of_redis_and_is_not_given_twice(settings):
    settings.QUEUE_MAX_EXTENSIONS = 2
    category = line(max_active_users=1)
    person = UserFactory()
    join(category.event, person)
    for _ in range(2):
        longer = services.need_more_time(user_id=person.pk, event_id=category.event_id)
    services.drain_journal(category.event_id)

    lose(category.event)

    assert standing(category.event, person).expires_at == longer.expires_at
    with pytest.raises(SlotExtensionRefused):
        services.need_more_time(user_id=person.pk, event_id=category.event_id)


def test_slot_of_another_event_is_worth_nothing():
    one, two = line(max_active_users=5), line(max_active_users=5)
    person = UserFactory()
    join(one.event, person)

    with pytest.raises(refusals.QueueRequired):
        hold(two, person)


def test_slot_that_is_over_is_worth_nothing():
    category = line(max_active_users=1)
    person = UserFactory()
    join(category.event, person)
    past(category.event, "act", person)

    with pytest.raises(refusals.QueueRequired):
        hold(category, person)


def test_hold_keeps_its_slot_until_its_own_deadline():
    category = line(max_active_users=1)
    person, second = people(2)
    join(category.event, person, second)

    booking = hold(category, person)

    found = standing(category.event, person)
    assert (found.status, found.booking_id) == ("active", booking.pk)
    assert abs(found.expires_at - booking.expires_at) < timedelta(milliseconds=2)
    longer = bookings.extend_hold(booking_id=booking.pk, user_id=person.pk)
    assert abs(standing(category.event, person).expires_at - longer.expires_at) < timedelta(milliseconds=2)
    Booking.objects.filter(pk=booking.pk).update(expires_at=timezone.now() + timedelta(seconds=30))
    bookings.grant_payment_grace(booking_id=booking.pk)
    booking.refresh_from_db()
    assert abs(standing(category.event, person).expires_at - booking.expires_at) < timedelta(milliseconds=2)


@pytest.mark.parametrize("ending", ["paid", "given up", "cancelled by staff"])
def test_finishing_frees_the_slot_at_once_and_once(ending):
    category = line(max_active_users=1)
    event, (person, second, third) = category.event, people(3)
    join(event, person, second, third)
    booking = hold(category, person)

    match ending:
        case "paid":
            bookings.confirm_booking(booking_id=booking.pk)
        case "given up":
            bookings.give_up_hold(booking_id=booking.pk)
        case "cancelled by staff":
            bookings.cancel_booking(booking_id=booking.pk, by="staff")

    assert members(event, "call") == {second.pk.bytes}
    assert standing(event, person).status == ("done" if ending == "paid" else "passed")
    store.ask("release", event.pk, person.pk, booking.pk.bytes, "x", 0)  # a second time
    assert busy(event) == 1


def test_free_tickets_free_the_slot_in_the_same_moment():
    category = line(max_active_users=1)
    category.price_minor = 0
    category.save()
    person, second = people(2)
    join(category.event, person, second)

    assert hold(category, person).status == Booking.Status.CONFIRMED

    assert standing(category.event, person).status == "done"
    assert members(category.event, "call") == {second.pk.bytes}


def test_lapsed_hold_frees_the_slot_with_nobody_to_sweep():
    category = line(max_active_users=1)
    person, second = people(2)
    join(category.event, person, second)
    hold(category, person)

    past(category.event, "act", person)
    services.promote(category.event_id)

    assert members(category.event, "call") == {second.pk.bytes}


def test_slot_is_used_by_one_hold_only():
    category = line(max_active_users=5)
    person = UserFactory()
    join(category.event, person)
    booking = hold(category, person)

    with pytest.raises(refusals.QueueRequired):
        hold(category, person)
    Booking.objects.filter(pk=booking.pk).update(status="cancelled", end_reason="by hand")  # nobody told Redis
    with pytest.raises(refusals.QueueRequired):
        hold(category, person)


def test_refused_hold_gives_the_slot_back():
    category = line(max_active_users=5, max_tickets_per_booking=2)
    full = TicketCategoryFactory(event=category.event, capacity=1)
    person, other = people(2)
    join(category.event, person, other)
    hold(full, other)

    with pytest.raises(refusals.SoldOut):
        hold(full, person)

    assert hold(category, person).is_hold


def test_rolled_back_hold_does_not_use_the_slot_for_long():
    category = line(max_active_users=5)
    person = UserFactory()
    join(category.event, person)

    class Trouble(Exception):
        pass

    with pytest.raises(Trouble), transaction.atomic():
        hold(category, person)
        raise Trouble

    assert standing(category.event, person).booking_id is None
    used = store.client().hget(store.key(category.event_id, "used"), person.pk.bytes)
    assert int(used.split(b":")[1]) <= store.milliseconds_now() + 15_000


def test_bought_and_cancelled_may_line_up_again():
    category = line(max_active_users=1)
    person = UserFactory()
    join(category.event, person)
    booking = bookings.confirm_booking(booking_id=hold(category, person).pk)
    assert join(category.event, person)[0].status == "done"

    bookings.cancel_booking(booking_id=booking.pk, by="staff")

    assert join(category.event, person)[0].status == "active"


def test_waitlist_and_plain_events_know_nothing_of_slots(django_assert_num_queries, count_redis_calls):
    queued, plain = line(max_active_users=1), TicketCategoryFactory()
    person = UserFactory()

    assert hold(queued, person, source="waitlist").is_hold
    with count_redis_calls() as calls, django_assert_num_queries(1):
        hold(plain, person)

    assert calls == []


def test_hold_of_an_event_with_a_line_counts_its_statements_and_redis_calls(
    django_assert_num_queries, count_redis_calls
):
    category = line(max_active_users=5)
    first, person = people(2)
    join(category.event, first, person)
    hold(category, first)

    # Asked once without and once with the gates' word, and what the face check's gate asks; the slot is taken and used.
    with django_assert_num_queries(3), count_redis_calls() as calls:
        hold(category, person)

    assert calls == ["EVALSHA", "EVALSHA"]


# -- Redis away -------------------------------------------------------------------------------------------------------


def test_with_redis_away_who_was_let_in_still_buys_and_nobody_else(redis_away):
    category = line(max_active_users=2)
    active, called, waiting = people(3)
    join(category.event, active, called, waiting)
    services.drain_journal(category.event_id)
    Place.objects.filter(user=called).update(state="called", called_at=timezone.now(), slot_expires_at=None)

    redis_away()

    assert hold(category, active).is_hold
    assert hold(category, called).is_hold
    with pytest.raises(refusals.QueueRequired):
        hold(category, waiting)


def test_with_redis_away_a_slot_is_used_by_one_hold_only_too(redis_away):
    category = line(max_active_users=2)
    person = UserFactory()
    join(category.event, person)
    services.drain_journal(category.event_id)
    redis_away()
    booking = hold(category, person)

    bookings.give_up_hold(booking_id=booking.pk)

    with pytest.raises(refusals.QueueRequired):
        hold(category, person)


def test_with_redis_away_a_signed_admission_buys_before_it_was_written_down(redis_away):
    category = line(max_active_users=2)
    person, thief = people(2)
    (admitted,) = join(category.event, person)
    assert not Place.objects.filter(user=person).exists()

    redis_away()

    with pytest.raises(refusals.QueueRequired):
        hold(category, person)
    with presented(admitted.receipt), pytest.raises(WrongToken):
        hold(category, thief)
    with presented(admitted.receipt):
        assert hold(category, person).is_hold


def test_place_token_is_no_admission(redis_away):
    category = line(max_active_users=1)
    _, waiting = join(category.event, *people(2))
    person = UserFactory()
    token = tokens.sign(tokens.PLACE, event_id=category.event_id, user_id=person.pk, epoch=1, value=2**60)
    redis_away()

    assert waiting.receipt
    with presented(token), pytest.raises(refusals.QueueRequired):
        hold(category, person)


def test_admission_of_an_older_epoch_holds_after_redis_was_filled_anew():
    category = line(max_active_users=2)
    person, other = people(2)
    (admitted,) = join(category.event, person)
    lose(category.event)  # before anything was written down
    services.tick(category.event_id)

    with presented(admitted.receipt):
        assert hold(category, person).is_hold
    assert standing(category.event, person).status == "active"
    with pytest.raises(refusals.QueueRequired):
        hold(category, other)


def test_forged_and_foreign_tokens_are_refused():
    category, elsewhere = line(max_active_users=2), line(max_active_users=2)
    person, other = people(2)
    (mine,) = join(category.event, person)
    (foreign,) = join(elsewhere.event, person)
    (others,) = join(category.event, other)

    forged = mine.receipt[:-4] + "AAAA"
    for token in (foreign.receipt, others.receipt, forged, "x", "€", mine.receipt + "A" * 40):
        with presented(token), pytest.raises(WrongToken):
            hold(category, person)
    with presented(mine.receipt):
        assert hold(category, person).is_hold


# -- Reconciling ------------------------------------------------------------------------------------------------------


def test_hold_that_redis_was_not_told_of_takes_its_slot_with_the_next_tick(redis_away, settings):
    category = line(max_active_users=1)
    person, second = people(2)
    join(category.event, person, second)
    services.drain_journal(category.event_id)
    here = settings.QUEUE_REDIS_URL
    redis_away()
    booking = hold(category, person)
    settings.QUEUE_REDIS_URL = here
    store.client.cache_clear()
    Booking.objects.filter(pk=booking.pk).update(created_at=timezone.now() - timedelta(seconds=5))

    assert standing(category.event, person).booking_id is None
    services.tick(category.event_id)

    assert standing(category.event, person).booking_id == booking.pk
    assert busy(category.event) == 1


def test_end_that_redis_was_not_told_of_frees_the_slot_with_the_next_tick(redis_away, settings):
    category = line(max_active_users=1)
    person, second = people(2)
    join(category.event, person, second)
    booking = hold(category, person)
    here = settings.QUEUE_REDIS_URL
    redis_away()
    bookings.confirm_booking(booking_id=booking.pk)
    settings.QUEUE_REDIS_URL = here
    store.client.cache_clear()

    services.tick(category.event_id)

    assert standing(category.event, person).status == "done"
    assert members(category.event, "call") == {second.pk.bytes}
    assert (place(category.event, person).state, place(category.event, person).booking_id) == ("done", booking.pk)


def test_category_that_does_not_exist_has_no_slot():
    with pytest.raises(refusals.CategoryNotFound):
        bookings.hold_seats(user_id=UserFactory().pk, category_id=uuid4(), quantity=1)
