"""Celery entry points and periodic work of the waitlist."""

from typing import Any
from uuid import UUID

from celery import shared_task

from bookings.services import expire_due
from common import jobs
from waitlist import services


@shared_task(name="waitlist.process_event")
def process_event(*, event_id: str, **_: Any) -> None:
    """Offer what is free to those who wait for one event."""
    services.offer_next(event_id=UUID(event_id))


@shared_task(name="waitlist.process_booking")
def process_booking(*, booking_id: str, **_: Any) -> None:
    """Offer the seats of a booking that has ended to those who wait, once its own entry has followed it."""
    event_id = services.follow_ended_booking(booking_id=UUID(booking_id))
    if event_id is not None:
        services.offer_next(event_id=event_id)


@shared_task(name="waitlist.process_category")
def process_category(*, category_id: str, **_: Any) -> None:
    """Offer the seats that a category has more now."""
    event_id = services.event_of_category(category_id=UUID(category_id))
    if event_id is not None:
        services.offer_next(event_id=event_id)


@shared_task(name="waitlist.close_list")
def close_list(**_: Any) -> None:
    """Close the lists of events that are off."""
    services.close_over()


@jobs.periodic("waitlist.process", every="PROMOTE_SECONDS")
def process() -> int:
    """End what is over, and offer what is free to those who wait."""
    expire_due()
    services.follow_bookings()
    services.serve_late_payers()
    services.lapse_due()
    services.put_back_in_line()
    return services.process_due()


@jobs.periodic("waitlist.remind", every="SWEEP_SECONDS")
def remind() -> int:
    """Remind those whose offer ends soon."""
    return services.remind_due()


@jobs.periodic("waitlist.close_over", every="SWEEP_SECONDS")
def close_over() -> int:
    """End the entries of events that are cancelled, over or no longer sold."""
    return services.close_over()
