"""
The check of a whole line from what is published alone: the same for the operator's rows and for a stranger's download.

`verify(published)` goes through five steps and raises `Breach` at the first thing that is not as it must be. It trusts
nothing in the file: what can be computed is computed again.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bookings.waitingroom import fairness

FORMAT = "fairseat-line-1"
# A person's standing, as far as the chain tells; only somebody `waiting` may be called.
WAITING, AWAY, CALLED, GONE = "waiting", "away", "called", "gone"


class Breach(Exception):
    """Something that is not as it must be; `step` names the check, the text says where."""

    def __init__(self, step: str, text: str) -> None:
        self.step = step
        super().__init__(text)


@dataclass(frozen=True)
class Proven:
    """One step that held, in a sentence."""

    step: str
    text: str


def need(holds: bool, step: str, text: str) -> None:
    """Raise the breach unless it holds."""
    if not holds:
        raise Breach(step, text)


def verify(published: Mapping[str, Any]) -> list[Proven]:
    """
    Check a published line and return what was proven, step by step.

    :raises Breach: at the first thing that is not as it must be
    """
    try:
        return list(steps(published))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Breach("file", f"The file is not put together as it must be: {error}.") from error


def steps(published: Mapping[str, Any]) -> Iterator[Proven]:
    """Yield what each step proves."""
    need(published.get("format") == FORMAT, "file", f"This is no {FORMAT} file.")
    for name in ("eventId", "commitment", "seed", "root", "beacon"):
        need(isinstance(published.get(name), str), "file", f"`{name}` is missing.")
    for name in ("entries", "chain"):
        need(isinstance(published.get(name), list), "file", f"`{name}` is missing.")
    yield check_chain(published)
    if not published["seed"]:
        need(not published["entries"] and not published["root"], "seed", "There is a list, but no seed was revealed.")
        if any(link["kind"] == "open" for link in published["chain"]):
            yield Proven("draw", "There was no lobby and no draw: first come, first served.")
            yield check_moves(published)
        else:
            yield Proven("draw", "The draw has not been held yet: only the promise and the chain can be checked.")
        return
    yield check_seed(published)
    yield check_list(published)
    yield check_order(published)
    yield check_moves(published)


def check_chain(published: Mapping[str, Any]) -> Proven:
    """Check that the chain has no gap, no change and no fork, and that it tells the same story as the rest of the file."""
    previous, before = fairness.GENESIS, ""
    for number, link in enumerate(published["chain"], start=1):
        for name in ("number", "at", "kind", "payload", "previous", "hash"):
            need(isinstance(link, Mapping) and name in link, "chain", f"Link {number} has no `{name}`.")
        need(
            link["number"] == number, "chain", f"Link {number} is missing: number {link['number']} stands in its place."
        )
        need(link["previous"] == previous, "chain", f"Link {number} does not follow the link before it.")
        content = link_content(published["eventId"], link)
        need(
            link["hash"] == fairness.chain_hash(previous, content),
            "chain",
            f"Link {number} was changed: its hash differs.",
        )
        need(str(link["at"]) >= before, "chain", f"Link {number} is older than the link before it.")
        previous, before = link["hash"], str(link["at"])
    for name, kind in (("commitment", "lobby"), *((name, "draw") for name in ("seed", "root", "beacon", "commitment"))):
        links = [link for link in published["chain"] if link["kind"] == kind]
        need(len(links) <= 1, "chain", f"There are {len(links)} links `{kind}`; a line is opened once.")
        for link in links:
            said = link["payload"].get(name)
            need(said == published[name], "chain", f"The {name} is not the one that link {link['number']} recorded.")
    drawn = [link for link in published["chain"] if link["kind"] == "draw"]
    need(
        bool(drawn) == bool(published["seed"]),
        "chain",
        "The chain and the file disagree about whether the draw was held.",
    )
    return Proven("chain", f"{len(published['chain'])} links, none missing, none changed.")


def link_content(event_id: str, link: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a link that its hash covers, beside the hash before."""
    return {"event": event_id} | {name: link[name] for name in ("number", "at", "kind", "payload")}


def check_seed(published: Mapping[str, Any]) -> Proven:
    """Check that the revealed seed is the one promised before anybody joined."""
    seed = published["seed"]
    need(fairness.is_hex(seed, fairness.SEED_BYTES), "seed", f"The seed is not {fairness.SEED_BYTES} bytes of hex.")
    computed = fairness.commitment(bytes.fromhex(seed))
    need(
        computed == published["commitment"],
        "seed",
        "The seed is not the one that was promised before the lobby opened.",
    )
    return Proven("seed", "The revealed seed is the one promised before the lobby opened.")


def check_list(published: Mapping[str, Any]) -> Proven:
    """Check that the list is the one whose root was published: nobody was added, removed or listed twice."""
    entries: Sequence[str] = published["entries"]
    for place, entry in enumerate(entries, start=1):
        need(fairness.is_hex(entry), "list", f"Place {place} holds no entry.")
    drawn = next(link for link in published["chain"] if link["kind"] == "draw")
    size = drawn["payload"].get("size")
    need(len(entries) == size, "list", f"The list has {len(entries)} entries, {size} were in the lobby at opening.")
    ordered = fairness.closed_list(entries)
    for first, second in pairwise(ordered):
        need(first != second, "list", f"Entry {first} is on the list twice.")
    computed = fairness.merkle_root(ordered)
    need(computed == published["root"], "list", "The list is not the one whose root was published at opening.")
    return Proven("list", f"{len(entries)} entries, each once, under the published root.")


def check_order(published: Mapping[str, Any]) -> Proven:
    """Check that the places follow from seed, root and list."""
    seed, beacon = bytes.fromhex(published["seed"]), bytes.fromhex(published["beacon"])
    computed = fairness.order(seed, published["root"], published["entries"], beacon)
    for place, (listed, (_, entry)) in enumerate(zip(published["entries"], computed, strict=True), start=1):
        need(listed == entry, "order", f"Place {place} belongs to {entry}, the list gives it to {listed}.")
    return Proven("order", "Every place follows from the seed and the list.")


class Line:
    """The line as the chain tells it, played again move by move."""

    def __init__(self, entries: Sequence[str]) -> None:
        self.size = len(entries)
        self.order: list[tuple[int, str]] = list(enumerate(entries))  # (key, entry): places from 0, then who came late
        self.keys = {entry: key for key, entry in self.order}
        self.standing = dict.fromkeys(entries, WAITING)
        self.since: dict[str, int] = {}  # the link in which somebody was called or went away
        self.head = self.late = self.restored = 0
        self.calls = self.by_staff = 0

    def play(self, link: Mapping[str, Any]) -> None:
        """Play a link; raise the breach of the first move that was not possible."""
        self.link: int = link["number"]
        if link["kind"] == "restored":
            self.restored = self.link
        if link["kind"] != "moves":
            return
        rewound = bool(link["payload"].get("rewound"))
        for step in link["payload"]["moves"]:
            move, entry = step[0], step[1]
            now = self.standing.get(entry)
            if move in {"joined", "restored"}:
                self.join(move, entry, step[2], now)
                continue
            if move == "staff":
                if now is None:
                    self.insert(entry, step[2])
                self.by_staff += 1
                self.set(entry, CALLED)
                continue
            if move == "regained":
                need(self.restored > 0, "moves", f"In link {self.link} {entry} regained a turn, but nothing was lost.")
                self.set(entry, CALLED)
                continue
            need(now is not None, "moves", f"In link {self.link} {entry} was {move} who never joined.")
            if move == "called":
                self.call(entry, str(now), rewound)
            elif move in {"parked", "missed"}:
                self.set(entry, AWAY)
            elif move == "back":
                need(now == AWAY or rewound, "moves", f"In link {self.link} {entry} came back who was not away.")
                self.set(entry, WAITING)
            else:
                self.set(entry, GONE)

    def set(self, entry: str, standing: str) -> None:
        """Note where somebody is now."""
        self.standing[entry], self.since[entry] = standing, self.link
        if standing == WAITING:
            self.head = min(self.head, bisect_left(self.order, (self.keys[entry], entry)))

    def insert(self, entry: str, number: int) -> None:
        """Put somebody into the line, behind everyone drawn."""
        self.keys[entry] = self.size + number - 1
        insort(self.order, (self.keys[entry], entry))
        self.set(entry, WAITING)

    def join(self, move: str, entry: str, number: int, now: str | None) -> None:
        """Somebody lines up: at the end, unless their place was lost and came back."""
        new = now in {None, GONE} or self.since.get(entry, 0) < self.restored
        need(new, "moves", f"In link {self.link} {entry} joined a second time.")
        if move == "joined":
            need(number > self.late, "moves", f"In link {self.link} {entry} joined in front of somebody.")
            self.late = number
        else:
            need(self.restored > 0, "moves", f"In link {self.link} {entry} got a place back, but nothing was lost.")
        self.insert(entry, number)

    def call(self, entry: str, now: str, rewound: bool) -> None:
        """Somebody is let in: whoever is first of those who wait."""
        self.calls += 1
        if now != WAITING:
            again = self.since[entry] <= self.restored and (rewound or now in {CALLED, AWAY})
            need(again, "moves", f"In link {self.link} {entry} was let in who was {now} already.")
        elif not rewound:
            key, first = self.first()
            mine = self.keys[entry]
            text = f"In link {self.link} {entry} (place {mine + 1}) was let in before {first} (place {key + 1})."
            need(first == entry, "moves", text)
        self.set(entry, CALLED)

    def first(self) -> tuple[int, str]:
        """Return the first who waits; who joined again stands at their last place only."""
        while True:
            key, entry = self.order[self.head]
            if self.standing[entry] == WAITING and self.keys[entry] == key:
                return key, entry
            self.head += 1


def check_moves(published: Mapping[str, Any]) -> Proven:
    """Check that people were let in along the line: each call was the turn of the first one who was there."""
    line = Line(published["entries"])
    for link in published["chain"]:
        line.play(link)
    text = f"{line.calls} people were let in, each when it was their turn; staff let in {line.by_staff}."
    return Proven("moves", text)
