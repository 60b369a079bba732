"""Joining as a buyer, the rest of a booking, changing one's wish; and the counters behind them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Notification
from bookings import services as bookings
from bookings.models import Booking
from bookings.refusals import CategoryNotFound, SoldOut, VerificationRequired
from events.models import Event
from events.refusals import EventNotFound
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.waitlist.worlds import broken, counters, hold, join, line, offer_all, sold_out
from waitlist import refusals, services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sound():
    yield
    assert broken() == []


def test_buyer_joins_a_sold_out_event_and_is_told():
    category, _ = sold_out(4)
    person = UserFactory()

    entry = join(category, person, quantity=3, all_together=True)

    assert (entry.status, entry.quantity, entry.all_together, entry.eligible) == ("waiting", 3, True, True)
    assert counters(category)[4] == 3
    told = Notification.objects.get(user=person, kind="waitlist_joined")
    assert (told.url, told.context["wish"]) == (f"/waitlist/{entry.pk}", f"3 tickets together, {category.name}")


def test_second_entry_is_refused_with_the_first():
    category, _ = sold_out()
    entry = join(category)

    with pytest.raises(refusals.AlreadyWaiting) as refusal:
        join(category, entry.user)

    assert refusal.value.extra == {"entry": str(entry.pk)}


@pytest.mark.parametrize(("wish", "available"), [({"quantity": 1}, 2), ({"quantity": 5}, 2), ({"quantity": 2}, 2)])
def test_nobody_waits_for_what_is_on_sale(wish, available):
    category = TicketCategoryFactory(capacity=2)

    with pytest.raises(refusals.TicketsAvailable) as refusal:
        join(category, **wish)

    assert refusal.value.extra == {"available": available, "category_id": str(category.pk)}


def test_who_wants_more_together_than_are_on_sale_may_wait_and_keeps_them_from_nobody():
    category = TicketCategoryFactory(capacity=2)

    entry = join(category, quantity=3, all_together=True)

    assert entry.aside_for == "too_few_together"
    assert hold(category, quantity=2).quantity == 2


def test_category_on_sale_keeps_nobody_from_waiting_for_another():
    event = EventFactory()
    full, other = TicketCategoryFactory(event=event, capacity=1), TicketCategoryFactory(event=event)
    hold(full)

    assert join(full).category_ids == [full.pk]
    with pytest.raises(refusals.TicketsAvailable):
        join(full, category_ids=[full.pk, other.pk])
    with pytest.raises(refusals.TicketsAvailable):
        join(full, category_ids=[])


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"status": "cancelled"}, refusals.EventCancelled),
        ({"status": "completed"}, refusals.SaleClosed),
        ({"status": "draft"}, EventNotFound),
        ({"sale_starts_at": timedelta(hours=1)}, refusals.SaleNotOpen),
        ({"sale_ends_at": timedelta(seconds=-1)}, refusals.SaleClosed),
        ({"deleted_at": timedelta()}, EventNotFound),
    ],
)
def test_nobody_waits_for_an_event_that_sells_nothing(event, error):
    category, _ = sold_out()
    changes = {name: timezone.now() + value if isinstance(value, timedelta) else value for name, value in event.items()}
    Event.objects.filter(pk=category.event_id).update(**changes)

    with pytest.raises(error):
        join(category)


def test_wish_must_make_sense():
    category, _ = sold_out(event__max_tickets_per_booking=4)
    elsewhere = TicketCategoryFactory()

    with pytest.raises(refusals.BadWish):
        join(category, quantity=0)
    with pytest.raises(refusals.TooManyTickets):
        join(category, quantity=5)
    with pytest.raises(CategoryNotFound):
        join(category, category_ids=[elsewhere.pk])


def test_tickets_one_has_count_against_what_one_may_wait_for():
    category = TicketCategoryFactory(capacity=3, event__max_tickets_per_booking=4)
    person = UserFactory()
    hold(category, person, quantity=3)

    with pytest.raises(refusals.TicketLimit) as refusal:
        join(category, person, quantity=2)

    assert refusal.value.extra == {"limit": 4, "room": 1}
    assert join(category, person, quantity=1).quantity == 1


def test_unverified_buyer_of_an_event_that_checks_faces_keeps_a_place_and_no_seat():
    category, _ = sold_out()
    Event.objects.filter(pk=category.event_id).update(requires_face_verification=True, face_necessity="Resale")

    entry = join(category)

    assert (entry.eligible, counters(category)[4]) == (False, 0)
    told = Notification.objects.get(user=entry.user, kind="waitlist_joined")
    assert "Get verified first" in told.context["until_verified"]


# -- The rest of a booking --------------------------------------------------------------------------------------------


def test_rest_of_a_partial_booking_waits_and_keeps_its_time_when_the_hold_ends():
    category = TicketCategoryFactory(capacity=3)
    person = UserFactory()

    held = bookings.hold_or_wait(user_id=person.pk, category_id=category.pk, quantity=5)

    entry = WaitlistEntry.objects.get(pk=held.entry_id)
    assert (held.booking.quantity, entry.quantity, entry.category_ids) == (3, 2, [category.pk])
    behind = join(category)
    bookings.give_up_hold(booking_id=held.booking.pk)
    assert line(category) == [entry.pk, behind.pk]
    first, second = offer_all(category)
    assert (first.entry_id, first.quantity, second.entry_id) == (entry.pk, 2, behind.pk)


def test_rest_is_offered_to_who_holds_the_first_part():
    category, holds = sold_out(3)
    bookings.give_up_hold(booking_id=holds[0].pk)
    person = UserFactory()
    held = bookings.hold_or_wait(user_id=person.pk, category_id=category.pk, quantity=2)
    bookings.confirm_booking(booking_id=held.booking.pk)
    bookings.give_up_hold(booking_id=holds[1].pk)

    [offer] = offer_all(category)
    booking = services.accept_offer(entry_id=offer.entry_id, user_id=person.pk)

    assert (booking.quantity, booking.source) == (1, "waitlist")
    assert Booking.objects.filter(user=person, status__in=["pending", "confirmed"]).count() == 2


def test_nothing_left_is_a_place_on_the_list_and_no_booking_of_no_seats():
    category, _ = sold_out(2)
    person = UserFactory()

    held = bookings.hold_or_wait(user_id=person.pk, category_id=category.pk, quantity=2)

    assert held.booking is None
    assert WaitlistEntry.objects.get(pk=held.entry_id).quantity == 2
    assert not Booking.objects.filter(user=person).exists()


def test_seats_that_belong_to_those_who_wait_are_not_booked_in_part():
    category, holds = sold_out(2)
    waits = join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)

    held = bookings.hold_or_wait(user_id=UserFactory().pk, category_id=category.pk, quantity=1)

    assert held.booking is None
    assert line(category) == [waits.pk, held.entry_id]


def test_all_that_is_wanted_is_a_booking_and_no_place():
    category = TicketCategoryFactory(capacity=3)

    held = bookings.hold_or_wait(user_id=UserFactory().pk, category_id=category.pk, quantity=3)

    assert (held.booking.quantity, held.entry_id) == (3, None)


def test_refused_partial_booking_leaves_nothing():
    category, _ = sold_out()
    Event.objects.filter(pk=category.event_id).update(requires_face_verification=True, face_necessity="Resale")

    with pytest.raises(VerificationRequired):
        bookings.hold_or_wait(user_id=UserFactory().pk, category_id=category.pk, quantity=2)
    with pytest.raises(CategoryNotFound):
        bookings.hold_or_wait(user_id=UserFactory().pk, category_id=category.pk, event_id=EventFactory().pk, quantity=2)

    assert not WaitlistEntry.objects.exists()


def test_who_waits_already_keeps_that_place_as_it_is():
    category, _ = sold_out()
    entry = join(category)

    held = bookings.hold_or_wait(user_id=entry.user_id, category_id=category.pk, quantity=4)

    entry.refresh_from_db()
    assert (held, entry.quantity) == ((None, entry.pk), 1)


# -- Changing one's mind ----------------------------------------------------------------------------------------------


def test_fewer_seats_keep_the_place_and_more_begin_at_the_end():
    category, _ = sold_out()
    first, second = join(category, quantity=3), join(category)

    services.change_wish(user_id=first.user_id, event_id=category.event_id, quantity=2, all_together=True)
    assert (line(category), counters(category)[4]) == ([first.pk, second.pk], 3)
    services.change_wish(user_id=first.user_id, event_id=category.event_id, quantity=4)
    assert (line(category), counters(category)[4]) == ([second.pk, first.pk], 5)


def test_other_categories_move_the_counters():
    event = EventFactory()
    stalls, circle = TicketCategoryFactory(event=event, capacity=1), TicketCategoryFactory(event=event, capacity=1)
    hold(stalls)
    hold(circle)
    entry = join(stalls, quantity=2)

    services.change_wish(user_id=entry.user_id, event_id=event.pk, category_ids=[circle.pk])
    assert (counters(stalls)[4], counters(circle)[4]) == (0, 2)
    services.change_wish(user_id=entry.user_id, event_id=event.pk, category_ids=[])
    assert (counters(stalls)[4], counters(circle)[4]) == (2, 2)


def test_change_makes_an_entry_count_again_that_was_aside():
    category = TicketCategoryFactory(capacity=2)
    entry = join(category, quantity=3, all_together=True)

    services.change_wish(user_id=entry.user_id, event_id=category.event_id, quantity=2)

    with pytest.raises(SoldOut):
        hold(category)
    assert [offer.quantity for offer in offer_all(category)] == [2]


def test_only_who_waits_changes_a_wish():
    category, holds = sold_out()
    entry = join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    offer_all(category)

    for user_id in (entry.user_id, UserFactory().pk):
        with pytest.raises(refusals.NotOnWaitlist):
            services.change_wish(user_id=user_id, event_id=category.event_id, quantity=2)
