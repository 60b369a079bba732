"""The entrance of an event: its rules, who scans where, every scan, every face compared at the door."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from common.states import Stateful, Step
from gate.reasons import Reason

SCAN_STAYS = """
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'scans are never deleted' USING ERRCODE = 'FS004';
    END IF;
    IF (to_jsonb(NEW) - '{undone_at,undone_by_id,undo_reason,resolved_at,resolved_by_id,resolution}'::text[])
        IS DISTINCT FROM (to_jsonb(OLD) - '{undone_at,undone_by_id,undo_reason,resolved_at,resolved_by_id,resolution}'::text[])
        OR OLD.undone_at IS NOT NULL AND NEW.undone_at IS DISTINCT FROM OLD.undone_at
        OR OLD.resolved_at IS NOT NULL AND NEW.resolved_at IS DISTINCT FROM OLD.resolved_at THEN
        RAISE EXCEPTION 'what was scanned never changes; a scan is undone, or its case closed, once' USING ERRCODE = 'FS004';
    END IF;
    RETURN NEW;
"""


class Entrance(models.Model):
    """How people come in to one event; an event without a row has the plain rules."""

    event = models.OneToOneField("events.Event", on_delete=models.CASCADE, primary_key=True, related_name="entrance")
    opens_at = models.DateTimeField(
        null=True, blank=True, help_text="Empty: GATE_OPENS_SECONDS before the event starts."
    )
    checks_faces = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Compare faces at the door with those that were verified. Staff can always check an ID instead.",
    )
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        permissions = [
            ("scan", "Can let people in at the gate of any event"),
            ("supervise", "Can undo scans, close cases and change the rules at the gate of any event"),
        ]

    def __str__(self) -> str:
        return f"Entrance of {self.event_id}"


class GateDevice(models.Model):
    """A person of staff with a device at a named gate of an event."""

    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="+", db_index=False)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    gate = models.CharField(max_length=40)
    device = models.CharField(max_length=40, blank=True, default="", help_text="What the device calls itself.")
    created_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    list_at = models.DateTimeField(null=True, blank=True, help_text="When it last took the offline list.")
    last_scan = models.ForeignKey("Scan", on_delete=models.SET_NULL, null=True, related_name="+", db_index=False)
    sight_at = models.DateTimeField(null=True, help_text="When it last had that scan's code in sight.")

    class Meta:
        ordering = ["gate", "id"]
        constraints = [
            models.UniqueConstraint(fields=["event", "staff", "gate", "device"], name="gate_device_is_listed_once")
        ]

    def __str__(self) -> str:
        return self.gate


class Scan(models.Model):
    """
    One answer at a gate, kept for good: green or red, and why.

    Of a ticket at most one accepted scan stands, by constraint: whatever two gates do at once, one of them lets the person in.
    `let_in` says that a device without network had shown green already; a red row with it is a case for a supervisor.
    """

    class Result(models.TextChoices):
        ACCEPTED = "accepted"
        REJECTED = "rejected"

    class Method(models.TextChoices):
        CODE = "code"
        SEARCH = "search"
        FACE = "face"
        ID = "id"
        REVIEW = "review"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey("events.Event", on_delete=models.PROTECT, related_name="+", db_index=False)
    ticket = models.ForeignKey("bookings.Ticket", on_delete=models.PROTECT, null=True, related_name="scans")
    code_hash = models.CharField(max_length=64, help_text="SHA-256 of what was read; the code itself is not kept.")
    device = models.ForeignKey(GateDevice, on_delete=models.PROTECT, related_name="scans", db_index=False)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    method = models.CharField(max_length=6, choices=Method.choices)
    result = models.CharField(max_length=8, choices=Result.choices)
    reason = models.CharField(max_length=16, choices=Reason.choices, blank=True, default="")
    note = models.CharField(
        max_length=500,
        blank=True,
        default="",
        help_text="Why staff let somebody in on an ID, or what a supervisor decided.",
    )
    offline = models.BooleanField(default=False)
    let_in = models.BooleanField(default=False, help_text="A device without network showed green.")
    client_id = models.UUIDField(null=True, help_text="The device's name for this scan: sent twice, it counts once.")
    scanned_at = models.DateTimeField(help_text="By the device's clock when it had no network, else by ours.")
    at = models.DateTimeField(db_default=Now())
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    undo_reason = models.CharField(max_length=500, blank=True, default="")
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    resolution = models.CharField(max_length=500, blank=True, default="")

    seen_again = False  # on an answer: the device still has the code in sight that it asked about before

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["ticket"],
                condition=Q(result="accepted", undone_at__isnull=True),
                name="one_standing_entry_per_ticket",
            ),
            models.UniqueConstraint(fields=["event", "client_id"], name="scan_is_counted_once"),
            models.CheckConstraint(condition=Q(result__in=["accepted", "rejected"]), name="scan_result_is_known"),
            models.CheckConstraint(
                condition=Q(result="accepted", reason="", ticket__isnull=False)
                | (Q(result="rejected") & ~Q(reason="")),
                name="rejected_scan_says_why",
            ),
            models.CheckConstraint(
                condition=Q(undone_at__isnull=True, undone_by__isnull=True, undo_reason="")
                | (Q(result="accepted", undone_at__isnull=False, undone_by__isnull=False) & ~Q(undo_reason="")),
                name="undone_scan_says_by_whom_and_why",
            ),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True, resolved_by__isnull=True, resolution="")
                | (
                    Q(result="rejected", let_in=True, resolved_at__isnull=False, resolved_by__isnull=False)
                    & ~Q(resolution="")
                ),
                name="closed_case_says_by_whom_and_how",
            ),
        ]
        indexes = [
            models.Index(fields=["event", "at"], name="scan_of_event"),
            models.Index(fields=["-at", "-id"], name="scan_newest"),
            models.Index(fields=["device"], name="scan_of_device"),
            models.Index(
                fields=["event", "at"],
                condition=Q(result="rejected", let_in=True, resolved_at__isnull=True),
                name="scan_that_is_a_case",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="scan_stays", when=pgtrigger.Before, operation=pgtrigger.Update | pgtrigger.Delete, func=SCAN_STAYS
            )
        ]

    def __str__(self) -> str:
        return f"{self.result} {self.reason}".strip()

    @property
    def is_case(self) -> bool:
        """Whether a supervisor has to look at it: somebody is inside on a ticket that does not let them in."""
        return self.result == self.Result.REJECTED and self.let_in and self.resolved_at is None


class FaceCheck(Stateful):
    """One comparison at the door: counted before the engine is asked, then decided, or returned when it says nothing."""

    class Status(models.TextChoices):
        RESERVED = "reserved"
        PASSED = "passed"
        MISMATCH = "mismatch"
        RETURNED = "returned"

    COUNTED = (Status.RESERVED, Status.PASSED, Status.MISMATCH)
    TRANSITIONS = {
        "pass": Step((Status.RESERVED,), Status.PASSED),
        "miss": Step((Status.RESERVED,), Status.MISMATCH),
        "give_back": Step((Status.RESERVED,), Status.RETURNED),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event = models.ForeignKey("events.Event", on_delete=models.PROTECT, related_name="+")
    ticket = models.ForeignKey("bookings.Ticket", on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(GateDevice, on_delete=models.PROTECT, related_name="+", db_index=False)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    image = models.ForeignKey("faceverify.FaceImage", on_delete=models.SET_NULL, null=True, related_name="+")
    reference = models.ForeignKey("faceverify.FaceReference", on_delete=models.SET_NULL, null=True, related_name="+")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RESERVED, editable=False)
    threshold = models.FloatField()
    similarity = models.FloatField(null=True)
    engine = models.CharField(max_length=16, blank=True, default="")
    failure_code = models.CharField(max_length=64, blank=True, default="")
    milliseconds = models.PositiveIntegerField(null=True)
    scan = models.OneToOneField(Scan, on_delete=models.PROTECT, null=True, related_name="face_check")
    starts = models.PositiveSmallIntegerField(default=0, db_default=0)
    reserved_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-reserved_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["reserved", "passed", "mismatch", "returned"]), name="gate_face_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status="reserved", decided_at__isnull=True)
                | (~Q(status="reserved") & Q(decided_at__isnull=False)),
                name="gate_face_decided_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["passed", "mismatch"]) | Q(similarity__gte=0, similarity__lte=100),
                name="gate_face_scored_has_its_score",
            ),
            models.CheckConstraint(
                condition=~Q(status="passed") | Q(similarity__gte=F("threshold")), name="gate_face_passed_reached_mark"
            ),
            models.CheckConstraint(
                condition=~Q(status="returned") | ~Q(failure_code=""), name="gate_face_returned_says_why"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(status="reserved"), name="gate_face_under_way"),
        ]

    def __str__(self) -> str:
        return self.status


class RetiredCode(models.Model):
    """The hash of a code that a ticket had before it was passed on, kept by a trigger, so that the door can say so."""

    event = models.ForeignKey("events.Event", on_delete=models.CASCADE, related_name="+", db_index=False)
    code_hash = models.CharField(max_length=64, editable=False)
    ticket = models.ForeignKey("bookings.Ticket", on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "code_hash"], name="retired_code_is_listed_once")]

    def __str__(self) -> str:
        return f"{self.code_hash[:8]}…"
