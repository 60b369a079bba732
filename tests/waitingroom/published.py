"""A published line as a site publishes it, for tests that change something in it."""

import hashlib
from typing import Any

from bookings.waitingroom import fairness
from bookings.waitingroom.verify import FORMAT, link_content

EVENT = "0f8fad5b-d9cb-469f-a165-70867728950e"
SEED = bytes(range(1, 33))


def entry(number: int) -> str:
    """Return the entry of person `number`."""
    return hashlib.sha256(f"person {number}".encode()).hexdigest()


def link(chain: list[dict[str, Any]], kind: str, event: str = EVENT, **payload: Any) -> None:
    """Append a link to `chain` as the site does."""
    number = len(chain) + 1
    made = {"number": number, "at": f"2026-05-01T10:00:{number:02}.000000Z", "kind": kind, "payload": payload}
    previous = chain[-1]["hash"] if chain else fairness.GENESIS
    chain.append(made | {"previous": previous, "hash": fairness.chain_hash(previous, link_content(event, made))})


def relink(published: dict[str, Any]) -> dict[str, Any]:
    """Hash the chain anew, as somebody would who changes a link and hopes that nobody kept an older copy."""
    chain: list[dict[str, Any]] = []
    for old in published["chain"]:
        link(chain, old["kind"], **old["payload"])
    return published | {"chain": chain}


def line(people: int = 40, late: int = 3, beacon: str = "") -> dict[str, Any]:
    """Return a line of `people` in the lobby and `late` behind them, of whom ten were let in."""
    listed = [entry(number) for number in range(people)]
    root = fairness.merkle_root(fairness.closed_list(listed))
    order = [found for _, found in fairness.order(SEED, root, listed, bytes.fromhex(beacon))]
    promise = fairness.commitment(SEED)
    chain: list[dict[str, Any]] = []
    link(chain, "lobby", commitment=promise)
    link(chain, "draw", commitment=promise, seed=SEED.hex(), root=root, beacon=beacon, size=people)
    link(chain, "open")
    link(chain, "moves", moves=[["joined", entry(1000 + number), number + 1] for number in range(late)])
    first = [["called", order[0]], ["called", order[1]], ["parked", order[2]], ["called", order[3]]]
    link(chain, "moves", moves=[*first, ["left", order[0]]])
    link(chain, "pause", reason="The card network is down.")
    link(chain, "resume")
    link(chain, "moves", moves=[["staff", order[20]], ["staff", entry(2000), late + 1]])
    back = [["back", order[2]], ["called", order[2]], ["done", order[1]]]
    link(chain, "moves", moves=[*back, *(["called", found] for found in order[4:10]), ["missed", order[9]]])
    return {
        "format": FORMAT,
        "eventId": EVENT,
        "commitment": promise,
        "seed": SEED.hex(),
        "root": root,
        "beacon": beacon,
        "size": people,
        "entries": order,
        "chain": chain,
    }
