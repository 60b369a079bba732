"""
What a hold does to the slot it was made in: it takes it, keeps it while it lives, and frees it when it ends.

Called by bookings' own services; Redis is told after their commit. Nothing here may fail a booking: what does not reach Redis
is found from the rows by the reconciling job within a beat. A booking of an event without a line costs nothing here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.db import transaction
from redis.exceptions import RedisError

from bookings.states import Source, Status
from bookings.waitingroom import store

if TYPE_CHECKING:
    from bookings.models import Booking

log = structlog.get_logger(__name__)


# -- The slot that the gate reserved for the hold under way -----------------------------------------------------------


@dataclass
class Slot:
    """The slot that was reserved for one try at a hold; of an event without a line there is none to take."""

    user_id: UUID | None = None
    event_id: UUID | None = None
    nonce: str = ""
    is_used: bool = False

    @property
    def is_taken(self) -> bool:
        """Whether the gate reserved one."""
        return self.user_id is not None

    def use(self, *, booking_id: UUID, expires_at: datetime, quantity: int) -> None:
        """Have the slot last as long as the hold, from this commit on."""
        assert self.user_id is not None and self.event_id is not None
        till = store.milliseconds(expires_at)
        later(partial(store.ask, "use", self.event_id, self.user_id, booking_id.bytes, till, quantity))
        self.is_used = True

    def give_back(self) -> None:
        """Let go of it: the hold was refused. Should Redis not hear it, it lets go by itself in seconds."""
        assert self.user_id is not None and self.event_id is not None
        quietly(partial(store.ask, "give_back", self.event_id, self.user_id, self.nonce))


RESERVED: ContextVar[Slot | None] = ContextVar("reserved_slot", default=None)


def reserve(user_id: UUID, event_id: UUID, nonce: str) -> None:
    """Remember what the gate reserved, until the hold is made or refused."""
    RESERVED.set(Slot(user_id, event_id, nonce))


@contextmanager
def reserved() -> Iterator[Slot]:
    """Give the slot that the gate has just reserved; unless it is used in the block, somebody else's try may have it."""
    slot = RESERVED.get() or Slot()
    RESERVED.set(None)
    try:
        yield slot
    finally:
        if slot.is_taken and not slot.is_used:
            slot.give_back()


# -- What becomes of the hold -----------------------------------------------------------------------------------------


def hold_extended(booking: "Booking") -> None:
    """Have the slot last as long as the hold does now."""
    if stood_in_line(booking) and booking.expires_at:
        till = store.milliseconds(booking.expires_at)
        later(partial(store.ask, "extend", booking.event_id, booking.user_id, booking.pk.bytes, till))


def hold_finished(booking: "Booking") -> None:
    """Free the slot: its hold was paid for, given up or lapsed. What is not sold is for the next person in the same step."""
    if not stood_in_line(booking):
        return
    if booking.confirmed_at and booking.status != Status.CONFIRMED:
        later(partial(store.ask, "forget", booking.event_id, booking.user_id))
    else:
        bought = booking.status == Status.CONFIRMED
        returned = 0 if bought else booking.quantity
        arguments = (booking.pk.bytes, "f" if bought else "x", returned)
        later(partial(store.ask, "release", booking.event_id, booking.user_id, *arguments))


def stood_in_line(booking: "Booking") -> bool:
    """Whether the booking was made in somebody's slot."""
    return booking.event.queue_enabled and booking.source == Source.PUBLIC


def later(act: partial[store.Answer]) -> None:
    """Do it when this transaction is committed."""
    transaction.on_commit(partial(quietly, act), robust=True)


def quietly(act: partial[store.Answer]) -> None:
    """Tell Redis, if it is there."""
    try:
        act()
    except (store.Stale, RedisError) as error:
        log.warning("slot.redis_away", error=type(error).__name__)
