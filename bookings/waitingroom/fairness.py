"""
What makes a line checkable by anybody: a promise before the draw, a list that can not be changed after it, an order that
follows from both, and a chain of everything that happened since. Pure functions, no rows, no clock.

1. When the lobby opens, `commitment(seed)` is published: whoever chose the seed can not choose another one later.
2. At opening the list is closed. Its Merkle root (RFC 9162 §2.1: leaves and nodes hashed apart, so neither passes for the
   other) is published. Leaves are sorted by entry, so one set of people has one root, whatever order they came in.
3. The order is by `draw(seed, root, entry, beacon)`: HMAC-SHA256 (RFC 2104) keyed with seed ‖ root ‖ beacon. The root in the
   key is why an insider who knows the seed gains nothing by trying accounts: each one changes everybody's draw. `beacon` is
   randomness from outside, published only after the list was closed; empty without one.
4. What happens afterwards is a list of links, each hashed with the one before (`chain_hash`), over canonical JSON (RFC 8785,
   the part of it without fractions).

An *entry* stands for a person in one line: the hex HMAC of event and person under a key of the site. `static/js/fairness.js`
repeats all of this in the browser; tests hold both to the same vectors.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

SEED_BYTES = 32
DRAWN_BELOW = 2**52  # draws are exact as doubles, which is what a score in Redis and a number in JavaScript is
GENESIS = "00" * 32
LEAF, NODE, LINK = b"\x00", b"\x01", b"\x02"
HEX = re.compile(r"(?:[0-9a-f]{2})+")
KEY = re.compile(r"[a-z][A-Za-z]*")
EXACT = 2**53


def commitment(seed: bytes) -> str:
    """Return what is published before anybody joins: the SHA-256 of the seed."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"A seed has {SEED_BYTES} bytes.")
    return hashlib.sha256(seed).hexdigest()


def leaf_hash(entry: str) -> bytes:
    """Return the hash of one leaf (RFC 9162 §2.1.1)."""
    return hashlib.sha256(LEAF + bytes.fromhex(entry)).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 9162 §2.1.1)."""
    return hashlib.sha256(NODE + left + right).digest()


def level_above(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the next level of the tree: pairs hashed, an odd one at the end carried up as it is."""
    paired = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=False)]
    return [*paired, hashes[-1]] if len(hashes) % 2 else paired


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """
    Return the root over the hashes of one level.

    Pairing from the bottom and carrying the odd one up gives the tree of RFC 9162, which splits from the top at the largest
    power of two.
    """
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        hashes = level_above(hashes)
    return hashes[0]


def merkle_root(leaves: Sequence[str]) -> str:
    """Return the root over `leaves`, in the order given; callers sort them (`closed_list`)."""
    return root_of_hashes([leaf_hash(leaf) for leaf in leaves]).hex()


def proof_of_hashes(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """Return the siblings on the way from one hash to the root, nearest first (RFC 9162 §2.1.3.1)."""
    if not 0 <= index < len(hashes):
        raise IndexError("There is no such leaf.")
    path = []
    while len(hashes) > 1:
        sibling = index ^ 1
        if sibling < len(hashes):
            path.append(hashes[sibling])
        hashes, index = level_above(hashes), index // 2
    return path


def merkle_proof(leaves: Sequence[str], index: int) -> list[str]:
    """Return the proof that `leaves[index]` is on the list with their root."""
    return [sibling.hex() for sibling in proof_of_hashes([leaf_hash(leaf) for leaf in leaves], index)]


def verify_proof(*, entry: str, index: int, size: int, proof: Sequence[str], root: str) -> bool:
    """Whether `proof` shows that `entry` is leaf `index` of the `size` leaves under `root` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, hashed = index, size - 1, leaf_hash(entry)
    for text in proof:
        if last == 0:
            return False
        sibling = bytes.fromhex(text)
        if node % 2 or node == last:
            hashed = node_hash(sibling, hashed)
            while node % 2 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and hashed.hex() == root


def draw_key(seed: bytes, root: str, beacon: bytes = b"") -> bytes:
    """Return the key of the draw: seed ‖ root ‖ beacon; the first two have a fixed length, so nothing can be shifted."""
    if len(seed) != SEED_BYTES or len(root) != 64:
        raise ValueError(f"A seed has {SEED_BYTES} bytes and a root 64 hex digits.")
    return seed + bytes.fromhex(root) + beacon


def draw(seed: bytes, root: str, entry: str, beacon: bytes = b"") -> int:
    """Return the number that decides an entry's place: the first 52 bits of its HMAC-SHA256."""
    return draw_with(draw_key(seed, root, beacon), entry)


def draw_with(key: bytes, entry: str) -> int:
    """Return the draw of an entry under a key that was put together before."""
    return int.from_bytes(hmac.digest(key, bytes.fromhex(entry), "sha256")[:8], "big") >> 12


def closed_list(entries: Iterable[str]) -> list[str]:
    """Return the list as its root is taken: sorted, so that nobody can choose among roots by choosing an order."""
    return sorted(entries)


def order(seed: bytes, root: str, entries: Iterable[str], beacon: bytes = b"") -> list[tuple[int, str]]:
    """
    Return (order key, entry) of everybody on the list, the first in line first. Keys are distinct and below 2^52.

    Equal draws (one pair in about ten thousand lists of a million) are ordered by entry, and the later one's key is raised
    by one, so that a store that sorts by key alone keeps the same order.
    """
    key = draw_key(seed, root, beacon)
    drawn = sorted((draw_with(key, entry), entry) for entry in entries)
    return list(distinct(drawn))


def distinct(drawn: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield sorted (draw, entry) pairs with each key above the one before."""
    above = -1
    for key, entry in drawn:
        above = max(key, above + 1)
        yield above, entry


def canonical(value: Any) -> str:
    """
    Return `value` as the one JSON text it has (RFC 8785): keys sorted, no spaces, only what needs it escaped.

    :raises ValueError: for what has no single text in every language: fractions, integers past 2^53, keys that the API
        would rename
    """
    return json.dumps(checked(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def checked(value: Any) -> Any:
    """Return `value`, or raise ValueError when it is not made of what canonical JSON allows."""
    if isinstance(value, Mapping):
        if wrong := [key for key in value if not isinstance(key, str) or not KEY.fullmatch(key)]:
            raise ValueError(f"{wrong[0]!r} can not be a key in a chain.")
        return {key: checked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [checked(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and -EXACT < value < EXACT:
        return value
    raise ValueError(f"{value!r} can not stand in a chain.")


def chain_hash(previous: str, link: Mapping[str, Any]) -> str:
    """Return the hash of a link: SHA-256 of 0x02 ‖ the hash before ‖ the link's canonical JSON."""
    return hashlib.sha256(LINK + bytes.fromhex(previous) + canonical(link).encode()).hexdigest()


def is_hex(text: Any, size: int = 0) -> bool:
    """Whether `text` is lower-case hex of `size` bytes (of any, when 0)."""
    return isinstance(text, str) and bool(HEX.fullmatch(text)) and (not size or len(text) == 2 * size)
