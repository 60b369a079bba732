"""The beat of all lines: each is brought up to date with its event, moved, written down, compared, ended when it is over."""

from datetime import timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from redis.exceptions import RedisError

from bookings.waitingroom import chain, store
from bookings.waitingroom.models import ChainLink, Place, WaitingRoom
from bookings.waitingroom.refusals import LineRestoring, NoLine, NotInLine
from bookings.waitingroom.services.drawing import draw_list, is_due, is_large, lacks_keys, write_keys
from bookings.waitingroom.services.journal import drain_journal
from bookings.waitingroom.services.line import leave
from bookings.waitingroom.services.recovery import reconcile, recover
from bookings.waitingroom.services.rooms import (
    BEFORE,
    RUNNING,
    close_places,
    configure,
    ensure_room,
    open_line,
    resume_sale,
    seats,
)
from bookings.waitingroom.signals import line_sold_out
from common.errors import Unavailable
from events.models import Event

log = structlog.get_logger(__name__)

State = WaitingRoom.State


def tick_all() -> int:
    """Tick every line there is, make those that are missing, and return how many people were let in."""
    for event_id in without_room():
        ensure_room(event_id)
    for event_id in with_seats_again():
        open_line(event_id)
    for event_id in on_again():
        resume_sale(event_id)
    return sum(tick(event_id, patient=False) for event_id in running())


def running() -> list[UUID]:
    """Return the events whose line is not over."""
    return list(WaitingRoom.objects.filter(state__in=RUNNING).order_by("pk").values_list("pk", flat=True))


def without_room() -> list[UUID]:
    """Return the events that have a line to have and none yet."""
    wanted = Event.objects.filter(
        status=Event.Status.PUBLISHED, queue_enabled=True, ends_at__gt=Now(), waiting_room__isnull=True
    )
    return list(wanted.values_list("pk", flat=True))


def with_seats_again() -> list[UUID]:
    """Return the events whose line ended sold out and that have seats for the public again: more were put on sale."""
    sold_out = WaitingRoom.objects.filter(
        state=State.SOLD_OUT,
        event__status=Event.Status.PUBLISHED,
        event__queue_enabled=True,
        event__starts_at__gt=Now(),
    )
    return [event_id for event_id in sold_out.values_list("pk", flat=True) if seats(event_id)[0] > 0]


def on_again() -> list[UUID]:
    """
    Return the events whose line ended because the event said so (its line was switched off, it was taken back, its sale was
    over) and whose event says otherwise by now. What staff closed stays closed.
    """
    on_sale = Q(event__sale_ends_at__gt=Now()) | Q(event__sale_ends_at=None)
    ended = WaitingRoom.objects.filter(
        on_sale,
        state=State.ENDED,
        event__status=Event.Status.PUBLISHED,
        event__queue_enabled=True,
        event__starts_at__gt=Now(),
    )
    return [event_id for event_id in ended.values_list("pk", flat=True) if ended_with_event(event_id)]


def ended_with_event(event_id: UUID) -> bool:
    """Whether the last end of a line that its chain tells of was its event's doing."""
    last = ChainLink.objects.filter(event_id=event_id, kind="ended").order_by("-number").first()
    return last is not None and last.payload.get("because") == "event"


def tick(event_id: UUID, *, patient: bool = True) -> int:
    """
    Do everything that is due in one line and return how many people were let in.

    Unless `patient`, a large line is drawn or filled by a task of its own, and this only asks for it. Any number of processes
    may do it at once: what must be done by one is under the line's lock, and how many may be active is decided inside Redis.
    With Redis away nothing is let in, and nothing is lost.
    """
    try:
        follow_event(event_id)
        if not patient and (is_due(event_id) or lacks_keys(event_id)) and is_large(event_id):
            ask_for_work(event_id)
        try:
            return step(event_id, patient=patient)
        except store.Stale:
            if not patient and is_large(event_id):
                ask_for_work(event_id)
                return 0
            recover(event_id)
            return step(event_id, patient=patient)
    except LineRestoring:
        return 0
    except NoLine:
        return 0
    except (store.Stale, RedisError) as error:
        log.warning("line.tick_failed", line=str(event_id), error=type(error).__name__)
        return 0


def ask_for_work(event_id: UUID) -> None:
    """Have a worker tick this line with as much time as it takes."""
    from bookings.waitingroom.tasks import work

    work.apply_async(kwargs={"event_id": str(event_id)}, expires=60)


def step(event_id: UUID, *, patient: bool) -> int:
    """Do what is due, with Redis in order."""
    quick = patient or not is_large(event_id)
    room = WaitingRoom.objects.select_related("event").get(pk=event_id)
    left, held = seats(event_id)
    configure(room, left=left)
    drain_journal(event_id)
    reconcile(event_id)
    if quick:
        draw_list(event_id)
    if room.state in {State.OPEN, State.PAUSED} and sells_nothing_more(room, left, held):
        end(room, State.SOLD_OUT)
        return 0
    done = store.promote(event_id, epoch=room.epoch, beat=True)
    drain_journal(event_id)
    while quick and write_keys(event_id):
        continue
    if room.draining and not done.waiting + done.in_call + done.active + done.away:
        end(room, State.ENDED)
    return done.called


def follow_event(event_id: UUID) -> None:
    """Do in PostgreSQL what the event or the clock asks for: open the lobby, move the opening, end the line."""
    room = WaitingRoom.objects.select_related("event").get(pk=event_id)
    event = room.event
    over = event.status != Event.Status.PUBLISHED or not event.queue_enabled
    sale_over = Q(event__sale_ends_at__lte=Now()) | Q(event__sale_ends_at=None, event__starts_at__lte=Now())
    if over or WaitingRoom.objects.filter(sale_over, pk=event_id).exists():
        end(room, State.ENDED, because="event")
        return
    if room.state in BEFORE and event.sale_starts_at and event.sale_starts_at != room.opens_at:
        moved = event.sale_starts_at - room.opens_at
        lobby = room.lobby_opens_at and room.lobby_opens_at + moved
        WaitingRoom.objects.filter(pk=event_id, state__in=BEFORE).update(
            opens_at=event.sale_starts_at, lobby_opens_at=lobby if room.state == State.CLOSED else room.lobby_opens_at
        )
    with transaction.atomic():
        due = WaitingRoom.objects.filter(pk=event_id, state=State.CLOSED, lobby_opens_at__lte=Now())
        if due.update(state=State.LOBBY, revision=F("revision") + 1):
            chain.append(event_id=event_id, kind="opened")


def sells_nothing_more(room: WaitingRoom, left: int, held: int) -> bool:
    """Whether no seat is free and none is held that could come back."""
    return left <= 0 and held == 0 and room.event.status == Event.Status.PUBLISHED


def end(room: WaitingRoom, state: str, **told: str) -> None:
    """End a line and announce it; whose turn it is goes on buying."""
    with transaction.atomic():
        ended = WaitingRoom.objects.filter(pk=room.pk, state__in=RUNNING).update(
            state=state, ended_at=Now(), revision=F("revision") + 1
        )
        if ended:
            chain.append(event_id=room.pk, kind="soldOut" if state == State.SOLD_OUT else "ended", **told)
        if ended and state == State.SOLD_OUT:
            line_sold_out.send(WaitingRoom, event_id=room.pk)
    if ended:
        log.info("line.ended", line=str(room.pk), state=str(state))
        configure(WaitingRoom.objects.select_related("event").get(pk=room.pk))


KEEP_SECONDS = 86_400
PEOPLE = 1_000


def over() -> list[UUID]:
    """Return the lines that ended within a day: their last entries may still come."""
    recent = Now() - timedelta(seconds=KEEP_SECONDS)
    return list(WaitingRoom.objects.filter(ended_at__gt=recent).order_by("pk").values_list("pk", flat=True))


def finish(event_id: UUID) -> int:
    """
    Write down the last of a line that is over and close the places of those who still wait; return how many those were.

    What Redis has of it goes by itself after a day.
    """
    try:
        store.promote(event_id)
        drain_journal(event_id)
        store.expire(event_id, KEEP_SECONDS)
    except (store.Stale, RedisError) as error:
        log.info("line.not_finished", line=str(event_id), error=type(error).__name__)
    write_keys(event_id)
    return close_places(event_id)


def leave_for_closed_accounts() -> int:
    """Take people whose account was closed out of every line, and return how many there were."""
    gone = Place.objects.filter(state__in=Place.LIVE, user__is_active=False, event__waiting_room__state__in=RUNNING)
    done = 0
    for user_id, event_id in gone.values_list("user_id", "event_id")[:PEOPLE]:
        try:
            leave(user_id=user_id, event_id=event_id, with_hold=True)
            done += 1
        except (NotInLine, Unavailable):
            continue
    return done
