"""Celery entry points and periodic work of bookings."""

from typing import Any
from uuid import UUID

from celery import shared_task

from bookings import queries, services
from common import jobs


@jobs.periodic("bookings.expire_due", every="SWEEP_SECONDS")
def expire_due() -> int:
    """End the holds and offers whose deadline has passed."""
    return services.expire_due()


@shared_task(name="bookings.cancel_bookings_of_event")
def cancel_bookings_of_event(*, event_id: str, **_: Any) -> None:
    """Cancel one batch of a cancelled event's bookings, and ask for the next while there are more."""
    if services.cancel_event_bookings(event_id=UUID(event_id)):
        cancel_bookings_of_event.delay(event_id=event_id)


@jobs.periodic("bookings.cancel_of_cancelled_events", every="SWEEP_SECONDS")
def cancel_of_cancelled_events() -> int:
    """Cancel the live bookings of cancelled events: those no announcement reached, and holds made in the last moment."""
    return sum(
        services.cancel_event_bookings(event_id=event_id) for event_id in queries.cancelled_events_with_bookings()
    )


@jobs.periodic("bookings.expire_handovers", every="SWEEP_SECONDS")
def expire_handovers() -> int:
    """End the invitations to take a ticket whose time has passed."""
    return services.expire_handovers()
