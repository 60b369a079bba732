"""Finding from the rows alone what no announcement told us."""

import time
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, Value, When
from django.db.models.functions import Now

from bookings.states import Status as BookingStatus
from common.errors import FairseatError
from payments.gateway import UnknownToProvider, gateway
from payments.models import Payment
from payments.services.refunds import BUDGET_SECONDS, record_all
from payments.services.settlement import (
    close_payment,
    close_unpaid,
    current_intent,
    end_payments,
    grace_window,
    grant_grace,
    settle_intent,
)
from payments.states import OPEN, PaymentStatus

log = structlog.get_logger(__name__)
ENDED = (BookingStatus.CANCELLED, BookingStatus.EXPIRED)


def reconcile_due(*, limit: int = 200) -> int:
    """
    Bring up to `limit` payments to where the provider has them, and return how many changed.

    Bookings that ended come first (what is still open is closed, what was received goes back), then holds by their deadline.
    Safe in any number of processes: each payment is claimed for one period.
    """
    changed = sum(return_stranded(booking_id) for booking_id in stranded_bookings(limit))
    until = time.monotonic() + BUDGET_SECONDS
    for payment_id in claim_open_payments(limit):
        if time.monotonic() > until:
            break
        payment = Payment.objects.select_related("booking").get(pk=payment_id)
        before = payment.status
        try:
            after = reconcile_open(payment)
        except FairseatError as error:
            log.warning("payments.not_reconciled", payment=str(payment_id), error=error.code)
            continue
        changed += after != before
    return changed


def reconcile_open(payment: Payment) -> str:
    """
    Ask how one open payment stands, close it if its booking has ended, and return its status.

    :raises ProviderUnavailable: if the provider does not answer
    """
    if payment.booking.status != BookingStatus.PENDING:
        return close_payment(payment_id=payment.pk).status
    try:
        intent = current_intent(payment)
    except UnknownToProvider:
        return close_unpaid(payment).status
    settled = settle_intent(intent=intent) if intent else None
    return settled.status if settled else payment.status


def reconcile_intent(*, payment_id: UUID) -> Payment:
    """
    Compare one payment with the provider, whatever its state: for staff and for `reconcile_payments --all`.

    :raises ProviderUnavailable: if the provider does not answer
    :raises UnknownToProvider: if the provider does not have it
    """
    payment = Payment.objects.select_related("booking").get(pk=payment_id)
    intent = current_intent(payment)
    if intent is not None:
        settle_intent(intent=intent)
        if intent.received_minor:
            record_all(payment=payment, found=gateway().list_refunds(intent.id))
    payment.refresh_from_db()
    return payment


def claim_open_payments(limit: int) -> list[UUID]:
    """Claim the open payments that were not looked at for a period: those of ended bookings first, then by deadline."""
    due = Payment.objects.filter(
        Q(intent_id__isnull=False) | Q(checkout_id__isnull=False) | ~Q(booking__status=BookingStatus.PENDING),
        status__in=OPEN,
        next_check_at__lte=Now(),
    )
    ended_first = Case(
        When(booking__status=BookingStatus.PENDING, then=Value(1)), default=Value(0), output_field=IntegerField()
    )
    with transaction.atomic():
        rows = due.select_for_update(of=("self",), no_key=True, skip_locked=True)
        ids = list(
            rows.order_by(ended_first, F("booking__expires_at").asc(nulls_first=True)).values_list("pk", flat=True)[
                :limit
            ]
        )
        Payment.objects.filter(pk__in=ids).update(next_check_at=Now() + timedelta(seconds=settings.SWEEP_SECONDS))
    return ids


def stranded_bookings(limit: int) -> list[UUID]:
    """Return bookings that ended while a payment still counts as paying for them."""
    stranded = Payment.objects.filter(use=Payment.Use.BOOKING, booking__status__in=ENDED)
    return list(stranded.values_list("booking_id", flat=True)[:limit])


def return_stranded(booking_id: UUID) -> int:
    """Send the money of an ended booking back that no announcement sent back."""
    end_payments(booking_id=booking_id)
    log.warning("payments.stranded", booking=str(booking_id))
    return 1


def grant_graces() -> int:
    """Keep the holds whose payment is at the bank and whose deadline is near; return how many are in that state."""
    near = Payment.objects.filter(
        status=PaymentStatus.PROCESSING,
        booking__status=BookingStatus.PENDING,
        booking__expires_at__gt=Now(),
        booking__expires_at__lte=Now() + grace_window(),
        booking__grace_given=False,
    )
    ids = list(near.values_list("booking_id", flat=True))
    for booking_id in ids:
        grant_grace(booking_id, grace_window())
    return len(ids)
