"""Joining, leaving, becoming eligible; and the counter that keeps a released seat for whoever waits."""

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models.functions import Now

from accounts.services import erase_user
from bookings.refusals import SoldOut
from bookings.services import give_up_hold, hold_seats
from common import jobs
from common.errors import IllegalTransition
from common.invariants import INVARIANTS
from events.models import Event, SeatInventory
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.races import race, results
from waitlist import queries, services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db
Status = WaitlistEntry.Status


def waiting(category):
    return SeatInventory.objects.get(category=category).waiting


def join(category, person=None, **wish):
    return services.join(user_id=(person or UserFactory()).pk, event_id=category.event_id, **wish)


def test_released_seat_is_for_who_waits_and_not_for_who_refreshes():
    category = TicketCategoryFactory(capacity=1)
    first = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)
    join(category)

    give_up_hold(booking_id=first.pk)

    assert waiting(category) == 1
    with pytest.raises(SoldOut):
        hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)


def test_ineligible_entry_keeps_its_time_and_blocks_nobody():
    category = TicketCategoryFactory(capacity=1)
    failed = join(category, reason="face_verification_failed", eligible=False)
    later = join(category)

    assert waiting(category) == 1
    services.join(user_id=failed.user_id, event_id=category.event_id, eligible=True)

    assert waiting(category) == 2
    assert [entry.pk for entry in queries.list_entries(event_id=category.event_id)] == [failed.pk, later.pk]
    failed.refresh_from_db()
    assert (queries.position_of(failed), failed.reason, failed.eligible) == (1, "tickets_sold_out", True)


def test_positions_are_computed_and_close_up_by_themselves():
    category = TicketCategoryFactory()
    entries = [join(category) for _ in range(3)]

    services.leave(user_id=entries[0].user_id, event_id=category.event_id)

    assert [queries.position_of(entry) for entry in entries[1:]] == [1, 2]
    entries[0].refresh_from_db()
    assert (entries[0].status, queries.position_of(entries[0])) == ("left", None)
    assert waiting(category) == 2


def test_entry_without_category_waits_for_every_category_of_its_event():
    event = EventFactory()
    cheap, dear = TicketCategoryFactory(event=event), TicketCategoryFactory(event=event)

    entry = join(cheap, quantity=2)

    assert entry.category_ids == []
    assert (waiting(cheap), waiting(dear)) == (2, 2)
    services.join(user_id=entry.user_id, event_id=event.pk, category_ids=[dear.pk], quantity=1)
    assert (waiting(cheap), waiting(dear)) == (0, 1)


def test_leaving_a_list_one_is_not_on_is_refused():
    with pytest.raises(services.NotOnWaitlist, match="User not found on waitlist"):
        services.leave(user_id=UserFactory().pk, event_id=EventFactory().pk)


@pytest.mark.django_db(transaction=True)
def test_many_joins_at_once_are_one_entry():
    category, person = TicketCategoryFactory(), UserFactory()

    outcomes = race([lambda: join(category, person) for _ in range(10)], gate="waitlist_waitlistentry")

    assert len({entry.pk for entry in results(outcomes)}) == 1
    assert len(results(outcomes)) == 10
    assert waiting(category) == 1


@pytest.mark.django_db(transaction=True)
def test_naive_join_makes_several_in_the_same_race():
    """The control: look, then insert, is stopped by the constraint only."""
    category, person = TicketCategoryFactory(), UserFactory()

    def naive():
        if not WaitlistEntry.objects.filter(user=person, event=category.event).exists():
            WaitlistEntry.objects.create(user=person, event=category.event)

    outcomes = race([naive for _ in range(10)], gate="waitlist_waitlistentry")

    assert sum(isinstance(outcome.error, IntegrityError) for outcome in outcomes) == 9


@pytest.mark.parametrize("status", Status.values)
@pytest.mark.parametrize("name", WaitlistEntry.TRANSITIONS)
def test_entry_moves_only_along_its_table(name, status):
    category = TicketCategoryFactory()
    ended = {} if status in WaitlistEntry.LIVE else {"ended_at": Now()}
    offer = {"offer_expires_at": Now()} if status == "offered" else {}
    entry = WaitlistEntry.objects.create(user=UserFactory(), event=category.event, status=status, **ended, **offer)
    step = WaitlistEntry.TRANSITIONS[name]
    changes = {"ended_at": None if step.target in WaitlistEntry.LIVE else Now()}
    if step.target == "offered":
        changes["offer_expires_at"] = Now()

    if status in step.sources:
        entry.transition(name, **changes)
        assert WaitlistEntry.objects.get(pk=entry.pk).status == step.target
    else:
        with pytest.raises(IllegalTransition):
            entry.transition(name, **changes)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "gone", "ended_at": Now()}, "waitlist_status_is_known"),
        ({"reason": "luck"}, "waitlist_reason_is_known"),
        ({"quantity": 0}, "waitlist_entry_wants_seats"),
        ({"status": "offered"}, "waitlist_offer_has_a_deadline_and_is_for_the_eligible"),
        ({"status": "left"}, "ended_waitlist_entry_has_its_time"),
    ],
)
def test_constraints_hold(values, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        WaitlistEntry.objects.create(user=UserFactory(), event=TicketCategoryFactory().event, **values)


def test_whom_an_entry_is_for_never_changes():
    entry = join(TicketCategoryFactory())

    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        WaitlistEntry.objects.filter(pk=entry.pk).update(user=UserFactory())


def test_entries_end_with_their_event():
    going, cancelled = TicketCategoryFactory(), TicketCategoryFactory()
    stays, ends = join(going), join(cancelled)
    Event.objects.filter(pk=cancelled.event_id).update(status="cancelled")

    assert jobs.run("waitlist.close_over") == 1

    assert WaitlistEntry.objects.get(pk=stays.pk).status == "waiting"
    assert WaitlistEntry.objects.get(pk=ends.pk).status == "expired"
    assert waiting(cancelled) == 0


def test_erased_person_waits_for_nothing():
    category = TicketCategoryFactory()
    entry = join(category, quantity=3)

    erase_user(user_id=entry.user_id)

    assert not WaitlistEntry.objects.filter(user_id=entry.user_id).exists()
    assert waiting(category) == 0


def test_invariant_finds_a_counter_that_is_wrong():
    category = TicketCategoryFactory()
    join(category)
    assert list(INVARIANTS["waitlist.waiting"]()) == []

    SeatInventory.objects.filter(category=category).update(waiting=5)

    assert len(list(INVARIANTS["waitlist.waiting"]())) == 1
