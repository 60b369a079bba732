"""Batches: what staff want done to many registrations, worked off one by one, each in a transaction of its own."""

import math
from collections.abc import Sequence
from functools import partial
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.models import User
from accounts.services import record_staff_action
from common.errors import FairseatError
from faceverify import services as faces
from faceverify.refusals import ImageNotFound, ProfilePhotoMissing
from registrations.models import BatchItem, BatchRun, Registration, ReviewDecision, VerificationAttempt
from registrations.refusals import NothingSelected, NothingToReview
from registrations.services import checks, staff

log = structlog.get_logger(__name__)

CLAIM_SECONDS = 60  # an item whose worker died is taken up again after this
AT_A_TIME = 20
Outcome = BatchItem.Outcome


@transaction.atomic
def start_batch(*, actor: staff.Staff, action: str, registration_ids: Sequence[UUID], reason: str) -> BatchRun:
    """
    Queue an action for many registrations.

    :raises ReasonRequired: if there is no reason
    :raises NothingSelected: if no registration is named
    """
    reason = staff.needed(reason)
    known = (
        Registration.objects.filter(pk__in=registration_ids).order_by("created_at", "pk").values_list("pk", flat=True)
    )
    if not known:
        raise NothingSelected
    batch = BatchRun.objects.create(action=action, reason=reason, staff_id=actor.pk)
    BatchItem.objects.bulk_create(BatchItem(batch=batch, registration_id=pk) for pk in known)
    record_staff_action(
        actor_id=actor.pk,
        action=f"batch_{action}",
        object_type="batch",
        object_id=batch.pk,
        after={"registrations": len(known)},
        reason=reason,
    )
    transaction.on_commit(partial(nudge, batch.pk), robust=True)
    return batch


def nudge(batch_id: UUID) -> None:
    """Ask a worker to go on now; if the broker is away the sweep does it."""
    from registrations.tasks import work_batch

    work_batch.delay(batch_id=str(batch_id))


def work_batch(*, batch_id: UUID, limit: int = AT_A_TIME) -> int:
    """
    Work off up to `limit` registrations of a batch and return how many that were; when none is left, the batch is finished.

    Safe in any number of processes: an item is claimed in one statement with SKIP LOCKED, and what is done to it works once.
    """
    batch = BatchRun.objects.select_related("staff").get(pk=batch_id)
    done = 0
    while done < limit and (item_id := claim(batch_id)):
        work_item(batch, BatchItem.objects.get(pk=item_id))
        done += 1
    unfinished = BatchRun.objects.filter(pk=batch_id, finished_at=None)
    if not BatchItem.objects.filter(batch_id=batch_id, outcome=Outcome.WAITING).exists():
        unfinished.update(finished_at=Now())
    return done


def work_due(*, limit: int = AT_A_TIME) -> int:
    """Go on with the batches that no nudge reached, and return how many registrations were worked off."""
    open_batches = BatchRun.objects.filter(finished_at=None).order_by("created_at").values_list("pk", flat=True)
    return sum(work_batch(batch_id=batch_id, limit=limit) for batch_id in open_batches)


def claim(batch_id: UUID) -> int | None:
    """Claim the next item of a batch for CLAIM_SECONDS and return its id; None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE registrations_batchitem SET claimed_at = statement_timestamp() WHERE id = (
                SELECT id FROM registrations_batchitem
                WHERE batch_id = %s AND outcome = 'waiting'
                    AND (claimed_at IS NULL OR claimed_at < statement_timestamp() - make_interval(secs => %s))
                ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
            ) RETURNING id
            """,
            [batch_id, CLAIM_SECONDS],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def work_item(batch: BatchRun, item: BatchItem) -> None:
    """Do the batch's action to one registration and note what came of it."""
    try:
        if batch.action == BatchRun.Action.RECHECK:
            outcome, detail = recheck(actor=batch.staff, registration_id=item.registration_id, reason=batch.reason)
        else:
            staff.review_failure(
                actor=batch.staff, registration_id=item.registration_id, action=batch.action, reason=batch.reason
            )
            outcome, detail = Outcome.DONE, ""
    except NothingToReview:
        outcome, detail = Outcome.UNCHANGED, "verified already"
    except FairseatError as refusal:
        outcome, detail = Outcome.FAILED, refusal.text
    BatchItem.objects.filter(pk=item.pk, outcome=Outcome.WAITING).update(
        outcome=outcome, detail=detail[:200], done_at=Now()
    )


def recheck(*, actor: User, registration_id: UUID, reason: str) -> tuple[str, str]:
    """
    Compare the picture of a person's last miss again, with the engine, the thresholds and the profile photo of now.

    It counts as no try of theirs. The picture is there while the review is open.

    :raises NothingToReview: if the person is verified already
    :raises ImageNotFound, ProfilePhotoMissing: if one of the two pictures is gone
    """
    registration = Registration.objects.select_related("event").get(pk=registration_id)
    if registration.status == Registration.Status.VERIFIED:
        raise NothingToReview
    misses = registration.attempts.filter(status=VerificationAttempt.Status.MISMATCH, image__deleted_at=None)
    attempt = misses.exclude(image=None).select_related("image").order_by("-decided_at").first()
    if attempt is None or attempt.image is None:
        raise ImageNotFound("No picture of this person is kept any more.")
    reference = faces.current_reference(user_id=registration.user_id)
    if reference is None:
        raise ProfilePhotoMissing("This person has no profile photo any more.")
    found = faces.compare(reference=reference, image=attempt.image)
    needed = max(found.threshold, registration.event.similarity_threshold)
    if not found.passes(needed):
        return Outcome.UNCHANGED, f"similarity {math.floor(found.similarity)}, needed {math.ceil(needed)}"
    with transaction.atomic():
        locked = checks.lock(registration_id)
        if locked.status == Registration.Status.VERIFIED:
            raise NothingToReview
        before = staff.facts(locked)
        attempt.reference = reference
        checks.pass_check(locked, attempt)
        Registration.objects.filter(pk=registration_id).update(closed_by_staff=False)
        staff.decide(actor, locked, ReviewDecision.Action.RECHECK, reason, before)
    return Outcome.DONE, f"similarity {math.floor(found.similarity)}"
