"""What is written down, what is lost with Redis, and how a line comes back."""

import random
from datetime import timedelta

import pytest
import redis
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import StaffAction
from bookings import services as bookings
from bookings.waitingroom import services, store, tasks, tokens
from bookings.waitingroom.erasure import leave_lines
from bookings.waitingroom.locks import only_one
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.refusals import LineAway, LineRestoring
from bookings.waitingroom.services import drawing, journal
from bookings.waitingroom.services.journal import write_down
from common import ratelimit
from common.invariants import breaches
from tests.factories import UserFactory
from tests.races import race, results
from tests.waitingroom.lines import busy, join, line, lose, members, people, place, positions, standing, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def rows(event):
    return list(Place.objects.filter(event=event).order_by("order_key").values_list("user_id", "state", "order_key"))


# -- The journal ------------------------------------------------------------------------------------------------------


def test_journal_is_written_down_in_the_order_of_the_line():
    event = line(max_active_users=1).event
    persons = people(4)
    join(event, *persons)

    assert services.drain_journal(event.pk) == 6  # four joined, one was called and came

    assert [(user, state) for user, state, _ in rows(event)] == [
        (persons[0].pk, "active"),
        (persons[1].pk, "waiting"),
        (persons[2].pk, "waiting"),
        (persons[3].pk, "waiting"),
    ]
    assert store.snapshot(event.pk).journal_length == 0
    assert services.drain_journal(event.pk) == 0


def test_batch_that_is_read_again_changes_nothing():
    event = line(max_active_users=1).event
    persons = people(3)
    join(event, *persons)
    entries = store.journal(event.pk, 100)
    write_down(event.pk, entries)  # and here it was killed, before the head was cut off
    before = rows(event)
    services.leave(user_id=persons[1].pk, event_id=event.pk)

    services.drain_journal(event.pk)

    assert [row for row in rows(event) if row[0] != persons[1].pk] == [row for row in before if row[0] != persons[1].pk]
    assert place(event, persons[1]).state == "left"


def test_many_drainers_at_once_write_everything_once():
    event = line(capacity=10_000, max_active_users=1).event
    persons = people(60)
    join(event, *persons)

    done = results(race([lambda: services.drain_journal(event.pk)] * 6))

    assert sum(done) == 62
    assert Place.objects.filter(event=event).count() == 60


def test_strangers_in_the_journal_do_not_stop_it():
    event = line(max_active_users=1).event
    person = UserFactory()
    store.call("join", event.pk, random.randbytes(16), "")
    join(event, person)

    services.drain_journal(event.pk)

    assert [user for user, *_ in rows(event)] == [person.pk]


def test_whole_life_of_a_place_is_written_down():
    category = line(max_active_users=1)
    person = UserFactory()
    join(category.event, person)
    booking = bookings.hold_seats(user_id=person.pk, category_id=category.pk, quantity=1)
    services.drain_journal(category.event_id)
    found = place(category.event, person)
    assert (found.state, found.booking_id, found.slot_expires_at) == (
        "active",
        booking.pk,
        booking.expires_at.replace(microsecond=booking.expires_at.microsecond // 1000 * 1000),
    ) or abs(found.slot_expires_at - booking.expires_at) < timedelta(milliseconds=2)

    bookings.confirm_booking(booking_id=booking.pk)
    services.drain_journal(category.event_id)

    found = place(category.event, person)
    assert (found.state, found.outcome) == ("done", "bought")
    assert found.joined_at <= found.called_at <= found.admitted_at <= found.ended_at


def test_new_place_begins_with_a_clean_row():
    event = line(max_active_users=1).event
    first, person = people(2)
    join(event, person, first)
    services.leave(user_id=person.pk, event_id=event.pk)
    services.drain_journal(event.pk)

    join(event, person)
    services.drain_journal(event.pk)

    found = place(event, person)
    assert (found.state, found.called_at, found.ended_at, found.outcome) == ("waiting", None, None, "")


# -- Loss and return --------------------------------------------------------------------------------------------------


def test_line_comes_back_in_the_same_order():
    event = line(max_active_users=2).event
    persons = people(12)
    join(event, *persons)
    services.drain_journal(event.pk)
    before = positions(event, persons)

    lose(event)
    again = [standing(event, person) for person in persons]

    assert [one.position for one in again] == before
    assert [one.status for one in again[:2]] == ["active", "active"]
    assert WaitingRoom.objects.get(pk=event.pk).epoch == 2


def test_drawn_line_comes_back_in_its_order_before_and_after_its_keys_are_written():
    event = line(lobby=True, max_active_users=1).event
    persons = people(15)
    join(event, *persons)
    services.open_line(event.pk)
    late = people(2)
    join(event, *late)
    services.drain_journal(event.pk)
    before = positions(event, [*persons, *late])
    assert Place.objects.filter(event=event, arrival__isnull=False, order_key=None).exists()

    lose(event)
    assert positions(event, [*persons, *late]) == before
    services.tick(event.pk)
    assert not Place.objects.filter(event=event, order_key=None).exists()
    lose(event)
    assert positions(event, [*persons, *late]) == before


def test_lobby_comes_back_as_a_lobby_and_is_drawn():
    event = line(lobby=True, max_active_users=1).event
    persons = people(5)
    join(event, *persons)
    services.drain_journal(event.pk)

    lose(event)

    assert set(statuses(event, persons)) == {"lobby"}
    services.open_line(event.pk)
    assert sorted(filter(None, positions(event, persons))) == [1, 2, 3, 4]


def test_slot_keeps_its_time_and_its_hold_through_a_loss():
    category = line(max_active_users=2)
    holding, active, third = people(3)
    join(category.event, holding, active, third)
    booking = bookings.hold_seats(user_id=holding.pk, category_id=category.pk, quantity=1)
    until = standing(category.event, active).expires_at
    services.drain_journal(category.event_id)

    lose(category.event)

    assert standing(category.event, active).expires_at == until
    assert standing(category.event, holding).booking_id == booking.pk
    assert standing(category.event, third).position == 1
    bookings.confirm_booking(booking_id=booking.pk)
    assert standing(category.event, third).status == "active"


def test_called_person_is_called_again_and_a_miss_is_remembered():
    event = line(max_active_users=1).event
    first, second = people(2)
    join(event, first, second)
    services.leave(user_id=first.pk, event_id=event.pk)
    services.drain_journal(event.pk)
    Place.objects.filter(user=second).update(misses=1)

    lose(event)
    services.tick(event.pk)

    assert members(event, "call") == {second.pk.bytes}
    assert store.client().sismember(store.key(event.pk, "missed"), second.pk.bytes)


def test_everybody_asking_at_once_after_a_loss_fills_it_once():
    event = line(max_active_users=1).event
    persons = people(8)
    join(event, *persons)
    services.drain_journal(event.pk)
    lose(event)

    found = results(race([lambda person=person: standing(event, person).status for person in persons]))

    assert set(found) <= {"active", "waiting", "restoring"}
    assert WaitingRoom.objects.get(pk=event.pk).epoch == 2
    assert positions(event, persons[1:]) == list(range(1, 8))


def test_while_it_is_filled_nobody_joins_and_status_says_so():
    event = line(max_active_users=1).event
    waiting = people(2)
    join(event, *waiting)
    store.client().hset(store.key(event.pk, "cfg"), "state", "rebuilding")

    with pytest.raises(LineRestoring) as refusal:
        join(event, UserFactory())
    with pytest.raises(LineRestoring):
        services.leave(user_id=waiting[1].pk, event_id=event.pk)

    assert (refusal.value.status, refusal.value.retry_after) == (503, 2)
    assert statuses(event, waiting) == ["active", "restoring"]
    services.tick(event.pk)
    assert statuses(event, waiting) == ["active", "waiting"]


def test_older_epoch_is_refused_by_the_tick_and_filled_anew():
    event = line(max_active_users=1).event
    persons = people(3)
    join(event, *persons)
    services.drain_journal(event.pk)
    WaitingRoom.objects.filter(pk=event.pk).update(epoch=7)

    with pytest.raises(store.Stale):
        store.promote(event.pk, epoch=7)
    services.tick(event.pk)

    assert WaitingRoom.objects.get(pk=event.pk).epoch == 8
    assert store.snapshot(event.pk).epoch == 8
    assert positions(event, persons) == [None, 1, 2]


def test_lost_tail_is_found_by_its_numbers_and_everything_is_filled_anew():
    event = line(max_active_users=1).event
    known, lost, after = people(3)
    join(event, known)
    services.drain_journal(event.pk)
    saved = {key: store.client().dump(key) for key in store.keys(event.pk) if store.client().exists(key)}
    join(event, lost)
    services.drain_journal(event.pk)
    lose(event)
    for key, value in saved.items():  # the file was a moment older than the crash
        store.client().restore(key, 0, value)

    join(event, after)
    services.tick(event.pk)

    assert positions(event, [known, lost, after]) == [None, 1, 2]


def test_operators_rebuild_loses_nothing_that_was_not_written_down_yet():
    event = line(max_active_users=1).event
    persons = people(6)
    join(event, *persons)

    assert services.rebuild(event.pk) == 6

    assert positions(event, persons) == [None, 1, 2, 3, 4, 5]
    (late,) = join(event, UserFactory())
    assert late.position == 6


def test_lines_lock_is_one_process_at_a_time():
    event = line().event

    def locked():
        with only_one(event.pk) as mine:
            if mine:
                return results(race([lambda: held(event)]))
            return None

    assert locked() == [False]


def held(event):
    with only_one(event.pk) as mine:
        return mine


# -- Tokens -----------------------------------------------------------------------------------------------------------


def test_token_brings_back_a_place_that_was_never_written_down():
    event = line(max_active_users=1).event
    persons = people(4)
    join(event, *persons[:3])
    services.drain_journal(event.pk)
    (unwritten,) = join(event, persons[3])
    lose(event)
    late = UserFactory()
    join(event, late)

    found = services.join(user_id=persons[3].pk, event_id=event.pk, token=unwritten.receipt)

    assert found.position == 3
    assert positions(event, [late]) == [4]


def test_token_of_a_place_that_was_given_up_brings_nothing_back():
    event = line(max_active_users=1).event
    persons = people(3)
    receipts = join(event, *persons)
    services.leave(user_id=persons[1].pk, event_id=event.pk)
    services.drain_journal(event.pk)
    lose(event)

    found = services.join(user_id=persons[1].pk, event_id=event.pk, token=receipts[1].receipt)

    assert found.position == 2


def test_token_of_the_current_epoch_moves_nobody():
    event = line(max_active_users=1).event
    persons = people(3)
    join(event, *persons)
    thief = UserFactory()
    token = tokens.sign(tokens.PLACE, event_id=event.pk, user_id=thief.pk, epoch=1, value=5)

    assert services.join(user_id=thief.pk, event_id=event.pk, token=token).position == 3


def test_token_of_somebody_else_is_refused():
    event = line(max_active_users=1).event
    _, second = join(event, *people(2))

    with pytest.raises(tokens.WrongToken):
        services.join(user_id=UserFactory().pk, event_id=event.pk, token=second.receipt)


# -- Redis away -------------------------------------------------------------------------------------------------------


def test_redis_away_is_said_and_nothing_happens(settings):
    event = line(max_active_users=1).event
    person = UserFactory()
    settings.QUEUE_REDIS_URL = "unix:///nowhere/redis.sock"
    store.client.cache_clear()

    try:
        for act in (services.join, services.status, services.leave):
            with pytest.raises(LineAway) as refusal:
                act(user_id=person.pk, event_id=event.pk)
            assert refusal.value.status == 503
        assert services.tick(event.pk) == 0
        with pytest.raises(redis.RedisError):
            services.drain_journal(event.pk)
    finally:
        store.client.cache_clear()


# -- The rest ---------------------------------------------------------------------------------------------------------


def test_erased_person_leaves_every_line():
    one, two = line(max_active_users=1).event, line(max_active_users=1).event
    first, person = people(2)
    for event in (one, two):
        join(event, first, person)
        services.drain_journal(event.pk)

    leave_lines(user_id=person.pk, cancel=True)

    assert [standing(event, person).status for event in (one, two)] == ["outside", "outside"]
    assert {found.state for found in Place.objects.filter(user=person)} == {"left"}


def test_staffs_hand_is_in_the_audit():
    event, staff = line(max_active_users=1).event, UserFactory(is_staff=True)
    person = UserFactory()

    services.pause(event.pk, reason="Slow payments", actor_id=staff.pk)
    services.set_message(event.pk, message="Ten minutes", actor_id=staff.pk)
    services.set_rate(event.pk, per_minute=30, actor_id=staff.pk)
    services.resume(event.pk, actor_id=staff.pk)
    services.admit(event.pk, user_id=person.pk, actor_id=staff.pk, reason="Wheelchair place")
    services.close(event.pk, actor_id=staff.pk, reason="Storm")

    found = StaffAction.objects.filter(object_id=str(event.pk)).order_by("pk").values_list("action", flat=True)
    assert list(found) == [
        "pause_line",
        "set_line_message",
        "set_line_rate",
        "resume_line",
        "admit_from_line",
        "close_line",
    ]


def test_invariants_hold_after_a_sale_and_find_what_does_not(capsys):
    category = line(lobby=True, max_active_users=2)
    persons = people(6)
    join(category.event, *persons)
    services.open_line(category.event_id)
    services.tick(category.event_id)
    for person in persons:
        if standing(category.event, person).status == "active":
            bookings.hold_seats(user_id=person.pk, category_id=category.pk, quantity=1)
    services.tick(category.event_id)
    names = ("waitingroom.turnstile", "waitingroom.slots", "waitingroom.order")
    assert [breaches()[name] for name in names] == [[], [], []]

    past = timezone.now() - timedelta(hours=2)
    Place.objects.filter(event=category.event).update(
        state="active", order_key=5, admitted_at=past, slot_expires_at=timezone.now() + timedelta(hours=1)
    )
    Place.objects.filter(event=category.event, user=persons[0]).update(arrival=None)
    type(category.event).objects.filter(pk=category.event_id).update(updated_at=past)
    found = breaches()

    assert len(found["waitingroom.turnstile"]) == 1
    assert len(found["waitingroom.order"]) == 2


def test_command_shows_and_steers_a_line(capsys):
    event, person = line(max_active_users=1).event, UserFactory()
    join(event, *people(2))

    def queue(*arguments):
        call_command("queue", *map(str, arguments))
        return capsys.readouterr().out

    assert "waiting: 1" in queue("status", event.pk)
    assert '"active": 1' in queue("status", event.pk, "--json")
    queue("pause", event.pk, "--reason", "Slow payments")
    assert "paused" in queue("status", event.pk)
    queue("resume", event.pk)
    assert "2 people" in queue("rebuild", event.pk)
    queue("admit", event.pk, "--user", person.email, "--reason", "Wheelchair place")
    assert busy(event) == 2
    queue("rate", event.pk, "--per-minute", "5")
    queue("message", event.pk, "--text", "Hello")
    queue("tick", event.pk)
    queue("close", event.pk)
    assert "ended" in queue("status", event.pk)
    queue("open", event.pk)
    with pytest.raises(CommandError):
        queue("open", event.pk)
    with pytest.raises(CommandError):
        queue("admit", event.pk, "--user", "nobody@example.test")


def test_journal_names_every_script_change():
    assert {kind for kind in "jcsabepnrfxdl" if journal.changes(entry(kind)) == {}} == set()


def entry(kind):
    extra = b"1" * 16 if kind == "b" else b"5"
    return store.Entry(b"1-0", 1, kind, UserFactory.build().pk, 1, 1, extra)


def test_filling_that_was_killed_half_way_is_done_again():
    event = line(max_active_users=1).event
    persons = people(5)
    join(event, *persons)
    services.drain_journal(event.pk)
    services.rebuild(event.pk)
    store.client().hset(store.key(event.pk, "cfg"), "state", "rebuilding")
    store.client().delete(store.key(event.pk, "q"), store.key(event.pk, "act"))  # it got no further than this

    assert statuses(event, persons[:1]) == ["restoring"]
    services.tick(event.pk)

    assert positions(event, persons) == [None, 1, 2, 3, 4]


def test_draw_goes_on_where_it_was_killed():
    event = line(lobby=True, max_active_users=1).event
    persons = people(10)
    join(event, *persons)
    services.drain_journal(event.pk)
    WaitingRoom.objects.filter(pk=event.pk).update(state="drawing", opens_at=timezone.now(), closed_at=timezone.now())
    store.call("close_list", event.pk)
    drawing.close_the_list(WaitingRoom.objects.get(pk=event.pk))
    room = WaitingRoom.objects.get(pk=event.pk)
    users = dict(Place.objects.filter(event=event).values_list("entry", "user_id"))
    order = [users[entry].bytes for _, entry in drawing.drawn_order(room)]
    keys = [key for key, _ in drawing.drawn_order(room)]
    store.call("place", event.pk, 4, *(part for pair in list(zip(keys, order, strict=True))[:4] for part in pair))

    services.draw_list(event.pk)

    front = [*store.client().zrange(store.key(event.pk, "call"), 0, -1)]
    assert [*front, *store.client().zrange(store.key(event.pk, "q"), 0, -1)] == order


def test_large_line_is_drawn_and_filled_by_a_task_of_its_own(monkeypatch):
    monkeypatch.setattr(drawing, "LARGE", 3)
    event = line(lobby=True, max_active_users=1).event
    persons = people(6)
    join(event, *persons)
    services.drain_journal(event.pk)
    type(event).objects.filter(pk=event.pk).update(sale_starts_at=timezone.now())

    queued = ratelimit.connection().llen("celery")
    services.tick_all()
    assert ratelimit.connection().llen("celery") == queued + 1
    assert WaitingRoom.objects.get(pk=event.pk).state == "lobby"
    tasks.work(event_id=str(event.pk))
    assert WaitingRoom.objects.get(pk=event.pk).state == "open"
    lose(event)
    services.tick_all()
    assert ratelimit.connection().llen("celery") == queued + 2
    tasks.work(event_id=str(event.pk))

    assert store.snapshot(event.pk).epoch == 2
    assert sorted(filter(None, positions(event, persons))) == [1, 2, 3, 4, 5]


def test_who_leaves_while_the_list_is_drawn_stays_away_even_if_redis_is_lost_then():
    event = line(lobby=True, max_active_users=1).event
    persons = people(6)
    join(event, *persons)
    services.drain_journal(event.pk)
    WaitingRoom.objects.filter(pk=event.pk).update(state="drawing", opens_at=timezone.now(), closed_at=timezone.now())
    store.call("close_list", event.pk)
    drawing.close_the_list(WaitingRoom.objects.get(pk=event.pk))
    services.leave(user_id=persons[0].pk, event_id=event.pk)
    services.drain_journal(event.pk)
    lose(event)

    services.rebuild(event.pk)
    services.draw_list(event.pk)

    assert standing(event, persons[0]).status == "outside"
    assert sorted(filter(None, positions(event, persons[1:]))) == [1, 2, 3, 4]
    assert WaitingRoom.objects.get(pk=event.pk).list_size == 6
