"""
The draw at opening: the lobby's list is closed, published by its root, and everybody on it gets the place that follows.

Each step may be killed and done again. Until the root is committed the list can still be taken anew; from then on every place
follows from what is stored, so putting people at their places is repeated as often as it takes. Nobody is let in before all
of them stand.
"""

from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from bookings.waitingroom import chain, fairness, lists, seeds, store
from bookings.waitingroom.locks import JOURNAL, KEYS, only_one
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.services.journal import drain_journal
from bookings.waitingroom.signals import line_opened

log = structlog.get_logger(__name__)

State = WaitingRoom.State
LENIENT_MS = 120_000
LARGE = 50_000
ROWS = 20_000
WRITE_KEYS = """
    UPDATE waitingroom_place place SET order_key = given.key
    FROM (SELECT unnest(%s::text[]) AS entry, unnest(%s::bigint[]) AS key) given
    WHERE place.event_id = %s AND place.entry = given.entry AND place.order_key IS NULL
"""


def draw_list(event_id: UUID) -> bool:
    """
    Open a line whose time has come: close its list, draw it, let it move. False when it was not its time, or another is at it.

    With a million people in the lobby this takes its time: see `is_large`.

    :raises store.Stale: if Redis lost the line
    :raises redis.RedisError: if Redis does not answer
    """
    with only_one(event_id) as mine:
        if not mine:
            return False
        due = WaitingRoom.objects.filter(pk=event_id, state__in=[State.CLOSED, State.LOBBY], opens_at__lte=Now())
        due.update(state=State.DRAWING, closed_at=Now(), revision=F("revision") + 1)
        room = WaitingRoom.objects.filter(pk=event_id, state=State.DRAWING).first()
        if room is None:
            return False
        store.call("close_list", event_id)
        if not room.is_drawn:
            with only_one(event_id, JOURNAL, wait=True):  # nobody leaves or comes on the list while it is taken
                while drain_journal(event_id):
                    pass
                close_the_list(room)
        put_in_place(room)
        store.call("open", event_id, LENIENT_MS)
        with transaction.atomic():
            opened = WaitingRoom.objects.filter(pk=event_id, state=State.DRAWING).update(
                state=State.OPEN, opened_at=Now(), message="", revision=F("revision") + 1
            )
            if opened:
                chain.append(event_id=event_id, kind="open")
                line_opened.send(WaitingRoom, event_id=event_id)
    log.info("line.opened", line=str(event_id), drawn=room.list_size)
    return True


def is_large(event_id: UUID) -> bool:
    """Whether drawing or filling this line is more than a tick should do: a task of its own does it then."""
    people = Place.objects.filter(event_id=event_id).order_by()
    return people[LARGE : LARGE + 1].exists()


def is_due(event_id: UUID) -> bool:
    """Whether the line's time to open has come."""
    rooms = WaitingRoom.objects.filter(pk=event_id)
    begun = rooms.filter(state=State.DRAWING)
    return rooms.filter(state__in=[State.CLOSED, State.LOBBY], opens_at__lte=Now()).exists() or begun.exists()


def listed(event_id: UUID) -> QuerySet[Place]:
    """Return the places on an event's list (once it is closed) or in its lobby."""
    return Place.objects.filter(event_id=event_id, arrival__isnull=False)


def close_the_list(room: WaitingRoom) -> None:
    """Take the list and commit its root, and with it the order of everybody on it; the seed is shown from this commit on."""
    # Nothing is read or worked out inside the transaction: a million people take some seconds.
    entries = fairness.closed_list(listed(room.pk).values_list("entry", flat=True).iterator(chunk_size=ROWS))
    seed = seeds.unseal(bytes(room.seed_encrypted))
    room.merkle_root, room.list_size, room.seed = fairness.merkle_root(entries), len(entries), seed.hex()
    ordered = [entry for _, entry in fairness.order(seed, room.merkle_root, entries, bytes.fromhex(room.beacon))]
    with transaction.atomic():
        room.save(update_fields=["merkle_root", "list_size", "seed"])
        lists.keep(event_id=room.pk, ordered=ordered)
        chain.append(
            event_id=room.pk,
            kind="draw",
            seed=room.seed,
            root=room.merkle_root,
            beacon=room.beacon,
            commitment=room.seed_hash,
            size=room.list_size,
        )


def drawn_order(room: WaitingRoom) -> list[tuple[int, str]]:
    """Return (order key, entry) of everybody on a closed list, the first in line first."""
    return fairness.order(
        bytes.fromhex(room.seed), room.merkle_root, lists.ordered(room.pk), bytes.fromhex(room.beacon)
    )


def put_in_place(room: WaitingRoom) -> None:
    """Put everybody drawn who did not leave since at their places in Redis, in chunks, from where an earlier try stopped."""
    still_here = listed(room.pk).filter(state__in=Place.LIVE)
    people = dict(still_here.values_list("entry", "user_id").iterator(chunk_size=ROWS))
    drawn = drawn_order(room)
    done = int(store.client().hget(store.key(room.pk, "cfg"), "placed") or 0)
    for chunk in store.chunks(drawn[done:]):
        done += len(chunk)
        present = ((key, people[entry].bytes) for key, entry in chunk if entry in people)
        store.call("place", room.pk, done, *(part for pair in present for part in pair))


def write_keys(event_id: UUID, *, limit: int = 5 * ROWS) -> int:
    """
    Write the order keys of people who were drawn into their rows, up to `limit`, and return how many there were.

    Nothing waits for it: a key that is not written yet is computed. Called by the tick until none is left.
    """
    if not lacks_keys(event_id):
        return 0
    with only_one(event_id, KEYS) as mine:
        return write_some_keys(WaitingRoom.objects.get(pk=event_id), limit) if mine else 0


def lacks_keys(event_id: UUID) -> bool:
    """Whether somebody drawn has no order key in their row yet."""
    drawn = WaitingRoom.objects.filter(pk=event_id).exclude(merkle_root="")
    return drawn.exists() and listed(event_id).filter(order_key=None).exists()


def write_some_keys(room: WaitingRoom, limit: int) -> int:
    """Write up to `limit` order keys, in the order drawn."""
    event_id = room.pk
    # Written in the order drawn, so what is there says where to go on; people who joined again stand behind by now.
    begun = listed(event_id).filter(order_key__lt=store.LATE).count()
    drawn = drawn_order(room)
    done = 0
    for chunk in store.chunks(drawn[begun : begun + limit] or drawn, ROWS):
        with connection.cursor() as cursor:
            cursor.execute(WRITE_KEYS, [[entry for _, entry in chunk], [key for key, _ in chunk], event_id])
            done += cursor.rowcount
    return done
