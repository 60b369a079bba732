"""One person's journey for one event: who they showed themselves to be, how often they tried, what staff decided."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from common.states import Stateful, Step


class Registration(Stateful):
    """
    A person's registration for an event: whether the face check let them through, and how.

    Whether they have a ticket, a hold or a place on the waitlist is not copied here: it is read from those rows.
    `reference` is the face that passed, frozen: a later profile photo does not hand the ticket to somebody else.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        VERIFIED = "verified"
        REJECTED = "rejected"

    class FaceStatus(models.TextChoices):
        PENDING = "pending"
        PROCESSING = "processing"
        SUCCESS = "success"
        FAILED = "failed"

    class IdentityMethod(models.TextChoices):
        FACE = "face"
        MANUAL_ID = "manual_id"

    class PassedBy(models.TextChoices):
        NOBODY = "", "nobody"
        FACE = "face"
        STAFF = "staff"

    TRANSITIONS = {
        "pass_check": Step((Status.PENDING, Status.REJECTED), Status.VERIFIED),
        "fail_check": Step((Status.PENDING, Status.REJECTED), Status.REJECTED),
        "approve": Step((Status.PENDING, Status.REJECTED), Status.VERIFIED),
        "reject": Step((Status.PENDING, Status.REJECTED), Status.REJECTED),
        "request_retry": Step((Status.PENDING, Status.REJECTED), Status.PENDING),
        "ask_a_person": Step((Status.PENDING, Status.REJECTED), Status.PENDING),
    }

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="registrations")
    event = models.ForeignKey("events.Event", on_delete=models.PROTECT, related_name="registrations")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING, editable=False)
    face_verification_status = models.CharField(
        max_length=10, choices=FaceStatus.choices, default=FaceStatus.PENDING, editable=False
    )
    identity_method = models.CharField(
        max_length=10, choices=IdentityMethod.choices, default=IdentityMethod.FACE, editable=False
    )
    verification_attempts = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="Counted since staff last allowed new ones; reserved before a comparison."
    )
    attempts_epoch = models.PositiveSmallIntegerField(default=0, editable=False)
    last_verification_attempt = models.DateTimeField(null=True, blank=True, editable=False)
    passed_by = models.CharField(max_length=8, choices=PassedBy.choices, blank=True, default="", editable=False)
    verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    reference = models.ForeignKey(
        "faceverify.FaceReference",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="registrations",
        editable=False,
        help_text="The face that passed.",
    )
    review_requested_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="A person of staff is to decide."
    )
    closed_by_staff = models.BooleanField(default=False, editable=False)
    admin_booked = models.BooleanField(default=False, editable=False)
    admin_override_reason = models.TextField(blank=True, default="", max_length=2000, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "id"]
        permissions = [
            ("exceed_capacity", "Can issue a ticket beyond an event's capacity"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["user", "event"], name="one_registration_per_person_and_event"),
            models.CheckConstraint(
                condition=Q(status__in=["pending", "verified", "rejected"]), name="registration_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(face_verification_status__in=["pending", "processing", "success", "failed"]),
                name="face_status_is_known",
            ),
            models.CheckConstraint(
                condition=Q(status="verified", passed_by__in=["face", "staff"], verified_at__isnull=False)
                | (~Q(status="verified") & Q(passed_by="", verified_at__isnull=True)),
                name="verified_registration_says_how_and_when",
            ),
            models.CheckConstraint(
                condition=Q(admin_booked=False) | ~Q(admin_override_reason=""), name="staff_booking_has_a_reason"
            ),
        ]
        indexes = [
            models.Index(
                fields=["event", "review_requested_at"],
                condition=Q(review_requested_at__isnull=False),
                name="registration_to_review",
            ),
            models.Index(fields=["face_verification_status", "last_verification_attempt"], name="registration_by_face"),
            models.Index(fields=["-review_requested_at", "-created_at", "id"], name="registration_review"),
        ]

    def __str__(self) -> str:
        return f"Registration of {self.created_at:%d %b %Y, %H:%M} UTC" if self.created_at else "Registration"


class VerificationAttempt(Stateful):
    """
    One comparison: reserved (and counted) before the engine is asked, then decided, or returned when it says nothing
    about the person: the picture would not do, the engine failed, its worker died.
    """

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
    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="attempts")
    epoch = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.RESERVED, editable=False)
    image = models.ForeignKey(
        "faceverify.FaceImage", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    reference = models.ForeignKey(
        "faceverify.FaceReference", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    threshold = models.FloatField(help_text="What this comparison had to reach.")
    engine = models.CharField(max_length=16, blank=True)
    model_version = models.CharField(max_length=64, blank=True)
    similarity = models.FloatField(null=True, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    brightness = models.FloatField(null=True, blank=True)
    sharpness = models.FloatField(null=True, blank=True)
    contrast = models.FloatField(null=True, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    milliseconds = models.PositiveIntegerField(null=True, blank=True)
    starts = models.PositiveSmallIntegerField(default=0, help_text="How many workers began it.")
    reserved_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(help_text="When its worker is taken for dead and the try is given back.")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "verification attempt"
        ordering = ["reserved_at", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["reserved", "passed", "mismatch", "returned"]), name="attempt_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status="reserved", decided_at__isnull=True)
                | (~Q(status="reserved") & Q(decided_at__isnull=False)),
                name="decided_attempt_has_its_time",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["passed", "mismatch"])
                | Q(similarity__isnull=False, similarity__gte=0, similarity__lte=100),
                name="scored_attempt_has_its_score",
            ),
            models.CheckConstraint(
                condition=~Q(status="passed") | Q(similarity__gte=F("threshold")),
                name="passed_attempt_reached_its_mark",
            ),
            models.CheckConstraint(
                condition=~Q(status="returned") | ~Q(failure_code=""), name="returned_attempt_says_why"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(status="reserved"), name="attempt_under_way"),
        ]

    def __str__(self) -> str:
        return f"{self.status} {self.reserved_at:%Y-%m-%d %H:%M}" if self.reserved_at else str(self.pk)


class ReviewDecision(models.Model):
    """What a member of staff decided about a registration, and why."""

    class Action(models.TextChoices):
        APPROVE = "approve"
        REJECT = "reject"
        REQUEST_RETRY = "request_retry"
        OVERRIDE = "override"
        RECHECK = "recheck"

    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="decisions")
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=16, choices=Action.choices)
    reason = models.TextField(max_length=2000)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="review_decision_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.at:%Y-%m-%d %H:%M}"


class BatchRun(models.Model):
    """One thing that staff asked to be done to many registrations, worked off in the background, with its progress."""

    class Action(models.TextChoices):
        APPROVE = "approve"
        REQUEST_RETRY = "request_retry"
        RECHECK = "recheck"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    action = models.CharField(max_length=16, choices=Action.choices)
    reason = models.TextField(max_length=2000)
    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [models.CheckConstraint(condition=~Q(reason=""), name="batch_has_a_reason")]

    def __str__(self) -> str:
        return f"{self.action} {self.created_at:%Y-%m-%d %H:%M}"


class BatchItem(models.Model):
    """One registration of a batch and what came of it."""

    class Outcome(models.TextChoices):
        WAITING = "waiting"
        DONE = "done"
        UNCHANGED = "unchanged"
        FAILED = "failed"

    batch = models.ForeignKey(BatchRun, on_delete=models.CASCADE, related_name="items")
    registration = models.ForeignKey(Registration, on_delete=models.CASCADE, related_name="+")
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.WAITING)
    detail = models.CharField(max_length=200, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["batch", "registration"], name="registration_is_once_in_a_batch"),
            models.CheckConstraint(
                condition=Q(outcome="waiting", done_at__isnull=True)
                | (~Q(outcome="waiting") & Q(done_at__isnull=False)),
                name="done_batch_item_has_its_time",
            ),
        ]
        indexes = [
            models.Index(fields=["batch", "id"], condition=Q(outcome="waiting"), name="batch_item_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} {self.detail}".strip()
