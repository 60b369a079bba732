"""The Celery application: tasks of every app, and beat's schedule made from the list of periodic jobs."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from celery import Celery
from celery.signals import setup_logging

app = Celery("fairseat")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def use_our_logging(**_: Any) -> None:
    """Keep Celery from installing its own log format."""


@app.on_after_finalize.connect
def schedule_jobs(sender: Celery, **_: Any) -> None:
    """Give beat one entry per registered job, at the period its setting names."""
    from config import schedule

    sender.loader.import_default_modules()
    sender.conf.beat_schedule = schedule.entries()
