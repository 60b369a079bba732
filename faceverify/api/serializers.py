"""What faces look like on the wire: never a picture, never a vector, never a figure of likeness."""

from typing import Any

from rest_framework import serializers

from common.api import Input
from faceverify.models import BiometricConsent, FaceImage, FaceReference, LivenessCheck
from faceverify.policy import Policy
from faceverify.pose_challenge import MOST
from faceverify.services.references import MOST_PHOTOS


class PhotoIn(Input):
    photo = serializers.ListField(
        child=serializers.FileField(),
        min_length=1,
        max_length=MOST_PHOTOS,
        help_text="One to three photos of yourself, JPEG or PNG. Two make honest refusals ten times rarer than one.",
    )
    consent = serializers.BooleanField(default=False, help_text="That you agree to the text in `policy`.")
    text_version = serializers.CharField(
        max_length=64, default="", allow_blank=True, help_text="`policy.textVersion` of the text that was shown."
    )
    language = serializers.CharField(max_length=16, default="en")


class ImageIn(Input):
    image = serializers.FileField(help_text="A photo of your face taken now, JPEG or PNG.")


class FramesIn(Input):
    frames = serializers.ListField(
        child=serializers.FileField(),
        max_length=MOST,
        default=list,
        help_text="For `pose_challenge`: 8 to 12 frames in the order they were taken, not mirrored. Else none.",
    )


class PolicyOut(serializers.Serializer):
    text_version = serializers.CharField()
    language = serializers.CharField()
    text = serializers.CharField()


class ConsentOut(serializers.Serializer):
    text_version = serializers.CharField()
    given_at = serializers.DateTimeField()


class ProfilePhotoOut(serializers.Serializer):
    enrolled = serializers.BooleanField()
    photos = serializers.IntegerField(help_text="Of how many photos it was made; the photos are not kept.")
    enrolled_at = serializers.DateTimeField(allow_null=True)
    delete_after = serializers.DateTimeField(allow_null=True, help_text="When it is deleted at the latest.")
    consent = ConsentOut(allow_null=True)
    policy = PolicyOut(help_text="The text to agree to, as it is now.")


class FaceImageOut(serializers.Serializer):
    face_image_key = serializers.UUIDField()
    expires_at = serializers.DateTimeField(help_text="Until when it can be used; it can be used once.")


class UploadOut(FaceImageOut):
    url = serializers.CharField(help_text="POST the picture here as multipart form data: `fields` first, then `file`.")
    fields = serializers.DictField(child=serializers.CharField())  # type: ignore[assignment]


class LivenessOut(serializers.Serializer):
    check_id = serializers.UUIDField()
    method = serializers.ChoiceField(LivenessCheck.Method.choices)
    turns = serializers.ListField(
        child=serializers.ChoiceField(["left", "right"]), help_text="Turn your head to your own left or right."
    )
    provider_session_id = serializers.CharField(help_text="For Amplify's FaceLivenessDetector; empty otherwise.")
    expires_at = serializers.DateTimeField()


class LivenessResultOut(serializers.Serializer):
    check_id = serializers.UUIDField()
    passed = serializers.BooleanField()
    reason = serializers.CharField(help_text="A code; empty when passed.")
    face_image_key = serializers.UUIDField(allow_null=True, help_text="The picture to verify with, when passed.")


def render_profile_photo(
    reference: FaceReference | None, consent: BiometricConsent | None, policy: Policy
) -> dict[str, Any]:
    """Return what a person may know about their enrolled face."""
    return {
        "enrolled": reference is not None,
        "photos": reference.photos if reference else 0,
        "enrolled_at": reference.created_at if reference else None,
        "delete_after": reference.delete_after if reference else None,
        "consent": {"text_version": consent.policy_version, "given_at": consent.given_at} if consent else None,
        "policy": {"text_version": policy.version, "language": policy.language, "text": policy.text},
    }


def render_image(image: FaceImage) -> dict[str, Any]:
    """Return the key of a picture."""
    return {"face_image_key": image.pk, "expires_at": image.expires_at}


def render_check(check: LivenessCheck) -> dict[str, Any]:
    """Return what to do for a check."""
    return {
        "check_id": check.pk,
        "method": check.method,
        "turns": check.turns.split(",") if check.turns else [],
        "provider_session_id": check.provider_id,
        "expires_at": check.expires_at,
    }


def render_result(check: LivenessCheck) -> dict[str, Any]:
    """Return how a check ended."""
    return {
        "check_id": check.pk,
        "passed": bool(check.passed),
        "reason": check.reason,
        "face_image_key": check.image_id,
    }
