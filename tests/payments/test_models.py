"""The lives of payments and refunds, legal and illegal, and what the database refuses."""

import itertools

import pgtrigger
import pytest
from django.db import IntegrityError, ProgrammingError, transaction
from django.db.models.functions import Now

from common.errors import IllegalTransition
from payments.models import Attention, Payment, Refund, StripeEvent
from payments.states import PAYMENT_TRANSITIONS, REFUND_TRANSITIONS, PaymentStatus, RefundStatus, legal
from tests.factories import TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def booking():
    from bookings import services

    return services.hold_seats(user_id=UserFactory().pk, category_id=TicketCategoryFactory().pk, quantity=2)


def needs(status: str) -> dict:
    """Return the fields that a payment in this status must have."""
    return {"use": "review", "settled_at": Now(), "received_minor": 9800} if status == "succeeded" else {}


@pytest.fixture
def payment(booking):
    return Payment.objects.create(booking=booking, amount_minor=9800, currency="EUR", intent_id="pi_1")


@pytest.fixture
def paid(payment):
    payment.transition("succeed", **needs("succeeded"))
    return payment


def in_status(model, row, status):
    """Put a row into a status whatever its table says."""
    with pgtrigger.ignore("payments.Payment:payment_states", "payments.Refund:refund_states"):
        fields = (
            needs(status) if model is Payment else {"finished_at": Now() if status in {"succeeded", "failed"} else None}
        )
        model.objects.filter(pk=row.pk).update(status=status, **fields)
    return model.objects.get(pk=row.pk)


@pytest.mark.parametrize(("name", "status"), list(itertools.product(PAYMENT_TRANSITIONS, PaymentStatus.values)))
def test_payment_moves_only_along_its_table(payment, name, status):
    payment = in_status(Payment, payment, status)
    step = PAYMENT_TRANSITIONS[name]

    if status in step.sources:
        assert payment.transition(name, **needs(step.target)).status == step.target
    else:
        with pytest.raises(IllegalTransition):
            payment.transition(name, **needs(step.target))


@pytest.mark.parametrize(("name", "status"), list(itertools.product(REFUND_TRANSITIONS, RefundStatus.values)))
def test_refund_moves_only_along_its_table(paid, name, status):
    refund = Refund.objects.create(payment=paid, key="k", amount_minor=1, currency="EUR", reason="staff")
    refund = in_status(Refund, refund, status)
    step = REFUND_TRANSITIONS[name]
    finished = {"finished_at": Now()} if step.target in {"succeeded", "failed"} else {}

    if status in step.sources:
        assert refund.transition(name, **finished).status == step.target
    else:
        with pytest.raises(IllegalTransition):
            refund.transition(name, **finished)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pair
        for pair in itertools.permutations(PaymentStatus.values, 2)
        if pair not in legal(PAYMENT_TRANSITIONS) and pair[0] != "succeeded"
    ],
)
def test_database_refuses_other_ways_of_a_payment(payment, before, after):
    in_status(Payment, payment, before)

    with pytest.raises(ProgrammingError, match="Invalid transition"), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(status=after, **needs(after))


def test_database_keeps_received_money_received(paid):
    with pytest.raises(ProgrammingError, match="Invalid transition"), transaction.atomic():
        Payment.objects.filter(pk=paid.pk).update(status="cancelled", use="", settled_at=None, received_minor=0)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"status": "succeeded"}, "received_money_has_one_use"),
        ({"use": "booking"}, "received_money_has_one_use"),
        ({"received_minor": 5}, "received_money_has_one_use"),
        ({"refunded_minor": 1}, "never_refund_more_than_received"),
        ({"amount_minor": 0}, "payment_asks_for_something"),
        ({"currency": "eur"}, "payment_currency_is_iso"),
    ],
)
def test_payment_constraints_hold(payment, change, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(**change)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"attempt": 2}, "one_open_payment_per_booking"),
        ({"attempt": 1, "status": "cancelled"}, "payment_attempt_is_unique"),
        ({"attempt": 2, "status": "cancelled", "intent_id": "pi_1"}, "intent_id"),
        ({"attempt": 2, "status": "lost"}, "payment_status_is_known"),
    ],
)
def test_second_payment_must_be_another_one(payment, fields, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Payment.objects.create(booking=payment.booking, amount_minor=9800, currency="EUR", **fields)


def test_one_payment_pays_for_a_booking(paid):
    Payment.objects.filter(pk=paid.pk).update(use="booking")

    with pytest.raises(IntegrityError, match="one_payment_pays_for_a_booking"), transaction.atomic():
        Payment.objects.create(
            booking=paid.booking,
            attempt=2,
            amount_minor=9800,
            currency="EUR",
            status="succeeded",
            use="booking",
            settled_at=Now(),
            received_minor=9800,
        )


def test_refunds_are_counted_and_never_exceed_what_was_received(paid):
    first = Refund.objects.create(payment=paid, key="a", amount_minor=9000, currency="EUR", reason="staff")

    with pytest.raises(IntegrityError, match="never_refund_more_than_received"), transaction.atomic():
        Refund.objects.create(payment=paid, key="b", amount_minor=801, currency="EUR", reason="staff")
    Refund.objects.create(payment=paid, key="c", amount_minor=800, currency="EUR", reason="staff")
    paid.refresh_from_db()
    assert paid.refunded_minor == 9800
    first.transition("fail", finished_at=Now())
    paid.refresh_from_db()
    assert paid.refunded_minor == 800


def test_refund_can_not_move_to_another_payment_or_cause(paid):
    refund = Refund.objects.create(payment=paid, key="a", amount_minor=1, currency="EUR", reason="staff")

    with pytest.raises(ProgrammingError, match="Cannot update"), transaction.atomic():
        Refund.objects.filter(pk=refund.pk).update(key="b")


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"amount_minor": 0}, "refund_returns_something"),
        ({"status": "lost", "finished_at": None}, "refund_status_is_known|finished_refund_has_its_time"),
        ({"status": "succeeded"}, "finished_refund_has_its_time"),
        ({"key": "a"}, "key"),
    ],
)
def test_refund_constraints_hold(paid, fields, constraint):
    Refund.objects.create(payment=paid, key="a", amount_minor=1, currency="EUR", reason="staff")

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Refund.objects.create(
            **{"payment": paid, "key": "b", "amount_minor": 1, "currency": "EUR", "reason": "staff"} | fields
        )


def test_announcements_and_open_questions_are_stored_once(paid):
    StripeEvent.objects.create(stripe_id="evt_1", type="x")
    Attention.objects.create(kind="disputed", intent_id="pi_1")

    with pytest.raises(IntegrityError, match="stripe_id"), transaction.atomic():
        StripeEvent.objects.create(stripe_id="evt_1", type="x")
    with pytest.raises(IntegrityError, match="one_open_question_per_kind_and_intent"), transaction.atomic():
        Attention.objects.create(kind="disputed", intent_id="pi_1")
    with pytest.raises(IntegrityError, match="resolved_attention_says_how"), transaction.atomic():
        Attention.objects.update(resolved_at=Now())
