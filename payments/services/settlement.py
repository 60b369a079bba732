"""
What an intent's present state means for its booking.

Webhook, client, sweep and the end of a hold all come here with an intent as the provider just described it, in any order and
as often as they like. Under the booking's lock its state is compared with our row, and money is used in exactly one way.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from bookings import queries
from bookings import services as bookings
from bookings.models import Booking
from bookings.refusals import HoldExpired, SeatsGone
from bookings.states import Status as BookingStatus
from common import outbox
from common.errors import IllegalTransition
from payments.gateway import Intent, UnknownToProvider, gateway
from payments.models import Attention, Payment, Refund
from payments.refusals import PaymentNotCompleted, PaymentUnderReview, StillOpen
from payments.services.refunds import request_refund
from payments.services.rows import lock_booking, note_attention, open_attention
from payments.states import OPEN, PaymentStatus

log = structlog.get_logger(__name__)

PAYING_FOR_THE_SAME = Payment.objects.filter(booking_id=OuterRef("booking_id"), use=Payment.Use.BOOKING)


@transaction.atomic
def settle_intent(*, intent: Intent) -> Payment | None:
    """
    Bring our rows to what an intent says; None if it is no payment of ours.

    Called again with the same state it changes nothing. Money that fits no booking of ours is put on a person's list.
    """
    payment = find_payment(intent)
    if payment is None:
        if intent.received_minor:
            note_attention(
                Attention.Kind.UNKNOWN_INTENT,
                intent_id=intent.id,
                amount_minor=intent.received_minor,
                currency=intent.currency,
                detail=f"metadata: {intent.metadata}",
            )
        return None
    booking, left = lock_booking(payment.booking_id)
    payment = Payment.objects.annotate(is_second=Exists(PAYING_FOR_THE_SAME)).get(pk=payment.pk)
    if payment.intent_id is None:
        Payment.objects.filter(pk=payment.pk).update(intent_id=intent.id)
        payment.intent_id = intent.id
    if payment.status == PaymentStatus.SUCCEEDED:
        return payment
    if intent.status == "succeeded":
        receive(payment, booking, intent)
        return payment
    try:
        if intent.status == "processing":
            if payment.status != PaymentStatus.PROCESSING:
                payment.transition("process", last_error="")
            grant_grace(booking.pk, left)
        elif intent.status == "canceled":
            payment.transition("cancel")
        elif intent.error_code and payment.status != PaymentStatus.FAILED:
            payment.transition("fail", last_error=intent.error_code[:64])
    except IllegalTransition:
        log.info("payment.unchanged", payment=str(payment.pk), status=payment.status, intent_status=intent.status)
    return payment


def find_payment(intent: Intent) -> Payment | None:
    """Return the payment an intent belongs to: by its id, or by what we wrote on it when its id never reached us."""
    payment = Payment.objects.filter(intent_id=intent.id).first()
    if payment is not None:
        return payment
    try:
        named = UUID(intent.metadata.get("payment", ""))
    except ValueError:
        return None
    return Payment.objects.filter(pk=named, intent_id__isnull=True).first()


def receive(payment: Payment, booking: Booking, intent: Intent) -> None:
    """Use money that arrived: for its booking, or back, or on a person's list when it is not what was asked for."""
    use, reason = Payment.Use.BOOKING, ""
    if problem := mismatch(payment, booking, intent):
        use = Payment.Use.REVIEW
        note_attention(
            problem,
            intent_id=intent.id,
            payment=payment,
            amount_minor=intent.received_minor,
            currency=intent.currency,
            detail=f"asked for {payment.amount_minor} {payment.currency} for booking {booking.reference}",
        )
    elif payment.is_second:  # type: ignore[attr-defined]
        use, reason = Payment.Use.RETURN, Refund.Reason.DUPLICATE
    else:
        try:
            bookings.settle_paid_booking(booking_id=booking.pk)
        except SeatsGone:
            use, reason = Payment.Use.RETURN, Refund.Reason.SEATS_GONE
    payment.transition("succeed", received_minor=intent.received_minor, use=use, settled_at=Now(), last_error="")
    log.info("payment.received", payment=str(payment.pk), booking=booking.reference, use=str(use))
    if use == Payment.Use.RETURN:
        request_refund(payment=payment, amount_minor=intent.received_minor, reason=reason)
    if reason == Refund.Reason.SEATS_GONE:
        outbox.put(
            topic="late_payment_refunded_mail",
            dedupe_key=f"late_payment_refunded_mail:{payment.pk}",
            booking_id=str(booking.pk),
        )


def mismatch(payment: Payment, booking: Booking, intent: Intent) -> str:
    """Return what about the money is not what was asked for; empty if it is."""
    if intent.metadata.get("booking") != str(booking.pk):
        return Attention.Kind.WRONG_BOOKING
    if intent.currency != payment.currency or payment.currency != booking.currency:
        return Attention.Kind.WRONG_CURRENCY
    if not intent.received_minor == intent.amount_minor == payment.amount_minor == booking.amount_minor:
        return Attention.Kind.WRONG_AMOUNT
    return ""


def grant_grace(booking_id: UUID, left: timedelta) -> None:
    """Keep a hold that is about to lapse while its payment is at the bank. Given early it would be no grace at all."""
    if timedelta() < left <= grace_window():
        bookings.grant_payment_grace(booking_id=booking_id)


def grace_window() -> timedelta:
    """Return how long before the deadline the grace is given: a few rounds of the job that gives it."""
    return timedelta(seconds=3 * settings.OUTBOX_SECONDS + 5)


def current_intent(payment: Payment) -> Intent | None:
    """
    Ask the provider how a payment stands; None if nobody has begun to pay.

    :raises ProviderUnavailable: if there is no answer
    """
    intent_id = payment.intent_id
    if intent_id is None and payment.checkout_id:
        intent_id = gateway().get_checkout(payment.checkout_id).intent_id
    return gateway().get_intent(intent_id) if intent_id else None


def confirm_by_client(*, booking_id: UUID, user_id: UUID) -> Booking:
    """
    Confirm a booking whose buyer says it is paid, if the provider says so too.

    :raises NotFound: if it is not their booking
    :raises PaymentNotCompleted: if it is not paid (yet)
    :raises HoldExpired: if it is not paid and the hold has ended
    :raises SeatsGone: if it was paid too late and the money goes back
    :raises PaymentUnderReview: if what was paid is not what was asked for
    :raises ProviderUnavailable: if the provider does not answer
    """
    booking = queries.get_booking_for(user_id=user_id, booking_id=booking_id)
    if booking.status == BookingStatus.CONFIRMED:
        return booking
    intent = None
    for payment in Payment.objects.filter(booking=booking, status__in=OPEN):
        intent = current_intent(payment)
        if intent is not None:
            settle_intent(intent=intent)
    booking = queries.get_booking_for(user_id=user_id, booking_id=booking_id)
    if booking.status == BookingStatus.CONFIRMED:
        return booking
    received = Payment.objects.filter(booking=booking, status=PaymentStatus.SUCCEEDED).first()
    if received is not None:
        raise PaymentUnderReview if received.use == Payment.Use.REVIEW else SeatsGone
    is_live = Booking.objects.filter(pk=booking.pk, status=BookingStatus.PENDING, expires_at__gt=Now()).exists()
    if not is_live and not (intent and intent.status == "processing"):
        raise HoldExpired
    raise PaymentNotCompleted(
        intent.error_message if intent else "", payment_status=intent.status if intent else "not_started"
    )


@transaction.atomic
def end_payments(*, booking_id: UUID) -> None:
    """
    Deal with the money of a booking that just ended, in the transaction that ended it.

    What may still be paid is closed at the provider, through the outbox; what was received goes back.
    """
    for payment in Payment.objects.filter(Q(status__in=OPEN) | Q(use=Payment.Use.BOOKING), booking_id=booking_id):
        if payment.is_open:
            outbox.put(topic="payments.close", dedupe_key=f"payments.close:{payment.pk}", payment_id=str(payment.pk))
            continue
        lock_booking(booking_id)
        Payment.objects.filter(pk=payment.pk).update(use=Payment.Use.RETURN)
        left = payment.left_minor
        if left:
            request_refund(payment=payment, amount_minor=left, reason=Refund.Reason.CANCELLED)


def close_payment(*, payment_id: UUID) -> Payment:
    """
    Close a payment at the provider. That call decides between "ended" and "paid": if the money was faster, it is settled.

    A payment the bank still works on stays open; the caller comes back.

    :raises ProviderUnavailable: if the provider does not answer
    """
    payment = Payment.objects.get(pk=payment_id)
    if not payment.is_open:
        return payment
    intent = None
    try:
        if payment.door == Payment.Door.CHECKOUT and payment.checkout_id:
            checkout = gateway().expire_checkout(payment.checkout_id)
            intent = gateway().get_intent(checkout.intent_id) if checkout.intent_id else None
            if checkout.status == "expired" and (intent is None or intent.status == "requires_payment_method"):
                return close_unpaid(payment)
        elif payment.intent_id:
            intent = gateway().cancel_intent(payment.intent_id)
    except UnknownToProvider:
        log.error("payment.unknown_to_provider", payment=str(payment.pk), intent=payment.intent_id)
    if intent is None:
        return close_unpaid(payment)
    return settle_intent(intent=intent) or payment


@transaction.atomic
def close_unpaid(payment: Payment) -> Payment:
    """Close a payment that nobody can pay: the provider does not have it, or nobody ever got its secret."""
    lock_booking(payment.booking_id)
    unchanged = Q(intent_id=payment.intent_id) if payment.intent_id else Q(intent_id__isnull=True)
    try:
        payment.transition("cancel", when=unchanged)
    except IllegalTransition:
        payment.refresh_from_db()
    return payment


@transaction.atomic
def resolve(*, attention_id: int, resolution: str) -> None:
    """
    Take something off the list, with what was done about it.

    :raises StillOpen: if money waits for the answer: it must go back, or its refund must arrive, not only its question go
    """
    question = Attention.objects.select_related("payment").get(pk=attention_id)
    payment = question.payment
    if payment is not None:
        lock_booking(payment.booking_id)
        payment.refresh_from_db()
        waits = payment.use == Payment.Use.REVIEW or (payment.use == Payment.Use.RETURN and payment.left_minor > 0)
        others = open_attention(payment=payment).exclude(pk=attention_id)
        if waits and not others.exists():
            raise StillOpen
    open_attention(pk=attention_id).update(resolved_at=Now(), resolution=resolution[:500])
