"""Claims on seats and the tickets they become."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bookings import triggers
from bookings.states import LAPSING, LIVE, TRANSITIONS, Source, Status
from common.states import Stateful, Step


class SaleCode(models.Model):
    """
    A word that opens a sale early, makes its tickets cheaper, or both. Cold, like a category: bookings refer to it.

    How often it was used is counted apart (`SaleCodeCounter`), so that no booking has a foreign key onto a hot row.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="codes", db_index=False)
    code = models.CharField(max_length=32, editable=False, help_text="In capitals, without spaces and hyphens.")
    percent = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Per cent off each ticket.",
    )
    off_minor = models.PositiveIntegerField(
        null=True, blank=True, help_text="Off each ticket, in the currency's minor unit: 500 is 5.00."
    )
    presale = models.BooleanField(
        default=False, help_text="Opens the sale, and categories that are hidden, before their time."
    )
    category_ids = ArrayField(
        models.UUIDField(), default=list, blank=True, help_text="The categories it is for. Empty: all of them."
    )
    per_person = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Tickets that one person may have with it. Empty: as many as the event allows."
    )
    valid_from = models.DateTimeField(null=True, blank=True, help_text="Empty: from now on.")
    valid_until = models.DateTimeField(null=True, blank=True, help_text="Empty: until the sale ends.")
    active = models.BooleanField(default=True)
    note = models.CharField(max_length=200, blank=True, help_text="For your own eyes: who got it.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", editable=False, db_index=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["event", "code"], name="sale_code_is_unique_in_its_event"),
            models.CheckConstraint(condition=Q(code__regex=r"^[A-Z0-9]{4,32}$"), name="sale_code_is_normalised"),
            models.CheckConstraint(
                condition=Q(percent__isnull=True) | Q(percent__range=(1, 100)), name="sale_code_percent_is_1_to_100"
            ),
            models.CheckConstraint(
                condition=Q(off_minor__isnull=True) | Q(off_minor__gte=1), name="sale_code_takes_something_off"
            ),
            models.CheckConstraint(
                condition=Q(percent__isnull=True) | Q(off_minor__isnull=True), name="sale_code_has_one_discount"
            ),
            models.CheckConstraint(
                condition=Q(percent__isnull=False) | Q(off_minor__isnull=False) | Q(presale=True),
                name="sale_code_does_something",
            ),
            models.CheckConstraint(
                condition=Q(per_person__isnull=True) | Q(per_person__gte=1),
                name="sale_code_gives_a_person_at_least_one",
            ),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True)
                | Q(valid_until__isnull=True)
                | Q(valid_until__gt=models.F("valid_from")),
                name="sale_code_ends_after_it_starts",
            ),
        ]

    def __str__(self) -> str:
        return self.code

    @property
    def discounts(self) -> bool:
        """Whether it makes tickets cheaper."""
        return self.percent is not None or self.off_minor is not None

    def is_for(self, category_id: uuid.UUID) -> bool:
        """Whether it is for this category."""
        return not self.category_ids or category_id in self.category_ids

    def off(self, price_minor: int, step: int = 1) -> int:
        """
        Return what it takes off one ticket of this price, rounded to the currency's `step` (`common.money`), a half up.

        The same as `sale_code_off` of the database, which decides: this is what is shown before.
        """
        if self.percent is not None:
            return min(price_minor, (price_minor * self.percent + 50 * step) // (100 * step) * step)
        return min(price_minor, self.off_minor or 0)


class SaleCodeCounter(models.Model):
    """The tickets in live bookings with a code, moved by the booking table's trigger alone; the CHECK is the limit."""

    code = models.OneToOneField(SaleCode, on_delete=models.CASCADE, primary_key=True, related_name="counter")
    max_uses = models.PositiveIntegerField(null=True, blank=True, help_text="Tickets. Empty: without a limit.")
    uses = models.IntegerField(default=0, db_default=0, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(uses__gte=0), name="sale_code_uses_are_not_negative"),
            models.CheckConstraint(
                condition=Q(max_uses__isnull=True) | Q(uses__lte=models.F("max_uses")),
                name="sale_code_is_never_overused",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.uses} of {self.max_uses}" if self.max_uses is not None else str(self.uses)


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
    discount_minor = models.PositiveIntegerField(
        default=0, db_default=0, editable=False, help_text="What a code, or being a gift, took off; not in the amount."
    )
    currency = models.CharField(max_length=3)
    code = models.ForeignKey(
        SaleCode,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="bookings",
        editable=False,
        db_index=False,
    )
    comp = models.BooleanField(default=False, db_default=False, editable=False, help_text="A gift of the organiser.")
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
        permissions = [("issue_comps", "Can give tickets away")]
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
            models.CheckConstraint(
                condition=Q(code__isnull=True) | Q(source="public", comp=False), name="booking_with_a_code_is_public"
            ),
            models.CheckConstraint(
                condition=Q(comp=False) | Q(source="staff", amount_minor=0), name="booking_that_is_a_gift_costs_nothing"
            ),
        ]
        indexes = [
            models.Index(fields=["user", "event", "created_at"], name="booking_of_person"),
            models.Index(fields=["-created_at", "id"], name="booking_newest"),
            models.Index(fields=["code"], condition=Q(code__isnull=False), name="booking_with_code"),
            models.Index(fields=["event"], condition=Q(comp=True), name="booking_given_away"),
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
    def full_minor(self) -> int:
        """What it would cost without its code, or were it no gift."""
        return self.amount_minor + self.discount_minor

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
        return "Taken seat"


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
        return f"Ticket {self.number}"

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
