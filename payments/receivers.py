"""Reactions to announcements; and what is found by being imported: tasks, outbox handlers, invariants."""

from typing import Any
from uuid import UUID

from django.dispatch import receiver

from bookings.signals import booking_ended
from payments import invariants, services, tasks  # noqa: F401


@receiver(booking_ended)
def end_its_payments(booking_id: UUID, **_: Any) -> None:
    """Write the refund in the transaction that ends the booking, so there is no moment in which nobody owes the money."""
    services.end_payments(booking_id=booking_id)
