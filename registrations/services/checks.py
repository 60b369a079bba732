"""
The face check: a try is reserved in the database, a worker compares, what came of it is recorded with what follows from it.

No engine is called in a transaction, and none before its try is counted. A try that says nothing about the person (the picture
would not do, the engine failed, the worker died) is given back.
"""

import math
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from common.errors import FairseatError
from events.models import Event
from faceverify import services as faces
from faceverify.models import LivenessCheck
from faceverify.refusals import ConsentRequired, EngineUnavailable, ProfilePhotoMissing
from registrations.models import Registration, VerificationAttempt
from registrations.refusals import (
    AlreadyVerified,
    AttemptsExceeded,
    FaceCheckNotNeeded,
    LivenessNotAsked,
    RegistrationClosed,
    TicketAlreadyIssued,
)
from registrations.services import seating
from registrations.services.registering import refuse_if_over

log = structlog.get_logger(__name__)

Status = Registration.Status
FaceStatus = Registration.FaceStatus
MOST_STARTS = 2  # a picture that kills two workers is not given to a third
UNHEARD = timedelta(seconds=4)  # a reserved try that no worker began within this was not heard of
ASK_STAFF_AFTER = 3600  # what a client that has used up its tries is told to wait


@transaction.atomic
def verify_face(
    *, registration: Registration, image_key: str, similarity_threshold: float | None = None
) -> VerificationAttempt:
    """
    Reserve a try for a picture and have a worker compare it; the answer is recorded in the attempt.

    A `similarity_threshold` can only be stricter than the event's and the engine's.

    :raises AttemptsExceeded: if MAX_VERIFICATION_ATTEMPTS are counted
    :raises ConsentRequired, ProfilePhotoMissing: if there is nothing to compare with
    :raises ImageNotFound, SamePhoto: if the picture can not be used
    :raises LivenessRequired: if the event asks for liveness and this is no picture of a fresh, unused check for it
    :raises TicketAlreadyIssued, AlreadyVerified, RegistrationClosed, FaceCheckNotNeeded: if no check is wanted
    :raises EventCancelled, SaleClosed: if the event does not take place, or is over
    """
    event = refuse_if_over(registration.event_id)
    if not event.requires_face_verification:
        raise FaceCheckNotNeeded
    give_back_expired(registration_id=registration.pk)
    reserve(registration)
    if faces.consent_of(user_id=registration.user_id) is None:
        raise ConsentRequired
    reference = faces.current_reference(user_id=registration.user_id)
    if reference is None:
        raise ProfilePhotoMissing
    if event.liveness == Event.Liveness.REQUIRED:
        faces.use_liveness(user_id=registration.user_id, subject_id=registration.pk, image_key=image_key)
    image = faces.claim_probe(user_id=registration.user_id, image_key=image_key)
    registration.refresh_from_db(fields=["attempts_epoch"])
    attempt = VerificationAttempt.objects.create(
        registration=registration,
        epoch=registration.attempts_epoch,
        image=image,
        reference=reference,
        threshold=max(faces.default_threshold(), event.similarity_threshold, similarity_threshold or 0),
        expires_at=Now() + timedelta(seconds=settings.FACE_CHECK_SECONDS),
    )
    transaction.on_commit(partial(start_check, attempt.pk), robust=True)
    log.info("registrations.attempt_reserved", registration=str(registration.pk), attempt=str(attempt.pk))
    return attempt


def start_liveness(*, registration: Registration) -> LivenessCheck:
    """
    Begin to show that a person is before the camera, for the next try of this registration.

    :raises LivenessNotAsked: if the event does not ask for it
    :raises AttemptsExceeded, TicketAlreadyIssued, AlreadyVerified, RegistrationClosed: if no check is wanted
    :raises EventCancelled, SaleClosed: if the event does not take place, or is over
    :raises FairseatError: what `faceverify.services.start_liveness` raises
    """
    event = refuse_if_over(registration.event_id)
    if event.liveness != Event.Liveness.REQUIRED:
        raise LivenessNotAsked
    if not open_for_a_try(registration.pk).exists():
        refuse_try(registration.pk)
    return faces.start_liveness(user_id=registration.user_id, subject_id=registration.pk)


def open_for_a_try(registration_id: UUID) -> QuerySet[Registration]:
    """Return the registration, as a query, if it may be tried once more."""
    return Registration.objects.filter(
        pk=registration_id,
        status__in=(Status.PENDING, Status.REJECTED),
        closed_by_staff=False,
        verification_attempts__lt=settings.MAX_VERIFICATION_ATTEMPTS,
    )


def reserve(registration: Registration) -> None:
    """
    Count one try in one guarded UPDATE, before anything is compared.

    :raises AttemptsExceeded: if there is none left
    :raises TicketAlreadyIssued, AlreadyVerified, RegistrationClosed: if no check is wanted
    """
    if not open_for_a_try(registration.pk).update(
        verification_attempts=F("verification_attempts") + 1,
        last_verification_attempt=Now(),
        face_verification_status=FaceStatus.PROCESSING,
    ):
        refuse_try(registration.pk)


def refuse_try(registration_id: UUID) -> NoReturn:
    """
    Say why no try is to be had.

    :raises AttemptsExceeded, TicketAlreadyIssued, AlreadyVerified, RegistrationClosed: always one of them
    """
    found = Registration.objects.get(pk=registration_id)
    if found.status == Status.VERIFIED:
        has_ticket = seating.ticketed(user_id=found.user_id, event_id=found.event_id)
        raise TicketAlreadyIssued if has_ticket else AlreadyVerified
    if found.closed_by_staff:
        raise RegistrationClosed
    raise AttemptsExceeded(retry_after=ASK_STAFF_AFTER)


def start_check(attempt_id: UUID) -> None:
    """Ask a worker to compare now; if the broker is away the sweep does it."""
    from registrations.tasks import check_face

    check_face.delay(attempt_id=str(attempt_id))


def run_check(*, attempt_id: UUID, only: Q | None = None) -> None:
    """
    Compare one reserved picture and record what came of it; nothing when the attempt is decided already.

    Runs in a worker. A worker that dies is noticed by `give_back_expired`, or its task comes again and does the same work.
    """
    begun = VerificationAttempt.objects.filter(
        only or Q(),
        pk=attempt_id,
        status=VerificationAttempt.Status.RESERVED,
        starts__lt=MOST_STARTS,
        expires_at__gt=Now(),
    ).update(starts=F("starts") + 1, expires_at=Now() + timedelta(seconds=settings.FACE_CHECK_SECONDS))
    if not begun:
        return
    attempt = VerificationAttempt.objects.select_related("image", "reference", "registration__event").get(pk=attempt_id)
    try:
        if attempt.reference is None or attempt.image is None:
            raise ProfilePhotoMissing
        found = faces.compare(reference=attempt.reference, image=attempt.image)
        if not (math.isfinite(found.similarity) and 0 <= found.similarity <= 100):
            raise EngineUnavailable
    except FairseatError as refusal:
        give_back(attempt_id=attempt_id, why=refusal.code)
    else:
        record(attempt=attempt, found=found)


def run_unstarted(*, limit: int = 20) -> int:
    """Compare what no worker was told of, because the broker was away, and return how many pictures that were."""
    forgotten = Q(starts=0, reserved_at__lte=Now() - UNHEARD)
    due = VerificationAttempt.objects.filter(forgotten, status=VerificationAttempt.Status.RESERVED)
    ids = list(due.order_by("reserved_at").values_list("pk", flat=True)[:limit])
    for attempt_id in ids:
        run_check(attempt_id=attempt_id, only=Q(starts=0))
    return len(ids)


@transaction.atomic
def record(*, attempt: VerificationAttempt, found: faces.Comparison) -> None:
    """Record a score, and what follows: verified with a seat, or one miss more."""
    registration = lock(attempt.registration_id)
    step = "pass" if found.passes(attempt.threshold) else "miss"
    decided = VerificationAttempt.objects.filter(pk=attempt.pk, status=VerificationAttempt.Status.RESERVED).update(
        status=VerificationAttempt.TRANSITIONS[step].target,
        similarity=found.similarity,
        threshold=max(attempt.threshold, found.threshold),
        engine=found.engine,
        model_version=found.model_version,
        confidence=found.analysis.confidence,
        brightness=found.analysis.brightness,
        sharpness=found.analysis.sharpness,
        contrast=found.analysis.contrast,
        milliseconds=found.milliseconds,
        decided_at=Now(),
    )
    overtaken = attempt.epoch != registration.attempts_epoch or registration.closed_by_staff
    if not decided or overtaken or registration.status == Status.VERIFIED:
        discard(attempt)  # staff, or another picture, decided meanwhile
        return
    if step == "pass":
        pass_check(registration, attempt)
    else:
        miss_check(registration)
    log.info("registrations.checked", registration=str(registration.pk), passed=step == "pass")


def pass_check(registration: Registration, attempt: VerificationAttempt) -> None:
    """Verify a person: the face that passed is frozen on the registration, and they get what the event has for them."""
    registration.transition(
        "pass_check",
        face_verification_status=FaceStatus.SUCCESS,
        identity_method=Registration.IdentityMethod.FACE,
        passed_by=Registration.PassedBy.FACE,
        verified_at=Now(),
        reference=attempt.reference,
        review_requested_at=None,
    )
    if attempt.reference_id is not None:
        faces.keep_reference(reference_id=attempt.reference_id, until=registration.event.ends_at)
    discard_all(registration)
    seating.take_seat(registration=registration)


def miss_check(registration: Registration) -> None:
    """Note a miss; the last one brings the case to staff. The picture is kept for them until they decide."""
    last = registration.verification_attempts >= settings.MAX_VERIFICATION_ATTEMPTS and not under_way(registration.pk)
    review: dict[str, Any] = {"review_requested_at": Now()} if last and registration.review_requested_at is None else {}
    registration.transition("fail_check", face_verification_status=face_status(registration.pk), **review)
    seating.wait_unverified(registration)


@transaction.atomic
def give_back(*, attempt_id: UUID, why: str, only: Q | None = None) -> bool:
    """
    Return a try that says nothing about the person; False when it is decided already.

    A try of an earlier epoch is not counted any more, so nothing is taken off for it.
    """
    attempt = VerificationAttempt.objects.select_related("image").filter(pk=attempt_id).first()
    if attempt is None:
        return False
    registration = lock(attempt.registration_id)
    reserved = VerificationAttempt.objects.filter(
        only or Q(), pk=attempt_id, status=VerificationAttempt.Status.RESERVED
    )
    if not reserved.update(
        status=VerificationAttempt.Status.RETURNED, failure_code=why, engine=settings.FACE_ENGINE, decided_at=Now()
    ):
        return False
    Registration.objects.filter(pk=registration.pk, attempts_epoch=attempt.epoch).update(
        verification_attempts=Greatest(F("verification_attempts") - 1, 0)
    )
    undecided = Registration.objects.filter(pk=registration.pk, status__in=(Status.PENDING, Status.REJECTED))
    undecided.update(face_verification_status=face_status(registration.pk))
    discard(attempt)
    log.info("registrations.attempt_returned", registration=str(registration.pk), attempt=str(attempt_id), why=why)
    return True


def give_back_expired(*, registration_id: UUID | None = None, limit: int = 500) -> int:
    """
    Return the tries whose worker died or that no worker took in time, and return how many those were.

    Safe in any number of processes: each is returned by one guarded UPDATE.
    """
    dead = Q(expires_at__lte=Now())
    due = VerificationAttempt.objects.filter(dead, status=VerificationAttempt.Status.RESERVED)
    if registration_id is not None:
        due = due.filter(registration_id=registration_id)
    ids = list(due.order_by("expires_at").values_list("pk", flat=True)[:limit])
    return sum(give_back(attempt_id=attempt_id, why="check_interrupted", only=dead) for attempt_id in ids)


def face_status(registration_id: UUID) -> str:
    """Return what the attempts of the current epoch say: one under way, a miss, or nothing yet."""
    statuses = set(
        VerificationAttempt.objects.filter(
            registration_id=registration_id, epoch=F("registration__attempts_epoch")
        ).values_list("status", flat=True)
    )
    if VerificationAttempt.Status.RESERVED in statuses:
        return FaceStatus.PROCESSING
    return FaceStatus.FAILED if VerificationAttempt.Status.MISMATCH in statuses else FaceStatus.PENDING


def under_way(registration_id: UUID) -> bool:
    """Whether a comparison of this registration has not ended yet."""
    return VerificationAttempt.objects.filter(
        registration_id=registration_id, status=VerificationAttempt.Status.RESERVED
    ).exists()


def lock(registration_id: UUID) -> Registration:
    """Load and lock a registration with its event; the first lock of everything that follows."""
    locked = Registration.objects.select_for_update(no_key=True, of=("self",)).select_related("event")
    return locked.get(pk=registration_id)


def discard(attempt: VerificationAttempt) -> None:
    """Delete the picture of one attempt: nothing needs it any more."""
    if attempt.image_id is not None:
        faces.discard_image(image_id=attempt.image_id)


def discard_all(registration: Registration) -> None:
    """Delete the pictures of all decided attempts of a registration: the case is closed."""
    done = registration.attempts.exclude(status=VerificationAttempt.Status.RESERVED).exclude(image=None)
    for image_id in done.values_list("image_id", flat=True):
        faces.discard_image(image_id=image_id)
