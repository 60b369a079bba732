"""People in line: joining, standing, leaving, being called."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from bookings.waitingroom import store, tokens
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.refusals import (
    HoldRuns,
    LineAway,
    LineClosed,
    LineEnded,
    LineRestoring,
    LineSoldOut,
    NoLine,
    NotInLine,
    NotYourTurn,
    SlotExtensionRefused,
)
from bookings.waitingroom.services.recovery import recover
from events.models import Event

log = structlog.get_logger(__name__)

CONFIDENT = 10  # people who moved before we say how long it takes
RESTORING_MS = 2_000
SHARED_SECONDS = 1.0
_shared: dict[UUID, tuple[float, dict[str, Any]]] = {}


@dataclass(frozen=True)
class Standing:
    """
    Where somebody stands: `outside, lobby, waiting, paused, active, done, passed, sold_out, closed` or `restoring`.

    `receipt` is a signed token of their place, or of their admission once they are active.
    """

    status: str
    event_id: UUID
    next_poll_ms: int
    position: int | None = None
    total: int | None = None
    estimate_seconds: tuple[int, int] | None = None
    expires_at: datetime | None = None
    booking_id: UUID | None = None
    receipt: str = ""
    message: str = ""
    seats_left: int | None = None
    opens_at: datetime | None = None


def join(*, user_id: UUID, event_id: UUID, token: str = "") -> Standing:
    """
    Give somebody a place in line, or find the one they have, on whatever device.

    `token` is the receipt of an earlier answer: a place that Redis lost before it was written down comes back with it.

    :raises NoLine: if the event has no line
    :raises LineClosed, LineEnded, LineSoldOut: if nobody may join now
    :raises LineRestoring, LineAway: if Redis lost the line or is away; nothing has happened
    :raises WrongToken: if the token is forged, somebody else's, or another event's
    """
    answer = act("join", event_id, user_id, restorable(token, event_id=event_id, user_id=user_id) if token else "")
    if answer.code == "B":
        raise LineRestoring(retry_after=2)
    if answer.code == "C":
        raise closed(answer, event_id)
    return standing(answer, event_id=event_id, user_id=user_id)


def closed(answer: store.Answer, event_id: UUID) -> Exception:
    """Return why nobody may join."""
    if not Event.objects.filter(pk=event_id, queue_enabled=True).exists():
        return NoLine()
    if answer.state == "sold_out":
        return LineSoldOut()
    if answer.state == "ended":
        return LineEnded()
    if answer.state in {"open", "paused"}:
        return LineClosed("This line takes nobody else. Who stands in it is still let in.")
    opens = answer.lobby or answer.opens
    return LineClosed(opens_at=iso(store.instant(opens)) if opens else None)


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def restorable(token: str, *, event_id: UUID, user_id: UUID) -> str:
    """
    Return the order key that a token gives back: of an older epoch, and of a place PostgreSQL never heard of.

    A place that was given up or ended is a row there, so nobody regains it by showing an old token again.
    """
    said = tokens.read(token, event_id=event_id, user_id=user_id)
    if said.kind != tokens.PLACE:
        return ""
    room = WaitingRoom.objects.filter(pk=event_id).only("epoch").first()
    if room is None or said.epoch >= room.epoch or Place.objects.filter(event_id=event_id, user_id=user_id).exists():
        return ""
    return str(said.value)


def status(*, user_id: UUID, event_id: UUID) -> Standing:
    """
    Say where somebody stands, and note that they are there: one call of Redis, no statement.

    :raises NoLine: if the event has no line
    :raises LineAway: if Redis does not answer
    """
    try:
        answer = act("status", event_id, user_id)
    except LineRestoring:
        return Standing("restoring", event_id, jittered(RESTORING_MS))
    if answer.asks:
        lend_a_hand(event_id)
    return standing(answer, event_id=event_id, user_id=user_id)


def leave(*, user_id: UUID, event_id: UUID, with_hold: bool = False) -> None:
    """
    Give up a place; if it was one at the front the next person is called in the same step.

    :raises NotInLine: if there is none
    :raises HoldRuns: if tickets are held (unless `with_hold`)
    :raises LineRestoring, LineAway: if Redis lost the line or is away
    """
    answer = act("leave", event_id, user_id, int(with_hold))
    if answer.code == "B":
        raise LineRestoring(retry_after=2)
    if answer.code == "H":
        raise HoldRuns
    if answer.code == "N":
        raise NotInLine


def need_more_time(*, user_id: UUID, event_id: UUID) -> Standing:
    """
    Give somebody QUEUE_EXTENSION_SECONDS more to choose, at most QUEUE_MAX_EXTENSIONS times in one turn (WCAG 2.2.1).

    The order of the line does not change; who is behind waits for as long at most. A hold that runs has extensions of its own.

    :raises SlotExtensionRefused: if it was made longer as often as allowed, or the event does not allow it
    :raises NotYourTurn: if it is not this person's turn, or it is over
    :raises HoldRuns: if tickets are held already
    :raises NoLine: if the event has no line
    :raises LineRestoring, LineAway: if Redis lost the line or is away
    """
    allowed = Event.objects.filter(pk=event_id, queue_enabled=True).values_list("allow_hold_extension", flat=True)
    if not (found := allowed.first()):
        raise (
            NoLine()
            if found is None
            else SlotExtensionRefused("The organiser does not allow more time for this event.")
        )
    step = settings.QUEUE_EXTENSION_SECONDS * 1000
    answer = act("more", event_id, user_id, settings.QUEUE_MAX_EXTENSIONS, step)
    if answer.code == "B":
        raise LineRestoring(retry_after=2)
    if answer.code == "H":
        raise HoldRuns("Tickets are held for you. Ask for more time there.")
    if answer.code == "X":
        raise SlotExtensionRefused
    if answer.code == "N":
        raise NotYourTurn
    return standing(answer, event_id=event_id, user_id=user_id)


def promote(event_id: UUID) -> store.Ticked:
    """
    Let the line move once; any number of processes may, at the same time.

    :raises LineRestoring, LineAway: if Redis lost the line or is away
    """
    return guarded(lambda: store.promote(event_id), event_id)


def release(*, event_id: UUID, user_id: UUID, why: str = "x") -> bool:
    """End somebody's slot, whatever it is used for, and call the next person; False when there was none."""
    return act("release", event_id, user_id, b"", why, 0).code == "OK"


def serving(event_id: UUID) -> dict[str, Any]:
    """
    Return what everybody may know of a line; this process asks Redis once a second at most.

    :raises NoLine: if the event has no line
    :raises LineAway: if Redis does not answer
    """
    kept = _shared.get(event_id)
    if kept and time.monotonic() - kept[0] < SHARED_SECONDS:
        return kept[1]
    try:
        found = shown(event_id, guarded(lambda: store.snapshot(event_id), event_id))
    except LineRestoring:
        found = {"event_id": str(event_id), "state": "restoring", "next_poll_ms": RESTORING_MS}
    if len(_shared) > 1000:
        _shared.clear()
    _shared[event_id] = (time.monotonic(), found)
    return found


def shown(event_id: UUID, now: store.Snapshot) -> dict[str, Any]:
    """Return a snapshot as everybody sees it."""
    lobby = now.state in {"lobby", "drawing"}
    return {
        "event_id": str(event_id),
        "state": "restoring" if now.state == "rebuilding" else now.state,
        "epoch": now.epoch,
        "at": store.instant(now.now),
        "waiting": now.drawing + now.waiting if lobby else now.waiting,
        "active": now.active + now.called,
        "max_active": now.most,
        "frontier": None if lobby or now.frontier is None else str(now.frontier),
        "admitted_per_minute": None if now.speed is None or now.measured < CONFIDENT else round(now.speed * 60, 1),
        "seats_left": None if now.seats < 0 else now.seats,
        "opens_at": store.instant(now.opens) if now.opens else None,
        "lobby_opens_at": store.instant(now.lobby) if now.lobby else None,
        "message": now.message,
        "next_poll_ms": 5_000 if lobby else 10_000,
    }


# -- Answers ----------------------------------------------------------------------------------------------------------


def act(name: str, event_id: UUID, user_id: UUID, *arguments: Any) -> store.Answer:
    """Run a script about one person; a line that Redis lost is restored first, if nobody else does it."""
    return guarded(lambda: store.ask(name, event_id, user_id, *arguments), event_id)


def guarded(ask: Callable[[], Any], event_id: UUID) -> Any:
    """
    Ask Redis; fill it anew when it lost the line.

    :raises LineRestoring: if somebody else is at it
    :raises LineAway: if Redis does not answer
    """
    try:
        try:
            return ask()
        except store.Stale:
            recover(event_id)
            return ask()
    except store.Stale:
        raise LineRestoring(retry_after=2) from None
    except RedisError as error:
        log.warning("line.redis_away", error=type(error).__name__)
        raise LineAway(retry_after=3) from error


def lend_a_hand(event_id: UUID) -> None:
    """Do the tick that no worker did: the line goes on with worker and beat dead."""
    from bookings.waitingroom.services.ticks import tick

    log.warning("line.no_worker", line=str(event_id))
    tick(event_id)


def standing(answer: store.Answer, *, event_id: UUID, user_id: UUID) -> Standing:
    """Put an answer of Redis into words."""
    shared: dict[str, Any] = {
        "event_id": event_id,
        "message": answer.message,
        "seats_left": None if answer.seats < 0 else answer.seats,
        "opens_at": store.instant(answer.opens) if answer.opens else None,
    }
    poll = jittered(next_poll(answer))
    if answer.state == "rebuilding" and answer.code != "A":
        return Standing("restoring", event_id, jittered(RESTORING_MS), message=answer.message)
    if answer.code == "A":
        receipt = tokens.sign(
            tokens.ADMISSION, event_id=event_id, user_id=user_id, epoch=answer.epoch, value=answer.till
        )
        return Standing(
            "active",
            next_poll_ms=poll,
            expires_at=store.instant(answer.till),
            booking_id=answer.booking_id,
            receipt=receipt,
            **shared,
        )
    if answer.code == "F":
        return Standing({b"f": "done"}.get(answer.first, "passed"), next_poll_ms=poll, **shared)
    if answer.code == "N":
        return Standing("outside", next_poll_ms=poll, **shared)
    if answer.state in {"sold_out", "ended"}:
        return Standing("sold_out" if answer.state == "sold_out" else "closed", next_poll_ms=poll, **shared)
    if answer.code == "L":
        return Standing("lobby", next_poll_ms=poll, total=answer.total, **shared)
    place = answer.order_key or 0
    return Standing(
        "paused" if answer.state == "paused" else "waiting",
        next_poll_ms=poll,
        position=answer.rank + 1,
        total=answer.total,
        estimate_seconds=estimate(answer),
        receipt=tokens.sign(tokens.PLACE, event_id=event_id, user_id=user_id, epoch=answer.epoch, value=place),
        **shared,
    )


def estimate(answer: store.Answer) -> tuple[int, int] | None:
    """
    Return the range of seconds in which the turn should come, from how fast the line has been moving.

    The range narrows as more people were counted. Nothing is said while that is too few, and it stands still in a pause.
    """
    if answer.speed is None or answer.speed <= 0 or answer.measured < CONFIDENT:
        return None
    seconds = (answer.rank + 1) / answer.speed
    spread = max(0.15, min(0.6, 2 / answer.measured**0.5))
    return int(seconds * (1 - spread)), int(seconds * (1 + spread)) + 5


def next_poll(answer: store.Answer) -> float:
    """
    Return in how many milliseconds to ask again: often near the front, seldom far behind it.

    Never more seldom than presence is kept for, or somebody would be passed over for doing as they were told.
    """
    most = float(answer.patience)
    if answer.code == "A":
        return max(2_000, min(15_000, answer.till - answer.now))
    if answer.code in {"F", "N"} or answer.state in {"sold_out", "ended"}:
        return 60_000
    if answer.code == "L":
        left = answer.opens - answer.now if answer.opens else 0
        if answer.state == "drawing" or left <= 0:
            return 3_000 + answer.total
        slow = min(most, max(5_000, left / 10))
        return slow if left > 1.3 * slow else left + 1_000 + random.random() * max(2_000, answer.total)
    if answer.state == "paused":
        return min(most, 20_000 + 10 * answer.rank)
    if answer.speed and answer.measured >= CONFIDENT:
        return min(most, max(2_000, 100 * answer.rank / answer.speed))
    return min(most, max(2_000, 2_000 + 1_000 * answer.rank / max(1, answer.most / 2)))


def jittered(milliseconds: float) -> int:
    """Return a time up to a fifth shorter or longer, so that a crowd does not come back as one."""
    return int(milliseconds * random.uniform(0.8, 1.2))
