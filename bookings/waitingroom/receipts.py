"""
What of a line is published, and one person's receipt: reads only.

Everything comes from PostgreSQL's book of the line (`models`), nothing from Redis: a receipt is what can still be shown when
the line is long over.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from bookings.waitingroom import chain, lists, seeds
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.refusals import NoLine, NotInLine
from bookings.waitingroom.verify import FORMAT

LATE = 2**52


@dataclass(frozen=True)
class Receipt:
    """
    What one person can check of their place.

    `place`, `leaf` and `proof` are of those who were drawn; `late` counts those who came after the draw, in their order.
    """

    event_id: UUID
    entry: str
    state: str
    joined_at: datetime | None
    arrival: int | None
    place: int | None
    late: int | None
    draw: int | None
    leaf: int | None
    proof: list[str]
    size: int | None
    commitment: str
    seed: str
    root: str
    beacon: str
    drawn_at: datetime | None
    chain: chain.Head


def room_of(event_id: UUID) -> WaitingRoom:
    """
    Return the line of an event.

    :raises NoLine: if it has none
    """
    room = WaitingRoom.objects.filter(event_id=event_id).first()
    if room is None:
        raise NoLine
    return room


def receipt_of(*, user_id: UUID, event_id: UUID) -> Receipt:
    """
    Return a person's receipt.

    :raises NoLine: if the event has no line
    :raises NotInLine: if the person never had a place in it
    """
    room = room_of(event_id)
    place = Place.objects.filter(event_id=event_id, user_id=user_id).first()
    entry = place.entry if place else seeds.entry_of(event_id, user_id)
    member = None
    if room.seed:
        member = lists.membership(
            event_id=event_id,
            entry=entry,
            seed=bytes.fromhex(room.seed),
            root=room.merkle_root,
            beacon=bytes.fromhex(room.beacon),
        )
    if place is None and member is None:
        raise NotInLine
    key = place.order_key if place else None
    return Receipt(
        event_id=event_id,
        entry=entry,
        state=place.state if place else "",
        joined_at=place.joined_at if place else None,
        arrival=place.arrival if place else None,
        place=member.place if member else None,
        late=key - LATE if key is not None and key >= LATE else None,
        draw=member.draw if member else None,
        leaf=member.leaf if member else None,
        proof=member.proof if member else [],
        size=room.list_size if room.seed else None,
        commitment=room.seed_hash,
        seed=room.seed,
        root=room.merkle_root,
        beacon=room.beacon,
        drawn_at=room.opened_at if room.seed else None,
        chain=chain.head(event_id),
    )


def header(room: WaitingRoom) -> dict[str, Any]:
    """Return what is published of a line but the list and the chain. Before the seed is shown there is no list either."""
    return {
        "format": FORMAT,
        "eventId": str(room.event_id),
        "commitment": room.seed_hash,
        "seed": room.seed,
        "root": room.merkle_root if room.seed else "",
        "beacon": room.beacon,
        "size": room.list_size or 0 if room.seed else 0,
    }


def rendered(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as the API and the page give it."""
    return {
        "eventId": str(receipt.event_id),
        "entry": receipt.entry,
        "state": receipt.state,
        "joinedAt": chain.written(receipt.joined_at) if receipt.joined_at else None,
        "arrival": receipt.arrival,
        "drawn": receipt.place is not None,
        "place": receipt.place,
        "late": receipt.late,
        "draw": receipt.draw,
        "leaf": receipt.leaf,
        "proof": receipt.proof,
        "size": receipt.size,
        "commitment": receipt.commitment,
        "seed": receipt.seed,
        "root": receipt.root,
        "beacon": receipt.beacon,
        "drawnAt": chain.written(receipt.drawn_at) if receipt.drawn_at else None,
        "chain": receipt.chain._asdict(),
    }


def published(event_id: UUID) -> dict[str, Any]:
    """
    Return everything that is published, as `verify.verify` takes it.

    :raises NoLine: if the event has no line
    """
    room = room_of(event_id)
    entries = list(lists.ordered(event_id)) if room.seed else []
    return header(room) | {"entries": entries, "chain": [chain.published(link) for link in chain.all_links(event_id)]}


def stream(room: WaitingRoom) -> Iterator[bytes]:
    """Yield everything that is published as JSON in the API's envelope, part by part."""
    yield b'{"status":"success","data":' + orjson.dumps(header(room))[:-1] + b',"entries":['
    if room.seed:
        number = 0
        while packed := lists.part_of(room.event_id, number):
            yield (b"," if number else b"") + orjson.dumps(lists.split(packed))[1:-1]
            number += 1
    yield b'],"chain":['
    after = 0
    while links := list(chain.links(room.event_id, after=after)):
        yield (b"," if after else b"") + orjson.dumps([chain.published(link) for link in links])[1:-1]
        after = links[-1].number
    yield b"]}}"


def stored_differently(event_id: UUID) -> str:
    """
    Compare people's rows with the list and return the first difference in a sentence, "" when there is none.

    Who left and joined again stands behind those drawn by now; nobody drawn may have any other key but their own.
    """
    room = room_of(event_id)
    if not room.seed:
        return ""
    places = {entry: place for place, entry in enumerate(lists.ordered(event_id), start=1)}
    rows = Place.objects.filter(event_id=event_id, order_key__lt=LATE).order_by("order_key")
    above = 0
    for entry, key in rows.values_list("entry", "order_key").iterator():
        if entry not in places:
            return f"{entry} has a place among those drawn (key {key}) and is not on the list."
        if places[entry] <= above:
            return f"{entry} (place {places[entry]}) stands behind place {above}."
        above = places[entry]
    return ""
