"""
After a loss: Redis is filled anew from PostgreSQL, and both are compared.

What can be lost is what was not written down yet: with Redis' own file intact nothing, with the machine's power the last
second. Who held a place that was lost comes back to it with the token they were given.
"""

from collections.abc import Iterator
from datetime import timedelta
from math import ceil
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from bookings.models import Booking
from bookings.waitingroom import chain, store
from bookings.waitingroom.locks import JOURNAL, only_one
from bookings.waitingroom.models import Place, WaitingRoom
from bookings.waitingroom.refusals import LineRestoring
from bookings.waitingroom.services.drawing import drawn_order, lacks_keys
from bookings.waitingroom.services.journal import drain_journal
from bookings.waitingroom.services.rooms import OVER, configuration, ensure_room, seats

log = structlog.get_logger(__name__)

State = Place.State
KEEP_SECONDS = 86_400  # of a line that is over
GAP = 1_000_000  # numbers that may have been given out and were lost are not given out again
LENIENT_MS = 120_000
ROWS = 10_000


def recover(event_id: UUID) -> None:
    """
    Fill a line that Redis lost, or one that was never in it.

    :raises NoLine: if the event has none
    :raises LineRestoring: if somebody else is at it
    """
    ensure_room(event_id)
    with only_one(event_id) as mine:
        if not mine:
            raise LineRestoring(retry_after=2)
        if not knows_line(event_id):
            rebuild(event_id)


def knows_line(event_id: UUID) -> bool:
    """Whether Redis has the line as PostgreSQL last filled it, to the end."""
    epoch, state = store.client().hmget(store.key(event_id, "cfg"), "epoch", "state")
    known = WaitingRoom.objects.filter(pk=event_id).values_list("epoch", flat=True).first()
    return epoch is not None and int(epoch) == known and state != b"rebuilding"


def rebuild(event_id: UUID) -> int:
    """
    Fill Redis from PostgreSQL, under the line's lock, and return how many people it put in place.

    Whatever Redis still has is written down first. Nobody joins or moves meanwhile.

    :raises LineRestoring: if somebody else is at it
    :raises redis.RedisError: if Redis does not answer
    """
    with only_one(event_id) as mine:
        if not mine:
            raise LineRestoring(retry_after=2)
        with only_one(event_id, JOURNAL, wait=True):
            return fill_anew(event_id)


def fill_anew(event_id: UUID) -> int:
    """Write down what Redis still has, begin a new epoch, and put everybody in place."""
    head, client = store.key(event_id, "cfg"), store.client()
    if client.exists(head):
        client.hset(head, "state", "rebuilding")
    write_down_the_rest(event_id)
    WaitingRoom.objects.filter(pk=event_id).update(epoch=F("epoch") + 1, journal_number=0)
    room = WaitingRoom.objects.select_related("event").get(pk=event_id)
    if room.epoch > 1:
        chain.append(event_id=event_id, kind="restored", epoch=room.epoch)
    store.wipe(event_id)
    client.delete(head)
    known = {name: value for name, value in configuration(room).items() if name != "state"}
    client.hset(head, mapping={**known, "epoch": room.epoch, "state": "rebuilding", "jn": 0})
    count = fill(room)
    now = store.milliseconds_now()
    lenient = now + LENIENT_MS
    state = str(room.state)
    client.hset(
        head,
        mapping={
            "state": state,
            "revision": room.revision,
            "hbfrom": lenient,
            "beat": now,
            "tick": 0,
            "seats": seats(event_id)[0],
        },
    )
    if room.state in OVER:
        store.expire(event_id, KEEP_SECONDS)
    log.warning("line.rebuilt", line=str(event_id), epoch=room.epoch, people=count)
    return count


def write_down_the_rest(event_id: UUID) -> None:
    """Drain what the journal still holds, its numbers as they may be."""
    while True:
        try:
            if not drain_journal(event_id):
                return
        except store.Stale:
            continue


def fill(room: WaitingRoom) -> int:
    """Put everybody who has a place where they were, and return how many there are."""
    client, event_id = store.client(), room.pk
    if room.journal_id:  # entries' numbers go on growing, even if Redis' clock was set back
        beginning, _, sequence = room.journal_id.partition("-")
        client.xadd(store.key(event_id, "ev"), {"o": "-"}, id=f"{beginning}-{int(sequence) + 1}")
        client.xtrim(store.key(event_id, "ev"), maxlen=0, approximate=False)
    places = Place.objects.filter(event_id=event_id)
    drawn = {entry: key for key, entry in drawn_order(room)} if lacks_keys(event_id) else {}
    highest = 0

    def order_of(key: int | None, arrival: int | None, entry: str) -> int:
        nonlocal highest
        order = key if key is not None else drawn.get(entry, arrival or 0)
        highest = max(highest, order - store.LATE if order >= store.LATE else arrival or 0)
        return order

    def waiting(*, lobby: bool) -> Iterator[tuple[bytes, int]]:
        rows = places.filter(state__in=[State.WAITING, State.PARKED])
        for user, key, arrival, entry in rows.values_list("user_id", "order_key", "arrival", "entry").iterator(ROWS):
            in_lobby = key is None and entry not in drawn
            if in_lobby == lobby:
                yield user.bytes, order_of(key, arrival, entry)

    before_the_draw = room.state == WaitingRoom.State.DRAWING and not room.is_drawn
    count = store.fill(event_id, "q", waiting(lobby=False))
    count += store.fill(event_id, "draw" if before_the_draw else "q", waiting(lobby=True))
    count += fill_front(room)
    remember(event_id)
    client.hset(store.key(event_id, "cfg"), "seq", highest + GAP if room.epoch > 1 else 0)
    return count


def fill_front(room: WaitingRoom) -> int:
    """Put those at the front back: active people with the rest of their slot, called ones with a fresh call."""
    client, event_id = store.client(), room.pk
    front = Place.objects.filter(event_id=event_id, state__in=[State.CALLED, State.ACTIVE])
    count = 0
    for place in front:
        member = place.user_id.bytes
        till = store.milliseconds(place.slot_expires_at)
        if place.state == State.CALLED:
            till = store.milliseconds_now() + client_claim(room)
        client.zadd(store.key(event_id, "act" if place.state == State.ACTIVE else "call"), {member: till})
        client.hset(store.key(event_id, "key"), member, place.order_key or store.LATE)
        if place.state == State.ACTIVE and (given := extensions_of(room, place)):
            client.hset(store.key(event_id, "key"), member + b"+", given)
        if place.booking_id and place.state == State.ACTIVE:
            client.hset(store.key(event_id, "used"), member, place.booking_id.bytes)
        count += 1
    return count


def extensions_of(room: WaitingRoom, place: Place) -> int:
    """Return how often a turn was made longer, from how long it is; never too few, so that a loss gives nobody more."""
    if place.admitted_at is None or place.slot_expires_at is None:
        return 0
    longer = (place.slot_expires_at - place.admitted_at).total_seconds() - room.slot_seconds
    return max(0, ceil(round(longer, 2) / settings.QUEUE_EXTENSION_SECONDS))


def client_claim(room: WaitingRoom) -> int:
    """Return how long somebody called has to come, in milliseconds."""
    return int(configuration(room)["claim"])


def remember(event_id: UUID) -> None:
    """Put back what became of those who had their turn, and who did not come when called once."""
    client = store.client()
    ended = Place.objects.filter(event_id=event_id, state__in=[State.DONE, State.LAPSED])
    words = {"bought": "f", "no_show": "d"}
    for chunk in store.chunks(
        (user.bytes, words.get(outcome, "x"))
        for user, outcome in ended.values_list("user_id", "outcome").iterator(ROWS)
    ):
        client.hset(store.key(event_id, "fin"), mapping=dict(chunk))
    missed = Place.objects.filter(event_id=event_id, misses__gt=0, state__in=Place.LIVE)
    for user in missed.values_list("user_id", flat=True).iterator(ROWS):
        client.sadd(store.key(event_id, "missed"), user.bytes)


def reconcile(event_id: UUID) -> int:
    """
    Compare the front of the line with the holds that are in PostgreSQL and put right what differs; return how much that was.

    A hold whose slot does not know it takes it; a slot whose hold is over is freed; a hold that was extended keeps its slot.

    :raises store.Stale: if Redis lost the line
    :raises redis.RedisError: if Redis does not answer
    """
    used = store.client().hgetall(store.key(event_id, "used"))
    slots = dict(store.client().zrange(store.key(event_id, "act"), 0, -1, withscores=True))
    known = {UUID(bytes=booking): UUID(bytes=user) for user, booking in used.items() if len(booking) == 16}
    bookings = {booking.pk: booking for booking in Booking.objects.filter(pk__in=known)}
    fixed = 0
    for booking_id, user_id in known.items():
        booking = bookings.get(booking_id)
        if booking is None or not booking.is_hold:
            bought = booking is not None and booking.status == Booking.Status.CONFIRMED
            answer = store.ask("release", event_id, user_id, booking_id.bytes, "f" if bought else "x", 0)
            fixed += answer.code == "OK"
        elif booking.expires_at and abs(slots.get(user_id.bytes, 0) - store.milliseconds(booking.expires_at)) > 1:
            till = store.milliseconds(booking.expires_at)
            fixed += store.ask("extend", event_id, user_id, booking_id.bytes, till).code == "OK"
    for booking in holds_without_slots(event_id, known):
        till = store.milliseconds(booking.expires_at)
        store.ask("use", event_id, booking.user_id, booking.pk.bytes, till, 0)
        fixed += 1
    return fixed


def holds_without_slots(event_id: UUID, known: dict[UUID, UUID]) -> Iterator[Booking]:
    """Yield live holds made by people of the line whose slot knows nothing of them, but for those of this very moment."""
    holds = Booking.objects.filter(
        event_id=event_id,
        status=Booking.Status.PENDING,
        source=Booking.Source.PUBLIC,
        expires_at__gt=Now(),
        created_at__lt=Now() - timedelta(seconds=2),
    ).exclude(pk__in=known)
    people = set(
        Place.objects.filter(event_id=event_id, user_id__in=[hold.user_id for hold in holds]).values_list(
            "user_id", flat=True
        )
    )
    yield from (hold for hold in holds if hold.user_id in people)
