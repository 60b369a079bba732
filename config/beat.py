"""Beat's scheduler: the rows of django-celery-beat, and a heartbeat by which health can tell that it lives."""

from typing import Any

import structlog
from django.db import DatabaseError
from django_celery_beat.schedulers import DatabaseScheduler

from config import schedule
from config.health import beat_lives

log = structlog.get_logger(__name__)


class Scheduler(DatabaseScheduler):
    """
    Leaves its heartbeat at every turn of the loop, at least every CELERY_BEAT_MAX_LOOP_INTERVAL seconds.

    At its start the rows follow the code, but for those that staff have set.
    """

    def update_from_dict(self, mapping: dict[str, Any]) -> None:
        schedule.forget_old_jobs()
        chosen = schedule.chosen_by_staff()
        super().update_from_dict({name: entry for name, entry in mapping.items() if name not in chosen})

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        wait = super().tick(*args, **kwargs)
        try:
            beat_lives()
        except DatabaseError as error:
            log.warning("beat.no_database", error=type(error).__name__)
        return wait
