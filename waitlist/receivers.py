"""Reactions to announcements, each one a task after commit; and what is found by being imported: tasks, news, invariants."""

from functools import partial
from typing import Any

from django.db import transaction
from django.dispatch import receiver

from bookings.models import Booking
from bookings.refusals import SeatsGone
from bookings.signals import booking_ended, booking_retaken
from events.signals import event_cancelled, seats_freed
from waitlist import handover, invariants, news, tasks  # noqa: F401
from waitlist.queries import others_wait_for


@receiver(booking_ended)
def look_at_the_booking(booking_id: Any, **_: Any) -> None:
    """Offer released seats at once; with the broker away, the sweep does it."""
    transaction.on_commit(partial(tasks.process_booking.delay, booking_id=str(booking_id)), robust=True)


@receiver(seats_freed)
def look_at_the_category(category_id: Any, **_: Any) -> None:
    """Offer added seats at once."""
    transaction.on_commit(partial(tasks.process_category.delay, category_id=str(category_id)), robust=True)


@receiver(event_cancelled)
def close_its_list(event_id: Any, **_: Any) -> None:
    """Close the list of a cancelled event at once."""
    transaction.on_commit(partial(tasks.close_list.delay), robust=True)


@receiver(booking_retaken)
def let_nobody_pass_the_list(booking: Booking, **_: Any) -> None:
    """
    Give what was accepted, lapsed and is paid late to who waits for it. Who buys past the list is refused by the database.

    :raises SeatsGone: if somebody else waits for these seats
    """
    if booking.source == Booking.Source.WAITLIST and others_wait_for(booking):
        raise SeatsGone
