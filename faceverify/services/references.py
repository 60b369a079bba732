"""Enrolment: one to three photos become the face a person's pictures are compared with."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from common.errors import NotFound
from faceverify import vault
from faceverify.engines import Template, engine
from faceverify.intake import normalise
from faceverify.models import FaceReference
from faceverify.refusals import ConsentRequired, FaceChanged, PhotosCount, PhotosDiffer, ProfilePhotoMissing
from faceverify.services import deletion
from faceverify.services.consent import lock_consent, require_consent

log = structlog.get_logger(__name__)

MOST_PHOTOS = 3
LONGEST = timedelta(days=3 * 365)


def default_threshold() -> float:
    """Return how alike two faces must be for the engine in use, 0 to 100."""
    return float(settings.FACE_THRESHOLDS[settings.FACE_ENGINE])


def enrol(*, user_id: UUID, photos: list[bytes], by_staff: bool = False) -> FaceReference:
    """
    Make the face that a person's pictures are compared with from now on, and return it.

    All photos must show one person, and the person on file if there is one: otherwise a verified account could be handed on.
    Staff who have checked an ID may replace a face with `by_staff`. The pictures themselves are not kept.

    :raises ConsentRequired: if the person has not agreed, or withdraws meanwhile
    :raises PhotosCount: if there is no photo or more than three
    :raises ImageInvalid, ImageTooLarge, QualityRefusal: if a photo will not do
    :raises PhotosDiffer: if they are not alike
    :raises FaceChanged: if they are not like the face on file
    :raises EngineTrouble: if the engine gives no usable answer
    """
    require_consent(user_id)
    if not 1 <= len(photos) <= MOST_PHOTOS:
        raise PhotosCount
    in_use = engine()
    template = in_use.enrol([normalise(photo, max_side=in_use.max_side) for photo in photos])
    if template.agreement < default_threshold():
        raise PhotosDiffer
    old = current_reference(user_id=user_id)
    if old is not None and not by_staff:
        refuse_another_face(old, template)
    return replace_reference(user_id=user_id, old=old, template=template, photos=len(photos))


def refuse_another_face(old: FaceReference, template: Template) -> None:
    """
    Compare a new enrolment with the face on file.

    :raises FaceChanged: if it is somebody else, or another engine made the face on file so that nobody can tell
    """
    in_use = engine()
    if not is_comparable(old):
        raise FaceChanged
    if in_use.alike(template_of(old), template) < default_threshold():
        raise FaceChanged


@transaction.atomic
def replace_reference(*, user_id: UUID, old: FaceReference | None, template: Template, photos: int) -> FaceReference:
    """
    Put a new face in the place of the old one. The old one is forgotten unless a registration is frozen to it.

    :raises ConsentRequired: if consent was withdrawn meanwhile
    :raises FaceChanged: if the face on file is another one by now
    """
    if lock_consent(user_id) is None:
        raise ConsentRequired
    current = FaceReference.objects.select_for_update(no_key=True).filter(
        user_id=user_id, replaced_at=None, forgotten_at=None
    )
    now_on_file = current.first()
    if (now_on_file and now_on_file.pk) != (old and old.pk):
        raise FaceChanged("Your profile photo was changed just now. Please try again.")
    if now_on_file is not None:
        FaceReference.objects.filter(pk=now_on_file.pk).update(replaced_at=Now())
        if now_on_file.kept_until is None:
            deletion.forget_references(FaceReference.objects.filter(pk=now_on_file.pk), "replaced")
    in_use = engine()
    sealed = vault.seal(template, user_id=user_id, keep_crop=keeps_crop())
    reference = FaceReference.objects.create(
        user_id=user_id,
        engine=in_use.name,
        model_version=in_use.model_version,
        key_id=sealed.key_id,
        vector_encrypted=sealed.vector,
        crop_encrypted=sealed.crop,
        photos=photos,
        delete_after=Now() + timedelta(days=settings.FACE_UNUSED_DAYS),
    )
    reference.refresh_from_db()
    log.info("faces.enrolled", user=str(user_id), reference=str(reference.pk), photos=photos)
    return reference


def keeps_crop() -> bool:
    """Whether a small picture of the face is kept: for reviews, and where the engine has nothing else to compare with."""
    return settings.FACE_KEEP_CROP or "vector" not in engine().capabilities


def current_reference(*, user_id: UUID) -> FaceReference | None:
    """Return the face a person's pictures are compared with now, None if there is none."""
    return FaceReference.objects.filter(user_id=user_id, replaced_at=None, forgotten_at=None).first()


def require_reference(*, user_id: UUID) -> FaceReference:
    """
    Return the face a person's pictures are compared with now.

    :raises ProfilePhotoMissing: if there is none
    """
    reference = current_reference(user_id=user_id)
    if reference is None:
        raise ProfilePhotoMissing
    return reference


@transaction.atomic
def keep_reference(*, reference_id: UUID, until: datetime) -> None:
    """
    Keep a face for an event that ends at `until` and FACE_RETENTION_DAYS on: call it when a registration is frozen to it.

    :raises NotFound: if there is no such face
    """
    reference = FaceReference.objects.select_for_update(no_key=True).filter(pk=reference_id).first()
    if reference is None:
        raise NotFound
    latest = max(filter(None, [reference.kept_until, until]))
    wanted = max(reference.delete_after, latest + timedelta(days=settings.FACE_RETENTION_DAYS))
    FaceReference.objects.filter(pk=reference_id).update(
        kept_until=latest, delete_after=min(wanted, reference.created_at + LONGEST)
    )


def is_comparable(reference: FaceReference) -> bool:
    """Whether the engine in use can work with a face."""
    in_use = engine()
    return (reference.engine, reference.model_version) == (in_use.name, in_use.model_version)


def template_of(reference: FaceReference) -> Template:
    """
    Return what is kept of a face, unsealed.

    :raises ProfilePhotoMissing: if it was forgotten
    :raises EngineMisconfigured: if the key it needs is gone
    """
    if reference.forgotten_at is not None or not reference.vector_encrypted:
        raise ProfilePhotoMissing
    sealed = vault.Sealed(reference.key_id, bytes(reference.vector_encrypted), bytes(reference.crop_encrypted))
    return vault.unseal(sealed, user_id=reference.user_id)
