"""Batches: many registrations, one after the other, each with its own outcome; killed half-way they go on."""

import pytest
from django.db import IntegrityError, transaction

from bookings.services.staff import ReasonRequired
from common import jobs
from faceverify import drawings
from faceverify import services as faces
from registrations import refusals, services
from registrations.models import BatchItem, BatchRun
from tests.factories import StaffFactory, UserFactory
from tests.races import errors, race
from tests.registrations.scenes import OTHER, check, enrolled, face_category, registered

pytestmark = pytest.mark.django_db


def start(action, *registrations, **wish):
    return services.start_batch(
        actor=StaffFactory(),
        action=action,
        registration_ids=[registration.pk for registration in registrations],
        **{"reason": "A new lamp at the door", **wish},
    )


def outcomes(batch):
    return list(batch.items.order_by("id").values_list("outcome", flat=True))


def test_approvals_are_worked_off_one_by_one_with_what_came_of_each():
    category = face_category()
    cases = [registered(UserFactory(), category.event) for _ in range(3)]
    services.review_failure(actor=StaffFactory(), registration_id=cases[1].pk, action="approve", reason="Earlier")
    batch = start("approve", *cases)
    assert outcomes(batch) == ["waiting"] * 3

    assert services.work_batch(batch_id=batch.pk) == 3

    batch.refresh_from_db()
    assert outcomes(batch) == ["done", "unchanged", "done"]
    assert batch.finished_at is not None
    for case in cases:
        case.refresh_from_db()
        assert case.status == "verified"


def test_recheck_passes_who_matches_by_now_and_uses_no_try():
    category = face_category()
    wrong_photo, impostor = registered(enrolled(drawn=OTHER), category.event), registered(enrolled(), category.event)
    check(wrong_photo, drawn=5)
    check(impostor, drawn=OTHER)
    nothing_kept = registered(UserFactory(), category.event)
    faces.enrol(user_id=wrong_photo.user_id, photos=[drawings.photo(5)], by_staff=True)
    batch = start("recheck", wrong_photo, impostor, nothing_kept)

    services.work_batch(batch_id=batch.pk)

    assert outcomes(batch) == ["done", "unchanged", "failed"]
    for case, status in ((wrong_photo, "verified"), (impostor, "rejected"), (nothing_kept, "pending")):
        case.refresh_from_db()
        assert case.status == status
    assert (wrong_photo.passed_by, wrong_photo.verification_attempts) == ("face", 1)
    assert wrong_photo.decisions.get().action == "recheck"
    assert "similarity" in batch.items.get(registration=impostor).detail


def test_batch_that_was_left_lying_is_finished_by_the_sweep():
    case = registered(UserFactory(), face_category().event)
    batch = start("request_retry", case)

    assert jobs.run("registrations.work_batches") == 1
    assert jobs.run("registrations.work_batches") == 0

    batch.refresh_from_db()
    assert batch.finished_at is not None


def test_batch_needs_a_reason_and_somebody_to_be_about():
    case = registered(UserFactory(), face_category().event)

    with pytest.raises(ReasonRequired):
        start("approve", case, reason=" ")
    with pytest.raises(refusals.NothingSelected):
        start("approve")


@pytest.mark.django_db(transaction=True)
def test_two_workers_do_each_registration_once():
    category = face_category()
    batch = start("approve", *[registered(UserFactory(), category.event) for _ in range(6)])

    raced = race([lambda: services.work_batch(batch_id=batch.pk) for _ in range(2)])

    assert errors(raced) == []
    assert outcomes(batch) == ["done"] * 6
    assert sum(outcome.result for outcome in raced) == 6


@pytest.mark.parametrize(
    ("make", "constraint"),
    [
        (lambda batch, case: BatchRun.objects.create(action="approve", staff=batch.staff), "batch_has_a_reason"),
        (
            lambda batch, case: BatchItem.objects.create(batch=batch, registration=case),
            "registration_is_once_in_a_batch",
        ),
        (lambda batch, case: batch.items.update(outcome="done"), "done_batch_item_has_its_time"),
    ],
    ids=["reason", "once", "time"],
)
def test_constraints_of_batches_hold(make, constraint):
    case = registered(UserFactory(), face_category().event)
    batch = start("approve", case)

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make(batch, case)
