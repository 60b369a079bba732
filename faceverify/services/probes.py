"""Pictures to be checked: taken in, looked at, claimed once, compared."""

import time
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from PIL import Image
from redis.exceptions import RedisError

from common import ratelimit
from common.errors import Unavailable
from faceverify import storage, vault
from faceverify.engines import Analysis, NormalisedImage, engine
from faceverify.engines.base import bits_apart
from faceverify.engines.gate import refuse_unusable
from faceverify.intake import normalise
from faceverify.models import FaceImage, FaceReference
from faceverify.refusals import (
    ConsentRequired,
    EngineTrouble,
    ImageInvalid,
    ImageNotFound,
    ImageTooLarge,
    NoDirectUploads,
    ProfilePhotoMissing,
    ProfilePhotoOutdated,
    SamePhoto,
    TooManyAnalyses,
    UploadPending,
)
from faceverify.services.consent import lock_consent, require_consent
from faceverify.services.deletion import discard_image, erase_later
from faceverify.services.references import default_threshold, is_comparable, template_of

log = structlog.get_logger(__name__)

DAY = 86_400
MINUTE = 60
COPY_BITS = 0.05  # an earlier selfie saved again; a new selfie differs by more, and if not, another one costs nothing


@dataclass(frozen=True)
class Comparison:
    """How alike a picture is to a face, 0 to 100, and what was found out on the way."""

    similarity: float
    threshold: float
    analysis: Analysis = field(repr=False)
    engine: str
    model_version: str
    milliseconds: int

    def passes(self, threshold: float | None = None) -> bool:
        """Whether they are alike enough; a `threshold` from elsewhere can only make it stricter."""
        return self.similarity >= max(self.threshold, threshold or 0.0)


def store_probe(*, user_id: UUID, content: bytes) -> FaceImage:
    """
    Take in a picture that is to be checked and return it; its id is the `faceImageKey`. It waits for FACE_IMAGE_SECONDS.

    :raises ConsentRequired: if the person has not agreed; nothing is stored then
    :raises ImageInvalid, ImageTooLarge: if it can not be read
    :raises SamePhoto: if the very same picture was used before
    """
    require_consent(user_id)
    image = normalise(content, max_side=engine().max_side)
    refuse_used_pixels(user_id, image.pixels_sha256)
    return keep_probe(user_id=user_id, image=image)


def keep_probe(*, user_id: UUID, image: NormalisedImage) -> FaceImage:
    """
    Store a picture, encrypted, and its row.

    :raises ConsentRequired: if consent was withdrawn meanwhile
    """
    key = uuid4()
    name = storage.put(storage.PROBES, key, vault.seal_bytes(image.jpeg, user_id=user_id))
    try:
        return make_row(key, user_id=user_id, storage_name=name, pixels_sha256=image.pixels_sha256)
    except BaseException:
        storage.erase(name)  # a file without a row would wait for the next purge
        raise


@transaction.atomic
def make_row(key: UUID, *, user_id: UUID, **fields: Any) -> FaceImage:
    """
    Write the row of a picture while consent holds.

    :raises ConsentRequired: if it does not any more
    """
    if lock_consent(user_id) is None:
        raise ConsentRequired
    until = Now() + timedelta(seconds=settings.FACE_IMAGE_SECONDS)
    image = FaceImage.objects.create(pk=key, owner_id=user_id, expires_at=until, delete_after=until, **fields)
    image.refresh_from_db()
    return image


def presign_probe(*, user_id: UUID) -> tuple[FaceImage, dict[str, Any]]:
    """
    Make a key for a picture that the client uploads to S3 itself, and return it with the address and fields of the upload.

    Nothing the client sends there is trusted: it goes through the same intake when it is first looked at.

    :raises ConsentRequired: if the person has not agreed
    :raises NoDirectUploads: if faces do not lie in S3
    """
    require_consent(user_id)
    if not storage.is_s3():
        raise NoDirectUploads
    key = uuid4()
    name = f"{storage.INCOMING}/{key}"
    image = make_row(key, user_id=user_id, storage_name=name, uploaded_directly=True)
    return image, storage.presign(name, seconds=settings.FACE_IMAGE_SECONDS)


def analyse_probe(*, user_id: UUID, image_key: str) -> Analysis:
    """
    Say what is in a picture that would do for a check; it can still be used afterwards. Never compares anything.

    :raises ImageNotFound: if it is not this person's, was used, or its time is over
    :raises TooManyAnalyses: if the person asks too often
    :raises QualityRefusal: if the picture will not do
    :raises EngineTrouble: if the engine gives no usable answer
    """
    image = waiting_images(user_id, image_key).first()
    if image is None:
        raise ImageNotFound
    limit_analyses(user_id)
    analysis = engine().analyse(load(image))
    refuse_unusable(analysis)
    return analysis


@transaction.atomic
def claim_probe(*, user_id: UUID, image_key: str) -> FaceImage:
    """
    Use a picture: of any number who try, one gets it. It is kept for a review of FACE_REVIEW_HOURS unless discarded.

    :raises ImageNotFound: if it is not this person's, was used, or its time is over
    :raises SamePhoto: if the very same picture was used before
    """
    waiting = waiting_images(user_id, image_key)
    if not waiting.update(consumed_at=Now(), delete_after=Now() + timedelta(hours=settings.FACE_REVIEW_HOURS)):
        raise ImageNotFound
    image = FaceImage.objects.get(pk=image_key)
    refuse_used_pixels(user_id, image.pixels_sha256, besides=image)
    return image


def compare(*, reference: FaceReference, image: FaceImage) -> Comparison:
    """
    Compare a claimed picture with a face and say how alike they are. Writes nothing but the picture's fingerprint.

    Takes about a quarter of a second with the local engine: call it in a worker, outside of any transaction. Nothing it
    raises says whose face it is, so none of it uses up a try.

    :raises ProfilePhotoMissing: if the face was forgotten
    :raises ProfilePhotoOutdated: if another engine made it
    :raises ImageNotFound, ImageInvalid, ImageTooLarge: if the picture is gone or can not be read
    :raises UploadPending: if a picture to be uploaded directly has not arrived
    :raises SamePhoto: if it is one of the profile photos, or a picture that was used before
    :raises QualityRefusal: if the picture will not do
    :raises EngineTrouble: if the engine gives no usable answer
    """
    started = time.perf_counter()
    if reference.user_id != image.owner_id:
        raise ImageNotFound
    if reference.forgotten_at is not None:
        raise ProfilePhotoMissing
    if not is_comparable(reference):
        raise ProfilePhotoOutdated
    template = template_of(reference)
    picture = load(image)
    refuse_used_pixels(image.owner_id, picture.pixels_sha256, besides=image)
    in_use = engine()
    try:
        match = in_use.compare(template, picture)
    except EngineTrouble:
        # Nothing was compared: the same picture may come again.
        FaceImage.objects.filter(pk=image.pk).update(pixels_sha256="")
        raise
    if match.same_photo or is_copy(image, match.analysis.fingerprint):
        raise SamePhoto
    FaceImage.objects.filter(pk=image.pk, deleted_at=None).update(fingerprint=match.analysis.fingerprint)
    return Comparison(
        similarity=match.similarity,
        threshold=default_threshold(),
        analysis=match.analysis,
        engine=in_use.name,
        model_version=in_use.model_version,
        milliseconds=round((time.perf_counter() - started) * 1000),
    )


def waiting_images(user_id: UUID, image_key: str) -> QuerySet[FaceImage]:
    """
    Return the picture behind a key, as a query, if this person may still use it.

    :raises ImageNotFound: if it is no key at all
    """
    try:
        key = UUID(str(image_key))
    except ValueError:
        raise ImageNotFound from None
    return FaceImage.objects.filter(pk=key, owner_id=user_id, consumed_at=None, deleted_at=None, expires_at__gt=Now())


def refuse_used_pixels(user_id: UUID, pixels_sha256: str, *, besides: FaceImage | None = None) -> None:
    """
    Let only pictures pass that were never used.

    :raises SamePhoto: if this person used one with the same pixels
    """
    if not pixels_sha256:
        return
    used = FaceImage.objects.filter(owner_id=user_id, pixels_sha256=pixels_sha256, consumed_at__isnull=False)
    if besides is not None:
        used = used.exclude(pk=besides.pk)
    if used.exists():
        raise SamePhoto


def is_copy(image: FaceImage, mark: bytes) -> bool:
    """Whether a picture is one that its owner used before, saved anew."""
    earlier = FaceImage.objects.filter(owner_id=image.owner_id, consumed_at__isnull=False).exclude(pk=image.pk)
    return any(
        bits_apart(mark, bytes(known)) < COPY_BITS for known in earlier.values_list("fingerprint", flat=True) if known
    )


def load(image: FaceImage) -> NormalisedImage:
    """
    Return a picture's content.

    :raises ImageNotFound: if it is gone
    :raises UploadPending: if it is to be uploaded directly and has not arrived
    :raises ImageInvalid, ImageTooLarge: if what was uploaded directly can not be read
    """
    if image.uploaded_directly:
        return take_in(image)
    content = storage.get(image.storage_name) if image.storage_name else None
    if content is None:
        raise ImageNotFound
    jpeg = vault.unseal_bytes(content, user_id=image.owner_id)
    with Image.open(BytesIO(jpeg), formats=("JPEG",)) as header:
        return NormalisedImage(jpeg, header.width, header.height, image.pixels_sha256)


def take_in(image: FaceImage) -> NormalisedImage:
    """Do to a directly uploaded picture what the intake does to every picture, and store the outcome in its place."""
    length = storage.size(image.storage_name)
    if length is None:
        raise UploadPending
    try:
        if length > settings.FACE_MAX_BYTES:
            raise ImageTooLarge
        picture = normalise(storage.get(image.storage_name) or b"", max_side=engine().max_side)
    except (ImageInvalid, ImageTooLarge):
        discard_image(image_id=image.pk, why="unusable")
        raise
    incoming = image.storage_name
    name = storage.put(storage.PROBES, image.pk, vault.seal_bytes(picture.jpeg, user_id=image.owner_id))
    with transaction.atomic():
        changed = FaceImage.objects.filter(pk=image.pk, storage_name=incoming, deleted_at=None).update(
            storage_name=name, pixels_sha256=picture.pixels_sha256, uploaded_directly=False
        )
        erase_later(incoming if changed else name)
    if not changed:
        raise ImageNotFound
    image.storage_name, image.pixels_sha256, image.uploaded_directly = name, picture.pixels_sha256, False
    return picture


def limit_analyses(user_id: UUID) -> None:
    """
    Count one look at a picture, which costs a tenth of a second of a core.

    :raises TooManyAnalyses: if there were too many
    :raises Unavailable: if Redis is away: the cost is never unlimited
    """
    try:
        for limit, seconds in ((settings.FACE_LOOKS_PER_MINUTE, MINUTE), (settings.FACE_LOOKS_PER_DAY, DAY)):
            allowance = ratelimit.take([(f"faces:{seconds}:{user_id}", limit)], seconds=seconds)
            if not allowance.allowed:
                raise TooManyAnalyses(retry_after=allowance.reset)
    except RedisError as error:
        raise Unavailable(retry_after=5) from error
