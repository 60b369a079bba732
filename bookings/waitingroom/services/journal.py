"""
The journal: every change of the line, from Redis's stream to PostgreSQL in batches.

One process at a time reads an event's stream from its head, folds a batch into one row per person, and writes it with COPY
and one statement; then the head is cut off. A batch that is read again changes nothing, because each row knows the entry that
it was last written from. Entries are numbered: a number seen twice means that Redis lost its tail and began again before it,
and then Redis is filled anew from here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Max

from bookings.waitingroom import chain, seeds, store
from bookings.waitingroom.locks import JOURNAL, only_one
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.moves import IN_LOBBY, moves_of

log = structlog.get_logger(__name__)

BATCH = 5_000
State = Place.State
COLUMNS = (
    "user_id, entry, arrival, order_key, state, outcome, misses, joined_at, called_at, admitted_at, slot_expires_at, ended_at,"
    " booking_id, version, joined"
)
TEMPORARY = """
    CREATE TEMPORARY TABLE IF NOT EXISTS waitingroom_batch (
        user_id uuid, entry text, arrival bigint, order_key bigint, state text, outcome text, misses smallint,
        joined_at timestamptz, called_at timestamptz, admitted_at timestamptz, slot_expires_at timestamptz,
        ended_at timestamptz, booking_id uuid, version bigint, joined boolean
    ) ON COMMIT DELETE ROWS
"""
INSERT = """
    INSERT INTO waitingroom_place (event_id, user_id, entry, arrival, order_key, state, outcome, misses, joined_at,
        called_at, admitted_at, slot_expires_at, ended_at, booking_id, version)
    SELECT %(event)s, batch.user_id, batch.entry, CASE WHEN %(drawn)s OR batch.state = 'left' THEN NULL ELSE batch.arrival END,
        batch.order_key, batch.state, batch.outcome, batch.misses, batch.joined_at, batch.called_at, batch.admitted_at,
        batch.slot_expires_at, batch.ended_at, batch.booking_id, batch.version
    FROM waitingroom_batch batch JOIN accounts_user person ON person.id = batch.user_id
    ON CONFLICT (event_id, user_id) DO NOTHING
"""
# Who joined anew begins with a clean row. Who leaves the lobby before its list is closed was never on it; once it is closed
# nobody's arrival changes, so that the list stays what was published.
UPDATE = """
    UPDATE waitingroom_place place SET
        arrival = CASE WHEN %(drawn)s THEN place.arrival WHEN batch.state = 'left' THEN NULL
            WHEN batch.joined THEN batch.arrival ELSE place.arrival END,
        order_key = CASE WHEN batch.joined THEN batch.order_key ELSE coalesce(batch.order_key, place.order_key) END,
        state = batch.state,
        outcome = batch.outcome,
        misses = batch.misses + CASE WHEN batch.joined THEN 0 ELSE place.misses END,
        joined_at = CASE WHEN batch.joined THEN batch.joined_at ELSE place.joined_at END,
        called_at = CASE WHEN batch.joined THEN batch.called_at ELSE coalesce(batch.called_at, place.called_at) END,
        admitted_at = CASE WHEN batch.joined THEN batch.admitted_at ELSE coalesce(batch.admitted_at, place.admitted_at) END,
        slot_expires_at = CASE WHEN batch.joined THEN batch.slot_expires_at
            ELSE coalesce(batch.slot_expires_at, place.slot_expires_at) END,
        ended_at = batch.ended_at,
        booking_id = CASE WHEN batch.joined THEN batch.booking_id ELSE coalesce(batch.booking_id, place.booking_id) END,
        version = batch.version
    FROM waitingroom_batch batch
    WHERE place.event_id = %(event)s AND place.user_id = batch.user_id AND place.version < batch.version
"""


@dataclass(frozen=True)
class Row:
    """What a batch makes of one person's place."""

    user_id: UUID
    state: str = State.WAITING
    outcome: str = ""
    arrival: int | None = None
    order_key: int | None = None
    misses: int = 0
    joined_at: datetime | None = None
    called_at: datetime | None = None
    admitted_at: datetime | None = None
    slot_expires_at: datetime | None = None
    ended_at: datetime | None = None
    booking_id: UUID | None = None
    version: int = 0
    joined: bool = False


def drain_journal(event_id: UUID, *, batches: int = 20) -> int:
    """
    Write down what the journal holds, up to `batches` × 5 000 entries, and return how many there were.

    Safe in any number of processes: one does it, the others return 0.

    :raises store.Stale: if Redis lost its tail and must be filled anew
    :raises redis.RedisError: if Redis does not answer
    """
    done = 0
    with only_one(event_id, JOURNAL) as mine:
        if not mine:
            return 0
        for _ in range(batches):
            entries = store.journal(event_id, BATCH)
            if not entries:
                break
            rewound = write_down(event_id, entries)
            store.forget(event_id, entries[-1].id)
            done += len(entries)
            if rewound:
                log.error("line.redis_lost_its_tail", line=str(event_id))
                store.disown(event_id)
                raise store.Stale
            if len(entries) < BATCH:
                break
    return done


@transaction.atomic
def write_down(event_id: UUID, entries: Sequence[store.Entry]) -> bool:
    """Write one batch; True when its numbers show that Redis lost entries which are written down here."""
    room = WaitingRoom.objects.select_for_update(no_key=True).filter(pk=event_id).first()
    if room is None:
        return False
    fresh = [entry for entry in entries if version_of(entry.id) > version_of(room.journal_id.encode())]
    if not fresh:
        return False
    rewound = fresh[0].number <= room.journal_number
    moves = moves_of(event_id, fresh, drawn=room.is_drawn)
    rows = list(fold(fresh).values())
    if rewound:
        rows = behind_the_others(event_id, rows)
    with connection.cursor() as cursor:
        cursor.execute(TEMPORARY)
        copy(cursor, event_id, rows)
        known: dict[str, Any] = {"event": event_id, "drawn": room.is_drawn}
        cursor.execute(UPDATE, known)
        cursor.execute(INSERT, known)
    chain.append_moves(event_id=event_id, moves=moves, rewound=rewound)
    WaitingRoom.objects.filter(pk=event_id).update(journal_number=fresh[-1].number, journal_id=fresh[-1].id.decode())
    return rewound


def behind_the_others(event_id: UUID, rows: Iterable[Row]) -> list[Row]:
    """
    Put who joined after Redis lost its tail behind everybody who is written down.

    Redis had forgotten the last places it gave out and gave them out again.
    """
    highest = Place.objects.filter(event_id=event_id).aggregate(highest=Max("order_key"))["highest"] or store.LATE
    moved = []
    for row in sorted(rows, key=lambda row: row.order_key or 0):
        if row.joined and row.order_key is not None and row.order_key >= store.LATE:
            highest += 1
            row = replace(row, order_key=highest)
        moved.append(row)
    return moved


def copy(cursor: Any, event_id: UUID, rows: Iterable[Row]) -> None:
    """Bring the rows into the temporary table."""
    with cursor.copy(f"COPY waitingroom_batch ({COLUMNS}) FROM STDIN") as into:
        for row in rows:
            into.write_row(
                (
                    row.user_id,
                    seeds.entry_of(event_id, row.user_id),
                    row.arrival,
                    row.order_key,
                    row.state,
                    row.outcome,
                    row.misses,
                    row.joined_at
                    or row.called_at
                    or row.ended_at
                    or row.admitted_at
                    or store.instant(row.version >> 20),
                    row.called_at,
                    row.admitted_at,
                    row.slot_expires_at,
                    row.ended_at,
                    row.booking_id,
                    row.version,
                    row.joined,
                )
            )


def version_of(entry_id: bytes) -> int:
    """Return an entry's id as one number that grows."""
    if not entry_id:
        return 0
    milliseconds, _, sequence = entry_id.partition(b"-")
    return (int(milliseconds) << 20) + int(sequence)


def fold(entries: Iterable[store.Entry]) -> dict[UUID, Row]:
    """Return what these entries, in their order, make of each person's place."""
    rows: dict[UUID, Row] = {}
    for entry in entries:
        row = rows.get(entry.user) or Row(entry.user)
        rows[entry.user] = replace(row, version=version_of(entry.id), **changes(entry))
    return rows


def changes(entry: store.Entry) -> dict[str, Any]:
    """Return what one entry changes in a place."""
    at = store.instant(entry.at)
    match entry.what:
        case "j":
            in_lobby = entry.extra == IN_LOBBY
            return {
                "state": State.WAITING,
                "outcome": "",
                "arrival": entry.value if in_lobby else None,
                "order_key": None if in_lobby else entry.value,
                "misses": 0,
                "joined_at": at,
                "ended_at": None,
                "booking_id": None,
                "joined": True,
            }
        case "c":
            return {"state": State.CALLED, "called_at": at, "ended_at": None}
        case "s":
            return {"state": State.CALLED, "called_at": at, "ended_at": None, "order_key": int(float(entry.extra))}
        case "a":
            return {
                "state": State.ACTIVE,
                "admitted_at": at,
                "slot_expires_at": store.instant(entry.value),
                "ended_at": None,
            }
        case "b":
            slot = store.instant(entry.value)
            return {
                "state": State.ACTIVE,
                "slot_expires_at": slot,
                "booking_id": UUID(bytes=entry.extra),
                "ended_at": None,
            }
        case "e":
            return {"state": State.ACTIVE, "slot_expires_at": store.instant(entry.value)}
        case "p":
            return {"state": State.PARKED}
        case "n":
            return {"state": State.PARKED, "misses": 1}
        case "r":
            return {"state": State.WAITING}
        case "f":
            return {"state": State.DONE, "outcome": "bought", "ended_at": at}
        case "x":
            return {"state": State.LAPSED, "outcome": "slot_ended", "ended_at": at}
        case "d":
            return {"state": State.LAPSED, "outcome": "no_show", "ended_at": at, "misses": 1}
        case "l":
            return {"state": State.LEFT, "outcome": "left", "ended_at": at}
        case _:
            return {}
