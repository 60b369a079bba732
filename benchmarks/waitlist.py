"""
Offers for many released seats to a long list: how long they take, and how long anybody else waits for the category's row.

    python -m benchmarks.waitlist [--seats 200] [--waiting 2000] [--passed-over 1000]

It makes a site of its own (embedded PostgreSQL with fsync, Redis), measures, and erases it. Beside the offers another
connection takes the lock of the category's counters over and over; its longest wait is the longest time the lock was held.
In the same minute: the plainest rows with the same triggers, one commit each (what no way of making offers could beat), and
the same offers made row by row under one lock of the category, as it is often done.
"""

import argparse
import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from benchmarks import site


class Run(NamedTuple):
    """What one way of making offers took."""

    offers: int
    seconds: float
    longest_wait_ms: float
    median_wait_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seats", type=int, default=200)
    parser.add_argument("--waiting", type=int, default=2_000)
    parser.add_argument("--passed-over", type=int, default=1_000, help="unverified people at the head of a second list")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with site.site(workers=1, threads=2):
        from waitlist.services import offer_next

        list_of(options.waiting, options.seats)  # the first is never timed: plans, caches, pages of the tables
        figures = {}
        for name, passed_over, act in (
            ("plain_rows", 0, plain_rows),
            ("offers", 0, lambda event, _: len(offer_next(event_id=event))),
            ("offers_past_others", options.passed_over, lambda event, _: len(offer_next(event_id=event))),
            ("one_lock", 0, under_one_lock),
        ):
            event, category = list_of(options.waiting, options.seats, passed_over)
            figures[name] = timed(event, category, act)
    print(json.dumps({name: run._asdict() for name, run in figures.items()}) if options.json else report(figures))


def list_of(waiting: int, seats: int, passed_over: int = 0) -> tuple[str, str]:
    """Make a category with `seats` free seats and so many people who wait for it, the first of them not verified."""
    from django.db import connection
    from django.db.models.functions import Now

    from waitlist.models import WaitlistEntry

    event, category = site.sale(seats)
    people = site.crowd(waiting + passed_over)
    entries = [
        WaitlistEntry(
            user_id=person.id, event_id=event, category_ids=[category], eligible=place >= passed_over, joined_at=Now()
        )
        for place, person in enumerate(people)
    ]
    for start in range(0, len(entries), 500):
        WaitlistEntry.objects.bulk_create(entries[start : start + 500])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE waitlist_waitlistentry, bookings_booking, events_seatinventory")
    return event, category


def timed(event: str, category: str, act: Callable[[str, str], int]) -> Run:
    """Run `act` while another connection takes the lock of the category's counters over and over."""
    waits: list[float] = []
    over = threading.Event()
    ready = threading.Event()
    watcher = threading.Thread(target=watch, args=(category, waits, ready, over))
    watcher.start()
    ready.wait()
    began = time.perf_counter()
    offers = act(event, category)
    seconds = time.perf_counter() - began
    over.set()
    watcher.join()
    ordered = sorted(waits)
    return Run(offers, seconds, ordered[-1] * 1000, ordered[len(ordered) // 2] * 1000)


def watch(category: str, waits: list[float], ready: threading.Event, over: threading.Event) -> None:
    """Take the lock as a buyer would, let it go at once, and note how long each took."""
    from django.db import connection

    with connection.cursor() as cursor:
        while not over.is_set():
            began = time.perf_counter()
            cursor.execute("SELECT 1 FROM events_seatinventory WHERE category_id = %s FOR NO KEY UPDATE", [category])
            waits.append(time.perf_counter() - began)
            ready.set()
            time.sleep(0.0005)
    connection.close()


def plain_rows(event: str, category: str) -> int:
    """Insert one offered booking for each seat, one commit each: the rows and triggers, and no choice of anybody."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT capacity, (SELECT array_agg(user_id) FROM waitlist_waitlistentry WHERE event_id = %s)"
            " FROM events_seatinventory WHERE category_id = %s",
            [event, category],
        )
        seats, people = cursor.fetchone()
        for person in people[:seats]:
            cursor.execute(
                "INSERT INTO bookings_booking (id, reference, user_id, event_id, category_id, quantity, amount_minor, currency,"
                " status, source, expires_at, extensions, created_at) VALUES (gen_random_uuid(), left(md5(random()::text), 12),"
                " %s, %s, %s, 1, 4900, 'EUR', 'offered', 'waitlist', now() + interval '1 day', 0, now())",
                [person, event, category],
            )
    return seats


def under_one_lock(event: str, category: str) -> int:
    """Make the same offers row by row in one transaction that holds the category's row: how it is often done."""
    from django.db import transaction
    from django.utils import timezone

    from bookings.models import Booking
    from bookings.references import new_reference
    from common import outbox
    from events.models import SeatInventory
    from waitlist.models import WaitlistEntry

    count = 0
    deadline = timezone.now() + timedelta(days=1)
    with transaction.atomic():
        inventory = SeatInventory.objects.select_for_update(no_key=True).get(pk=category)
        for entry in WaitlistEntry.objects.filter(event_id=event, status="waiting")[: inventory.free]:
            booking = Booking.objects.create(
                reference=new_reference(),
                user_id=entry.user_id,
                event_id=event,
                category_id=category,
                quantity=1,
                amount_minor=4900,
                currency="EUR",
                status="offered",
                source="waitlist",
                expires_at=deadline,
            )
            entry.transition("offer", booking=booking, offered_at=timezone.now(), offer_expires_at=deadline)
            outbox.put(topic="waitlist_offered", dedupe_key=f"waitlist_offered:{booking.pk}", entry_id=str(entry.pk))
            count += 1
    return count


def report(figures: dict[str, Run]) -> str:
    """Return the figures as a table for a person."""
    plain = figures["plain_rows"]
    names = {
        "plain_rows": "plain rows, one commit each",
        "offers": "offers",
        "offers_past_others": "offers past unverified people",
        "one_lock": "row by row under one lock",
    }
    lines = [
        f"{names[name]:30} {run.offers:5} in {run.seconds:6.2f} s ({run.seconds / plain.seconds:4.1f} × plain rows)"
        f"   longest wait for the category's row {run.longest_wait_ms:7.1f} ms, median {run.median_wait_ms:5.1f} ms"
        for name, run in figures.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
