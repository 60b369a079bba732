"""Reads of faces that show none: facts for the transparency page, a person's own records, how a check was passed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from faceverify.engines import engine
from faceverify.models import BiometricConsent, DeletionLog, FaceImage, FaceReference, FaceView, LivenessCheck
from faceverify.policy import Policy, current_policy
from faceverify.refusals import LivenessNotFound
from faceverify.services import default_threshold


@dataclass(frozen=True)
class Figures:
    """How often the engine errs at its threshold, as measured; percent."""

    measured_on: str
    honest_refused_with_one_photo: float
    honest_refused_with_two_photos: float
    honest_refused_with_three_photos: float
    strangers_accepted: float
    strangers_accepted_at_most: float
    limits: str


LOCAL_FIGURES = Figures(
    measured_on="146 public photos of 32 people: 449 pairs of one person, 8 117 pairs of two, at threshold 80",
    honest_refused_with_one_photo=3.79,
    honest_refused_with_two_photos=0.31,
    honest_refused_with_three_photos=0.12,
    strangers_accepted=0.0,
    strangers_accepted_at_most=0.037,
    limits=(
        "The photos were press pictures, so phone selfies may do worse. Others report more errors for people from East Asia "
        "and for children; twins and look-alikes can not be told apart. The engine can not tell a person from a good picture "
        "of one. That is why a person decides in doubt, and why there is always another way."
    ),
)


@dataclass(frozen=True)
class Transparency:
    """The facts people may know before they agree; `figures` is None where we have measured nothing ourselves."""

    engine: str
    model_version: str
    processor: str | None
    threshold: float
    attempts: int
    figures: Figures | None
    liveness: str
    keeps_picture: bool
    retention_days: int
    unused_days: int
    review_hours: int
    policy: Policy


def transparency() -> Transparency:
    """Return what this shop does with faces, as it is set up now."""
    in_use = engine()
    at_aws = in_use.name == "rekognition"
    return Transparency(
        engine=in_use.name,
        model_version=in_use.model_version,
        processor=f"Amazon Web Services, region {settings.AWS_REGION}" if at_aws else None,
        threshold=default_threshold(),
        attempts=settings.MAX_VERIFICATION_ATTEMPTS,
        figures=None if at_aws else LOCAL_FIGURES,
        liveness=in_use.liveness,
        keeps_picture=at_aws or settings.FACE_KEEP_CROP,
        retention_days=settings.FACE_RETENTION_DAYS,
        unused_days=settings.FACE_UNUSED_DAYS,
        review_hours=settings.FACE_REVIEW_HOURS,
        policy=current_policy(),
    )


def get_check_for(*, user_id: UUID, check_id: UUID) -> LivenessCheck:
    """
    Load a person's own check.

    :raises LivenessNotFound: if there is none, or it is somebody else's
    """
    check = LivenessCheck.objects.filter(pk=check_id, user_id=user_id).first()
    if check is None:
        raise LivenessNotFound
    return check


def liveness_of(image: FaceImage) -> dict[str, Any]:
    """Return how a picture's being there was shown: `{"method": "none"|"pose_challenge"|"rekognition", "passed": bool}`."""
    check = LivenessCheck.objects.filter(image=image, passed=True).first()
    return {"method": check.method if check else "none", "passed": check is not None}


def records_of(user_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Return everything that is on record about a person's faces, for themselves; no face, no vector, no name of staff."""
    return {
        "consents": plain(
            BiometricConsent.objects.filter(user_id=user_id).values(
                "policy_version", "text_sha256", "language", "purpose", "method", "given_at", "withdrawn_at"
            )
        ),
        "references": plain(
            FaceReference.objects.filter(user_id=user_id).values(
                "engine", "model_version", "photos", "created_at", "replaced_at", "delete_after", "forgotten_at"
            )
        ),
        "images": plain(
            FaceImage.objects.filter(owner_id=user_id).values("purpose", "created_at", "consumed_at", "deleted_at")
        ),
        "liveness_checks": plain(
            LivenessCheck.objects.filter(user_id=user_id).values("method", "created_at", "passed", "reason")
        ),
        "looks_by_staff": plain(FaceView.objects.filter(subject_id=user_id).values("kind", "at", "reason")),
        "deletions": plain(DeletionLog.objects.filter(user_id=user_id).values("what", "at", "why")),
    }


def plain(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Return rows of `values()` as plain dictionaries."""
    return [dict(row) for row in rows]
