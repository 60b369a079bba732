"""The line itself: places, turns, and what happens at once from many sides."""

import random
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.utils import timezone

from bookings.waitingroom import receipts, services, store
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.refusals import LineClosed, LineEnded, LineSoldOut, NoLine, NotInLine
from bookings.waitingroom.services import rooms
from bookings.waitingroom.signals import line_opened, line_sold_out
from bookings.waitingroom.verify import verify
from events.models import Event, SeatInventory
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.waitingroom.lines import (
    busy,
    join,
    line,
    members,
    nobody_present,
    past,
    people,
    place,
    positions,
    standing,
    statuses,
)

pytestmark = pytest.mark.django_db


def at_once(actions):
    """Run every action in a thread of its own, let go at the same moment, and return their results."""
    barrier, results = Barrier(len(actions)), [None] * len(actions)

    def run(index, action):
        barrier.wait(60)
        results[index] = action()

    threads = [Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


# -- Places -----------------------------------------------------------------------------------------------------------


def test_first_come_first_served_after_opening():
    event = line(max_active_users=2).event
    persons = people(5)

    join(event, *persons)

    assert statuses(event, persons) == ["active", "active", "waiting", "waiting", "waiting"]
    assert positions(event, persons) == [None, None, 1, 2, 3]


def test_double_click_and_another_device_find_the_same_place():
    event = line(max_active_users=1).event
    first, second, third = people(3)

    join(event, first, second, third)
    again = join(event, second, second)

    assert [found.position for found in again] == [1, 1]
    assert positions(event, [third]) == [2]


def test_a_hundred_joins_of_one_person_at_once_are_one_place():
    event = line(max_active_users=1).event
    ahead, person, behind = people(3)
    join(event, ahead)

    found = at_once([lambda: services.join(user_id=person.pk, event_id=event.pk)] * 100)
    join(event, behind)

    assert {one.position for one in found} == {1}
    assert positions(event, [behind]) == [2]


def test_joining_by_looking_first_gives_two_places():
    """The control: S2's list, asked first and pushed then, holds a person as often as they clicked."""
    waiting, client, barrier = "naive:queue", store.client(), Barrier(20)

    def naive_join():
        absent = client.lpos(waiting, "ana") is None
        barrier.wait(60)
        if absent:
            client.rpush(waiting, "ana")

    at_once([naive_join] * 20)

    assert client.llen(waiting) == 20


def test_two_lines_are_independent():
    one, two = line(max_active_users=1).event, line(max_active_users=1).event
    persons = people(3)
    join(one, *persons)

    join(two, *reversed(persons))

    assert statuses(one, persons) == ["active", "waiting", "waiting"]
    assert statuses(two, persons) == ["waiting", "waiting", "active"]
    services.leave(user_id=persons[0].pk, event_id=one.pk)
    assert positions(two, persons) == [2, 1, None]


def test_event_without_a_line_says_so():
    event, person = EventFactory(), UserFactory()

    with pytest.raises(NoLine):
        services.join(user_id=person.pk, event_id=event.pk)
    with pytest.raises(NoLine):
        services.serving(event.pk)


def test_leaving_and_coming_back_is_the_end_of_the_line():
    event = line(max_active_users=1).event
    persons = people(3)
    join(event, *persons)

    services.leave(user_id=persons[1].pk, event_id=event.pk)
    join(event, persons[1])

    assert positions(event, persons) == [None, 2, 1]
    with pytest.raises(NotInLine):
        services.leave(user_id=UserFactory().pk, event_id=event.pk)


def test_leaving_calls_the_next_person_in_the_same_step():
    event = line(max_active_users=1).event
    first, second = people(2)
    join(event, first, second)

    services.leave(user_id=first.pk, event_id=event.pk)

    assert members(event, "call") == {second.pk.bytes}


# -- Turns ------------------------------------------------------------------------------------------------------------


class NaiveTurnstile:
    """S2's promotion as it is written there: look how many are active, then take one off the list, then add them."""

    def __init__(self, most, promoters):
        self.most, self.client, self.looked = most, store.client(), Barrier(promoters)

    def fill(self, count):
        """Have one slot free, and so many people in line."""
        self.client.sadd("naive:active", *range(-self.most + 1, 0))
        self.client.rpush("naive:line", *range(count))

    def promote(self):
        is_free = self.client.scard("naive:active") < self.most
        self.looked.wait(60)
        if is_free:
            self.client.sadd("naive:active", self.client.lpop("naive:line"))

    def busy(self):
        return self.client.scard("naive:active")


def test_forty_promoters_at_once_never_exceed_the_limit():
    event = line(capacity=100_000, max_active_users=50).event
    client = store.client()
    client.zadd(store.key(event.pk, "q"), {random.randbytes(16): store.LATE + n for n in range(2_000)})
    seen = []

    def promote():
        for _ in range(10):
            store.promote(event.pk)
            pipe = client.pipeline(transaction=True)
            pipe.zcard(store.key(event.pk, "act"))
            pipe.zcard(store.key(event.pk, "call"))
            seen.append(sum(pipe.execute()))

    at_once([promote] * 40)

    assert set(seen) == {50}
    assert not members(event, "q") & members(event, "call")


def test_forty_promoters_of_the_naive_kind_exceed_it():
    turnstile = NaiveTurnstile(50, promoters=40)
    turnstile.fill(2_000)

    at_once([turnstile.promote] * 40)

    assert turnstile.busy() > 50


def test_a_storm_of_everything_keeps_everybody_in_one_place():
    event = line(capacity=100_000, max_active_users=10).event
    persons = [random.randbytes(16) for _ in range(200)]
    too_many = []

    def storm(seed):
        dice = random.Random(seed)
        for _ in range(60):
            person = dice.choice(persons)
            match dice.randrange(5):
                case 0 | 1:
                    store.call("join", event.pk, person, "")
                case 2:
                    store.call("status", event.pk, person)
                case 3:
                    store.call("leave", event.pk, person, 1)
                case 4:
                    store.promote(event.pk)
            pipe = store.client().pipeline(transaction=True)
            pipe.zcard(store.key(event.pk, "act"))
            pipe.zcard(store.key(event.pk, "call"))
            if (count := sum(pipe.execute())) > 10:
                too_many.append(count)

    at_once([lambda seed=seed: storm(seed) for seed in range(20)])

    parts = [members(event, part) for part in ("q", "call", "act", "park")]
    assert too_many == []
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_beat_running_twice_admits_nobody_twice():
    event = line(max_active_users=3).event
    persons = people(8)
    join(event, *persons)
    for person in persons[:3]:
        past(event, "act", person)

    first, second = services.tick(event.pk), services.tick(event.pk)

    assert (first, second, busy(event)) == (3, 0, 3)
    services.drain_journal(event.pk)
    assert Place.objects.filter(event=event, called_at__isnull=False).count() == 6


def test_called_person_has_their_slot_from_the_moment_they_come():
    event = line(max_active_users=1).event
    first, second = people(2)
    join(event, first, second)
    services.leave(user_id=first.pk, event_id=event.pk)

    found = standing(event, second)

    assert found.status == "active"
    left = found.expires_at - timezone.now()
    assert timedelta(seconds=240) < left <= timedelta(seconds=301)


def test_slot_ends_on_time_with_nobody_to_sweep():
    event = line(max_active_users=1).event
    first, second = people(2)
    join(event, first, second)

    past(event, "act", first)

    assert standing(event, first).status == "passed"
    assert members(event, "act") == {first.pk.bytes}  # nobody swept, and yet it is over


def test_who_does_not_come_keeps_the_place_once_and_then_loses_it():
    event = line(max_active_users=1).event
    first, silent, third = people(3)
    join(event, first, silent, third)
    services.leave(user_id=first.pk, event_id=event.pk)

    past(event, "call", silent)
    services.promote(event.pk)
    assert members(event, "park") == {silent.pk.bytes}
    assert members(event, "call") == {third.pk.bytes}
    assert positions(event, [silent]) == [1]  # back, in the old place

    past(event, "call", third)
    services.promote(event.pk)
    assert silent.pk.bytes in members(event, "call")
    past(event, "call", silent)
    services.promote(event.pk)

    assert standing(event, silent).status == "passed"
    services.drain_journal(event.pk)
    assert (place(event, silent).state, place(event, silent).outcome) == ("lapsed", "no_show")


def test_absent_people_are_passed_over_and_come_back_to_their_place():
    event = line(max_active_users=1).event
    first, absent, present, last = people(4)
    join(event, first, absent, present, last)
    nobody_present(event)
    standing(event, present)

    services.leave(user_id=first.pk, event_id=event.pk)

    assert (members(event, "call"), members(event, "park")) == ({present.pk.bytes}, {absent.pk.bytes})
    assert positions(event, [absent, last]) == [1, 2]


def test_a_line_of_absent_people_does_not_stop_those_who_are_there():
    event = line(max_active_users=1).event
    first, present = people(2)
    join(event, first)
    ghosts = {random.randbytes(13) + b"\0" + n.to_bytes(2, "big"): store.LATE + 10 + n for n in range(400)}
    store.client().zadd(store.key(event.pk, "q"), ghosts)
    store.client().hset(store.key(event.pk, "cfg"), "seq", 1000)
    join(event, present)
    nobody_present(event)
    standing(event, present)

    services.leave(user_id=first.pk, event_id=event.pk)

    assert present.pk.bytes in members(event, "call")


def test_nobody_is_called_for_seats_that_are_spoken_for():
    category = line(capacity=2, max_active_users=10)
    persons = people(5)

    join(category.event, *persons)

    assert statuses(category.event, persons) == ["active", "active", "waiting", "waiting", "waiting"]


def test_rate_per_minute_is_kept():
    event = line(capacity=1000, max_active_users=500).event
    services.set_rate(event.pk, per_minute=60)
    services.tick(event.pk)
    persons = [random.randbytes(16) for _ in range(100)]

    for person in persons:
        store.call("join", event.pk, person, "")

    assert busy(event) <= 6  # five seconds' worth, and the one that the second brought


def test_staff_let_somebody_in_out_of_turn():
    event = line(max_active_users=1).event
    persons = people(3)
    join(event, *persons)

    services.admit(event.pk, user_id=persons[2].pk, actor_id=UserFactory(is_staff=True).pk, reason="Wheelchair place")

    assert statuses(event, persons) == ["active", "waiting", "active"]


def test_pause_lets_nobody_in_and_says_why():
    event = line(max_active_users=1).event
    persons = people(3)
    join(event, *persons)

    services.pause(event.pk, reason="The payment provider is slow.")
    services.tick(event.pk)
    services.leave(user_id=persons[0].pk, event_id=event.pk)
    late = UserFactory()
    join(event, late)

    found = standing(event, persons[1])
    assert (found.status, found.position, found.message) == ("paused", 1, "The payment provider is slow.")
    assert (busy(event), standing(event, late).position) == (0, 3)
    services.resume(event.pk)
    services.tick(event.pk)
    assert standing(event, persons[1]).status == "active"


def test_estimate_comes_from_what_was_measured_and_stands_still_in_a_pause():
    event = line(max_active_users=1).event
    first, second = people(2)
    join(event, first, second)
    assert standing(event, second).estimate_seconds is None

    store.client().hset(store.key(event.pk, "cfg"), mapping={"ew": "0.5", "ewc": 400, "ewat": 1})
    found = standing(event, second)
    services.pause(event.pk, reason="Wait")
    services.tick(event.pk)

    assert found.estimate_seconds == (1, 7)
    assert standing(event, second).estimate_seconds == (1, 7)
    assert store.client().hget(store.key(event.pk, "cfg"), "ew") == b"0.5"


def test_speed_is_measured_from_people_who_moved():
    event = line(capacity=10_000, max_active_users=1).event
    client, cfg = store.client(), store.key(event.pk, "cfg")
    client.zadd(store.key(event.pk, "q"), {random.randbytes(16): store.LATE + n for n in range(100)})
    client.hset(cfg, mapping={"hbfrom": store.milliseconds_now() + 60_000})
    store.promote(event.pk)
    client.hset(cfg, mapping={"ewat": store.milliseconds_now() - 10_000, "ewn": 19})
    client.delete(store.key(event.pk, "call"))

    store.promote(event.pk)

    assert float(client.hget(cfg, "ew")) == pytest.approx(2.0, rel=0.05)
    assert int(client.hget(cfg, "ewc")) == 20


# -- Asking -----------------------------------------------------------------------------------------------------------


def test_status_costs_one_call_of_redis_and_no_statement(django_assert_num_queries, count_redis_calls):
    event = line(max_active_users=1).event
    persons = people(2)
    join(event, *persons)
    standing(event, persons[0])

    for person in persons:
        with django_assert_num_queries(0), count_redis_calls() as calls:
            standing(event, person)
        assert calls == ["EVALSHA"]


def test_everybody_shares_one_look_at_the_line_per_second(django_assert_num_queries, count_redis_calls):
    event = line(max_active_users=1).event
    join(event, *people(3))
    services.serving(event.pk)

    with django_assert_num_queries(0), count_redis_calls() as calls:
        shown = [services.serving(event.pk) for _ in range(100)]

    assert calls == []
    assert (shown[0]["waiting"], shown[0]["active"], shown[0]["state"]) == (2, 1, "open")


def test_next_poll_grows_with_the_distance_and_never_outlasts_presence():
    event = line(max_active_users=1).event
    first = UserFactory()
    join(event, first)
    client = store.client()
    client.zadd(store.key(event.pk, "q"), {random.randbytes(16): store.LATE + 10 + n for n in range(3_000)})
    client.hset(store.key(event.pk, "cfg"), mapping={"seq": 5000, "ew": "1.0", "ewc": 100})
    far = UserFactory()

    (found,) = join(event, far)
    near = UserFactory()
    client.zadd(store.key(event.pk, "q"), {near.pk.bytes: store.LATE + 1})

    assert found.position == 3_001
    assert 48_000 <= found.next_poll_ms <= 72_000
    assert standing(event, near).next_poll_ms <= 2_400


def test_with_every_worker_dead_asking_keeps_the_line_moving():
    event = line(max_active_users=1).event
    first, second = people(2)
    join(event, first, second)
    past(event, "act", first)
    store.client().hset(store.key(event.pk, "cfg"), mapping={"tick": 0, "beat": 0})

    found = standing(event, second)

    assert found.status == "active"
    assert Place.objects.filter(event=event).count() == 2  # and somebody's request wrote the journal down


# -- The lobby --------------------------------------------------------------------------------------------------------


def test_lobby_is_drawn_at_opening_and_the_late_stand_behind_it():
    event = line(lobby=True, max_active_users=1).event
    early = people(30)
    join(event, *early)
    assert set(statuses(event, early)) == {"lobby"}
    assert {one.position for one in join(event, *early[:3])} == {None}

    services.open_line(event.pk)
    late = people(3)
    join(event, *late)

    drawn = positions(event, early)
    assert sorted(place for place in drawn if place) == list(range(1, 30))
    assert [one.status for one in join(event, *early)].count("active") == 1
    assert positions(event, late) == [30, 31, 32]
    arrival = [person for person, position in zip(early, drawn, strict=True) if position]
    assert arrival != sorted(arrival, key=lambda person: drawn[early.index(person)])


def test_who_leaves_the_lobby_is_not_drawn():
    event = line(lobby=True, max_active_users=1).event
    persons = people(5)
    join(event, *persons)
    services.leave(user_id=persons[2].pk, event_id=event.pk)

    services.open_line(event.pk)

    assert WaitingRoom.objects.get(pk=event.pk).list_size == 4
    assert standing(event, persons[2]).status == "outside"


def test_lobby_and_line_open_by_the_clock():
    event = line(lobby=True, max_active_users=1, sale_starts_at=timezone.now() + timedelta(hours=2)).event
    persons = people(4)
    opened = []

    with pytest.raises(LineClosed):
        join(event, persons[0])
    Event.objects.filter(pk=event.pk).update(sale_starts_at=timezone.now() + timedelta(minutes=5))
    services.tick(event.pk)
    join(event, *persons)
    Event.objects.filter(pk=event.pk).update(sale_starts_at=timezone.now() - timedelta(seconds=1))
    line_opened.connect(lambda event_id, **_: opened.append(event_id), weak=False, dispatch_uid="test")
    services.tick(event.pk)
    line_opened.disconnect(dispatch_uid="test")

    assert sorted(statuses(event, persons)) == ["active", "waiting", "waiting", "waiting"]
    assert opened == [event.pk]
    assert WaitingRoom.objects.get(pk=event.pk).state == "open"


def test_draw_that_was_killed_half_way_is_finished():
    event = line(lobby=True, max_active_users=1).event
    early = people(6)
    join(event, *early)
    WaitingRoom.objects.filter(pk=event.pk).update(state="drawing", opens_at=timezone.now(), closed_at=timezone.now())
    store.call("close_list", event.pk)  # here it died
    late = UserFactory()
    join(event, late)
    assert set(statuses(event, [*early, late])) == {"lobby"}
    services.leave(user_id=early[0].pk, event_id=event.pk)

    Event.objects.filter(pk=event.pk).update(sale_starts_at=timezone.now())
    services.tick(event.pk)

    assert sorted(filter(None, positions(event, early[1:]))) == [1, 2, 3, 4]
    assert positions(event, [late]) == [5]
    assert standing(event, early[0]).status == "outside"


# -- Ends -------------------------------------------------------------------------------------------------------------


def test_sold_out_is_announced_once_and_nobody_waits_for_nothing():
    category = line(capacity=1, max_active_users=1)
    event, persons, announced = category.event, people(2), []
    join(event, *persons)
    line_sold_out.connect(lambda event_id, **_: announced.append(event_id), weak=False, dispatch_uid="test")

    SeatInventory.objects.filter(category=category).update(held=1)
    services.tick(event.pk)
    assert standing(event, persons[1]).status == "waiting"  # a hold may come back
    SeatInventory.objects.filter(category=category).update(held=0, sold=1)
    services.tick(event.pk)
    services.tick(event.pk)
    line_sold_out.disconnect(dispatch_uid="test")

    assert announced == [event.pk]
    assert (standing(event, persons[1]).status, standing(event, persons[1]).seats_left) == ("sold_out", 0)
    with pytest.raises(LineSoldOut):
        join(event, UserFactory())
    services.finish(event.pk)
    assert place(event, persons[1]).state == "sold_out"


@pytest.mark.parametrize(
    "change",
    [
        {"status": Event.Status.CANCELLED},
        {"queue_enabled": False},
        {"sale_ends_at": timezone.now() - timedelta(seconds=1)},
        {"starts_at": timezone.now() - timedelta(seconds=1)},
    ],
    ids=["cancelled", "switched off", "sale over", "event begun"],
)
def test_line_ends_with_what_it_was_for(change):
    event = line(max_active_users=1).event
    persons = people(2)
    join(event, *persons)

    Event.objects.filter(pk=event.pk).update(**change)
    services.tick(event.pk)

    assert standing(event, persons[1]).status == "closed"
    with pytest.raises(NoLine if "queue_enabled" in change else LineEnded):
        join(event, UserFactory())
    assert busy(event) == 1  # whose turn it was goes on


def test_new_limit_reaches_redis_with_the_next_tick():
    event = line(max_active_users=1).event
    persons = people(4)
    join(event, *persons)

    Event.objects.filter(pk=event.pk).update(max_active_users=3)
    services.tick(event.pk)

    assert busy(event) == 3


def test_room_is_made_for_an_event_whose_line_is_switched_on():
    category = TicketCategoryFactory()
    Event.objects.filter(pk=category.event_id).update(queue_enabled=True)

    services.tick_all()

    assert WaitingRoom.objects.get(pk=category.event_id).state == "open"


def test_closed_account_is_taken_out_of_the_line():
    event = line(max_active_users=1).event
    persons = people(3)
    join(event, *persons)
    services.tick(event.pk)
    persons[1].is_active = False
    persons[1].save()

    assert services.leave_for_closed_accounts() == 1

    assert positions(event, [persons[2]]) == [1]


def test_older_word_of_the_room_does_not_undo_a_newer_one():
    event = line(max_active_users=1).event
    join(event, *people(2))
    before = WaitingRoom.objects.select_related("event").get(pk=event.pk)
    services.pause(event.pk, reason="Slow payments")
    rooms.tell_now(event.pk)

    rooms.configure(before)  # a tick that had read the room a moment earlier

    assert store.snapshot(event.pk).state == "paused"


def test_lobby_that_was_closed_does_not_open_again():
    event = line(lobby=True, max_active_users=1).event
    join(event, *people(3))
    before = WaitingRoom.objects.select_related("event").get(pk=event.pk)
    services.open_line(event.pk)
    store.client().hset(store.key(event.pk, "cfg"), "revision", 0)

    rooms.configure(before)

    assert store.snapshot(event.pk).state == "open"


def test_more_seats_after_selling_out_open_the_line_again():
    category = line(capacity=1, max_active_users=1)
    event, (first, second) = category.event, people(2)
    join(event, first, second)
    SeatInventory.objects.filter(category=category).update(sold=1)
    services.tick_all()
    assert standing(event, second).status == "sold_out"

    SeatInventory.objects.filter(category=category).update(capacity=3)
    services.tick_all()

    assert WaitingRoom.objects.get(pk=event.pk).state == "open"
    assert standing(event, second).status == "outside"
    assert place(event, second).state == "sold_out"
    assert join(event, UserFactory())[0].status == "waiting"
    services.leave(user_id=first.pk, event_id=event.pk)
    assert busy(event) == 1


def test_line_that_staff_closed_can_be_opened_again():
    event = line(max_active_users=1).event
    persons = people(2)
    join(event, *persons)
    services.close(event.pk)
    rooms.tell_now(event.pk)
    assert standing(event, persons[1]).status == "closed"

    services.open_line(event.pk)

    assert join(event, UserFactory())[0].status == "waiting"


def test_event_whose_line_was_switched_off_has_none():
    event = line(max_active_users=1).event
    Event.objects.filter(pk=event.pk).update(queue_enabled=False)
    services.tick(event.pk)

    with pytest.raises(NoLine):
        join(event, UserFactory())


def test_line_switched_off_and_on_again_goes_on_for_who_joins_then():
    category = line(max_active_users=1)
    event = category.event
    before, after = people(2)
    join(event, before)
    switch(event, queue_enabled=False)
    assert WaitingRoom.objects.get(pk=event.pk).state == "ended"

    switch(event, queue_enabled=True)

    assert WaitingRoom.objects.get(pk=event.pk).state == "open"
    assert standing(event, before).status == "active"
    assert join(event, after)[0].status == "waiting"
    assert verify(receipts.published(event.pk))


def test_line_switched_off_before_its_sale_has_its_lobby_again():
    category = line(lobby=True)
    switch(category.event, queue_enabled=False)
    switch(category.event, queue_enabled=True)

    assert join(category.event, *people(1))[0].status == "lobby"


def test_line_that_staff_closed_stays_closed():
    category = line()
    services.close(category.event_id)
    services.tick_all()

    assert WaitingRoom.objects.get(pk=category.event_id).state == "ended"


def switch(event, **changes):
    Event.objects.filter(pk=event.pk).update(**changes)
    services.tick_all()
