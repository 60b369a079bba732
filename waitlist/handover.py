"""
When a line ends sold out it becomes the waitlist, in the same order.

Everybody who stood in it has their place on the waitlist waiting for them: the time from which they would wait is written
down at that moment (`bookings.waitingroom.wishes`), before the time of anybody who joins later. Who said so while in line is
put on the list at once; everybody else is asked, and one click does it. Nobody is put on it unasked, because each offer to
somebody who no longer wants it keeps a seat from all others for a day. Whenever they answer, they stand where they stood.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import structlog
from celery import shared_task
from django.db import connection, transaction
from django.dispatch import receiver
from redis.exceptions import RedisError

from bookings.refusals import EventCancelled, SaleClosed, SaleNotOpen, TicketLimit, TooManyTickets
from bookings.waitingroom import wishes
from bookings.waitingroom.news import tell_sold_out
from bookings.waitingroom.services import drain_journal
from bookings.waitingroom.signals import line_sold_out
from bookings.waitingroom.store import Stale
from common import jobs
from common.errors import NotFound
from events.refusals import EventNotFound
from waitlist.locks import lock_person
from waitlist.models import WaitlistEntry
from waitlist.services import join
from waitlist.services.joining import check_limit, check_wish, event_to_wait_for, may_have_tickets

log = structlog.get_logger(__name__)

BATCH = 200
OVER = (SaleClosed, SaleNotOpen, EventCancelled, EventNotFound)


class NothingToClaim(NotFound):
    code = "nothing_to_claim"
    message = "There is no place from this line waiting for you. You can join the waitlist at its end."


def claim(*, user_id: UUID, event_id: UUID, quantity: int) -> WaitlistEntry:
    """
    Put somebody on the waitlist where they stood in the line that sold out; twice is once.

    :raises NothingToClaim: if they did not stand in it, or have left the list since
    :raises SaleClosed, EventCancelled: if there is nothing to wait for any more
    :raises TicketLimit, TooManyTickets: if it is more than one person may have
    """
    if not wishes.get_wish(user_id=user_id, event_id=event_id).waitlist_since:
        wishes.freeze(event_id=event_id)  # they are quicker than the worker
    with transaction.atomic():
        lock_person(user_id, event_id)
        if wishes.lock_claim(user_id=user_id, event_id=event_id) is None:
            return entry_of(user_id, event_id)
        event = event_to_wait_for(event_id)
        check_wish(event, [], quantity)
        check_limit(event, user_id, quantity)
        return join(user_id=user_id, event_id=event_id, quantity=quantity, eligible=may_have_tickets(event, user_id))


def entry_of(user_id: UUID, event_id: UUID) -> WaitlistEntry:
    """
    Return the entry that somebody has on the list already.

    :raises NothingToClaim: if they have none
    """
    live = WaitlistEntry.objects.filter(user_id=user_id, event_id=event_id, status__in=WaitlistEntry.LIVE)
    entry = live.first()
    if entry is None:
        raise NothingToClaim
    return entry


def hand_over(*, event_id: UUID, limit: int = BATCH) -> int:
    """
    Make the waitlist of a line that ended sold out: freeze its order, put on the list who asked for it, tell the others.

    Returns how many people were moved or told; 0 when all is done. Any number of processes may run it: one works, and the
    others return 0.
    """
    with one_at_a_time(event_id) as mine:
        if not mine:
            return 0
        drain(event_id)
        done = wishes.freeze(event_id=event_id)
        for user_id, quantity in wishes.to_hand_over(event_id=event_id, limit=limit):
            done += move(user_id, event_id, quantity)
        return done + tell_sold_out(event_id=event_id, limit=limit)


def move(user_id: UUID, event_id: UUID, quantity: int) -> int:
    """Put one person on the list who asked for it in line; who can not be is asked like the others."""
    try:
        claim(user_id=user_id, event_id=event_id, quantity=quantity)
    except (TicketLimit, TooManyTickets):
        wishes.take_back(user_id=user_id, event_id=event_id)
    except NothingToClaim:
        return 0
    except OVER:
        return 0
    return 1


def drain(event_id: UUID) -> None:
    """Write down who joined in the last moment; with Redis away, what is written down already has to do."""
    try:
        drain_journal(event_id)
    except (Stale, RedisError) as error:
        log.warning("handover.without_journal", line=str(event_id), error=type(error).__name__)


@contextmanager
def one_at_a_time(event_id: UUID) -> Iterator[bool]:
    """Hold the lock of one event's hand-over for the length of the block; gives False when somebody else has it."""
    name = f"handover:{event_id}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])


@receiver(line_sold_out)
def begin(event_id: Any, **_: Any) -> None:
    """Begin at once; with the broker away, the sweep does it."""
    transaction.on_commit(lambda: hand_over_line.delay(event_id=str(event_id)), robust=True)


@shared_task(name="waitlist.hand_over_line")
def hand_over_line(*, event_id: str, **_: Any) -> None:
    """Do one batch, and ask for the next while there is more."""
    if hand_over(event_id=UUID(event_id)):
        hand_over_line.delay(event_id=event_id)


@jobs.periodic("waitlist.hand_over", every="SWEEP_SECONDS")
def sweep() -> int:
    """Go on with every line that sold out lately."""
    return sum(hand_over(event_id=event_id) for event_id in wishes.unfinished_lines())
