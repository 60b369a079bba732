"""What staff do about money, each with a reason and a line in the audit, in one transaction."""

from uuid import UUID

from django.db import transaction

from accounts.services import record_staff_action
from payments.models import Attention, Payment, Refund
from payments.services.refunds import retry_refund, return_payment
from payments.services.settlement import resolve


@transaction.atomic
def return_payment_by_staff(*, payment_id: UUID, actor_id: UUID, reason: str) -> Refund:
    """
    Send all that is left of a payment back.

    :raises RefundRefused: if nothing is left, or it pays for a confirmed booking
    """
    use = Payment.objects.values_list("use", flat=True).get(pk=payment_id)
    refund = return_payment(payment_id=payment_id, by="staff")
    record_staff_action(
        actor_id=actor_id,
        action="return_payment",
        object_type="payment",
        object_id=payment_id,
        before={"use": use},
        after={"use": "return", "refund_minor": refund.amount_minor, "currency": refund.currency},
        reason=reason,
    )
    return refund


@transaction.atomic
def retry_refund_by_staff(*, refund_id: UUID, actor_id: UUID, reason: str) -> Refund:
    """
    Try a refund again now.

    :raises RefundRefused: if it has arrived, or nothing is left to send
    """
    status = Refund.objects.values_list("status", flat=True).get(pk=refund_id)
    refund = retry_refund(refund_id=refund_id, by="staff")
    record_staff_action(
        actor_id=actor_id,
        action="retry_refund",
        object_type="refund",
        object_id=refund_id,
        before={"status": status},
        after={"refund": str(refund.pk), "amount_minor": refund.amount_minor},
        reason=reason,
    )
    return refund


@transaction.atomic
def resolve_by_staff(*, attention_id: int, actor_id: UUID, reason: str) -> None:
    """
    Take an open question off the list, with what was done about it.

    :raises StillOpen: if the money it is about still waits
    """
    kind = Attention.objects.values_list("kind", flat=True).get(pk=attention_id)
    resolve(attention_id=attention_id, resolution=reason)
    record_staff_action(
        actor_id=actor_id,
        action="resolve_attention",
        object_type="attention",
        object_id=str(attention_id),
        before={"kind": kind},
        reason=reason,
    )
