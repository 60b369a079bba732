"""Celery entry points of the ground layer."""

from typing import Any

from celery import shared_task

from common import jobs, outbox


@shared_task(name="common.deliver_outbox")
def deliver_outbox(**_: Any) -> None:
    """Deliver what is due in the outbox."""
    outbox.deliver_due()


@shared_task(name="common.run_job")
def run_job(*, name: str, **_: Any) -> None:
    """Run one periodic job."""
    jobs.run(name)


@jobs.periodic("common.deliver_outbox", every="OUTBOX_SECONDS")
def sweep_outbox() -> int:
    """Deliver what no nudge reached."""
    return outbox.deliver_due(limit=500)
