"""Claims on seats and the tickets they become."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bookings import triggers
from bookings.states import LAPSING, LIVE, TRANSITIONS, Source, Status
from common.states import Stateful, Step


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
    """
    One seat for one holder, with a code nobody can guess. Void from the commit that ends its booking.

    A ticket of an event that checks faces is `personal`: it is `unassigned`, and opens no door, until a verified person holds
    it. The database sets `event` and `personal` from the booking and sees to that (`bookings.triggers`).
    """

    class Status(models.TextChoices):
        UNASSIGNED = "unassigned"
        ACTIVE = "active"
        USED = "used"
        VOID = "void"

    OPENS = (Status.ACTIVE, Status.USED)  # what its holder came in with, or will

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    booking = models.ForeignKey(Booking, on_delete=models.PROTECT, related_name="tickets")
    event = models.ForeignKey(
        "events.Event", on_delete=models.PROTECT, related_name="+", editable=False, db_index=False
    )
    holder = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="tickets",
        editable=False,
        help_text="Whose it is. Empty: its holder has yet to be named and verified.",
    )
    personal = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="Only for a holder who was verified."
    )
    code = models.CharField(max_length=32, editable=False, help_text="A new one for every holder.")
    number = models.PositiveSmallIntegerField(help_text="1…quantity within its booking.")
    seat = models.ForeignKey("events.Seat", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    holder_name = models.CharField(max_length=150, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE, editable=False)
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
            models.UniqueConstraint(
                fields=["event", "holder"],
                condition=Q(personal=True, status__in=["active", "used"]),
                name="one_personal_ticket_per_holder_and_event",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["unassigned", "active", "used", "void"]), name="ticket_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status="void", void_at__isnull=False) | (~Q(status="void") & Q(void_at__isnull=True)),
                name="void_ticket_has_its_time",
            ),
            models.CheckConstraint(
                condition=Q(status="void")
                | Q(status="unassigned", holder__isnull=True, personal=True)
                | Q(status__in=["active", "used"], holder__isnull=False),
                name="ticket_that_opens_a_door_has_a_holder",
            ),
        ]
        triggers = triggers.ticket_triggers()

    def __str__(self) -> str:
        return f"{self.number} of {self.booking_id}"

    @property
    def invitation(self) -> "TicketHandover | None":
        """Who was asked to take it and has not yet; read from what `bookings.queries` loaded along."""
        waiting: list[TicketHandover] = getattr(self, "waiting_handovers", [])
        return waiting[0] if waiting else None


class TicketHandover(Stateful):
    """
    A ticket on its way to a new holder, named by mail address: an unassigned one to its first, a held one to the next.

    `open → accepted → taken`; until it is taken whoever named the person may recall it. The address is forgotten when the way
    ends. The token is in the mail only, here is its hash.
    """

    class Status(models.TextChoices):
        OPEN = "open"
        ACCEPTED = "accepted"
        TAKEN = "taken"
        DECLINED = "declined"
        RECALLED = "recalled"
        EXPIRED = "expired"
        ENDED = "ended"

    WAITING = (Status.OPEN, Status.ACCEPTED)
    TRANSITIONS = {
        "accept": Step((Status.OPEN,), Status.ACCEPTED),
        "take": Step((Status.ACCEPTED,), Status.TAKEN),
        "decline": Step(WAITING, Status.DECLINED),
        "recall": Step(WAITING, Status.RECALLED),
        "expire": Step(WAITING, Status.EXPIRED),
        "end": Step(WAITING, Status.ENDED),  # by the database, with its ticket
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="handovers", db_index=False)
    named_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", editable=False)
    from_holder = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
        help_text="Whose the ticket was; empty: nobody's yet.",
    )
    email = models.EmailField(blank=True, editable=False, help_text="Forgotten when this has ended.")
    invitee = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+", editable=False
    )
    token_hash = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.OPEN, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "ticket handover"
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["ticket"], condition=Q(status__in=["open", "accepted"]), name="one_waiting_handover_per_ticket"
            ),
            models.UniqueConstraint(
                fields=["token_hash"], condition=~Q(token_hash=""), name="handover_token_is_unique"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["open", "accepted", "taken", "declined", "recalled", "expired", "ended"]),
                name="handover_status_is_known",
            ),
            models.CheckConstraint(
                condition=(Q(status__in=["open", "accepted"], ended_at__isnull=True) & ~Q(email=""))
                | (~Q(status__in=["open", "accepted"]) & Q(ended_at__isnull=False, email="", token_hash="")),
                name="ended_handover_has_its_time_and_no_address",
            ),
            models.CheckConstraint(
                condition=Q(status="open", invitee__isnull=True)
                | Q(status__in=["accepted", "taken"], invitee__isnull=False, accepted_at__isnull=False)
                | ~Q(status__in=["open", "accepted", "taken"]),
                name="accepted_handover_says_by_whom",
            ),
        ]
        indexes = [
            models.Index(fields=["ticket", "created_at"], name="handover_of_ticket"),
            models.Index(
                fields=["expires_at"], condition=Q(status__in=["open", "accepted"]), name="handover_that_lapses"
            ),
            models.Index(fields=["email"], condition=~Q(email=""), name="handover_to_address"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.created_at:%Y-%m-%d %H:%M}" if self.created_at else str(self.pk)


class TicketChange(models.Model):
    """One change of a ticket's holder or status, written by the database itself and never changed."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="history")
    from_holder = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    to_holder = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    from_status = models.CharField(max_length=10)
    to_status = models.CharField(max_length=10)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"
