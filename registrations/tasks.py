"""Celery entry points and periodic work of registrations."""

from typing import Any
from uuid import UUID

from celery import shared_task

from common import jobs
from registrations import services


@shared_task(name="registrations.check_face")
def check_face(*, attempt_id: str, **_: Any) -> None:
    """Compare one reserved picture."""
    services.run_check(attempt_id=UUID(attempt_id))


@shared_task(name="registrations.work_batch")
def work_batch(*, batch_id: str, **_: Any) -> None:
    """Work off a part of a batch, and ask for the next while there is more."""
    if services.work_batch(batch_id=UUID(batch_id)):
        work_batch.delay(batch_id=batch_id)


@jobs.periodic("registrations.give_back_attempts", every="OUTBOX_SECONDS")
def give_back_attempts() -> int:
    """Return the tries whose worker died."""
    return services.give_back_expired()


@jobs.periodic("registrations.check_faces", every="OUTBOX_SECONDS")
def check_faces() -> int:
    """Compare the pictures that no worker was told of."""
    return services.run_unstarted()


@jobs.periodic("registrations.work_batches", every="SWEEP_SECONDS")
def work_batches() -> int:
    """Go on with the batches that no nudge reached."""
    return services.work_due()
