"""What the waiting room says before seats are held (settings.BOOKING_GATES)."""

from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from redis.exceptions import RedisError

from bookings.models import Booking
from bookings.waitingroom import slots, store, tokens
from bookings.waitingroom.models import Place, WaitingRoom
from events.models import TicketCategory

log = structlog.get_logger(__name__)


def admitted(user_id: UUID, category_id: UUID) -> str | None:
    """
    Return "queue" if it is the person's turn and their slot is not used yet, else None.

    The slot is reserved by asking: of several tries at once one passes. With Redis away or empty, what PostgreSQL knows or a
    signed admission says is enough, so nobody who was let in is shut out.

    :raises WrongToken: if the request came with a token of another account or event
    """
    event_id = event_of(category_id)
    if event_id is None:
        return None
    if text := tokens.PRESENTED.get():
        tokens.read(text, event_id=event_id, user_id=user_id)
    nonce = uuid4().hex
    try:
        answer = store.ask("take", event_id, user_id, nonce, 0, 0)
        if answer.code == "N" and (till := proven(user_id, event_id, answer.epoch)):
            answer = store.ask("take", event_id, user_id, nonce, 1, till)
        if answer.code == "OK":
            slots.reserve(user_id, event_id, nonce)
            return "queue"
        if answer.state != "rebuilding" or answer.code == "U":
            return None
    except (store.Stale, RedisError) as error:
        log.warning("gate.redis_away", error=type(error).__name__)
    return "queue" if known(user_id, event_id) else None


@lru_cache(maxsize=10_000)
def event_of(category_id: UUID) -> UUID | None:
    """Return whose category it is; that never changes."""
    return TicketCategory.objects.filter(pk=category_id).values_list("event_id", flat=True).first()


def proven(user_id: UUID, event_id: UUID, epoch: int) -> int:
    """
    Return until when a signed admission that came with the request lets its person in, 0 when it does not.

    It must be of an older epoch (Redis knows its own admissions better), and PostgreSQL must not say that the slot is over.

    :raises WrongToken: if it is forged, somebody else's or another event's
    """
    text = tokens.PRESENTED.get()
    if not text:
        return 0
    token = tokens.read(text, event_id=event_id, user_id=user_id)
    if token.kind != tokens.ADMISSION or token.epoch >= epoch or used_up(user_id, event_id):
        return 0
    return token.value


def used_up(user_id: UUID, event_id: UUID) -> bool:
    """Whether PostgreSQL says that this person's turn is over, or that they made their hold."""
    place = Place.objects.filter(user_id=user_id, event_id=event_id).first()
    if place is None:
        return False
    if place.state not in Place.LIVE or place.booking_id is not None:
        return True
    since = place.called_at or place.joined_at
    return Booking.objects.filter(user_id=user_id, event_id=event_id, created_at__gte=since).exists()


def known(user_id: UUID, event_id: UUID) -> bool:
    """Whether this person was let in as far as can be told without Redis: a row, or the admission they were given."""
    place = Place.objects.filter(user_id=user_id, event_id=event_id).annotate(now=Now()).first()
    room = WaitingRoom.objects.filter(pk=event_id).first()
    if room is None or used_up(user_id, event_id):
        return False
    if place is not None and place.state == Place.State.ACTIVE and place.slot_expires_at:
        return bool(place.slot_expires_at > place.now)
    if place is not None and place.state == Place.State.CALLED and place.called_at:
        seconds = settings.QUEUE_CLAIM_SECONDS + room.slot_seconds
        return bool((place.now - place.called_at).total_seconds() < seconds)
    text = tokens.PRESENTED.get()
    if not text:
        return False
    token = tokens.read(text, event_id=event_id, user_id=user_id)
    return token.kind == tokens.ADMISSION and store.instant(token.value) > (place.now if place else database_now())


def database_now() -> datetime:
    """Return the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]
