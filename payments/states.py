"""The lives of a payment and of a refund, written once: the models and the database's own guards read these tables."""

from django.db import models

from common.states import Step


class PaymentStatus(models.TextChoices):
    CREATED = "created"
    PROCESSING = "processing"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


class RefundStatus(models.TextChoices):
    REQUESTED = "requested"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


OPEN = (PaymentStatus.CREATED, PaymentStatus.PROCESSING, PaymentStatus.FAILED)
PAYMENT_TRANSITIONS = {
    "process": Step((PaymentStatus.CREATED, PaymentStatus.FAILED), PaymentStatus.PROCESSING),
    "fail": Step((PaymentStatus.CREATED, PaymentStatus.PROCESSING), PaymentStatus.FAILED),
    "cancel": Step(OPEN, PaymentStatus.CANCELLED),
    # Money decides: it is taken from any state but its own.
    "succeed": Step((*OPEN, PaymentStatus.CANCELLED), PaymentStatus.SUCCEEDED),
}
REFUND_TRANSITIONS = {
    "send": Step((RefundStatus.REQUESTED,), RefundStatus.SENT),
    "succeed": Step((RefundStatus.REQUESTED, RefundStatus.SENT), RefundStatus.SUCCEEDED),
    # A refund that had left may come back from the bank days later.
    "fail": Step((RefundStatus.REQUESTED, RefundStatus.SENT, RefundStatus.SUCCEEDED), RefundStatus.FAILED),
}


def legal(transitions: dict[str, Step]) -> list[tuple[str, str]]:
    """Return the (from, to) pairs of a table, for the database's own guard."""
    return sorted({(str(source), str(step.target)) for step in transitions.values() for source in step.sources})
