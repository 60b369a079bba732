"""Celery entry points and periodic work of payments."""

from typing import Any
from uuid import UUID

from celery import shared_task

from common import jobs, outbox
from payments import services

AGAIN_SECONDS = 15


@shared_task(name="payments.deliver_refunds")
def deliver_refunds(**_: Any) -> None:
    """Deliver the refunds that are due."""
    services.deliver_due_refunds()


@outbox.handler("payments.close")
def close_payment(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Close at the provider what belonged to a booking that ended."""
    if services.close_payment(payment_id=UUID(payload["payment_id"])).is_open:
        raise outbox.Postpone(AGAIN_SECONDS)


@outbox.handler("payments.compare")
def compare_books(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Compare our books with the provider's for a period that staff asked about."""
    services.compare(comparison_id=UUID(payload["comparison_id"]))


@jobs.periodic("payments.deliver_refunds", every="OUTBOX_SECONDS")
def sweep_refunds() -> int:
    """Deliver the refunds that no nudge reached, and those to be tried again."""
    return services.deliver_due_refunds(limit=500)


@jobs.periodic("payments.grant_graces", every="OUTBOX_SECONDS")
def grant_graces() -> int:
    """Keep holds whose payment is at the bank."""
    return services.grant_graces()


@jobs.periodic("payments.reconcile", every="SWEEP_SECONDS")
def reconcile() -> int:
    """Compare open payments with the provider."""
    return services.reconcile_due()
