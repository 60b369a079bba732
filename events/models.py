"""The catalogue: events, their ticket categories, the seats and the counters that keep them from being oversold."""

import uuid
from datetime import datetime

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from common.states import Stateful, Step


class Event(Stateful):
    """Something people attend."""

    class Status(models.TextChoices):
        DRAFT = "draft"
        PUBLISHED = "published"
        COMPLETED = "completed"
        CANCELLED = "cancelled"

    class Collection(models.TextChoices):
        ONLINE = "online"
        AT_DOOR = "at_door"

    class Liveness(models.TextChoices):
        NONE = "none"
        REQUIRED = "required"

    TRANSITIONS = {
        "publish": Step((Status.DRAFT,), Status.PUBLISHED),
        "complete": Step((Status.PUBLISHED,), Status.COMPLETED),
        "cancel": Step((Status.DRAFT, Status.PUBLISHED), Status.CANCELLED),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=20_000)
    location = models.CharField(max_length=200)
    timezone = models.CharField(max_length=64, default="UTC", help_text="IANA name, e.g. Europe/Berlin.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.DRAFT, editable=False)
    currency = models.CharField(max_length=3, default="EUR")
    sale_starts_at = models.DateTimeField(null=True, blank=True, help_text="Empty: on sale as soon as it is published.")
    sale_ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: until the event starts.")
    queue_enabled = models.BooleanField(default=False)
    max_active_users = models.PositiveIntegerField(default=50, validators=[MinValueValidator(1)])
    requires_face_verification = models.BooleanField(default=False)
    face_necessity = models.TextField(
        blank=True, help_text="Why this event needs a face check, in words attendees read."
    )
    similarity_threshold = models.PositiveSmallIntegerField(
        default=80, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    liveness = models.CharField(
        max_length=8,
        choices=Liveness.choices,
        default=Liveness.NONE,
        db_default=Liveness.NONE,
        help_text="Ask in a face check whether a person is before the camera: head turns with the local engine (pose "
        "challenge), Face Liveness with Rekognition.",
    )
    payment_collection = models.CharField(max_length=8, choices=Collection.choices, default=Collection.ONLINE)
    max_tickets_per_booking = models.PositiveSmallIntegerField(default=10, validators=[MinValueValidator(1)])
    allow_hold_extension = models.BooleanField(default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="events"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, editable=False)
    cancelled_reason = models.CharField(max_length=500, blank=True, editable=False)
    deleted_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Gone from every list; kept because old bookings refer to it."
    )

    class Meta:
        ordering = ["starts_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["draft", "published", "completed", "cancelled"]), name="event_status_is_known"
            ),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="event_ends_after_it_starts"),
            models.CheckConstraint(
                condition=Q(sale_ends_at__isnull=True)
                | Q(sale_starts_at__isnull=True)
                | Q(sale_ends_at__gt=F("sale_starts_at")),
                name="event_sale_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(requires_face_verification=False) | ~Q(face_necessity=""),
                name="event_face_check_has_a_reason",
            ),
            models.CheckConstraint(condition=Q(liveness__in=["none", "required"]), name="event_liveness_is_known"),
            models.CheckConstraint(
                condition=Q(liveness="none") | Q(requires_face_verification=True),
                name="event_liveness_is_part_of_a_face_check",
            ),
            models.CheckConstraint(
                condition=Q(similarity_threshold__range=(1, 100)), name="event_threshold_is_1_to_100"
            ),
            models.CheckConstraint(condition=Q(max_tickets_per_booking__gte=1), name="event_sells_at_least_one_ticket"),
            models.CheckConstraint(condition=Q(currency__regex=r"^[A-Z]{3}$"), name="event_currency_is_iso"),
        ]
        indexes = [
            models.Index(fields=["status", "starts_at"], name="event_status_starts"),
            models.Index(fields=["status", "ends_at"], name="event_status_ends"),
        ]

    def __str__(self) -> str:
        return self.name

    # What follows reads `categories` with their inventory: load them with `events.queries`, which prefetches both.
    @property
    def total_tickets(self) -> int:
        """Seats of all categories that everybody may know of."""
        return sum(category.inventory.capacity for category in self.categories.all() if not category.hidden)

    @property
    def available_tickets(self) -> int:
        """Seats the public may take now."""
        return sum(category.available for category in self.categories.all())

    @property
    def from_price_minor(self) -> int:
        """The lowest price that is open to new buyers (or the lowest of all when none is)."""
        categories = [category for category in self.categories.all() if not category.hidden]
        prices = [category.price_minor for category in categories if not category.closed]
        return min(prices or [category.price_minor for category in categories], default=0)

    @staticmethod
    def ended() -> Q:
        """Events whose end has passed, by the database's clock."""
        return Q(ends_at__lte=Now())

    def sale_state(self, now: datetime) -> str:
        """
        Return what a buyer finds at `now`: draft, cancelled, over, upcoming, closed, sold_out, selling_out or on_sale.

        For display; whether a hold is possible is decided by the database at the moment of the hold.
        """
        if self.status in {self.Status.DRAFT, self.Status.CANCELLED}:
            return str(self.status)
        if self.status == self.Status.COMPLETED or self.ends_at <= now:
            return "over"
        selling = [category for category in self.categories.all() if not category.closed and not category.hidden]
        selling = [category for category in selling if category.closes_at(self) > now]
        if not selling:
            return "closed"
        begun = [category for category in selling if (category.opens_at(self) or now) <= now]
        if not begun:
            return "upcoming"
        available = sum(category.available for category in begun)
        if not available:
            return "sold_out"
        return "selling_out" if available * 10 <= self.total_tickets else "on_sale"


class TicketCategory(models.Model):
    """A price tier of an event. Cold: bookings refer to it, and nothing in it changes while they are made."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="categories")
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=300, blank=True)
    price_minor = models.PositiveIntegerField(help_text="In the currency's minor unit: 4900 is 49.00.")
    numbered = models.BooleanField(default=False, help_text="Each ticket gets a seat of its own.")
    position = models.PositiveSmallIntegerField(default=0)
    closed = models.BooleanField(default=False, help_text="Closed to new buyers.")
    sale_starts_at = models.DateTimeField(null=True, blank=True, help_text="Empty: when the event's sale starts.")
    sale_ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty: when the event's sale ends.")
    max_per_person = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Tickets of this category that one person may buy. Empty: as the event says."
    )
    hidden = models.BooleanField(
        default=False, db_default=False, help_text="Only people with a presale code see it and can buy it."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "ticket categories"
        ordering = ["position", "created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["event", "name"], name="category_name_is_unique_in_its_event"),
            models.CheckConstraint(
                condition=Q(sale_ends_at__isnull=True)
                | Q(sale_starts_at__isnull=True)
                | Q(sale_ends_at__gt=F("sale_starts_at")),
                name="category_sale_ends_after_it_starts",
            ),
            models.CheckConstraint(
                condition=Q(max_per_person__isnull=True) | Q(max_per_person__gte=1),
                name="category_sells_a_person_at_least_one",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def for_everybody(prefix: str = "") -> Q:
        """Categories that need no code and whose own window is open, by the database's clock."""
        begun = Q(**{f"{prefix}sale_starts_at": None}) | Q(**{f"{prefix}sale_starts_at__lte": Now()})
        not_over = Q(**{f"{prefix}sale_ends_at": None}) | Q(**{f"{prefix}sale_ends_at__gt": Now()})
        return begun & not_over & Q(**{f"{prefix}closed": False, f"{prefix}hidden": False})

    def opens_at(self, event: Event) -> datetime | None:
        """Return when its sale opens: its own time, else the event's; None for as soon as the event is published."""
        return self.sale_starts_at or event.sale_starts_at

    def closes_at(self, event: Event) -> datetime:
        """Return when its sale ends."""
        return self.sale_ends_at or event.sale_ends_at or event.starts_at

    @property
    def available(self) -> int:
        """Seats of this category the public may take now, were its sale open; none of one that needs a code."""
        return 0 if self.closed or self.hidden else self.inventory.available


class SeatInventory(models.Model):
    """
    The counters of one category: capacity and what is taken of it. `free` is never stored.

    They stand apart from the category so that no booking has a foreign key onto this hot row, and only the booking table's
    trigger (`bookings/triggers.py`) writes held, offered and sold. The CHECK is what makes overselling impossible.
    """

    category = models.OneToOneField(
        TicketCategory, on_delete=models.CASCADE, primary_key=True, related_name="inventory"
    )
    capacity = models.PositiveIntegerField()
    held = models.IntegerField(default=0, editable=False)
    offered = models.IntegerField(default=0, editable=False)
    sold = models.IntegerField(default=0, editable=False)
    waiting = models.IntegerField(
        default=0, editable=False, help_text="Seats wanted by eligible people on the waitlist."
    )

    class Meta:
        verbose_name_plural = "seat inventories"
        constraints = [
            models.CheckConstraint(
                condition=Q(capacity__gte=F("held") + F("offered") + F("sold")), name="inventory_is_never_oversold"
            ),
            models.CheckConstraint(condition=Q(held__gte=0), name="inventory_held_is_not_negative"),
            models.CheckConstraint(condition=Q(offered__gte=0), name="inventory_offered_is_not_negative"),
            models.CheckConstraint(condition=Q(sold__gte=0), name="inventory_sold_is_not_negative"),
            models.CheckConstraint(condition=Q(waiting__gte=0), name="inventory_waiting_is_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.taken} of {self.capacity} taken"

    @property
    def taken(self) -> int:
        """Seats that somebody holds, was offered or has bought."""
        return self.held + self.offered + self.sold

    @property
    def free(self) -> int:
        """Seats that nobody has."""
        return self.capacity - self.taken

    @property
    def available(self) -> int:
        """Seats the public may take now: none while somebody on the waitlist has a claim to them."""
        return 0 if self.waiting else self.free


class Seat(models.Model):
    """One numbered seat of a numbered category. `rank` orders rows from best (0) to worst."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    category = models.ForeignKey(TicketCategory, on_delete=models.CASCADE, related_name="seats")
    row = models.CharField(max_length=10)
    number = models.PositiveSmallIntegerField()
    rank = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["rank", "number"]
        constraints = [
            models.UniqueConstraint(fields=["category", "row", "number"], name="seat_is_unique_in_its_category"),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """What stands on the ticket: `Row C · Seat 14`."""
        return f"Row {self.row} · Seat {self.number}"
