"""A crowd at a line, over HTTP: two thousand people at once before the opening, real processes on both sides."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from random import Random
from threading import Event as Flag
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from accounts.authentication import issue_access_token
from bookings.waitingroom import chain, lists, receipts, services, store
from bookings.waitingroom.models import Place
from bookings.waitingroom.verify import verify
from tests.waitingroom import crowd
from tests.waitingroom.drawn import event_with_lobby, people

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE, TWICE, MOST, PROCESSES = 2000, 300, 50, 4


@contextmanager
def watched(event: Any) -> Iterator[list[int]]:
    """Look all the time at how many are let in; gives the list of what was seen."""
    seen: list[int] = []
    over = Flag()

    def look() -> None:
        client = store.client()
        while not over.is_set():
            pipe = client.pipeline(transaction=True)
            pipe.zcard(store.key(event.pk, "act"))
            pipe.zcard(store.key(event.pk, "call"))
            seen.append(sum(pipe.execute()))

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def at_the_front(event: Any) -> set[bytes]:
    """Return who is let in right now."""
    front: set[bytes] = set()
    for part in ("act", "call"):
        front.update(store.client().zrange(store.key(event.pk, part), 0, -1))
    return front


def correlation(first: list[int], second: list[int]) -> float:
    """Return the rank correlation of two permutations of 1…n."""
    count = len(first)
    squares = sum((a - b) ** 2 for a, b in zip(first, second, strict=True))
    return 1 - 6 * squares / (count * (count**2 - 1))


def test_two_thousand_people_at_once_are_drawn_once_each_and_let_in_along_the_draw(live_site: Any) -> None:
    event = event_with_lobby(max_active_users=MOST, capacity=10_000)
    persons = people(PEOPLE)
    now = timezone.now()
    tokens = {person.pk.bytes: issue_access_token(user=person, now=now) for person in persons}
    port = urlsplit(live_site.url).port
    body = json.dumps({"eventId": str(event.pk)}).encode()

    with get_context("spawn").Pool(PROCESSES) as pool:

        def together(act: Callable[..., list[Any]], *given: Any, shares: list[Any]) -> list[Any]:
            """Have every process do its share at the same time."""
            parts = pool.starmap(act, [(port, *given, shares[n::PROCESSES]) for n in range(PROCESSES)])
            return [found for part in parts for found in part]

        # Everybody at once; some click twice.
        clicks = [("POST", "/api/v1/queue/join", token, body) for token in tokens.values()]
        clicks += clicks[:TWICE]
        Random(5).shuffle(clicks)
        joined = together(crowd.asked, shares=clicks)
        assert {(status, answer["data"]["status"]) for status, answer in joined} == {(200, "lobby")}
        services.drain_journal(event.pk)
        arrivals = Place.objects.filter(event=event).values_list("arrival", flat=True)
        assert sorted(arrivals) == list(range(1, PEOPLE + 1))

        with watched(event) as seen:
            services.open_line(event.pk)

            # Every place exactly once, each with a proof of its own.
            found = together(crowd.checked_receipts, str(event.pk), shares=list(tokens.values()))
            assert sorted(place for _, _, place, _ in found) == list(range(1, PEOPLE + 1))
            assert all(proven for _, _, _, proven in found)
            by_place = [entry for entry, _, _, _ in sorted(found, key=lambda receipt: receipt[2])]
            assert by_place == list(lists.ordered(event.pk))
            # Five standard deviations of the correlation of two independent orders.
            arrived, placed = [receipt[1] for receipt in found], [receipt[2] for receipt in found]
            assert abs(correlation(arrived, placed)) < 5 / (PEOPLE - 1) ** 0.5

            # Everybody who is let in comes and goes, until nobody is left, while others let the line move as well.
            came: list[bytes] = []
            while front := at_the_front(event):
                came += front
                mine = [tokens[member] for member in front]
                path = f"/api/v1/queue/{{}}?eventId={event.pk}"
                active = together(crowd.asked, shares=[("GET", path.format("status"), token, b"") for token in mine])
                assert {answer["data"]["status"] for _, answer in active} == {"active"}
                services.promote(event.pk)
                gone = together(crowd.asked, shares=[("DELETE", path.format("leave"), token, b"") for token in mine])
                assert {status for status, _ in gone} == {204}
            assert max(seen) == MOST

    assert len(came) == len(set(came)) == PEOPLE
    services.drain_journal(event.pk)
    moves = [move for link in chain.all_links(event.pk) if link.kind == "moves" for move in link.payload["moves"]]
    assert [entry for move, entry in moves if move == "called"] == by_place
    assert verify(receipts.published(event.pk))[-1].text.startswith(f"{PEOPLE} people were let in")
