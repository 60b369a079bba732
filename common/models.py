"""Rows that every flow leans on: the outbox, idempotency keys, heartbeats."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class OutboxMessage(models.Model):
    """
    Something that must leave (a mail, a refund, the cancelling of an intent), written in the business transaction.

    `dedupe_key` names the cause, so the same cause never leaves twice. A worker claims due rows with SKIP LOCKED.
    """

    topic = models.CharField(max_length=64)
    payload = models.JSONField(default=dict)
    dedupe_key = models.CharField(max_length=200, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now(), help_text="When it may be tried (next).")
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    last_error = models.TextField(blank=True, default="", db_default="")
    done_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True, help_text="Given up: a person must look at it.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(done_at__isnull=True) | Q(failed_at__isnull=True), name="outbox_is_done_or_failed"
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at", "id"], condition=Q(done_at__isnull=True, failed_at__isnull=True), name="outbox_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.dedupe_key}"


class IdempotencyKey(models.Model):
    """The first answer to a POST that carried an Idempotency-Key, stored in the transaction of its effect."""

    owner = models.CharField(max_length=64, help_text="The user's id, or the address of an anonymous client.")
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=200)
    key = models.CharField(max_length=200)
    body_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "method", "path", "key"], name="idempotency_key_is_used_once")
        ]

    def __str__(self) -> str:
        return self.key


class Heartbeat(models.Model):
    """When a periodic job or process last ran to its end."""

    name = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField(db_default=Now())
    seconds = models.FloatField(default=0)
    result = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name


class SentMail(models.Model):
    """A mail as it left, kept in development only so that `/dev/mail` can show it."""

    to = models.CharField(max_length=254, db_index=True)
    subject = models.CharField(max_length=500)
    text = models.TextField()
    html = models.TextField(blank=True)
    sent_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-sent_at", "-id"]

    def __str__(self) -> str:
        return f"{self.to}: {self.subject}"
