"""
Forgetting: after the decision, when its time has come, when a person withdraws or is erased.

Rows lose what they hold in one transaction with an entry in the log; files go through the outbox, which tries until they are
gone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from common import outbox
from faceverify import storage, vault
from faceverify.models import BiometricConsent, DeletionLog, FaceImage, FaceReference
from faceverify.refusals import EngineMisconfigured

log = structlog.get_logger(__name__)

ERASE_FILE = "faceverify.erase_file"
BATCH = 500
STRAY_AFTER = timedelta(hours=1)  # a file without a row may belong to an upload that is just being written


@dataclass(frozen=True)
class Purged:
    """How much one purge did, or would do."""

    images: int = 0
    references: int = 0
    stray_files: int = 0
    resealed: int = 0

    @property
    def total(self) -> int:
        return self.images + self.references + self.stray_files + self.resealed


@transaction.atomic
def discard_image(*, image_id: UUID, why: str = "decided") -> None:
    """Delete a probe's picture; the row stays as a bare fact."""
    discard_images(FaceImage.objects.filter(pk=image_id), why)


@transaction.atomic
def forget_reference(*, user_id: UUID, why: str) -> int:
    """Forget every face a person enrolled, also those that a registration is frozen to, and return how many that were."""
    return forget_references(FaceReference.objects.filter(user_id=user_id), why)


@transaction.atomic
def forget_everything(*, user_id: UUID, why: str) -> None:
    """Forget every face of a person: enrolled ones, and pictures waiting for a check or a review."""
    forget_references(FaceReference.objects.filter(user_id=user_id), why)
    discard_images(FaceImage.objects.filter(owner_id=user_id), why)


@transaction.atomic
def erase_faces(*, user_id: UUID, cancel: bool = False, by: str = "buyer") -> None:
    """Forget every face of a person whose account is erased (a step of settings.ERASURE_STEPS)."""
    BiometricConsent.objects.filter(user_id=user_id, withdrawn_at=None).update(withdrawn_at=Now())
    forget_everything(user_id=user_id, why="account_erased")
    FaceImage.objects.filter(owner_id=user_id).update(pixels_sha256="")


def purge(*, dry_run: bool = False) -> Purged:
    """Delete whatever has reached its time, and seal anew what an older key sealed; with `dry_run` only count."""
    images = FaceImage.objects.filter(deleted_at=None, delete_after__lte=Now())
    references = FaceReference.objects.filter(forgotten_at=None, delete_after__lte=Now())
    newest = vault.key_id(settings.FACE_TEMPLATE_KEYS[0])
    old = FaceReference.objects.filter(forgotten_at=None).exclude(key_id=newest)
    if dry_run:
        return Purged(images.count(), references.count(), len(stray_files()), old.count())
    done = Purged(
        images=in_batches(images, discard_images),
        references=in_batches(references, forget_references),
        stray_files=erase_files(stray_files()),
        resealed=sum(reseal(pk) for pk in old.values_list("pk", flat=True)),
    )
    if done.total:
        log.info("faces.purged", images=done.images, references=done.references, files=done.stray_files)
    return done


def in_batches(due: QuerySet, forget: Callable[[QuerySet, str], int]) -> int:
    """Forget what is due, some rows per transaction."""
    count = 0
    while True:
        with transaction.atomic():
            done = forget(due.filter(pk__in=list(due.order_by("pk").values_list("pk", flat=True)[:BATCH])), "retention")
        count += done
        if not done:
            return count


def discard_images(images: QuerySet[FaceImage], why: str) -> int:
    """Empty these rows, log it, and have their files deleted; return how many rows that were."""
    rows = list(images.filter(deleted_at=None).select_for_update(no_key=True, of=("self",)).order_by("pk"))
    for image in rows:
        erase_later(image.storage_name)
    FaceImage.objects.filter(pk__in=[image.pk for image in rows]).update(
        storage_name="", fingerprint=b"", deleted_at=Now()
    )
    note("image", [(image.owner_id, image.pk) for image in rows], why)
    return len(rows)


def forget_references(references: QuerySet[FaceReference], why: str) -> int:
    """Empty these rows and log it; return how many that were."""
    rows = list(references.filter(forgotten_at=None).select_for_update(no_key=True, of=("self",)).order_by("pk"))
    FaceReference.objects.filter(pk__in=[row.pk for row in rows]).update(
        vector_encrypted=b"", crop_encrypted=b"", forgotten_at=Now()
    )
    note("reference", [(row.user_id, row.pk) for row in rows], why)
    return len(rows)


def note(what: str, whose: list[tuple[UUID, UUID]], why: str) -> None:
    """Write down what was deleted."""
    DeletionLog.objects.bulk_create(
        DeletionLog(user_id=user_id, what=what, object_id=pk, why=why) for user_id, pk in whose
    )


def erase_later(name: str) -> None:
    """Have a file deleted after the commit."""
    if name:
        outbox.put(topic=ERASE_FILE, dedupe_key=f"{ERASE_FILE}:{name}", name=name)


def stray_files() -> list[str]:
    """Return the names of old files that no row speaks of."""
    found = [name for folder in (storage.PROBES, storage.INCOMING) for name in storage.names(folder)]
    known = set(FaceImage.objects.exclude(storage_name="").values_list("storage_name", flat=True)) if found else set()
    before = timezone.now() - STRAY_AFTER
    return [name for name in found if name not in known and storage.age_mark(name) < before]


def erase_files(names: list[str]) -> int:
    """Delete files now; return how many."""
    for name in names:
        storage.erase(name)
    return len(names)


@transaction.atomic
def reseal(reference_id: UUID) -> int:
    """Seal a face with the newest key; 0 if it is gone, or the key it needs is."""
    reference = FaceReference.objects.select_for_update(no_key=True).filter(pk=reference_id, forgotten_at=None).first()
    if reference is None:
        return 0
    old = vault.Sealed(reference.key_id, bytes(reference.vector_encrypted), bytes(reference.crop_encrypted))
    try:
        template = vault.unseal(old, user_id=reference.user_id)
    except EngineMisconfigured:
        log.error("faces.key_is_gone", reference=str(reference_id), key_id=reference.key_id)
        return 0
    new = vault.seal(template, user_id=reference.user_id, keep_crop=bool(template.crop))
    FaceReference.objects.filter(pk=reference_id).update(
        key_id=new.key_id, vector_encrypted=new.vector, crop_encrypted=new.crop
    )
    return 1
