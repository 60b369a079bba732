"""
The list of periodic jobs, written once: beat schedules it, `manage.py run_due` runs it, health looks at its heartbeats.

Every job is safe to run several times at once; each does its work from the rows, so a missed run loses nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db.models.functions import Now

from common.models import Heartbeat

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Job:
    """A periodic job: `run()` returns how many things it did; `every` is the name of a setting in seconds."""

    name: str
    every: str
    run: Callable[[], int]


JOBS: dict[str, Job] = {}


def periodic(name: str, *, every: str) -> Callable[[Callable[[], int]], Callable[[], int]]:
    """Register the decorated function as the job `name`, run every `settings.<every>` seconds."""

    def register(function: Callable[[], int]) -> Callable[[], int]:
        JOBS[name] = Job(name, every, function)
        return function

    return register


def run(name: str) -> int:
    """
    Run one job now, leave its heartbeat and return how many things it did.

    :raises KeyError: if there is no such job
    """
    started = time.monotonic()
    count = JOBS[name].run()
    took = time.monotonic() - started
    Heartbeat.objects.update_or_create(name=name, defaults={"at": Now(), "seconds": took, "result": str(count)})
    if count:
        log.info("job.ran", job=name, did=count, seconds=round(took, 3))
    return count
