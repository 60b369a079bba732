"""
A face at the door beside the face its holder was verified with.

The picture is taken in under the holder's own consent, compared in a worker, and deleted with the decision, whatever it is.
Each comparison is counted before the engine is asked and kept as a row without a picture. An ID is always the other way.
"""

import math
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from bookings.services.admission import lock_ticket_booking
from common.errors import FairseatError
from faceverify import services as faces
from faceverify.refusals import EngineUnavailable, ProfilePhotoMissing
from gate.models import FaceCheck, Scan
from gate.queries import checks_faces, comparable_face, face_tries, get_scan
from gate.reasons import CHECKS, Reason
from gate.refusals import FaceTriesUsedUp, NoCheckNeeded, NoFaceToCompare
from gate.services.rules import use_device
from gate.services.scanning import Asked, decide

log = structlog.get_logger(__name__)

MOST_STARTS = 2  # a picture that kills two workers is not given to a third
UNHEARD = timedelta(seconds=4)


def check_face(
    *, event_id: UUID, scan_id: UUID, staff_id: UUID, gate: str, device: str = "", photo: bytes
) -> FaceCheck:
    """
    Count a comparison of the person at the door, after a scan that asked for it, and have a worker do it.

    :raises ScanNotFound: if there is no such scan at this event
    :raises NoCheckNeeded: if that scan did not ask for a face
    :raises FaceTriesUsedUp: after GATE_FACE_TRIES comparisons of this ticket
    :raises NoFaceToCompare: if its holder was not verified by face, has withdrawn their consent, or their face was deleted
    :raises ImageInvalid, ImageTooLarge, SamePhoto: if the picture will not do
    """
    asking = get_scan(event_id=event_id, scan_id=scan_id)
    ticket = asking.ticket
    if ticket is None or asking.reason not in CHECKS or not checks_faces(ticket.event):
        raise NoCheckNeeded
    holder_id = ticket.holder_id
    if holder_id is None or faces.consent_of(user_id=holder_id) is None:
        raise NoFaceToCompare
    where = use_device(event_id=event_id, staff_id=staff_id, gate=gate, device=device)
    image = faces.store_probe(user_id=holder_id, content=photo)
    try:
        return reserve(
            ticket_id=ticket.pk, device_id=where.pk, staff_id=staff_id, holder_id=holder_id, image_id=image.pk
        )
    except FairseatError:
        faces.discard_image(image_id=image.pk, why="gate")
        raise


@transaction.atomic
def reserve(*, ticket_id: UUID, device_id: int, staff_id: UUID, holder_id: UUID, image_id: UUID) -> FaceCheck:
    """
    Count one comparison of a ticket, behind the lock of its booking.

    :raises FaceTriesUsedUp, NoFaceToCompare: if none is to be had
    """
    ticket = lock_ticket_booking(ticket_id=ticket_id)
    if face_tries(ticket_id) >= settings.GATE_FACE_TRIES:
        raise FaceTriesUsedUp
    reference = comparable_face(ticket)
    if reference is None or ticket.holder_id != holder_id:
        raise NoFaceToCompare
    image = faces.claim_probe(user_id=holder_id, image_key=str(image_id))
    check = FaceCheck.objects.create(
        event_id=ticket.event_id,
        ticket=ticket,
        device_id=device_id,
        staff_id=staff_id,
        image=image,
        reference=reference,
        threshold=max(faces.default_threshold(), float(ticket.event.similarity_threshold)),
        expires_at=Now() + timedelta(seconds=settings.FACE_CHECK_SECONDS),
    )
    transaction.on_commit(partial(start, check.pk), robust=True)
    return check


def start(check_id: UUID) -> None:
    """Ask a worker to compare now; if the broker is away the sweep does it."""
    from gate.tasks import compare_face

    compare_face.delay(check_id=str(check_id))


def run_check(*, check_id: UUID, only: Q | None = None) -> None:
    """Compare one reserved picture and record what came of it; nothing when that was decided already. Runs in a worker."""
    begun = FaceCheck.objects.filter(
        only or Q(), pk=check_id, status=FaceCheck.Status.RESERVED, starts__lt=MOST_STARTS, expires_at__gt=Now()
    ).update(starts=F("starts") + 1, expires_at=Now() + timedelta(seconds=settings.FACE_CHECK_SECONDS))
    if not begun:
        return
    check = FaceCheck.objects.select_related("image", "reference", "device").get(pk=check_id)
    try:
        if check.reference is None or check.image is None:
            raise ProfilePhotoMissing
        found = faces.compare(reference=check.reference, image=check.image)
        if not (math.isfinite(found.similarity) and 0 <= found.similarity <= 100):
            raise EngineUnavailable
    except FairseatError as refusal:
        give_back(check_id=check_id, why=refusal.code)
    else:
        record(check=check, found=found)


@transaction.atomic
def record(*, check: FaceCheck, found: faces.Comparison) -> None:
    """Record a score and answer the scan: green when it is the holder, red when not. The picture goes either way."""
    ticket = lock_ticket_booking(ticket_id=check.ticket_id)
    same_holder = check.reference is not None and check.reference.user_id == ticket.holder_id
    passed = same_holder and found.passes(check.threshold)
    decided = FaceCheck.objects.filter(pk=check.pk, status=FaceCheck.Status.RESERVED).update(
        status=FaceCheck.TRANSITIONS["pass" if passed else "miss"].target,
        similarity=found.similarity,
        threshold=max(check.threshold, found.threshold),
        engine=found.engine,
        milliseconds=found.milliseconds,
        decided_at=Now(),
    )
    if check.image_id is not None:
        faces.discard_image(image_id=check.image_id, why="gate")
    if not decided:
        return
    asked = Asked(check.device, ticket.code, Scan.Method.FACE, None, said="" if passed else Reason.FACE_MISMATCH)
    scan = decide(asked, ticket)
    FaceCheck.objects.filter(pk=check.pk).update(scan=scan)
    log.info("gate.face_compared", show=str(check.event_id), check=str(check.pk), passed=passed)


@transaction.atomic
def give_back(*, check_id: UUID, why: str, only: Q | None = None) -> bool:
    """Return a comparison that says nothing about the person, and delete its picture; False when it is decided already."""
    reserved = FaceCheck.objects.filter(only or Q(), pk=check_id, status=FaceCheck.Status.RESERVED)
    if not reserved.update(
        status=FaceCheck.Status.RETURNED, failure_code=why, engine=settings.FACE_ENGINE, decided_at=Now()
    ):
        return False
    image_id = FaceCheck.objects.values_list("image_id", flat=True).get(pk=check_id)
    if image_id is not None:
        faces.discard_image(image_id=image_id, why="gate")
    log.info("gate.face_returned", check=str(check_id), why=why)
    return True


def give_back_expired(*, limit: int = 200) -> int:
    """Return the comparisons whose worker died, and how many those were."""
    dead = Q(expires_at__lte=Now())
    due = FaceCheck.objects.filter(dead, status=FaceCheck.Status.RESERVED).values_list("pk", flat=True)
    return sum(give_back(check_id=pk, why="check_interrupted", only=dead) for pk in list(due[:limit]))


def run_unstarted(*, limit: int = 20) -> int:
    """Do the comparisons no worker was told of, because the broker was away; return how many."""
    forgotten = FaceCheck.objects.filter(starts=0, reserved_at__lte=Now() - UNHEARD, status=FaceCheck.Status.RESERVED)
    ids = list(forgotten.order_by("reserved_at").values_list("pk", flat=True)[:limit])
    for check_id in ids:
        run_check(check_id=check_id, only=Q(starts=0))
    return len(ids)
