"""Consents, references, probes, and who looked at what. Faces themselves are sealed bytes here or in the private store."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class BiometricConsent(models.Model):
    """A person's consent to the exact text that was shown. Rows stay after withdrawal: they prove what was agreed and when."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="biometric_consents")
    policy_version = models.CharField(max_length=64)
    text_sha256 = models.CharField(max_length=64)
    language = models.CharField(max_length=16, default="en")
    purpose = models.CharField(max_length=64, default="event_entry")
    method = models.CharField(max_length=32, help_text="How it was given: checkbox, api, staff.")
    given_at = models.DateTimeField(db_default=Now())
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-given_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=Q(withdrawn_at__isnull=True), name="person_has_one_live_consent"
            )
        ]

    def __str__(self) -> str:
        return f"{self.policy_version} {self.given_at:%Y-%m-%d}"


class FaceImage(models.Model):
    """
    A picture to be checked (a probe): opaque, owned, used once, short-lived. Its id is the API's `faceImageKey`.

    The row outlives its picture as a mere fact, so that the same picture is known again; `storage_name` is empty then.
    """

    class Purpose(models.TextChoices):
        PROBE = "probe"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="face_images")
    purpose = models.CharField(max_length=8, choices=Purpose.choices, default=Purpose.PROBE)
    storage_name = models.CharField(max_length=120, blank=True)
    uploaded_directly = models.BooleanField(
        default=False, help_text="The store holds what the client sent, not yet looked at."
    )
    pixels_sha256 = models.CharField(max_length=64, blank=True)
    fingerprint = models.BinaryField(default=bytes, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(help_text="Until when it may be used.")
    consumed_at = models.DateTimeField(null=True, blank=True)
    delete_after = models.DateTimeField(help_text="When the picture goes at the latest.")
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "id"]
        permissions = [("review_faces", "Can look at faces to review a verification")]
        constraints = [
            models.CheckConstraint(
                condition=Q(deleted_at__isnull=True) | Q(storage_name="", fingerprint=b""),
                name="deleted_face_image_holds_nothing",
            )
        ]
        indexes = [
            models.Index(fields=["owner", "pixels_sha256"], name="face_image_by_pixels"),
            models.Index(fields=["delete_after"], condition=Q(deleted_at__isnull=True), name="face_image_due"),
        ]

    def __str__(self) -> str:
        return f"Picture of {self.created_at:%d %b %Y, %H:%M} UTC" if self.created_at else "Picture"


class FaceReference(models.Model):
    """
    What a person's pictures are compared with. Never changed: a new enrolment makes a new row, so that whoever refers to this
    one refers to the face that passed. Forgetting empties it and leaves the bare fact.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="face_references")
    engine = models.CharField(max_length=16)
    model_version = models.CharField(max_length=64)
    key_id = models.CharField(max_length=16, help_text="Which of FACE_TEMPLATE_KEYS sealed it.")
    vector_encrypted = models.BinaryField(default=bytes, blank=True)
    crop_encrypted = models.BinaryField(default=bytes, blank=True)
    photos = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(db_default=Now())
    replaced_at = models.DateTimeField(null=True, blank=True)
    kept_until = models.DateTimeField(
        null=True, blank=True, help_text="The end of the last event that was verified with it."
    )
    delete_after = models.DateTimeField()
    forgotten_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(replaced_at__isnull=True, forgotten_at__isnull=True),
                name="person_has_one_current_face",
            ),
            models.CheckConstraint(
                condition=Q(forgotten_at__isnull=True) | Q(vector_encrypted=b"", crop_encrypted=b""),
                name="forgotten_face_holds_nothing",
            ),
            models.CheckConstraint(condition=Q(photos__gte=1, photos__lte=3), name="face_is_of_one_to_three_photos"),
        ]
        indexes = [models.Index(fields=["delete_after"], condition=Q(forgotten_at__isnull=True), name="face_due")]

    def __str__(self) -> str:
        return f"Face enrolled on {self.created_at:%d %b %Y}" if self.created_at else "Face"


class LivenessCheck(models.Model):
    """
    One try to show that a person, not a still picture, is before the camera: a head-turn challenge of ours or a provider's
    session. Works once, for one person and one purpose, for a short time; when it is passed its picture serves one check.
    """

    class Method(models.TextChoices):
        POSE_CHALLENGE = "pose_challenge"
        REKOGNITION = "rekognition"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="liveness_checks")
    subject_id = models.UUIDField(
        null=True, blank=True, help_text="What it was begun for, as the layer above knows it; it serves nothing else."
    )
    method = models.CharField(max_length=16, choices=Method.choices)
    turns = models.CharField(max_length=64, blank=True, help_text="The order the server chose, e.g. left,right.")
    provider_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    passed = models.BooleanField(null=True, blank=True)
    reason = models.CharField(max_length=64, blank=True)
    image = models.ForeignKey(FaceImage, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    used_at = models.DateTimeField(null=True, blank=True, help_text="When its picture was taken to a check.")

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["image"], name="face_image_is_of_one_liveness_check"),
            models.CheckConstraint(
                condition=Q(used_at__isnull=True) | Q(passed=True), name="used_liveness_check_was_passed"
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, passed__isnull=True)
                | Q(finished_at__isnull=False, passed__isnull=False),
                name="finished_liveness_check_has_an_outcome",
            ),
        ]
        indexes = [models.Index(fields=["user", "created_at"], name="liveness_by_person")]

    def __str__(self) -> str:
        return f"{self.method} {self.created_at:%Y-%m-%d %H:%M}"


class FaceView(models.Model):
    """A member of staff looked at a face: who, whose, which, when, why."""

    staff = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    subject = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="face_views")
    kind = models.CharField(max_length=16, help_text="image or reference")
    object_id = models.UUIDField()
    reason = models.CharField(max_length=200)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"


class DeletionLog(models.Model):
    """That biometric data was deleted: of whom, what, when, why. Holds none itself."""

    user_id = models.UUIDField(db_index=True)
    what = models.CharField(max_length=16, help_text="image or reference")
    object_id = models.UUIDField()
    why = models.CharField(max_length=64)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-at", "-id"]
        verbose_name = "deletion"

    def __str__(self) -> str:
        return f"{self.what} {self.at:%Y-%m-%d %H:%M}"
