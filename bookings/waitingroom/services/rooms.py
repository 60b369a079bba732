"""Rooms: making them, what staff change in them, and how PostgreSQL's word reaches Redis."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone
from redis.exceptions import RedisError

from accounts.services import record_staff_action
from bookings.services.staff import ReasonRequired
from bookings.waitingroom import chain, seeds, store
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.refusals import LineRestoring, NoLine
from common.errors import Conflict, IllegalTransition, Invalid
from events.models import Event

log = structlog.get_logger(__name__)

State = WaitingRoom.State
BEFORE = (State.CLOSED, State.LOBBY)
OVER = (State.SOLD_OUT, State.ENDED)
ROWS = 20_000
RUNNING = (State.CLOSED, State.LOBBY, State.DRAWING, State.OPEN, State.PAUSED)
SEATS = """
    SELECT coalesce(sum(CASE WHEN category.closed OR inventory.waiting > 0 THEN 0
            ELSE inventory.capacity - inventory.held - inventory.offered - inventory.sold END), 0),
        coalesce(sum(inventory.held), 0)
    FROM events_ticketcategory category JOIN events_seatinventory inventory ON inventory.category_id = category.id
    WHERE category.event_id = %s
"""


def ensure_room(event_id: UUID) -> WaitingRoom:
    """
    Return the line of an event, and make it if the event has one to have.

    :raises NoLine: if it has none
    """
    room = WaitingRoom.objects.select_related("event").filter(pk=event_id).first()
    if room is not None:
        return room
    event = Event.objects.filter(pk=event_id, status=Event.Status.PUBLISHED, queue_enabled=True).first()
    if event is None:
        raise NoLine
    now = timezone.now()
    opens_at = event.sale_starts_at or now
    lobby = opens_at - timedelta(seconds=settings.QUEUE_LOBBY_SECONDS)
    has_lobby = opens_at > now and settings.QUEUE_LOBBY_SECONDS > 0
    sealed, promise = seeds.new_seed()
    room = WaitingRoom(
        event=event,
        state=State.CLOSED if opens_at > now else State.OPEN,
        lobby_opens_at=lobby if has_lobby else None,
        opens_at=opens_at,
        opened_at=None if opens_at > now else now,
        slot_seconds=settings.QUEUE_SLOT_SECONDS,
        seed_encrypted=sealed,
        seed_hash=promise,
        epoch=0,
    )
    with suppress(IntegrityError), transaction.atomic():
        room.save(force_insert=True)
        chain.append(event_id=event_id, kind="lobby", commitment=promise)
        if room.state == State.OPEN:
            chain.append(event_id=event_id, kind="open")
    return WaitingRoom.objects.select_related("event").get(pk=event_id)


def seats(event_id: UUID) -> tuple[int, int]:
    """Return how many seats the public may take now, and how many are held."""
    with connection.cursor() as cursor:
        cursor.execute(SEATS, [event_id])
        free, held = cursor.fetchone()
    return int(free), int(held)


def configuration(room: WaitingRoom, *, left: int = -1) -> dict[str, Any]:
    """Return what Redis has to know of a room."""
    event = room.event
    return {
        "state": str(room.state),
        "max": event.max_active_users,
        "slot": room.slot_seconds * 1000,
        "claim": settings.QUEUE_CLAIM_SECONDS * 1000,
        "rate": room.rate_per_minute or 0,
        "lobby": store.milliseconds(room.lobby_opens_at),
        "opens": store.milliseconds(room.opens_at),
        "closes": store.milliseconds(event.sale_ends_at or event.starts_at),
        "period": settings.QUEUE_PROMOTE_SECONDS * 1000,
        "hbp": store.PRESENCE_MS,
        "message": room.message,
        "drain": int(room.draining),
        "seats": left,
    }


def configure(room: WaitingRoom, *, left: int | None = None) -> None:
    """
    Tell Redis what PostgreSQL says of a room.

    :raises store.Stale: if Redis lost it, has another epoch, or was not filled to the end
    """
    wanted = configuration(room, left=seats(room.pk)[0] if left is None else left)
    given = (part for pair in wanted.items() for part in pair)
    if store.call("configure", room.pk, room.epoch, room.revision, *given)[1] == b"rebuilding":
        raise store.Stale


def tell(event_id: UUID) -> None:
    """Tell Redis of a change when it is committed; with Redis away the next tick does."""
    transaction.on_commit(partial(tell_now, event_id), robust=True)


def tell_now(event_id: UUID) -> None:
    try:
        configure(WaitingRoom.objects.select_related("event").get(pk=event_id))
        store.promote(event_id)
    except (store.Stale, RedisError) as error:
        log.warning("line.not_told", line=str(event_id), error=type(error).__name__)


# -- What staff do ----------------------------------------------------------------------------------------------------


# What everybody may read of it afterwards; who did it and why stays in the audit.
IN_THE_CHAIN: dict[str, Callable[[WaitingRoom], dict[str, Any]]] = {
    "open_lobby": lambda room: {"kind": "opened"},
    "pause_line": lambda room: {"kind": "pause", "reason": room.message},
    "resume_line": lambda room: {"kind": "resume"},
    "set_line_rate": lambda room: {"kind": "rate", "perMinute": room.rate_per_minute},
    "set_line_message": lambda room: {"kind": "message", "text": room.message},
    "drain_line": lambda room: {"kind": "drain"},
    "let_join_again": lambda room: {"kind": "joinable"},
    "reopen_line": lambda room: {"kind": "reopened"},
    "close_line": lambda room: {"kind": "ended"},
}


def change(
    event_id: UUID, *, action: str, actor_id: UUID | None, reason: str, sources: tuple[str, ...] = (), **changes: Any
) -> WaitingRoom:
    """
    Change a room and write down who did it; Redis is told after the commit.

    :raises IllegalTransition: if the room is in none of `sources`
    """
    with transaction.atomic():
        room = WaitingRoom.objects.select_for_update(of=("self",), no_key=True).filter(pk=event_id).first()
        if room is None:
            room = ensure_room(event_id)
        if sources and room.state not in sources:
            raise IllegalTransition(f"That is not possible while the line is {State(room.state).label.lower()}.")
        before = {name: plain(getattr(room, name)) for name in changes}
        WaitingRoom.objects.filter(pk=event_id).update(revision=F("revision") + 1, **changes)
        room = WaitingRoom.objects.select_related("event").get(pk=event_id)
        if actor_id is not None:
            after = {name: plain(getattr(room, name)) for name in changes}
            record_staff_action(
                actor_id=actor_id,
                action=action,
                object_type="event",
                object_id=event_id,
                before=before,
                after=after,
                reason=reason.strip(),
            )
        if action in IN_THE_CHAIN:
            chain.append(event_id=event_id, **IN_THE_CHAIN[action](room))
        tell(event_id)
    return room


def plain(value: Any) -> Any:
    """Return a column's value as JSON would hold it."""
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def open_lobby(event_id: UUID, *, actor_id: UUID | None = None, reason: str = "") -> WaitingRoom:
    """
    Open the lobby now: whoever comes until the sale opens is drawn.

    :raises IllegalTransition: if it was opened before
    """
    return change(
        event_id,
        action="open_lobby",
        actor_id=actor_id,
        reason=reason,
        sources=(State.CLOSED,),
        state=State.LOBBY,
        lobby_opens_at=Now(),
    )


def open_line(event_id: UUID, *, actor_id: UUID | None = None, reason: str = "") -> WaitingRoom:
    """
    Open the line now: the lobby, if there is one, is drawn, and people are let in. The sale opens with it.

    A line that had ended opens again, empty: who stood in it was told that it is over.

    :raises IllegalTransition: if it is open already
    """
    from bookings.waitingroom.services.drawing import draw_list
    from bookings.waitingroom.services.recovery import rebuild

    if WaitingRoom.objects.filter(pk=event_id, state__in=OVER).exists():
        room = reopen(event_id, actor_id=actor_id, reason=reason)
        rebuild(event_id)
        return room
    with transaction.atomic():
        room = change(
            event_id,
            action="open_line",
            actor_id=actor_id,
            reason=reason,
            sources=BEFORE,
            opens_at=Now(),
        )
        Event.objects.filter(pk=event_id, sale_starts_at__gt=Now()).update(sale_starts_at=Now(), updated_at=Now())
    configure(WaitingRoom.objects.select_related("event").get(pk=event_id))
    draw_list(event_id)
    return room


def resume_sale(event_id: UUID) -> None:
    """Have a line that ended with its event go on, as it was before the sale if that has not begun; people line up anew."""
    from bookings.waitingroom.services.recovery import rebuild

    before = WaitingRoom.objects.filter(pk=event_id, opened_at=None, merkle_root="", opens_at__gt=Now()).exists()
    with suppress(IllegalTransition, LineRestoring):
        reopen(event_id, state=State.CLOSED if before else State.OPEN)
        rebuild(event_id)


def reopen(event_id: UUID, *, state: str = State.OPEN, actor_id: UUID | None = None, reason: str = "") -> WaitingRoom:
    """
    Have a line that ended go on for those who join from now on; Redis must be filled anew after it.

    :raises IllegalTransition: if it has not ended
    """
    with transaction.atomic():
        close_places(event_id)
        return change(
            event_id,
            action="reopen_line",
            actor_id=actor_id,
            reason=reason,
            sources=OVER,
            state=state,
            epoch=F("epoch") + 1,  # should nobody come to fill Redis, the next tick finds it to be of another one
            ended_at=None,
            draining=False,
            message="",
        )


def close_places(event_id: UUID) -> int:
    """Close the places of those who still waited when the line ended, and return how many there were."""
    sold_out = WaitingRoom.objects.filter(pk=event_id, state=State.SOLD_OUT).exists()
    changes = {
        "state": Place.State.SOLD_OUT if sold_out else Place.State.LAPSED,
        "outcome": "sold_out" if sold_out else "line_ended",
        "ended_at": Now(),
    }
    waiting = Place.objects.filter(
        event_id=event_id, state__in=[Place.State.WAITING, Place.State.PARKED, Place.State.CALLED]
    )
    done = 0
    while batch := list(waiting.values_list("pk", flat=True)[:ROWS]):
        done += Place.objects.filter(pk__in=batch).update(**changes)
    return done


def pause(event_id: UUID, *, reason: str, actor_id: UUID | None = None) -> WaitingRoom:
    """
    Let nobody in until `resume`; who was let in goes on buying. Everyone in line is shown `reason`.

    :raises ReasonRequired: if there is none
    :raises IllegalTransition: if the line is not open
    """
    if not reason.strip():
        raise ReasonRequired("Write what people in line are told.")
    return change(
        event_id,
        action="pause_line",
        actor_id=actor_id,
        reason=reason,
        sources=(State.OPEN,),
        state=State.PAUSED,
        message=reason.strip()[:300],
    )


def resume(event_id: UUID, *, actor_id: UUID | None = None, reason: str = "") -> WaitingRoom:
    """
    Let people in again.

    :raises IllegalTransition: if the line is not paused
    """
    return change(
        event_id,
        action="resume_line",
        actor_id=actor_id,
        reason=reason,
        sources=(State.PAUSED,),
        state=State.OPEN,
        message="",
    )


def drain(event_id: UUID, *, actor_id: UUID | None = None, reason: str = "") -> WaitingRoom:
    """
    Let nobody new line up; who stands in line is let in as before, and the line ends when it is empty.

    :raises IllegalTransition: if the line has not opened yet, or is over
    """
    return change(
        event_id,
        action="drain_line",
        actor_id=actor_id,
        reason=reason,
        sources=(State.OPEN, State.PAUSED),
        draining=True,
    )


def let_join_again(event_id: UUID, *, actor_id: UUID | None = None, reason: str = "") -> WaitingRoom:
    """
    Let people line up again after `drain`.

    :raises IllegalTransition: if the line has not opened yet, or is over
    """
    return change(
        event_id,
        action="let_join_again",
        actor_id=actor_id,
        reason=reason,
        sources=(State.OPEN, State.PAUSED),
        draining=False,
    )


def set_rate(event_id: UUID, *, per_minute: int | None, actor_id: UUID | None = None, reason: str = "") -> WaitingRoom:
    """
    Let at most `per_minute` people in per minute; None: as many as there is room for.

    :raises Invalid: if that is no rate
    """
    if per_minute is not None and not 1 <= per_minute <= 100_000:
        raise Invalid("Write a number of people per minute from 1 to 100,000, or leave it empty.")
    return change(
        event_id, action="set_line_rate", actor_id=actor_id, reason=reason, sources=RUNNING, rate_per_minute=per_minute
    )


def set_message(event_id: UUID, *, message: str, actor_id: UUID | None = None) -> WaitingRoom:
    """Show everyone in line this message; an empty one takes it away."""
    return change(
        event_id,
        action="set_line_message",
        actor_id=actor_id,
        reason="",
        sources=RUNNING,
        message=message.strip()[:300],
    )


def close(event_id: UUID, *, actor_id: UUID | None = None, reason: str = "") -> WaitingRoom:
    """
    End the line for good: nobody joins, nobody is let in. Who was let in goes on buying.

    :raises IllegalTransition: if it has ended already
    """
    return change(
        event_id,
        action="close_line",
        actor_id=actor_id,
        reason=reason,
        sources=(*RUNNING, State.SOLD_OUT),
        state=State.ENDED,
        ended_at=Now(),
    )


class AdmittedAlready(Conflict):
    code = "admitted_already"
    message = "It is this person's turn already."


def admit(event_id: UUID, *, user_id: UUID, actor_id: UUID | None, reason: str) -> None:
    """
    Let somebody in out of turn; it stands in the chain that everybody can read.

    :raises ReasonRequired: if there is no reason
    :raises AdmittedAlready: if it is their turn anyway
    """
    from bookings.waitingroom.services.line import act

    if not reason.strip():
        raise ReasonRequired
    with transaction.atomic():
        if actor_id is not None:
            record_staff_action(
                actor_id=actor_id,
                action="admit_from_line",
                object_type="event",
                object_id=event_id,
                after={"user": str(user_id)},
                reason=reason.strip(),
            )
        if act("admit", event_id, user_id).code != "OK":
            raise AdmittedAlready
