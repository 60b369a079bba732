"""Periodic work of the lines; beat calls it, and any number of workers may do it at once."""

from typing import Any
from uuid import UUID

import structlog
from celery import shared_task
from redis.exceptions import RedisError

from bookings.waitingroom import services, store
from common import jobs

log = structlog.get_logger(__name__)


@jobs.periodic("waitingroom.tick", every="QUEUE_PROMOTE_SECONDS")
def tick() -> int:
    """Move every line."""
    return services.tick_all()


@shared_task(name="waitingroom.work", soft_time_limit=840, time_limit=900)
def work(*, event_id: str, **_: Any) -> None:
    """Move one line, and draw or fill it however large it is; who asks while another does it is done at once."""
    services.tick(UUID(event_id))


@jobs.periodic("waitingroom.drain", every="QUEUE_DRAIN_SECONDS")
def drain() -> int:
    """Write down what happened since the last time; lines that are over are drained to their end by the sweep."""
    done = 0
    for event_id in services.running():
        try:
            done += services.drain_journal(event_id)
        except (store.Stale, RedisError) as error:
            # The tick fills what was lost; this only says so, every second while it lasts.
            log.warning("line.not_drained", line=str(event_id), error=type(error).__name__)
    return done


@jobs.periodic("waitingroom.sweep", every="SWEEP_SECONDS")
def sweep() -> int:
    """Take closed accounts out of the lines, and write down the last of lines that are over."""
    return services.leave_for_closed_accounts() + sum(services.finish(event_id) for event_id in services.over())
