"""
Races that happen every time: real threads with connections of their own, let go at the same moment.

With `gate`, an observer holds the named table in EXCLUSIVE mode until every thread waits at it (plain reads pass, writes and
`FOR UPDATE` queue up), so a check-then-act that would lose a race once in twenty loses it always. A race test comes with a
deliberately naive twin that must fail, or its green means nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Barrier, Thread
from typing import Any

from django.db import connection, connections, transaction


@dataclass
class Outcome:
    """What one racer got: a result, or the exception that ended it."""

    result: Any = None
    error: BaseException | None = None


def race(actions: Sequence[Callable[[], Any]], *, gate: str = "", seconds: float = 90) -> list[Outcome]:
    """
    Run every action in a thread of its own, all at once, and return their outcomes in the same order.

    Needs `@pytest.mark.django_db(transaction=True)`: the threads see only what is committed.
    """
    outcomes = [Outcome() for _ in actions]
    barrier = Barrier(len(actions))
    pids: list[int] = []

    def run(action: Callable[[], Any], outcome: Outcome) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pids.append(cursor.fetchone()[0])
            barrier.wait(seconds)
            outcome.result = action()
        except Exception as error:
            outcome.error = error
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=pair, daemon=True) for pair in zip(actions, outcomes, strict=True)]
    if gate:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {connection.ops.quote_name(gate)} IN EXCLUSIVE MODE")
            for thread in threads:
                thread.start()
            wait_until_blocked(threads, pids, seconds)
    else:
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(seconds)
    assert not any(thread.is_alive() for thread in threads), "a racer never came back"
    return outcomes


def wait_until_blocked(threads: Sequence[Thread], pids: list[int], seconds: float) -> None:
    """Wait until every racer has either ended or waits for a lock."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        running = sum(thread.is_alive() for thread in threads)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid = ANY(%s)", [list(pids)])
            waiting = cursor.fetchone()[0]
        if len(pids) == len(threads) and waiting >= running:
            return
        time.sleep(0.01)
    raise AssertionError("the racers neither ended nor came to the gate")


def results(outcomes: Sequence[Outcome]) -> list[Any]:
    """Return the results of those who succeeded."""
    return [outcome.result for outcome in outcomes if outcome.error is None]


def errors(outcomes: Sequence[Outcome]) -> list[BaseException]:
    """Return the exceptions of those who did not."""
    return [outcome.error for outcome in outcomes if outcome.error is not None]
