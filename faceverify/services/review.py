"""Faces for the eyes of staff: one at a time, with a reason, and each look written down."""

from uuid import UUID

from accounts.authentication import Principal
from accounts.models import User
from faceverify.models import FaceImage, FaceReference, FaceView
from faceverify.refusals import ImageNotFound, ViewRefused
from faceverify.services.probes import load
from faceverify.services.references import template_of

PERMISSION = "faceverify.review_faces"


def image_for_review(*, image_id: UUID, staff: User | Principal, reason: str) -> bytes:
    """
    Return a probe as a JPEG, and write down who looked at it.

    :raises ViewRefused: if this person may not, or gives no reason
    :raises ImageNotFound: if it is gone
    """
    why = refuse_view(staff, reason)
    image = FaceImage.objects.filter(pk=image_id, deleted_at=None).first()
    if image is None:
        raise ImageNotFound
    FaceView.objects.create(staff_id=staff.pk, subject_id=image.owner_id, kind="image", object_id=image.pk, reason=why)
    return load(image).jpeg


def crop_for_review(*, reference_id: UUID, staff: User | Principal, reason: str) -> bytes:
    """
    Return the kept crop of an enrolled face as a JPEG, and write down who looked at it.

    :raises ViewRefused: if this person may not, or gives no reason
    :raises ImageNotFound: if it is gone, or no crop is kept
    """
    why = refuse_view(staff, reason)
    reference = FaceReference.objects.filter(pk=reference_id, forgotten_at=None).first()
    if reference is None or not reference.crop_encrypted:
        raise ImageNotFound("No picture of this face is kept. Ask for an ID.")
    FaceView.objects.create(
        staff_id=staff.pk, subject_id=reference.user_id, kind="reference", object_id=reference.pk, reason=why
    )
    return template_of(reference).crop


def refuse_view(staff: User | Principal, reason: str) -> str:
    """
    Return the reason, tidied, of somebody who may look at faces.

    :raises ViewRefused: otherwise
    """
    tidy = " ".join(reason.split())[:200]
    if not (staff.is_active and staff.is_staff and staff.has_perm(PERMISSION)) or not tidy:
        raise ViewRefused
    return tidy
