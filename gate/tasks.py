"""Celery entry points and periodic work of the gate."""

from typing import Any
from uuid import UUID

from celery import shared_task

from common import jobs
from gate import services


@shared_task(name="gate.compare_face")
def compare_face(*, check_id: str, **_: Any) -> None:
    """Compare one face at the door."""
    services.run_check(check_id=UUID(check_id))


@jobs.periodic("gate.compare_faces", every="OUTBOX_SECONDS")
def compare_faces() -> int:
    """Compare what no worker was told of, and return the tries whose worker died."""
    return services.run_unstarted() + services.give_back_expired()
