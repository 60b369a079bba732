"""Where organisers' systems want to be told of what happens, what they were told, and how that went."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class WebhookEndpoint(models.Model):
    """An address of an organiser that gets signed messages about their events."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organiser = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.URLField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    kinds = ArrayField(models.CharField(max_length=32), default=list, blank=True, help_text="Empty: everything.")
    secret_sealed = models.TextField(editable=False)
    # After a new secret was made, messages carry both signatures until then, so that the receiver can change over.
    old_secret_sealed = models.TextField(blank=True, default="", editable=False)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    enabled = models.BooleanField(default=True, editable=False)
    disabled_because = models.CharField(max_length=200, blank=True, default="", editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(enabled=True) | ~Q(disabled_because=""), name="webhook_off_has_a_reason"
            ),
        ]

    def __str__(self) -> str:
        return self.url


class WebhookMessage(models.Model):
    """One piece of news for one organiser; `cause` makes it exactly one however often it is found."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organiser = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=32)
    cause = models.CharField(max_length=100)
    payload = models.JSONField()
    occurred_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [models.UniqueConstraint(fields=["organiser", "cause"], name="webhook_message_is_said_once")]
        indexes = [models.Index(fields=["-created_at"], name="webhook_message_newest")]  # the log, and what to forget

    def __str__(self) -> str:
        return f"{self.kind} {self.cause}"


class WebhookDelivery(models.Model):
    """A message on its way to one endpoint: tried again in two phases, minutes first and hours then, until it is taken."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    message = models.ForeignKey(WebhookMessage, on_delete=models.CASCADE, related_name="deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.WAITING, db_default="waiting")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(db_default=Now(), help_text="When it may be tried (next).")
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-message__created_at", "id"]
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(fields=["message", "endpoint"], name="webhook_delivery_is_one_per_endpoint"),
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "delivered", "failed"]), name="webhook_delivery_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status="delivered", delivered_at__isnull=False) | ~Q(status="delivered"),
                name="webhook_delivered_has_its_time",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(status="waiting"), name="webhook_delivery_due")]

    def __str__(self) -> str:
        return f"Delivery {self.pk}"


class WebhookAttempt(models.Model):
    """One try of a delivery and what the receiver said: the log an organiser looks at."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField(db_default=Now())
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    milliseconds = models.PositiveIntegerField()
    problem = models.CharField(max_length=200, blank=True)
    said = models.CharField(max_length=500, blank=True, help_text="The beginning of the answer.")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.status_code or self.problem}"


class WebhookCursor(models.Model):
    """How far the rows of sales were read; one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    read_until = models.DateTimeField(db_default=Now())
    last_step = models.BigIntegerField(
        default=0, db_default=0, help_text="The newest change of a booking that was read."
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="webhook_cursor_is_one")]

    def __str__(self) -> str:
        return f"{self.read_until:%Y-%m-%d %H:%M:%S}"
