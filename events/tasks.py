"""Periodic work of the catalogue."""

from common import jobs
from events import services


@jobs.periodic("events.complete_due", every="SWEEP_SECONDS")
def complete_due_events() -> int:
    """Complete the events that have ended."""
    return services.complete_due_events()
