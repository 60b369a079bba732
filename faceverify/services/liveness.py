"""Is a person before the camera? Rekognition's liveness sessions, or the head turns that the local engine can ask for."""

from datetime import timedelta
from itertools import combinations
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db.models.functions import Now
from django.utils import timezone

from faceverify import pose_challenge
from faceverify.engines import engine
from faceverify.engines.local import LocalEngine
from faceverify.intake import normalise
from faceverify.models import FaceImage, LivenessCheck
from faceverify.refusals import (
    EngineMisconfigured,
    ImageNotFound,
    LivenessLocked,
    LivenessNotFound,
    LivenessPending,
    LivenessRequired,
)
from faceverify.services.consent import require_consent
from faceverify.services.probes import keep_probe
from faceverify.services.references import default_threshold

log = structlog.get_logger(__name__)

FAILURES = 5
LOCK = timedelta(minutes=30)


def start_liveness(*, user_id: UUID, subject_id: UUID | None = None) -> LivenessCheck:
    """
    Begin a check in the way of the engine in use and return it: `turns` to show, or the provider's session in `provider_id`.

    `subject_id` is what it is for; passed, it serves nothing else.

    :raises ConsentRequired: if the person has not agreed
    :raises LivenessLocked: after five failures within half an hour
    :raises EngineTrouble: if the provider does not answer
    """
    require_consent(user_id)
    failed = LivenessCheck.objects.filter(user_id=user_id, passed=False, created_at__gt=Now() - LOCK)
    if failed.count() >= FAILURES:
        raise LivenessLocked(retry_after=int(LOCK.total_seconds()))
    key = uuid4()
    check = LivenessCheck(
        pk=key,
        user_id=user_id,
        subject_id=subject_id,
        method=engine().liveness,
        expires_at=timezone.now() + timedelta(seconds=settings.FACE_LIVENESS_SECONDS),
    )
    if check.method == LivenessCheck.Method.REKOGNITION:
        check.provider_id = engine().start_liveness(str(key))
    else:
        check.turns = ",".join(pose_challenge.choose_turns())
    check.save(force_insert=True)
    return check


def finish_pose_challenge(*, user_id: UUID, check_id: UUID, frames: list[bytes]) -> LivenessCheck:
    """
    Judge the frames of a head-turn check, once. When it is passed, the most frontal frame is the picture to be checked
    (`image`); the others are not kept.

    :raises LivenessNotFound: if it is not this person's, is over, or was answered already
    :raises ImageInvalid, ImageTooLarge: if a frame can not be read
    :raises EngineTrouble: if the engine gives no usable answer
    """
    check = take(user_id=user_id, check_id=check_id, method=LivenessCheck.Method.POSE_CHALLENGE)
    in_use = engine()
    if not isinstance(in_use, LocalEngine):
        raise EngineMisconfigured
    reason, best = "frame_count", None
    if pose_challenge.FEWEST <= len(frames) <= pose_challenge.MOST:
        pictures = [normalise(frame, max_side=in_use.max_side) for frame in frames]
        seen = [in_use.frame(picture) for picture in pictures]
        reason = pose_challenge.judge(seen, check.turns.split(","))
        pairs = combinations([frame.vector for frame in seen], 2)
        if not reason and any(in_use.similarity_of(*pair) < default_threshold() for pair in pairs):
            reason = "another_face"
        best = pictures[min(range(len(seen)), key=lambda index: abs(seen[index].turn))]
    return record(check, reason=reason, image=keep_probe(user_id=user_id, image=best) if best and not reason else None)


def finish_liveness(*, user_id: UUID, check_id: UUID) -> LivenessCheck:
    """
    Fetch from the provider how a liveness session ended. When it is passed, the picture the provider took itself is the
    picture to be checked (`image`): the client then never chooses it.

    :raises LivenessNotFound: if it is not this person's, is over, or was fetched already
    :raises LivenessPending: if the person is not through yet
    :raises EngineTrouble: if the provider does not answer
    """
    open_checks = LivenessCheck.objects.filter(
        pk=check_id, user_id=user_id, method=LivenessCheck.Method.REKOGNITION, finished_at=None, expires_at__gt=Now()
    )
    check = open_checks.first()
    if check is None:
        raise LivenessNotFound
    outcome = engine().liveness_result(check.provider_id, threshold=settings.FACE_LIVENESS_THRESHOLD)
    if not outcome.finished:
        raise LivenessPending
    check = take(user_id=user_id, check_id=check_id, method=LivenessCheck.Method.REKOGNITION)
    if not outcome.passed:
        return record(check, reason=outcome.reason, image=None)
    picture = normalise(outcome.image, max_side=engine().max_side)
    return record(check, reason="", image=keep_probe(user_id=user_id, image=picture))


def use_liveness(*, user_id: UUID, subject_id: UUID, image_key: str) -> None:
    """
    Take a passed check to what it was begun for: of any number who try, one does, and only while it is fresh.

    The picture is the check's own (a frame of the head turn, or what the provider took), so nobody can show one face and have
    another compared.

    :raises LivenessRequired: if this picture is not of such a check
    """
    try:
        key = UUID(str(image_key))
    except ValueError:
        raise ImageNotFound from None
    fresh = Now() - timedelta(seconds=settings.FACE_LIVENESS_SECONDS)
    passed = LivenessCheck.objects.filter(image_id=key, user_id=user_id, subject_id=subject_id, passed=True)
    if not passed.filter(used_at=None, finished_at__gt=fresh).update(used_at=Now()):
        raise LivenessRequired


def take(*, user_id: UUID, check_id: UUID, method: str) -> LivenessCheck:
    """
    Answer a check: of any number who try, one does. Until it is recorded it counts as failed.

    :raises LivenessNotFound: if it is not this person's, is over, or was answered already
    """
    mine = LivenessCheck.objects.filter(pk=check_id, user_id=user_id, method=method)
    if not mine.filter(finished_at=None, expires_at__gt=Now()).update(
        finished_at=Now(), passed=False, reason="interrupted"
    ):
        raise LivenessNotFound
    return mine.get()


def record(check: LivenessCheck, *, reason: str, image: FaceImage | None) -> LivenessCheck:
    """Write down how a check ended."""
    check.passed, check.reason, check.image = not reason, reason, image
    check.save(update_fields=["passed", "reason", "image"])
    log.info("faces.liveness", user=str(check.user_id), method=check.method, passed=check.passed, reason=reason)
    return check
