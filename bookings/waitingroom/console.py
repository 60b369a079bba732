"""What staff see of a sale while it runs: the line as Redis has it now, sales as PostgreSQL counts them, and the last hour."""

import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from uuid import UUID

import structlog
from django.db import connection
from django.db.models import Sum
from django.utils import timezone
from redis.exceptions import RedisError

from bookings.waitingroom import chain, store
from bookings.waitingroom.models import WaitingRoom
from bookings.waitingroom.plots import plot
from events.models import SeatInventory

log = structlog.get_logger(__name__)

HOUR_SECONDS = 15  # how long the hour's figures are kept in this process: they are the dear ones
TOTALS = """
    SELECT count(*) FILTER (WHERE admitted_at IS NOT NULL),
        count(*) FILTER (WHERE called_at IS NOT NULL),
        coalesce(sum(misses), 0),
        count(*) FILTER (WHERE state = 'left'),
        count(*) FILTER (WHERE state = 'lapsed'),
        extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY admitted_at - greatest(joined_at, %(opened)s))
            FILTER (WHERE admitted_at IS NOT NULL)),
        extract(epoch FROM percentile_cont(0.95) WITHIN GROUP (ORDER BY admitted_at - greatest(joined_at, %(opened)s))
            FILTER (WHERE admitted_at IS NOT NULL))
    FROM waitingroom_place WHERE event_id = %(event)s
"""
BY_MINUTE = """
    WITH minutes AS (
        SELECT generate_series(
            date_trunc('minute', now()) - interval '59 minutes', date_trunc('minute', now()), interval '1 minute'
        ) AS at
    ), moves AS (
        SELECT date_trunc('minute', joined_at) AS at, 1 AS joined, 0 AS gone, 0 AS admitted FROM waitingroom_place
            WHERE event_id = %(event)s AND joined_at >= now() - interval '1 hour'
        UNION ALL
        SELECT date_trunc('minute', admitted_at), 0, 1, 1 FROM waitingroom_place
            WHERE event_id = %(event)s AND admitted_at >= now() - interval '1 hour'
        UNION ALL
        SELECT date_trunc('minute', ended_at), 0, 1, 0 FROM waitingroom_place
            WHERE event_id = %(event)s AND ended_at >= now() - interval '1 hour' AND admitted_at IS NULL
    ), sales AS (
        SELECT date_trunc('minute', confirmed_at) AS at, sum(quantity) AS sold FROM bookings_booking
            WHERE event_id = %(event)s AND status = 'confirmed' AND confirmed_at >= now() - interval '1 hour' GROUP BY 1
    )
    SELECT coalesce(sum(joined), 0), coalesce(sum(gone), 0), coalesce(sum(admitted), 0), coalesce(max(sold), 0)
    FROM minutes LEFT JOIN moves ON moves.at = minutes.at LEFT JOIN sales ON sales.at = minutes.at
    GROUP BY minutes.at ORDER BY minutes.at
"""
_kept: dict[UUID, tuple[float, "Hour"]] = {}
_lock = Lock()


@dataclass(frozen=True)
class Hour:
    """What PostgreSQL knows of a line: totals since it opened, and the last hour by minute, oldest first."""

    admitted: int = 0
    called: int = 0
    misses: int = 0
    left: int = 0
    lapsed: int = 0
    wait_p50: float | None = None
    wait_p95: float | None = None
    joined_by_minute: list[int] = field(default_factory=list)
    gone_by_minute: list[int] = field(default_factory=list)
    admitted_by_minute: list[int] = field(default_factory=list)
    sold_by_minute: list[int] = field(default_factory=list)

    @property
    def miss_percent(self) -> int | None:
        """Of a hundred people who were called, how many did not come in time."""
        return round(100 * self.misses / (self.called + self.misses)) if self.called + self.misses else None


@dataclass(frozen=True)
class Seats:
    """The seats of an event, over all categories."""

    capacity: int
    held: int
    offered: int
    sold: int
    waiting: int

    @property
    def free(self) -> int:
        return self.capacity - self.held - self.offered - self.sold


@dataclass(frozen=True)
class Console:
    """One moment of a sale."""

    room: WaitingRoom
    at: datetime
    seats: Seats
    hour: Hour
    links: int
    line: store.Snapshot | None  # None: Redis is away, or has lost the line
    refused: int | None  # holds that were tried out of turn

    @property
    def in_line(self) -> int:
        return self.line.waiting + self.line.parked if self.line else 0

    @property
    def per_minute(self) -> float | None:
        """How many people leave the front of the line per minute, as measured."""
        return self.line.speed * 60 if self.line and self.line.speed is not None else None

    @property
    def journal_lag(self) -> int | None:
        """How many of the line's moves are not in PostgreSQL yet."""
        return self.line.journal_length if self.line else None

    @property
    def beat_seconds(self) -> float | None:
        """How long ago a worker last moved the line."""
        return (self.line.now - self.line.beat) / 1000 if self.line and self.line.beat else None

    @property
    def lengths(self) -> list[int]:
        """The line's length by minute: from now backwards, without who came and with who went in each minute."""
        found, length = [], self.in_line
        moves = zip(reversed(self.hour.joined_by_minute), reversed(self.hour.gone_by_minute), strict=True)
        for joined, gone in moves:
            found.append(max(0, length))
            length += gone - joined
        return found[::-1]

    @property
    def sold(self) -> list[int]:
        """Seats sold in all, by minute."""
        return running(self.hour.sold_by_minute, self.seats.sold)

    @property
    def admitted(self) -> list[int]:
        """People admitted in all, by minute."""
        return running(self.hour.admitted_by_minute, self.hour.admitted)


def console(room: WaitingRoom) -> Console:
    """Return one moment of a sale; Redis being away shows as such, with what PostgreSQL knows."""
    line: store.Snapshot | None = None
    refused: int | None = None
    try:
        line = store.snapshot(room.event_id)
        refused = int(store.client().hget(store.key(room.event_id, "cfg"), "refused") or 0)
    except (store.Stale, RedisError) as error:
        log.info("console.without_redis", line=str(room.event_id), error=type(error).__name__)
    links = chain.head(room.event_id).number
    return Console(room, timezone.now(), seats_of(room.event_id), hour_of(room), links, line, refused)


def seats_of(event_id: UUID) -> Seats:
    """Return the counters of an event, added up."""
    columns = ("capacity", "held", "offered", "sold", "waiting")
    added = SeatInventory.objects.filter(category__event_id=event_id).aggregate(**{name: Sum(name) for name in columns})
    return Seats(**{name: added[name] or 0 for name in columns})


def hour_of(room: WaitingRoom) -> Hour:
    """Return the totals and the last hour of a line, at most HOUR_SECONDS old."""
    now = time.monotonic()
    with _lock:
        at, kept = _kept.get(room.event_id, (0.0, None))
    if kept is not None and now - at < HOUR_SECONDS:
        return kept
    counted = count_hour(room)
    with _lock:
        _kept[room.event_id] = (now, counted)
    return counted


def count_hour(room: WaitingRoom) -> Hour:
    """Count the totals and the last hour of a line."""
    opened = room.opened_at or room.opens_at
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, {"event": room.event_id, "opened": opened})
        admitted, called, misses, left, lapsed, middle, late = cursor.fetchone()
        cursor.execute(BY_MINUTE, {"event": room.event_id})
        joined_in, gone_in, admitted_in, sold_in = map(list, zip(*cursor.fetchall(), strict=True))
    return Hour(
        admitted,
        called,
        int(misses),
        left,
        lapsed,
        None if middle is None else float(middle),
        None if late is None else float(late),
        [int(count) for count in joined_in],
        [int(count) for count in gone_in],
        [int(count) for count in admitted_in],
        [int(count) for count in sold_in],
    )


def running(counts: list[int], total: int) -> list[int]:
    """Return the total at the end of each minute, given what each minute added and the total now."""
    found = []
    for added in reversed(counts):
        found.append(max(0, total))
        total -= added
    return found[::-1]


def panel(room: WaitingRoom) -> dict[str, Any]:
    """Return what the control shows."""
    now = console(room)
    return {
        "now": now,
        "figures": figures(now),
        "plots": [
            ("In line", plot("People in line", now.lengths), now.in_line),
            ("Let in so far", plot("People let in", now.admitted), now.hour.admitted),
            ("Seats sold", plot("Seats sold", now.sold), now.seats.sold),
        ],
    }


def figures(now: Console) -> list[tuple[str, str, str]]:
    """Return the figures as they stand there: what, how much, and what else is worth knowing of it."""
    line, hour, seats, room = now.line, now.hour, now.seats, now.room
    found = []
    if line is not None:
        in_lobby = line.state in {"closed", "lobby", "drawing"}
        paced = f"at most {room.rate_per_minute:,}" if room.rate_per_minute else "as many as there is room for"
        found += [
            ("In the lobby", number(line.waiting + line.drawing), "drawn when the sale opens")
            if in_lobby
            else ("In line", number(now.in_line), f"{line.parked:,} of them away, place kept"),
            ("Called", number(line.called), "not here yet"),
            ("Choosing or paying", f"{line.active:,} of {line.most:,}", f"{line.holding:,} with tickets held"),
            ("Leave the front per minute", rate(now.per_minute), paced),
        ]
    missed = "" if hour.miss_percent is None else f"{hour.miss_percent} of 100 who were called"
    found += [
        ("Let in so far", number(hour.admitted), f"{hour.lapsed:,} let their turn pass"),
        ("Did not come", number(hour.misses), missed),
        ("Wait, half of all", spoken(hour.wait_p50), f"95 of 100: {spoken(hour.wait_p95)}"),
        ("Seats held", number(seats.held), f"{seats.offered:,} offered to the waitlist"),
        ("Seats sold", number(seats.sold), f"of {seats.capacity:,}"),
        ("Seats free", number(seats.free), f"{seats.waiting:,} wanted by the waitlist"),
        ("Holds refused", "–" if now.refused is None else number(now.refused), "out of turn"),
        ("Left by themselves", number(hour.left), ""),
    ]
    if line is not None:
        behind = "–" if now.beat_seconds is None else f"{now.beat_seconds:.0f} s ago"
        found += [
            ("Not written down yet", number(line.journal_length), "moves; a second's worth is usual"),
            ("Last beat of a worker", behind, "without one, people who ask move the line"),
        ]
    found.append(("Book of the line", number(now.links), f"links; epoch {room.epoch}"))
    return found


def number(count: int) -> str:
    return f"{count:,}"


def rate(per_minute: float | None) -> str:
    return "–" if per_minute is None else f"{per_minute:,.1f}"


def spoken(seconds: float | None) -> str:
    """Write a length of time for staff: `0:04:31`."""
    return "–" if seconds is None else str(timedelta(seconds=max(0, round(seconds))))
