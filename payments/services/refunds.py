"""
Money on its way back.

A refund is a row from the moment it is decided. Workers claim rows with SKIP LOCKED, call the provider between two short
transactions and write down the answer. A worker that dies in between, or an answer that gets lost, changes nothing: the next
try first looks whether the provider knows our row already, and sends it under the same idempotency key.
"""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Now

from bookings import services as bookings
from bookings.states import Status as BookingStatus
from common.errors import IllegalTransition
from payments import news
from payments.gateway import ProviderRefused, ProviderUnavailable, Returned, UnknownToProvider, gateway
from payments.models import Attention, Payment, Refund
from payments.refusals import RefundRefused
from payments.services.rows import lock_booking, note_attention, open_attention
from payments.states import RefundStatus

log = structlog.get_logger(__name__)

TOO_MUCH = ("never_refund_more_than_received", "what_is_kept_is_not_refunded")
CLAIM = timedelta(seconds=90)
WAITING_FOR_THE_BANK = timedelta(hours=1)
SAME_KEY_TRIES = 5  # by then minutes have passed: no earlier request can still be under way
LOOK_AFTER_TRIES = 12
BUDGET_SECONDS = 35  # a worker's task must end by itself; what is left is found at the next run


@transaction.atomic
def request_refund(
    *, payment: Payment, amount_minor: int, reason: str, cause: str = "", replaces: Refund | None = None
) -> Refund:
    """
    Write that this much of a payment goes back; the same cause again returns the refund there is.

    :raises RefundRefused: if that is more than what is left of it
    """
    booking, _ = lock_booking(payment.booking_id)
    key = f"refund:{payment.pk}:{cause or reason}"
    existing = Refund.objects.filter(key=key).first()
    if existing is not None:
        return existing
    try:
        with transaction.atomic():
            refund = Refund.objects.create(
                payment=payment,
                key=key,
                amount_minor=amount_minor,
                currency=payment.currency,
                reason=reason,
                replaces=replaces,
            )
    except IntegrityError as error:
        if not any(name in str(error) for name in TOO_MUCH):
            raise
        raise RefundRefused from error
    show_on_booking(booking.pk)
    news.refund_started(refund)
    transaction.on_commit(nudge, robust=True)
    log.info("refund.requested", payment=str(payment.pk), amount=amount_minor, reason=reason)
    return refund


def nudge() -> None:
    """Ask a worker to deliver now; with the broker away the sweep does it."""
    from payments.tasks import deliver_refunds

    deliver_refunds.delay()


@transaction.atomic
def return_payment(*, payment_id: UUID, by: str) -> Refund:
    """
    Send all that is left of a payment back because a person decided so; its open questions are answered by that.

    :raises RefundRefused: if nothing is left, or it pays for a confirmed booking (cancel that instead)
    """
    payment = Payment.objects.get(pk=payment_id)
    booking, _ = lock_booking(payment.booking_id)
    payment.refresh_from_db()
    if payment.use == Payment.Use.BOOKING and booking.status == BookingStatus.CONFIRMED:
        raise RefundRefused("This payment pays for a confirmed booking. Refund the booking instead.")
    left = payment.left_minor
    if left <= 0:
        raise RefundRefused
    Payment.objects.filter(pk=payment.pk).update(use=Payment.Use.RETURN)
    number = Refund.objects.filter(payment=payment).count() + 1
    refund = request_refund(payment=payment, amount_minor=left, reason=Refund.Reason.STAFF, cause=f"staff:{number}")
    open_attention(payment=payment).update(resolved_at=Now(), resolution=f"Refunded by {by}.")
    return refund


@transaction.atomic
def retry_refund(*, refund_id: UUID, by: str) -> Refund:
    """
    Try a refund again now. One that the bank sent back is replaced by a new one, once.

    :raises RefundRefused: if it has arrived, or nothing is left to send
    """
    refund = Refund.objects.select_related("payment").get(pk=refund_id)
    lock_booking(refund.payment.booking_id)
    refund.refresh_from_db(fields=["status"])
    if refund.status == RefundStatus.FAILED:
        return replace_refund(refund, by=by)
    if not Refund.objects.filter(pk=refund_id, status__in=["requested", "sent"]).update(next_try_at=Now()):
        raise RefundRefused("This refund has arrived.")
    transaction.on_commit(nudge, robust=True)
    return refund


def replace_refund(refund: Refund, *, by: str) -> Refund:
    """
    Write a new refund in the place of one that failed; the caller holds the booking's lock.

    :raises RefundRefused: if there is not that much left
    """
    new = request_refund(
        payment=refund.payment,
        amount_minor=refund.amount_minor,
        reason=refund.reason if refund.reason != Refund.Reason.PROVIDER else Refund.Reason.STAFF,
        cause=f"again:{refund.pk}",
        replaces=refund,
    )
    if not failed_refunds().filter(payment=refund.payment).exists():
        questions = open_attention(payment=refund.payment, kind=Attention.Kind.REFUND_FAILED)
        questions.update(resolved_at=Now(), resolution=f"Sent again by {by}.")
    return new


def failed_refunds() -> QuerySet[Refund]:
    """Return the refunds that came back and that nothing took the place of."""
    return Refund.objects.filter(status=RefundStatus.FAILED, replacement__isnull=True)


def deliver_due_refunds(*, limit: int = 100) -> int:
    """Deliver up to `limit` due refunds and return how many were tried; safe in any number of processes."""
    tried, until = 0, time.monotonic() + BUDGET_SECONDS
    while tried < limit and time.monotonic() < until and (refund := claim()):
        deliver(refund)
        tried += 1
    return tried


@transaction.atomic
def claim() -> Refund | None:
    """Claim the refund that waited longest; None when none is due."""
    due = Refund.objects.filter(status__in=["requested", "sent"], next_try_at__lte=Now())
    claimed = due.select_for_update(of=("self",), no_key=True, skip_locked=True).order_by("next_try_at", "id").first()
    if claimed is None:
        return None
    changes: dict[str, Any] = {"attempts": F("attempts") + 1, "next_try_at": Now() + CLAIM}
    if claimed.status == RefundStatus.REQUESTED:
        claimed.transition("send", **changes)
    else:
        Refund.objects.filter(pk=claimed.pk).update(**changes)
    return Refund.objects.select_related("payment").get(pk=claimed.pk)


def deliver(refund: Refund) -> None:
    """Send one claimed refund and record what the provider says."""
    try:
        found = send(refund)
    except ProviderUnavailable as error:
        postpone(refund, error.text)
    except (ProviderRefused, UnknownToProvider) as error:
        record(refund, None, problem=error.text)
    else:
        record(refund, found)


def send(refund: Refund) -> Returned:
    """
    Return the provider's refund for our row, made now if it is not there.

    :raises ProviderUnavailable, ProviderRefused, UnknownToProvider: as the gateway
    """
    if refund.stripe_id:
        return gateway().get_refund(refund.stripe_id)
    intent_id = refund.payment.intent_id or ""
    if refund.attempts > 1:
        for found in gateway().list_refunds(intent_id):
            if found.metadata.get("key") == refund.key:
                return found
    return gateway().create_refund(
        intent_id=intent_id,
        amount_minor=refund.amount_minor,
        metadata={"key": refund.key, "reason": refund.reason},
        key=refund.key if refund.attempts <= SAME_KEY_TRIES else f"{refund.key}:{refund.attempts}",
    )


def postpone(refund: Refund, problem: str) -> None:
    """Try again later, ever later; after many tries a person looks, and the tries go on."""
    delay = timedelta(seconds=min(3600, 5 * 2 ** min(refund.attempts, 10)))
    Refund.objects.filter(pk=refund.pk, status=RefundStatus.SENT).update(
        next_try_at=Now() + delay, last_error=problem[:500]
    )
    if refund.attempts >= LOOK_AFTER_TRIES:
        question(refund, f"Tried {refund.attempts} times: {problem}")


@transaction.atomic
def record(refund: Refund, found: Returned | None, *, problem: str = "") -> None:
    """Write down how a refund stands at the provider; `None` means that it was refused."""
    lock_booking(refund.payment.booking_id)
    if found is not None and not refund.stripe_id:
        Refund.objects.filter(pk=refund.pk, stripe_id__isnull=True).update(stripe_id=found.id)
    status = found.status if found is not None else "failed"
    try:
        if status == "succeeded":
            refund.transition("succeed", finished_at=Now(), last_error="")
            open_attention(kind=Attention.Kind.REFUND_FAILED, payment=refund.payment).update(
                resolved_at=Now(), resolution="The refund arrived."
            )
            news.refund_done(refund)
        elif status in {"failed", "canceled"}:
            problem = problem or (found.failure if found else "") or status
            refund.transition("fail", finished_at=Now(), last_error=problem[:500])
            question(refund, problem)
            news.refund_failed(refund)
        else:
            Refund.objects.filter(pk=refund.pk, status=RefundStatus.SENT).update(
                next_try_at=Now() + WAITING_FOR_THE_BANK
            )
    except IllegalTransition:
        return  # a webhook has told us already
    show_on_booking(refund.payment.booking_id)
    log.info("refund.recorded", refund=str(refund.pk), status=refund.status)


def question(refund: Refund, problem: str) -> None:
    """Put a refund that does not arrive on the list of a person."""
    note_attention(
        Attention.Kind.REFUND_FAILED,
        intent_id=refund.payment.intent_id or "",
        payment=refund.payment,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        detail=problem,
    )


@transaction.atomic
def record_all(*, payment: Payment, found: list[Returned]) -> None:
    """
    Write down every refund the provider knows of a payment, also those somebody made in its dashboard.

    All the money back that way ends the booking: the tickets are no longer paid for.
    """
    booking, _ = lock_booking(payment.booking_id)
    for one in found:
        known = Refund.objects.select_related("payment").filter(payment=payment)
        row = known.filter(stripe_id=one.id).first() or known.filter(key=one.metadata.get("key", "")).first()
        if row is not None:
            record(row, one)
        elif one.status not in {"failed", "canceled"}:
            adopt(payment, one)
    payment.refresh_from_db()
    elsewhere = Refund.objects.filter(payment=payment, reason=Refund.Reason.PROVIDER).exclude(status="failed").exists()
    if payment.use == Payment.Use.BOOKING and payment.refunded_minor == payment.received_minor and elsewhere:
        Payment.objects.filter(pk=payment.pk).update(use=Payment.Use.RETURN)
        if booking.status == BookingStatus.CONFIRMED:
            bookings.cancel_booking(booking_id=booking.pk, by="staff", reason="refunded_at_provider")
    show_on_booking(booking.pk)


def adopt(payment: Payment, found: Returned) -> None:
    """Make a row for a refund that was not made by us, and tell a person."""
    done = found.status == "succeeded"
    refund = Refund.objects.create(
        payment=payment,
        key=f"provider:{found.id}",
        amount_minor=found.amount_minor,
        currency=found.currency,
        reason=Refund.Reason.PROVIDER,
        status=RefundStatus.SUCCEEDED if done else RefundStatus.SENT,
        stripe_id=found.id,
        finished_at=Now() if done else None,
    )
    tell = news.refund_done if done else news.refund_started
    tell(refund)
    note_attention(
        Attention.Kind.REFUNDED_ELSEWHERE,
        intent_id=found.intent_id,
        payment=payment,
        amount_minor=found.amount_minor,
        currency=found.currency,
        detail="Refunded at the provider, not by Fairseat.",
    )


def show_on_booking(booking_id: UUID) -> None:
    """Push down what of a booking's money goes back, and how far it is, for those who show bookings."""
    rows = Refund.objects.filter(payment__booking_id=booking_id).exclude(reason=Refund.Reason.DUPLICATE)
    going = rows.exclude(status=RefundStatus.FAILED)
    statuses = set(going.values_list("status", flat=True))
    status = next((step for step in ("requested", "sent", "succeeded") if step in statuses), "")
    if not status and rows.exists():
        going, status = rows, "failed"
    amount = going.aggregate(sum=Sum("amount_minor"))["sum"] or 0
    bookings.record_refund(booking_id=booking_id, amount_minor=amount, status=status)
