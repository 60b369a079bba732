"""Claims on seats and the tickets they become."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bookings import triggers
from bookings.states import LAPSING, LIVE, TRANSITIONS, Source, Status
from common.states import Stateful


class Booking(Stateful):
    """
    A claim on `quantity` seats of one category: `offered → pending → confirmed`, or `cancelled` / `expired`.

    A pending booking is a *hold*. Its seats are counted in the bucket of the inventory that its status names, by the
    database's own triggers, generated from the same tables (`bookings.states`).
    """

    Status = Status
    Source = Source
    TRANSITIONS = TRANSITIONS

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reference = models.CharField(max_length=12, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="bookings", db_index=False
    )
    event = models.ForeignKey("events.Event", on_delete=models.PROTECT, related_name="bookings")
    category = models.ForeignKey(
        "events.TicketCategory", on_delete=models.PROTECT, related_name="bookings", db_index=False
    )
    quantity = models.PositiveSmallIntegerField()
    amount_minor = models.PositiveIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.PENDING, editable=False)
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.PUBLIC, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    extensions = models.PositiveSmallIntegerField(default=0, editable=False)
    grace_given = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Kept past its deadline once, for a payment under way.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    end_reason = models.CharField(max_length=32, blank=True, default="", db_default="", editable=False)
    # Pushed down by payments, so that a booking can be shown without asking upward.
    refund_minor = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    refund_status = models.CharField(max_length=16, blank=True, default="", db_default="", editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            # Not `unique=True` on the field: that adds a second index, for LIKE, which nobody asks and every hold pays.
            models.UniqueConstraint(fields=["reference"], name="booking_reference_is_unique"),
            models.UniqueConstraint(
                fields=["user", "event", "source"],
                condition=Q(status__in=LIVE) & ~Q(source=Source.WAITLIST),
                name="one_live_booking_per_person_event_and_source",
            ),
            # Who was offered part of what they wait for may pay for it and be offered the rest later, one claim at a time.
            models.UniqueConstraint(
                fields=["user", "event"],
                condition=Q(status__in=LAPSING, source=Source.WAITLIST),
                name="one_waitlist_claim_per_person_and_event",
            ),
            models.CheckConstraint(
                condition=Q(status__in=Status.values),
                name="booking_status_is_known",
            ),
            models.CheckConstraint(condition=Q(quantity__gte=1), name="booking_has_seats"),
            models.CheckConstraint(
                condition=Q(status__in=["offered", "pending"], expires_at__isnull=False)
                | ~Q(status__in=["offered", "pending"]),
                name="booking_that_lapses_has_a_deadline",
            ),
            models.CheckConstraint(
                condition=~Q(status="confirmed") | Q(confirmed_at__isnull=False),
                name="confirmed_booking_has_its_time",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "event", "created_at"], name="booking_of_person"),
            models.Index(
                fields=["category", "expires_at"],
                condition=Q(status__in=["offered", "pending"]),
                name="booking_that_lapses",
            ),
        ]
        triggers = triggers.booking_triggers()

    def __str__(self) -> str:
        return self.reference

    @property
    def is_hold(self) -> bool:
        """Whether the seats are held while the buyer pays."""
        return self.status == self.Status.PENDING


class BookingSeat(models.Model):
    """A numbered seat that a booking of a numbered category holds; `live` until the booking ends."""

    booking = models.ForeignKey(Booking, on_delete=models.CASCADE, related_name="booking_seats")
    seat = models.ForeignKey("events.Seat", on_delete=models.PROTECT, related_name="+", db_index=False)
    live = models.BooleanField(default=True, db_default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["seat"], condition=Q(live=True), name="one_live_booking_per_seat"),
        ]

    def __str__(self) -> str:
        return str(self.seat_id)


class BookingTransition(models.Model):
    """One change of a booking's status, written by the database itself and never changed."""

    booking = models.ForeignKey(Booking, on_delete=models.CASCADE, related_name="history")
    from_status = models.CharField(max_length=16)
    to_status = models.CharField(max_length=16)
    reason = models.CharField(max_length=32, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class Ticket(models.Model):
    """One seat for one holder, with a code nobody can guess. Void from the commit that ends its booking."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        USED = "used"
        VOID = "void"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    booking = models.ForeignKey(Booking, on_delete=models.PROTECT, related_name="tickets")
    code = models.CharField(max_length=32, editable=False)
    number = models.PositiveSmallIntegerField(help_text="1…quantity within its booking.")
    seat = models.ForeignKey("events.Seat", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    holder_name = models.CharField(max_length=150, blank=True)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.ACTIVE, editable=False)
    issued_at = models.DateTimeField(db_default=Now(), editable=False)
    void_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["code"], name="ticket_code_is_unique"),
            models.UniqueConstraint(
                fields=["seat"], condition=Q(seat__isnull=False) & ~Q(status="void"), name="one_valid_ticket_per_seat"
            ),
            models.UniqueConstraint(
                fields=["booking", "number"], condition=~Q(status="void"), name="ticket_number_is_unique_in_its_booking"
            ),
            models.CheckConstraint(condition=Q(status__in=["active", "used", "void"]), name="ticket_status_is_known"),
            models.CheckConstraint(
                condition=Q(status="void", void_at__isnull=False) | (~Q(status="void") & Q(void_at__isnull=True)),
                name="void_ticket_has_its_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} of {self.booking_id}"
