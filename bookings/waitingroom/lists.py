"""
The list of a draw, kept for ever in parts of 1 024 people, so that a receipt costs two small reads however long it is.

A part holds the same numbers of both orders: leaves (sorted, as the root is taken over them) and places (the order drawn).
1 024 is a power of two, so a part is a whole subtree of the Merkle tree and its root is all that the rest of the tree needs.
Rows of people may be erased later; the list names nobody and stays.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import BinaryField, F, Func, Value

from bookings.waitingroom import fairness
from bookings.waitingroom.models import ListPart

PART = 1024
ENTRY_BYTES = 32


@dataclass(frozen=True)
class Membership:
    """Where somebody stands on the list: leaf and proof for the tree, draw and place (from 1) in the line."""

    leaf: int
    proof: list[str]
    draw: int
    place: int


def keep(*, event_id: UUID, ordered: Sequence[str]) -> None:
    """Write down the list of a draw, given in the order drawn; a second time changes nothing."""
    leaves = fairness.closed_list(ordered)
    ListPart.objects.bulk_create(
        (
            ListPart(
                event_id=event_id,
                number=number,
                leaves=bytes.fromhex("".join(leaves[at : at + PART])),
                places=bytes.fromhex("".join(ordered[at : at + PART])),
                root=fairness.merkle_root(leaves[at : at + PART]),
            )
            for number, at in enumerate(range(0, len(ordered), PART))
        ),
        batch_size=100,
        ignore_conflicts=True,
    )


def split(packed: bytes | memoryview) -> list[str]:
    """Return the entries of a part."""
    text = bytes(packed).hex()
    return [text[at : at + 2 * ENTRY_BYTES] for at in range(0, len(text), 2 * ENTRY_BYTES)]


def ordered(event_id: UUID, *, first: int = 1, last: int | None = None) -> Iterator[str]:
    """Yield the entries at places `first` to `last`, part by part, so that no reader holds a transaction open."""
    number = (first - 1) // PART
    while packed := part_of(event_id, number):
        for place, entry in enumerate(split(packed), start=number * PART + 1):
            if last is not None and place > last:
                return
            if place >= first:
                yield entry
        number += 1


def part_of(event_id: UUID, number: int) -> bytes | memoryview | None:
    """Return the places of one part."""
    return ListPart.objects.filter(event_id=event_id, number=number).values_list("places", flat=True).first()


def first_of(column: str) -> Func:
    """Return the expression for the first entry in a column of a part."""
    return Func(F(column), Value(1), Value(ENTRY_BYTES), function="substring", output_field=BinaryField())


def membership(*, event_id: UUID, entry: str, seed: bytes, root: str, beacon: bytes) -> Membership | None:
    """Return where `entry` stands on the list; None when it is not on it."""
    parts = list(
        ListPart.objects.filter(event_id=event_id)
        .order_by("number")
        .annotate(first_leaf=first_of("leaves"), first_place=first_of("places"))
        .values_list("root", "first_leaf", "first_place")
    )
    key = fairness.draw_key(seed, root, beacon)
    mine = (fairness.draw_with(key, entry), entry)
    in_leaves = bisect_right([bytes(leaf).hex() for _, leaf, _ in parts], entry) - 1
    first_places = [bytes(place).hex() for _, _, place in parts]
    in_places = bisect_right([(fairness.draw_with(key, first), first) for first in first_places], mine) - 1
    if in_leaves < 0 or in_places < 0:
        return None
    found = {
        part.number: part for part in ListPart.objects.filter(event_id=event_id, number__in={in_leaves, in_places})
    }
    leaves, places = split(found[in_leaves].leaves), split(found[in_places].places)
    if entry not in leaves or entry not in places:
        return None
    leaf = leaves.index(entry)
    roots = [bytes.fromhex(part_root) for part_root, _, _ in parts]
    above = [sibling.hex() for sibling in fairness.proof_of_hashes(roots, in_leaves)]
    return Membership(
        leaf=in_leaves * PART + leaf,
        proof=fairness.merkle_proof(leaves, leaf) + above,
        draw=mine[0],
        place=in_places * PART + places.index(entry) + 1,
    )
