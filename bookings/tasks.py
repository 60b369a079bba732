"""Periodic work of bookings."""

from bookings import services
from common import jobs


@jobs.periodic("bookings.expire_due", every="SWEEP_SECONDS")
def expire_due() -> int:
    """End the holds and offers whose deadline has passed."""
    return services.expire_due()
