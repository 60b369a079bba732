"""
The line's moving parts: Redis, and nothing but Redis.

Each act is one script (`lua/`), loaded once and called by its hash, so it is one round trip and nothing happens between its
steps. A person is the 16 bytes of their id. All keys of one event carry the same hash tag, so they share a Cluster slot, and
every time is Redis's own.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

FOLDER = Path(__file__).parent / "lua"
SHARED = (FOLDER / "shared.lua").read_text()
PARTS = ("cfg", "q", "call", "act", "park", "key", "used", "missed", "ev", "draw", "gone", "fin", "hb0", "hb1", "hb2")
PRESENCE_MS = 60_000
CHUNK = 5_000
HUNG_SECONDS = 1.0  # for so long nobody in this process waits for a Redis that did not answer in time
_hung = {"until": 0.0}
LATE = 2**52
Item = TypeVar("Item")


class Script(NamedTuple):
    """A script's text and the hash that Redis knows it by."""

    text: str
    sha: str


class Stale(Exception):
    """Redis does not know this line, or knows it as it was before it was filled anew."""


@cache
def script(name: str) -> Script:
    """Return one of `lua/`, with what all of them share before it."""
    text = f"{SHARED}\n{(FOLDER / f'{name}.lua').read_text()}"
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def client() -> Any:
    """
    Return the process's connections to the line's Redis (a `redis.Redis`, whose types can not tell bytes from text).

    A hung server hangs no request for long.
    """
    return redis.Redis.from_url(
        settings.QUEUE_REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        # A connection that was closed meanwhile is made again, once; one that hangs is not waited for a second time.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        protocol=2,
    )


@lru_cache(maxsize=4096)
def keys(event_id: UUID) -> tuple[bytes, ...]:
    """Return the keys of one event, in the order that the scripts know them."""
    return tuple(f"wr:{{{event_id.hex}}}:{part}".encode() for part in PARTS)


def key(event_id: UUID, part: str) -> bytes:
    """Return one key of an event."""
    return keys(event_id)[PARTS.index(part)]


def call(name: str, event_id: UUID, *arguments: Any) -> list[Any]:
    """
    Run a script and return its answer.

    :raises Stale: if Redis lost the line
    :raises redis.RedisError: if Redis does not answer
    """
    if time.monotonic() < _hung["until"]:
        raise redis.TimeoutError("It hung a moment ago.")
    wanted, line = script(name), keys(event_id)
    try:
        try:
            found = client().evalsha(wanted.sha, len(line), *line, *arguments)
        except redis.exceptions.NoScriptError:
            found = client().eval(wanted.text, len(line), *line, *arguments)
    except redis.TimeoutError:
        _hung["until"] = time.monotonic() + HUNG_SECONDS
        raise
    if found[0] == b"STALE":
        raise Stale
    return found


class Answer(NamedTuple):
    """What a script says about one person; times are milliseconds of Redis's clock."""

    code: str
    state: str
    epoch: int
    now: int
    first: bytes
    second: bytes
    order_key: int | None
    opens: int
    speed: float | None
    measured: int
    seats: int
    most: int
    patience: int
    message: str
    asks: bool
    lobby: int

    @property
    def rank(self) -> int:
        """How many are ahead, of a person who waits."""
        return int(self.first)

    @property
    def total(self) -> int:
        """How many wait or are in the lobby."""
        return int(self.second or 0)

    @property
    def till(self) -> int:
        """When the slot of an admitted person ends."""
        return int(self.first)

    @property
    def booking_id(self) -> UUID | None:
        """The hold that an admitted person's slot is used by."""
        return UUID(bytes=self.second) if self.code == "A" and len(self.second) == 16 else None


def about(raw: Sequence[Any]) -> Answer:
    """Read a script's answer about one person."""
    return Answer(
        raw[0].decode(),
        raw[1].decode(),
        int(raw[2]),
        int(raw[3]),
        raw[4],
        raw[5],
        int(float(raw[6])) if raw[6] else None,
        int(raw[7]),
        float(raw[8]) if raw[8] else None,
        int(raw[9]),
        int(raw[10]),
        int(raw[11]),
        int(raw[12]),
        raw[13].decode(),
        bool(raw[14]),
        int(raw[15]),
    )


def ask(name: str, event_id: UUID, user_id: UUID, *arguments: Any) -> Answer:
    """Run a script that is about one person."""
    return about(call(name, event_id, user_id.bytes, *arguments))


class Snapshot(NamedTuple):
    """What everybody may know of a line, and its operators' figures."""

    state: str
    epoch: int
    now: int
    waiting: int
    called: int
    active: int
    parked: int
    drawing: int
    frontier: int | None
    opens: int
    lobby: int
    speed: float | None
    measured: int
    seats: int
    most: int
    message: str
    rate: int
    holding: int
    journal_number: int
    ticked: int
    beat: int
    journal_length: int
    closes: int


def snapshot(event_id: UUID) -> Snapshot:
    """
    Return how a line is, in one call.

    :raises Stale: if Redis lost it
    """
    raw = call("serving", event_id)
    numbers = {
        name: int(float(value or 0)) for name, value in zip(Snapshot._fields, raw[1:], strict=True) if name in WHOLE
    }
    return Snapshot(
        **numbers,
        state=raw[1].decode(),
        frontier=int(float(raw[9])) if raw[9] else None,
        speed=float(raw[12]) if raw[12] else None,
        message=raw[16].decode(),
    )


WHOLE = frozenset(Snapshot._fields) - {"state", "frontier", "speed", "message"}


class Ticked(NamedTuple):
    """What one tick did, and how the line is after it."""

    called: int
    parked: int
    lapsed: int
    missed: int
    state: str
    waiting: int
    in_call: int
    active: int
    away: int
    now: int
    journal_number: int


def promote(event_id: UUID, *, epoch: int | None = None, limit: int = 500, beat: bool = False) -> Ticked:
    """
    Let the line move: end what is over, call who is next.

    :raises Stale: if Redis lost the line, or has it of another epoch than `epoch`
    """
    raw = call("promote", event_id, "" if epoch is None else epoch, limit, int(beat))
    called, parked, lapsed, missed = map(int, raw[1:5])
    waiting, in_call, active, away, now, number = map(int, raw[6:12])
    return Ticked(called, parked, lapsed, missed, raw[5].decode(), waiting, in_call, active, away, now, number)


class Entry(NamedTuple):
    """One entry of the journal: who did what, when."""

    id: bytes
    at: int
    what: str
    user: UUID
    value: int
    number: int
    extra: bytes


def journal(event_id: UUID, count: int) -> list[Entry]:
    """Return the oldest entries that are not written down yet."""
    found = []
    for entry_id, fields in client().xrange(key(event_id, "ev"), count=count):
        found.append(
            Entry(
                entry_id,
                int(entry_id.partition(b"-")[0]),
                fields[b"o"].decode(),
                UUID(bytes=fields[b"u"]),
                int(float(fields[b"v"])),
                int(fields[b"n"]),
                fields.get(b"x", b""),
            )
        )
    return found


def forget(event_id: UUID, upto: bytes) -> None:
    """Drop the journal's entries up to and including `upto`: they are written down."""
    milliseconds, _, sequence = upto.partition(b"-")
    client().xtrim(key(event_id, "ev"), minid=b"%d-%d" % (int(milliseconds), int(sequence) + 1), approximate=False)


def fill(event_id: UUID, part: str, members: Iterable[tuple[bytes, int]]) -> int:
    """Add (member, score) pairs to a sorted set in chunks, and return how many there were."""
    count = 0
    for chunk in chunks(members):
        client().zadd(key(event_id, part), dict(chunk))
        count += len(chunk)
    return count


def chunks(members: Iterable[Item], size: int = CHUNK) -> Iterator[list[Item]]:
    """Yield lists of at most `size`."""
    chunk: list[Item] = []
    for member in members:
        chunk.append(member)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def wipe(event_id: UUID) -> None:
    """Remove everything of a line but its head, which says that it is being filled."""
    client().unlink(*keys(event_id)[1:])


def instant(milliseconds: int) -> datetime:
    """Return Redis's milliseconds as a datetime."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def milliseconds(at: datetime | None) -> int:
    """Return a datetime as Redis's milliseconds; 0 for none."""
    return 0 if at is None else round(at.timestamp() * 1000)


def disown(event_id: UUID) -> None:
    """Have every script find the line lost until it is filled anew."""
    client().hdel(key(event_id, "cfg"), "epoch")


def milliseconds_now() -> int:
    """Return the time by Redis's clock."""
    seconds, microseconds = client().time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def expire(event_id: UUID, seconds: int) -> None:
    """Have everything of a line go by itself after a while."""
    pipe = client().pipeline(transaction=False)
    for name in keys(event_id):
        pipe.expire(name, seconds)
    pipe.execute()
