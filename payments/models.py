"""What was asked for, what arrived and what went back: payments, refunds, the provider's announcements, open questions."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from common.states import Stateful
from payments.states import OPEN, PAYMENT_TRANSITIONS, REFUND_TRANSITIONS, PaymentStatus, RefundStatus, legal

COUNT_REFUNDS = """
    IF TG_OP <> 'INSERT' THEN
        which = OLD.payment_id;
        IF OLD.status <> 'failed' THEN change = change - OLD.amount_minor; END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        which = NEW.payment_id;
        IF NEW.status <> 'failed' THEN change = change + NEW.amount_minor; END IF;
    END IF;
    IF change <> 0 THEN
        UPDATE payments_payment SET refunded_minor = refunded_minor + change WHERE id = which;
    END IF;
    RETURN NULL;
"""


class Payment(Stateful):
    """
    One attempt to pay one booking: our side of a PaymentIntent.

    A declined card leaves the attempt open (`failed`: the same intent takes another card). What was received is used in
    exactly one way: it pays the booking, goes back, or waits for a person (`use`).

    Whoever locks a payment holds its booking's row already (payments.services.settlement says why).
    """

    class Door(models.TextChoices):
        INTENT = "intent", "card field"
        CHECKOUT = "checkout", "hosted checkout"

    class Use(models.TextChoices):
        NOTHING = "", "nothing received"
        BOOKING = "booking", "pays the booking"
        RETURN = "return", "goes back"
        REVIEW = "review", "waits for a person"

    Status = PaymentStatus
    TRANSITIONS = PAYMENT_TRANSITIONS

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    booking = models.ForeignKey("bookings.Booking", on_delete=models.PROTECT, related_name="payments")
    attempt = models.PositiveSmallIntegerField(default=1)
    door = models.CharField(max_length=8, choices=Door.choices, default=Door.INTENT)
    intent_id = models.CharField(max_length=255, null=True, blank=True, unique=True)
    checkout_id = models.CharField(max_length=255, null=True, blank=True, unique=True)
    tries = models.PositiveSmallIntegerField(
        default=0, help_text="How often the provider failed to open it; part of the idempotency key."
    )
    amount_minor = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(
        max_length=16, choices=PaymentStatus.choices, default=PaymentStatus.CREATED, editable=False
    )
    received_minor = models.PositiveIntegerField(default=0, editable=False)
    refunded_minor = models.PositiveIntegerField(
        default=0, editable=False, help_text="Σ of the refunds that have not failed; kept by a trigger."
    )
    released_minor = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="What tickets cost that staff cancelled one by one: the booking costs so much less than was received.",
    )
    kept_minor = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="What staff kept of tickets that they cancelled, with a reason.",
    )
    use = models.CharField(max_length=8, choices=Use.choices, default=Use.NOTHING, blank=True, editable=False)
    last_error = models.CharField(max_length=64, blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    settled_at = models.DateTimeField(null=True, blank=True, editable=False)
    next_check_at = models.DateTimeField(db_default=Now(), editable=False, help_text="When to ask the provider again.")

    class Meta:
        ordering = ["-created_at", "id"]
        permissions = [
            ("refund_payment", "Can refund bookings and single tickets"),
            ("refund_freely", "Can refund any amount, and who came in"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["booking", "attempt"], name="payment_attempt_is_unique"),
            models.UniqueConstraint(
                fields=["booking"],
                condition=Q(status__in=["created", "processing", "failed"]),
                name="one_open_payment_per_booking",
            ),
            models.UniqueConstraint(
                fields=["booking"], condition=Q(use="booking"), name="one_payment_pays_for_a_booking"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["created", "processing", "failed", "succeeded", "cancelled"]),
                name="payment_status_is_known",
            ),
            models.CheckConstraint(condition=Q(amount_minor__gte=1), name="payment_asks_for_something"),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="payment_currency_is_iso"),
            models.CheckConstraint(
                condition=Q(status="succeeded", use__in=["booking", "return", "review"], settled_at__isnull=False)
                | (~Q(status="succeeded") & Q(use="", settled_at__isnull=True, received_minor=0)),
                name="received_money_has_one_use",
            ),
            models.CheckConstraint(
                condition=Q(refunded_minor__lte=F("received_minor")), name="never_refund_more_than_received"
            ),
            models.CheckConstraint(
                condition=Q(received_minor__gte=F("refunded_minor") + F("kept_minor")),
                name="what_is_kept_is_not_refunded",
            ),
            models.CheckConstraint(
                condition=Q(received_minor__gte=F("released_minor")), name="never_release_more_than_received"
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "id"], name="payment_newest"),
            models.Index(
                fields=["next_check_at"],
                condition=Q(status__in=["created", "processing", "failed"]),
                name="payment_to_check",
            ),
        ]
        triggers = [pgtrigger.FSM(name="payment_states", field="status", transitions=legal(PAYMENT_TRANSITIONS))]

    def __str__(self) -> str:
        return self.intent_id or str(self.pk)

    @property
    def is_open(self) -> bool:
        """Whether money may still arrive by it."""
        return self.status in OPEN

    @property
    def left_minor(self) -> int:
        """What of it neither went back nor was kept by staff."""
        return self.received_minor - self.refunded_minor - self.kept_minor


class Refund(Stateful):
    """
    Money on its way back. Written in the transaction that decides it, delivered by a worker that claims it.

    `key` names the cause and is the provider's idempotency key, so one cause sends the money back once.
    """

    class Reason(models.TextChoices):
        CANCELLED = "cancelled", "booking cancelled"
        SEATS_GONE = "seats_gone", "paid after the hold, seats gone"
        DUPLICATE = "duplicate", "paid twice"
        STAFF = "staff", "decided by staff"
        TICKETS = "tickets", "tickets cancelled"
        PROVIDER = "provider", "made at the provider"

    Status = RefundStatus
    TRANSITIONS = REFUND_TRANSITIONS

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    key = models.CharField(max_length=100, unique=True, editable=False)
    amount_minor = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=16, choices=Reason.choices)
    replaces = models.OneToOneField(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="replacement",
        editable=False,
        help_text="The failed refund that this one takes the place of.",
    )
    status = models.CharField(
        max_length=16, choices=RefundStatus.choices, default=RefundStatus.REQUESTED, editable=False
    )
    stripe_id = models.CharField(max_length=255, null=True, blank=True, unique=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    next_try_at = models.DateTimeField(db_default=Now(), editable=False)
    last_error = models.CharField(max_length=500, blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["requested", "sent", "succeeded", "failed"]), name="refund_status_is_known"
            ),
            models.CheckConstraint(condition=Q(amount_minor__gte=1), name="refund_returns_something"),
            models.CheckConstraint(
                condition=Q(status__in=["succeeded", "failed"], finished_at__isnull=False)
                | Q(status__in=["requested", "sent"], finished_at__isnull=True),
                name="finished_refund_has_its_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_try_at", "id"], condition=Q(status__in=["requested", "sent"]), name="refund_to_send"
            )
        ]
        triggers = [
            pgtrigger.FSM(name="refund_states", field="status", transitions=legal(REFUND_TRANSITIONS)),
            # The sum is counted under the payment's row lock, so of two refunds that do not both fit one is refused.
            pgtrigger.Trigger(
                name="refund_counts",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("status", "amount_minor") | pgtrigger.Delete,
                declare=[("which", "uuid"), ("change", "integer := 0")],
                func=COUNT_REFUNDS,
            ),
            pgtrigger.Protect(
                name="refund_keeps_its_payment",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__payment_id__df=pgtrigger.F("new__payment_id"))
                | pgtrigger.Q(old__key__df=pgtrigger.F("new__key")),
            ),
        ]

    def __str__(self) -> str:
        return self.key


class StripeEvent(models.Model):
    """An announcement of the provider, stored once, in the transaction of its effect."""

    stripe_id = models.CharField(max_length=255, unique=True)
    type = models.CharField(max_length=100)
    intent_id = models.CharField(max_length=255, blank=True, default="", db_index=True)
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.type} {self.stripe_id}"


class Attention(models.Model):
    """Money that a machine must not decide about: the list staff work through."""

    class Kind(models.TextChoices):
        UNKNOWN_INTENT = "unknown_intent", "money for no payment of ours"
        WRONG_BOOKING = "wrong_booking", "says it is for another booking"
        WRONG_AMOUNT = "wrong_amount", "another amount than asked for"
        WRONG_CURRENCY = "wrong_currency", "another currency than asked for"
        REFUND_FAILED = "refund_failed", "a refund came back"
        REFUNDED_ELSEWHERE = "refunded_elsewhere", "refunded at the provider"
        DISPUTED = "disputed", "disputed by the card holder"
        NOT_PAID = "not_paid", "paid in our books, not at the provider"

    kind = models.CharField(max_length=24, choices=Kind.choices)
    intent_id = models.CharField(max_length=255)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="attention")
    amount_minor = models.PositiveIntegerField(default=0)
    currency = models.CharField(max_length=3, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name_plural = "attention"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "intent_id"],
                condition=Q(resolved_at__isnull=True),
                name="one_open_question_per_kind_and_intent",
            ),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True) | ~Q(resolution=""), name="resolved_attention_says_how"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.intent_id}"


class Comparison(models.Model):
    """
    Our books beside the provider's, for a period: what was looked at, and every line that differs.

    Written by the worker page by page, so that whoever waits sees how far it is.
    """

    class Status(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    since = models.DateTimeField()
    until = models.DateTimeField()
    staff = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Who asked for it; empty: an operator's command.",
    )
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WAITING, editable=False)
    intents = models.PositiveIntegerField(default=0, editable=False, help_text="Payments the provider told of.")
    refunds = models.PositiveIntegerField(default=0, editable=False, help_text="Refunds the provider told of.")
    payments = models.PositiveIntegerField(default=0, editable=False, help_text="Payments of ours that were looked at.")
    problem = models.CharField(max_length=500, blank=True, default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(until__gt=F("since")), name="comparison_has_a_period"),
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "running", "done", "failed"]), name="comparison_status_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.since:%Y-%m-%d %H:%M} – {self.until:%Y-%m-%d %H:%M}"


class Difference(models.Model):
    """One line where the provider and our books do not say the same, and what was done about it."""

    class Kind(models.TextChoices):
        UNKNOWN_HERE = "unknown_here", "paid at the provider, unknown here"
        NOT_TAKEN_IN = "not_taken_in", "paid at the provider, not yet here"
        NOT_PAID_THERE = "not_paid_there", "paid here, not at the provider"
        AMOUNT = "amount", "another amount was received"
        CURRENCY = "currency", "another currency"
        CLOSED_THERE = "closed_there", "closed at the provider, open here"
        REFUND_UNKNOWN = "refund_unknown", "refund at the provider, unknown here"
        REFUND_MISSING = "refund_missing", "refund here, not at the provider"
        REFUND_AMOUNT = "refund_amount", "refund of another amount"
        REFUND_STATUS = "refund_status", "refund stands elsewhere"

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="differences")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    intent_id = models.CharField(max_length=255, blank=True)
    stripe_refund = models.CharField(max_length=255, blank=True, help_text="The provider's id of a refund.")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    ours = models.CharField(max_length=100, blank=True)
    theirs = models.CharField(max_length=100, blank=True)
    amount_minor = models.PositiveIntegerField(default=0, help_text="How much money it is about.")
    currency = models.CharField(max_length=3, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=500, blank=True, help_text="What was done, or why it stays.")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "kind", "intent_id", "stripe_refund", "refund"],
                nulls_distinct=False,
                name="one_line_per_difference",
            ),
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True, answer="") | (Q(answered_at__isnull=False) & ~Q(answer="")),
                name="answered_difference_says_how",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.stripe_refund or self.intent_id}"
