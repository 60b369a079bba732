"""Periodic work of the waitlist."""

from common import jobs
from waitlist import services


@jobs.periodic("waitlist.close_over", every="SWEEP_SECONDS")
def close_over() -> int:
    """End the entries of events that are cancelled, completed or over."""
    return services.close_over()
