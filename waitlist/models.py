"""Who waits for a seat, since when and why."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from common.states import Stateful, Step
from waitlist import triggers


class WaitlistEntry(Stateful):
    """
    One person's place on the list of one event; the order is `joined_at`, then `id`, and the position is computed.

    An entry that is not `eligible` (its person has not been verified) keeps its time, and is offered nothing.
    """

    class Status(models.TextChoices):
        WAITING = "waiting"
        OFFERED = "offered"
        ACCEPTED = "accepted"
        REJECTED = "rejected"
        EXPIRED = "expired"
        LEFT = "left"

    class Reason(models.TextChoices):
        TICKETS_SOLD_OUT = "tickets_sold_out"
        FACE_VERIFICATION_FAILED = "face_verification_failed"

    LIVE = (Status.WAITING, Status.OFFERED)
    TRANSITIONS = {
        "offer": Step((Status.WAITING,), Status.OFFERED),
        "accept": Step((Status.OFFERED,), Status.ACCEPTED),
        "reject": Step((Status.OFFERED,), Status.REJECTED),
        "wait_again": Step((Status.OFFERED,), Status.WAITING),
        "expire": Step((Status.WAITING, Status.OFFERED), Status.EXPIRED),
        "leave": Step((Status.WAITING, Status.OFFERED), Status.LEFT),
        # Somebody who waited got a seat another way: by staff, or because one was free when their face was verified.
        "serve": Step((Status.WAITING,), Status.ACCEPTED),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="waitlist")
    category = models.ForeignKey(
        "events.TicketCategory",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="waitlist",
        help_text="Empty: any category of the event.",
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="waitlist_entries")
    registration_id = models.UUIDField(null=True, blank=True, editable=False)
    quantity = models.PositiveSmallIntegerField(default=1)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING, editable=False)
    reason = models.CharField(max_length=32, choices=Reason.choices, default=Reason.TICKETS_SOLD_OUT)
    eligible = models.BooleanField(default=True)
    joined_at = models.DateTimeField(db_default=Now(), editable=False)
    offered_at = models.DateTimeField(null=True, blank=True, editable=False)
    offer_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    offers = models.PositiveSmallIntegerField(default=0, editable=False, help_text="How many were made so far.")
    booking = models.ForeignKey(
        "bookings.Booking", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name_plural = "waitlist entries"
        ordering = ["joined_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "event"],
                condition=Q(status__in=["waiting", "offered"]),
                name="one_live_waitlist_entry_per_person_and_event",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "offered", "accepted", "rejected", "expired", "left"]),
                name="waitlist_status_is_known",
            ),
            models.CheckConstraint(
                condition=Q(reason__in=["tickets_sold_out", "face_verification_failed"]),
                name="waitlist_reason_is_known",
            ),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="waitlist_entry_wants_seats"),
            models.CheckConstraint(
                condition=~Q(status="offered") | Q(offer_expires_at__isnull=False, eligible=True),
                name="waitlist_offer_has_a_deadline_and_is_for_the_eligible",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "offered"], ended_at__isnull=True)
                | (~Q(status__in=["waiting", "offered"]) & Q(ended_at__isnull=False)),
                name="ended_waitlist_entry_has_its_time",
            ),
        ]
        indexes = [
            models.Index(fields=["event", "status", "joined_at", "id"], name="waitlist_in_order"),
        ]
        triggers = triggers.entry_triggers()

    def __str__(self) -> str:
        return f"{self.event_id} {self.joined_at:%Y-%m-%d %H:%M}" if self.joined_at else str(self.pk)
