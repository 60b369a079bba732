"""Who waits for a seat, since when and why; and who was passed over, and why."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from common.states import Stateful, Step
from waitlist import triggers


class WaitlistEntry(Stateful):
    """
    One person's place on the list of one event; the order is `joined_at`, then `id`, and the position is computed.

    `quantity` is how many seats are still wanted. An offer is a booking (`booking`). When part of a wish for any number is
    accepted, the entry waits on for the rest with its time. An entry that is not `eligible` (its person has not been verified)
    keeps its time and is offered nothing. One that is `aside` keeps its place too, and keeps no seat from the public.
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
    TRANSITIONS: ClassVar[dict[str, Step]] = {
        "offer": Step((Status.WAITING,), Status.OFFERED),
        "accept": Step((Status.OFFERED,), Status.ACCEPTED),
        "accept_part": Step((Status.OFFERED,), Status.WAITING),
        "reject": Step((Status.OFFERED,), Status.REJECTED),
        "wait_again": Step((Status.OFFERED,), Status.WAITING),
        # What was accepted was not paid: behind everybody, like an offer that nobody answered.
        "unpaid": Step((Status.ACCEPTED,), Status.WAITING),
        "expire": Step((Status.WAITING, Status.OFFERED, Status.ACCEPTED), Status.EXPIRED),
        "leave": Step((Status.WAITING, Status.OFFERED), Status.LEFT),
        # Somebody got a seat another way: by staff, or because one was free when their face was verified.
        "serve": Step((Status.WAITING, Status.OFFERED), Status.ACCEPTED),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="waitlist")
    category_ids = ArrayField(
        models.UUIDField(), default=list, blank=True, help_text="The categories that will do; empty: any of the event."
    )
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="waitlist_entries")
    registration_id = models.UUIDField(null=True, blank=True, editable=False)
    quantity = models.PositiveSmallIntegerField(default=1, help_text="How many seats are still wanted.")
    all_together = models.BooleanField(
        default=False, db_default=False, help_text="Offer all seats at once or none; otherwise any number of them."
    )
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WAITING, editable=False)
    reason = models.CharField(max_length=32, choices=Reason.choices, default=Reason.TICKETS_SOLD_OUT)
    eligible = models.BooleanField(default=True)
    joined_at = models.DateTimeField(db_default=Now(), editable=False)
    waiting_since = models.DateTimeField(
        db_default=Now(), editable=False, help_text="Since when it waits as it is; the database writes it."
    )
    kept_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when free seats, too few of them, are kept for it."
    )
    aside_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when it keeps no seats from the public."
    )
    aside_for = models.CharField(max_length=20, blank=True, default="", db_default="", editable=False)
    offered_at = models.DateTimeField(null=True, blank=True, editable=False)
    offer_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    offers = models.PositiveSmallIntegerField(default=0, editable=False, help_text="How many were made so far.")
    lapses = models.PositiveSmallIntegerField(
        default=0, db_default=0, editable=False, help_text="How many offers were left unanswered or unpaid."
    )
    unpaid = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="What was accepted last is held and not paid yet."
    )
    went_back_for = models.UUIDField(
        null=True, blank=True, editable=False, help_text="The accepted booking that was not paid for and sent it back."
    )
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
            models.CheckConstraint(
                condition=Q(unpaid=False) | Q(status__in=["waiting", "accepted"]),
                name="unpaid_waitlist_entry_was_accepted",
            ),
            models.CheckConstraint(
                condition=Q(aside_since__isnull=True) | Q(status="waiting"),
                name="only_waiting_entry_is_aside",
            ),
        ]
        indexes = [
            models.Index(fields=["event", "status", "joined_at", "id"], name="waitlist_in_order"),
            models.Index(fields=["event", "joined_at", "id"], condition=Q(status="waiting"), name="waitlist_waiting"),
            models.Index(fields=["offer_expires_at"], condition=Q(status="offered"), name="waitlist_offered"),
            models.Index(fields=["booking"], condition=Q(unpaid=True), name="waitlist_unpaid"),
            models.Index(
                fields=["went_back_for"],
                condition=Q(went_back_for__isnull=False, status="waiting"),
                name="waitlist_went_back",
            ),
        ]
        triggers = triggers.entry_triggers()

    def __str__(self) -> str:
        return f"Waits since {self.joined_at:%d %b %Y, %H:%M} UTC" if self.joined_at else "Waitlist entry"


class WaitlistSkip(models.Model):
    """
    Why somebody was passed over: a later entry was offered seats before this one, between `first_at` and `at`.

    One row per entry and reason, so a long list that can not be met does not write a row per offer.
    """

    class Reason(models.TextChoices):
        TOO_FEW_TOGETHER = "too_few_together"
        TICKET_LIMIT = "ticket_limit"
        ACCOUNT_INACTIVE = "account_inactive"
        HAS_A_CLAIM = "has_a_claim"
        NOT_ELIGIBLE = "not_eligible"
        CATEGORY_CLOSED = "category_closed"
        STAFF_CHOICE = "staff_choice"

    entry = models.ForeignKey(WaitlistEntry, on_delete=models.CASCADE, related_name="skips")
    category = models.ForeignKey("events.TicketCategory", on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=20, choices=Reason.choices)
    wanted = models.PositiveSmallIntegerField(help_text="How many seats the entry wanted.")
    free = models.PositiveIntegerField(help_text="How many of the category were free.")
    times = models.PositiveIntegerField(default=1, db_default=1)
    first_at = models.DateTimeField(db_default=Now())
    at = models.DateTimeField(db_default=Now(), help_text="The last time.")

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["entry", "reason"], name="one_skip_per_entry_and_reason"),
            models.CheckConstraint(
                condition=Q(
                    reason__in=[
                        "too_few_together",
                        "ticket_limit",
                        "account_inactive",
                        "has_a_claim",
                        "not_eligible",
                        "category_closed",
                        "staff_choice",
                    ]
                ),
                name="waitlist_skip_reason_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entry_id} {self.reason}"
