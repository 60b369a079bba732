"""
What of a waiting room must survive the loss of Redis: its settings, who has which place, and the chain of what happened.

The moving parts (who is where right now) are in Redis; every change of theirs comes here through a journal, in batches.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from bookings.waitingroom import triggers


class WaitingRoom(models.Model):
    """The line of one event. How many may be active at once stands on the event (`max_active_users`)."""

    class State(models.TextChoices):
        CLOSED = "closed"
        LOBBY = "lobby"
        DRAWING = "drawing"
        OPEN = "open"
        PAUSED = "paused"
        SOLD_OUT = "sold_out"
        ENDED = "ended"

    event = models.OneToOneField(
        "events.Event", on_delete=models.CASCADE, primary_key=True, related_name="waiting_room", editable=False
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.CLOSED, editable=False)
    lobby_opens_at = models.DateTimeField(null=True, blank=True, help_text="Empty: there is no lobby before the line.")
    opens_at = models.DateTimeField(help_text="When the lobby is drawn and the line begins to move.")
    slot_seconds = models.PositiveIntegerField(help_text="How long somebody who was let in may start a booking.")
    rate_per_minute = models.PositiveIntegerField(
        null=True, blank=True, help_text="At most so many are let in per minute. Empty: as many as there is room for."
    )
    draining = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="Nobody new lines up; who stands in line is let in."
    )
    message = models.CharField(max_length=300, blank=True, default="", help_text="Shown to everyone in line.")
    revision = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Grows with every change of its state: Redis takes no older word.",
    )
    epoch = models.PositiveIntegerField(default=1, editable=False, help_text="Counts how often Redis was filled anew.")
    journal_number = models.BigIntegerField(default=0, editable=False, help_text="The last entry written down here.")
    journal_id = models.CharField(max_length=40, blank=True, default="", editable=False)
    seed_encrypted = models.BinaryField(editable=False)
    seed_hash = models.CharField(max_length=64, editable=False, help_text="Published before anybody joins.")
    seed = models.CharField(
        max_length=64, blank=True, default="", editable=False, help_text="Published after the draw."
    )
    beacon = models.CharField(max_length=128, blank=True, default="", editable=False)
    merkle_root = models.CharField(max_length=64, blank=True, default="", editable=False)
    list_size = models.PositiveIntegerField(null=True, blank=True, editable=False)
    closed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the lobby's list was closed."
    )
    opened_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["closed", "lobby", "drawing", "open", "paused", "sold_out", "ended"]),
                name="waiting_room_state_is_known",
            ),
            models.CheckConstraint(condition=Q(slot_seconds__gte=1), name="waiting_room_slot_has_a_length"),
            models.CheckConstraint(
                condition=Q(merkle_root="") | Q(list_size__isnull=False), name="waiting_room_list_has_a_size"
            ),
            models.CheckConstraint(
                condition=Q(seed="") | ~Q(merkle_root=""), name="waiting_room_reveals_after_closing"
            ),
        ]

    def __str__(self) -> str:
        return f"Line of {self.event_id}"

    @property
    def is_drawn(self) -> bool:
        """Whether the lobby's list is closed for good: its root is published, so every place on it follows."""
        return bool(self.merkle_root)


class Place(models.Model):
    """
    One person's place in one line, as the journal last told it.

    `entry` stands for the person in what is published. `arrival` is the number in the lobby of those who were drawn (or will
    be); it stays for ever, so the list can be checked. `order_key` orders the line: a draw (< 2^52) or 2^52 and a number.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        CALLED = "called"
        ACTIVE = "active"
        PARKED = "parked"
        DONE = "done"
        LEFT = "left"
        LAPSED = "lapsed"
        SOLD_OUT = "sold_out"

    LIVE = (State.WAITING, State.CALLED, State.ACTIVE, State.PARKED)

    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="+", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="places", db_index=True)
    entry = models.CharField(max_length=64, editable=False)
    arrival = models.BigIntegerField(null=True, blank=True, editable=False)
    order_key = models.BigIntegerField(null=True, blank=True, editable=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING, editable=False)
    outcome = models.CharField(max_length=16, blank=True, default="", db_default="", editable=False)
    misses = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    joined_at = models.DateTimeField(editable=False)
    called_at = models.DateTimeField(null=True, blank=True, editable=False)
    admitted_at = models.DateTimeField(null=True, blank=True, editable=False)
    slot_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    booking = models.ForeignKey(
        "bookings.Booking",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
        editable=False,
    )
    version = models.BigIntegerField(default=0, editable=False, help_text="The journal entry it was last written from.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event", "user"], name="one_place_per_person_and_event"),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "called", "active", "parked", "done", "left", "lapsed", "sold_out"]),
                name="place_state_is_known",
            ),
        ]
        indexes = [
            models.Index(fields=["event", "entry"], name="place_by_entry"),
            models.Index(fields=["event", "order_key"], name="place_by_order"),
            models.Index(
                fields=["event", "state"], condition=Q(state__in=["called", "active"]), name="place_at_the_front"
            ),
        ]

    def __str__(self) -> str:
        return self.entry[:12]


class ChainLink(models.Model):
    """One link of what happened in a line, hashed with the one before; only ever added to."""

    event = models.ForeignKey("events.Event", on_delete=models.PROTECT, related_name="+", db_index=False)
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    kind = models.CharField(max_length=16)
    payload = models.JSONField(default=dict)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["event", "number"], name="chain_has_one_link_per_number"),
        ]
        triggers = triggers.chain_triggers()

    def __str__(self) -> str:
        return f"{self.number} {self.kind}"


class ListPart(models.Model):
    """A part of the list of a draw: the same numbers of its leaves (sorted) and its places (as drawn), packed."""

    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveIntegerField()
    leaves = models.BinaryField()
    places = models.BinaryField()
    root = models.CharField(max_length=64)

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["event", "number"], name="list_has_one_part_per_number"),
        ]

    def __str__(self) -> str:
        return f"part {self.number}"


# Not at the top: it refers to the models above, and its table belongs to this app.
from bookings.waitingroom.wishes import Wish  # noqa: E402, F401
