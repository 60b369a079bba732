"""A line that ends sold out becomes the waitlist, in the same order: once, for everybody who wants it, whenever they say so."""

import random
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Notification, User
from bookings.models import Booking
from bookings.services import cancel_booking, confirm_booking, hold_seats
from bookings.waitingroom import services as lines
from bookings.waitingroom import store
from bookings.waitingroom.erasure import leave_lines
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.wishes import Wish, freeze, set_wish
from common import jobs
from events.models import Event, SeatInventory
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race, results
from waitlist import handover, services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rush(db: None) -> Event:
    """An event with a line and two seats."""
    event = EventFactory(name="Night Swim", queue_enabled=True, max_active_users=1)
    TicketCategoryFactory(event=event, name="Standing", capacity=2)
    lines.ensure_room(event.pk)
    return event


def line_up(event: Event, count: int) -> list[User]:
    """Let so many people join, one after the other."""
    people = UserFactory.create_batch(count)
    for person in people:
        lines.join(user_id=person.pk, event_id=event.pk)
    return people


def sell_out(event: Event, buyer: User) -> None:
    """Let the first person in line buy every seat, and the line end."""
    lines.status(user_id=buyer.pk, event_id=event.pk)
    booking = hold_seats(user_id=buyer.pk, category_id=event.categories.get().pk, quantity=2)
    confirm_booking(booking_id=booking.pk)
    lines.tick(event.pk)
    assert WaitingRoom.objects.get(pk=event.pk).state == "sold_out"


def wants(person: User, event: Event, quantity: int = 1) -> None:
    set_wish(user_id=person.pk, event_id=event.pk, mail_at_turn=False, waitlist_quantity=quantity)


def order(event: Event) -> list:
    """Return who waits, in the order of the waitlist."""
    return [entry.user_id for entry in WaitlistEntry.objects.filter(event=event).order_by("joined_at", "id")]


def finish(event: Event, limit: int = 200) -> None:
    """Hand the line over to the end, in batches."""
    while handover.hand_over(event_id=event.pk, limit=limit):
        pass


def test_two_hundred_people_stand_on_the_waitlist_as_they_stood_in_line(rush: Event) -> None:
    buyer, *people = line_up(rush, 201)
    for person in people:
        wants(person, rush, 2)
    sell_out(rush, buyer)
    later = UserFactory()
    services.join_as_buyer(user_id=later.pk, event_id=rush.pk)

    finish(rush, limit=70)

    assert order(rush) == [*[person.pk for person in people], later.pk]
    entries = WaitlistEntry.objects.filter(event=rush)
    assert set(entries.exclude(user=later).values_list("quantity", "eligible", "status")) == {(2, True, "waiting")}
    assert SeatInventory.objects.get().waiting == 2 * 200 + 1
    assert entries.filter(user__in=people, joined_at__gte=WaitingRoom.objects.get().ended_at).count() == 0


def test_a_drawn_order_is_kept_too(rush: Event) -> None:
    """The keys of those who were drawn are no order of arrival."""
    buyer, *people = line_up(rush, 41)
    sell_out(rush, buyer)
    lines.drain_journal(rush.pk)
    shuffled = list(people)
    random.Random(7).shuffle(shuffled)
    for key, person in enumerate(shuffled):
        Place.objects.filter(event=rush, user=person).update(order_key=1000 * key)
        wants(person, rush)

    finish(rush)

    assert order(rush) == [person.pk for person in shuffled]


def test_a_second_run_changes_nothing_and_who_left_is_not_put_back(rush: Event) -> None:
    buyer, first, second = line_up(rush, 3)
    for person in (first, second):
        wants(person, rush)
    sell_out(rush, buyer)
    finish(rush)
    before = list(WaitlistEntry.objects.order_by("joined_at").values_list("user_id", "joined_at"))
    services.leave(user_id=first.pk, event_id=rush.pk)

    finish(rush)
    assert jobs.JOBS["waitlist.hand_over"].run() == 0

    assert list(WaitlistEntry.objects.order_by("joined_at").values_list("user_id", "joined_at")) == before
    assert WaitlistEntry.objects.get(user=first).status == "left"
    with pytest.raises(handover.NothingToClaim):
        handover.claim(user_id=first.pk, event_id=rush.pk, quantity=1)


def test_who_did_not_say_so_is_asked_and_stands_where_they_stood(rush: Event) -> None:
    buyer, silent, keen = line_up(rush, 3)
    wants(keen, rush)
    sell_out(rush, buyer)

    finish(rush)

    assert order(rush) == [keen.pk]
    told = Notification.objects.filter(kind="line_sold_out")
    assert [note.user_id for note in told] == [silent.pk]
    entry = handover.claim(user_id=silent.pk, event_id=rush.pk, quantity=1)
    assert handover.claim(user_id=silent.pk, event_id=rush.pk, quantity=1) == entry
    assert order(rush) == [silent.pk, keen.pk]
    assert Notification.objects.filter(kind="line_sold_out").count() == 1


def test_the_waitlists_own_door_keeps_the_place_too(rush: Event) -> None:
    buyer, person, keen = line_up(rush, 3)
    wants(keen, rush)
    sell_out(rush, buyer)
    finish(rush)

    services.join_as_buyer(user_id=person.pk, event_id=rush.pk)

    assert order(rush) == [person.pk, keen.pk]


def test_who_is_quicker_than_the_worker_has_their_place(rush: Event) -> None:
    buyer, first, second = line_up(rush, 3)
    lines.drain_journal(rush.pk)
    sell_out(rush, buyer)

    handover.claim(user_id=second.pk, event_id=rush.pk, quantity=1)
    handover.claim(user_id=first.pk, event_id=rush.pk, quantity=1)

    assert order(rush) == [first.pk, second.pk]


def test_who_bought_left_or_never_came_has_nothing_to_claim(rush: Event) -> None:
    buyer, gone = line_up(rush, 2)
    lines.leave(user_id=gone.pk, event_id=rush.pk)
    sell_out(rush, buyer)
    finish(rush)

    for person in (buyer, gone, UserFactory()):
        with pytest.raises(handover.NothingToClaim):
            handover.claim(user_id=person.pk, event_id=rush.pk, quantity=1)
    assert WaitlistEntry.objects.count() == 0


def test_an_erased_person_has_no_wishes_and_nothing_to_claim(rush: Event) -> None:
    buyer, person, other = line_up(rush, 3)
    wants(person, rush)
    lines.drain_journal(rush.pk)
    leave_lines(user_id=person.pk)
    sell_out(rush, buyer)

    finish(rush)

    assert Wish.objects.filter(user=person).count() == 0
    assert WaitlistEntry.objects.count() == 0
    assert list(Wish.objects.filter(waitlist_since__isnull=False).values_list("user_id", flat=True)) == [other.pk]


def test_seats_that_come_back_are_offered_in_the_order_of_the_line(rush: Event) -> None:
    buyer, first, second = line_up(rush, 3)
    for person in (first, second):
        wants(person, rush)
    sell_out(rush, buyer)
    finish(rush)
    cancel_booking(booking_id=Booking.objects.get(user=buyer).pk, by="staff", reason="Asked for it")

    offers = services.offer_next(event_id=rush.pk)

    assert [offer.user_id for offer in offers] == [first.pk, second.pk]


def test_while_the_line_moves_nothing_is_handed_over(rush: Event) -> None:
    _, person = line_up(rush, 2)
    wants(person, rush)
    lines.drain_journal(rush.pk)

    finish(rush)

    assert WaitlistEntry.objects.count() == 0
    assert Wish.objects.filter(waitlist_since__isnull=False).count() == 0


def test_an_unverified_person_keeps_their_time_and_is_offered_nothing(rush: Event) -> None:
    buyer, person = line_up(rush, 2)
    wants(person, rush)
    sell_out(rush, buyer)
    Event.objects.update(requires_face_verification=True, face_necessity="Resale.", max_tickets_per_booking=1)

    finish(rush)

    assert WaitlistEntry.objects.get().eligible is False


def test_without_redis_what_is_written_down_is_handed_over(rush: Event, settings) -> None:
    buyer, person = line_up(rush, 2)
    wants(person, rush)
    lines.drain_journal(rush.pk)
    sell_out(rush, buyer)
    settings.QUEUE_REDIS_URL = "unix:///nowhere.sock"
    store.client.cache_clear()
    try:
        finish(rush)
    finally:
        store.client.cache_clear()

    assert order(rush) == [person.pk]


def test_a_crowd_of_workers_and_clicks_puts_everybody_on_the_list_once(rush: Event) -> None:
    buyer, *people = line_up(rush, 13)
    for person in people[:6]:
        wants(person, rush)
    sell_out(rush, buyer)
    lines.drain_journal(rush.pk)
    clicks = [
        lambda person=person: handover.claim(user_id=person.pk, event_id=rush.pk, quantity=1)
        for person in (*people, *people[:3])
    ]

    outcomes = race([*[lambda: finish(rush)] * 3, *clicks])

    assert errors(outcomes) == []
    assert order(rush) == [person.pk for person in people]


def naive_claim(person: User, event: Event) -> WaitlistEntry:
    """Claim by looking first, without the person's lock and without using the claim up."""
    since = Wish.objects.get(event=event, user=person).waitlist_since
    with transaction.atomic():
        known = WaitlistEntry.objects.filter(user=person, event=event, status__in=WaitlistEntry.LIVE).first()
        if known is None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM waitlist_waitlistentry LIMIT 0 FOR UPDATE")
            known = WaitlistEntry.objects.create(user=person, event=event, joined_at=since)
    return known


def test_two_clicks_at_once_are_one_place(rush: Event) -> None:
    buyer, person, rival = line_up(rush, 3)
    sell_out(rush, buyer)
    lines.drain_journal(rush.pk)
    freeze(event_id=rush.pk)

    fine = race(
        [lambda: handover.claim(user_id=person.pk, event_id=rush.pk, quantity=1)] * 4, gate="waitlist_waitlistentry"
    )
    naive = race([lambda: naive_claim(rival, rush)] * 4, gate="waitlist_waitlistentry")

    assert len({entry.pk for entry in results(fine)}) == 1
    assert errors(fine) == []
    assert errors(naive) != []


def test_only_lines_of_the_last_day_are_swept(rush: Event) -> None:
    buyer, person = line_up(rush, 2)
    wants(person, rush)
    sell_out(rush, buyer)
    WaitingRoom.objects.update(ended_at=timezone.now() - timedelta(days=2))

    jobs.JOBS["waitlist.hand_over"].run()

    assert WaitlistEntry.objects.count() == 0
