"""
The book of a line: what happened since the lobby opened, each link hashed with the one before.

Links are appended by the journal's drain and by what staff do, never by a request of somebody in line. Appenders of one event
go one after the other (an advisory lock, taken last of all locks and held until the commit); a unique number makes a fork
impossible even for who forgets it, and triggers refuse a link that does not follow the head, every change and every
deletion (`bookings/waitingroom/triggers.py`).

The chain is public after the draw: nothing in it names a person. Staff's reasons stay in the audit.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction

from bookings.waitingroom import fairness
from bookings.waitingroom.models import ChainLink

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('fairness-chain:' || %s, 0))"
# A statement of its own after the lock: its snapshot must be younger than the commit of whoever held the lock.
HEAD = """
    SELECT head.number, head.hash, greatest(clock_timestamp(), head.at)
    FROM (SELECT 1) one LEFT JOIN LATERAL (
        SELECT number, hash, at FROM waitingroom_chainlink WHERE event_id = %s ORDER BY number DESC LIMIT 1
    ) head ON true
"""
MOVES_IN_ONE_LINK = 5000


class Head(NamedTuple):
    """The last link: its number (0 when there is none) and its hash."""

    number: int
    hash: str


@transaction.atomic
def append(*, event_id: UUID, kind: str, **payload: Any) -> ChainLink:
    """
    Append one link and return it; keys of the payload are camelCase, as they are published.

    :raises ValueError: if the payload has no canonical text
    """
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [str(event_id)])
        cursor.execute(HEAD, [event_id])
        number, previous, at = cursor.fetchone()
    link = ChainLink(
        event_id=event_id,
        number=(number or 0) + 1,
        at=at,
        kind=kind,
        payload=payload,
        previous=previous or fairness.GENESIS,
    )
    link.hash = fairness.chain_hash(link.previous, content(link))
    link.save(force_insert=True)
    return link


def append_moves(*, event_id: UUID, moves: Sequence[Sequence[Any]], rewound: bool = False) -> None:
    """
    Append what happened to people in line, in its order, e.g. `["called", "9f…"]` (`bookings/waitingroom/moves.py`).

    `rewound`: the store had lost its tail and told another story since, until it was filled anew; the chain says so.
    """
    if rewound:
        append(event_id=event_id, kind="restored")
    for at in range(0, len(moves), MOVES_IN_ONE_LINK):
        some = [list(move) for move in moves[at : at + MOVES_IN_ONE_LINK]]
        append(event_id=event_id, kind="moves", moves=some, **({"rewound": True} if rewound else {}))


def content(link: ChainLink) -> dict[str, Any]:
    """Return the part of a link that its hash covers, beside the hash before."""
    return {
        "event": str(link.event_id),
        "number": link.number,
        "at": written(link.at),
        "kind": link.kind,
        "payload": link.payload,
    }


def written(at: datetime) -> str:
    """Return a time as it is hashed and published: UTC with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def published(link: ChainLink) -> dict[str, Any]:
    """Return a link as it is published."""
    return {
        "number": link.number,
        "at": written(link.at),
        "kind": link.kind,
        "payload": link.payload,
        "previous": link.previous,
        "hash": link.hash,
    }


def links(event_id: UUID, *, after: int = 0, limit: int = 200) -> Iterable[ChainLink]:
    """Return up to `limit` links behind number `after`, oldest first."""
    return ChainLink.objects.filter(event_id=event_id, number__gt=after).order_by("number")[:limit]


def all_links(event_id: UUID) -> Iterator[ChainLink]:
    """Yield every link, some at a time and without a transaction that would stay open for a slow reader."""
    after = 0
    while batch := list(links(event_id, after=after)):
        yield from batch
        after = batch[-1].number


def head(event_id: UUID) -> Head:
    """Return the last link's number and hash."""
    last = ChainLink.objects.filter(event_id=event_id).order_by("-number").values_list("number", "hash").first()
    return Head(*last) if last else Head(0, fairness.GENESIS)
