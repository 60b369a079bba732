"""Faces at the door: compared in a worker with the holder's verified one, kept nowhere, and never the only way in."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import StaffAction
from bookings.models import Ticket
from common.invariants import INVARIANTS
from faceverify.models import FaceImage
from faceverify.services import withdraw_consent
from gate import services
from gate.lists import build_list
from gate.models import FaceCheck, Scan
from gate.queries import open_reviews, refused_tickets
from gate.refusals import FaceTriesUsedUp, NoCheckNeeded, NoFaceToCompare, NothingToReview, ReasonNeeded
from tests.factories import TicketCategoryFactory
from tests.races import race
from tests.registrations.scenes import OTHER, SELF, check, enrolled, face_event, registered, shot

pytestmark = pytest.mark.django_db


@pytest.fixture
def premiere(organiser):
    """An event whose tickets are personal, and whose door compares faces."""
    now = timezone.now()
    event = face_event(
        starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=5), created_by=organiser, name="Premiere"
    )
    TicketCategoryFactory(event=event, price_minor=0, capacity=10)
    services.change_entrance(event_id=event.pk, staff_id=organiser.pk, checks_faces=True, reason="Resale last year")
    return event


@pytest.fixture
def ticket(premiere):
    """The ticket of somebody who was verified by face."""
    person = enrolled()
    check(registered(person, premiere), drawn=SELF)
    return Ticket.objects.get(holder=person, event=premiere)


def scan(event, staff, ticket, *, gate="North"):
    return services.scan_ticket(event_id=event.pk, staff_id=staff.pk, gate=gate, code=ticket.code)


def compare(event, staff, asking, *, drawn=SELF, variant=5):
    made = services.check_face(
        event_id=event.pk, scan_id=asking.pk, staff_id=staff.pk, gate="North", photo=shot(drawn, variant)
    )
    services.run_check(check_id=made.pk)
    made.refresh_from_db()
    return made


def assert_nothing_is_kept():
    assert not FaceImage.objects.filter(deleted_at=None, pk__in=FaceCheck.objects.values("image_id")).exists()
    assert [line for name in INVARIANTS if name.startswith("gate.") for line in INVARIANTS[name]()] == []


def test_door_asks_for_the_face_and_lets_its_holder_in(premiere, guard, ticket):
    asking = scan(premiere, guard, ticket)
    assert (asking.result, asking.reason) == ("rejected", "face_needed")

    made = compare(premiere, guard, asking)

    ticket.refresh_from_db()
    assert (made.status, made.scan.result, made.scan.method, ticket.status) == ("passed", "accepted", "face", "used")
    assert_nothing_is_kept()


def test_another_face_stays_outside_and_an_id_is_asked_for(premiere, guard, ticket):
    made = compare(premiere, guard, scan(premiere, guard, ticket), drawn=OTHER, variant=2)

    ticket.refresh_from_db()
    assert (made.status, made.scan.reason, ticket.status) == ("mismatch", "face_mismatch", "active")
    assert_nothing_is_kept()


def test_id_is_always_the_other_way_and_is_written_down(premiere, guard, ticket):
    asking = scan(premiere, guard, ticket)
    given = {"event_id": premiere.pk, "scan_id": asking.pk, "staff_id": guard.pk, "gate": "North"}
    with pytest.raises(ReasonNeeded):
        services.accept_by_identity(**given, note=" ")

    made = services.accept_by_identity(**given, note="Passport, name matches")

    assert (made.result, made.method, made.note) == ("accepted", "id", "Passport, name matches")
    assert StaffAction.objects.get(action="gate.id_checked").reason == "Passport, name matches"


def test_tries_are_limited_and_then_an_id_is_asked_for(premiere, guard, ticket, settings):
    settings.GATE_FACE_TRIES = 2
    asking = scan(premiere, guard, ticket)
    for variant in (2, 3):
        compare(premiere, guard, asking, drawn=OTHER, variant=variant)

    with pytest.raises(FaceTriesUsedUp):
        compare(premiere, guard, asking, drawn=OTHER, variant=4)
    assert scan(premiere, guard, ticket, gate="South").reason == "id_needed"
    assert FaceCheck.objects.count() == 2
    assert not FaceImage.objects.filter(deleted_at=None).exclude(consumed_at=None).exists()


# -- What a supervisor decides ----------------------------------------------------------------------------------------


def review(event, asking, boss, let_in, reason="Looked at the passport and the bank card", **given):
    return services.review_scan(
        event_id=event.pk, scan_id=asking.pk, staff_id=boss.pk, gate="North", let_in=let_in, reason=reason, **given
    )


def test_failed_face_waits_for_a_supervisor_who_lets_in(premiere, guard, boss, ticket):
    missed = compare(premiere, guard, scan(premiere, guard, ticket), drawn=OTHER, variant=2).scan
    assert [one.pk for one in open_reviews(event=premiere)] == [missed.pk]
    with pytest.raises(ReasonNeeded):
        review(premiere, missed, boss, True, " ")

    made = review(premiere, missed, boss, True)

    assert (made.result, made.method, made.note) == ("accepted", "review", "Looked at the passport and the bank card")
    assert StaffAction.objects.get(action="gate.let_in").reason == made.note
    assert not open_reviews(event=premiere).exists()
    with pytest.raises(NothingToReview):
        review(premiere, missed, boss, False)
    assert_nothing_is_kept()


def test_refusal_is_kept_and_holds_against_an_id_until_a_supervisor_lets_in(premiere, guard, boss, ticket):
    missed = compare(premiere, guard, scan(premiere, guard, ticket), drawn=OTHER, variant=2).scan

    refused = review(premiere, missed, boss, False, "Another person’s ticket")

    assert (refused.result, refused.reason, refused.note) == ("rejected", "refused", "Another person’s ticket")
    assert StaffAction.objects.get(action="gate.refused").reason == "Another person’s ticket"
    with_id = services.accept_by_identity(
        event_id=premiere.pk, scan_id=missed.pk, staff_id=guard.pk, gate="South", note="Passport"
    )
    assert [with_id.reason, scan(premiere, guard, ticket, gate="South").reason] == ["refused", "refused"]
    assert refused_tickets(premiere) == {ticket.pk}
    assert '"x"' in build_list(event=premiere, now=timezone.now())["list"]
    assert not open_reviews(event=premiere).exists()
    made = review(premiere, refused, boss, True, "Cleared up with the box office")
    assert made.result == "accepted"
    assert refused_tickets(premiere) == set()
    assert list(Scan.objects.order_by("at").values_list("reason", flat=True)) == [
        "face_needed",
        "face_mismatch",
        "refused",
        "refused",
        "refused",
        "",
    ]


def test_scan_that_asked_for_nothing_is_not_reviewed(premiere, organiser, guard, boss, ticket):
    services.change_entrance(event_id=premiere.pk, staff_id=organiser.pk, checks_faces=False, reason="Quiet night")
    green = scan(premiere, guard, ticket)

    with pytest.raises(NothingToReview):
        review(premiere, green, boss, False)


def test_review_sent_again_counts_once(premiere, guard, boss, ticket):
    asking, name = scan(premiere, guard, ticket), uuid4()

    first, again = (review(premiere, asking, boss, True, client_id=name) for _ in range(2))

    assert (first.pk, StaffAction.objects.filter(action="gate.let_in").count()) == (again.pk, 1)


def test_face_service_that_is_away_leaves_the_decision_to_a_supervisor(premiere, guard, boss, ticket):
    asking = scan(premiere, guard, ticket)
    made = services.check_face(
        event_id=premiere.pk, scan_id=asking.pk, staff_id=guard.pk, gate="North", photo=shot(SELF, 5)
    )
    FaceCheck.objects.filter(pk=made.pk).update(expires_at=timezone.now() - timedelta(seconds=1))  # no worker came
    services.give_back_expired()

    assert [one.pk for one in open_reviews(event=premiere)] == [asking.pk]
    assert review(premiere, asking, boss, True, "Face service away, passport seen").result == "accepted"
    assert_nothing_is_kept()


@pytest.mark.django_db(transaction=True)
def test_two_supervisors_at_once_one_word_stands(premiere, guard, boss, ticket):
    missed = compare(premiere, guard, scan(premiere, guard, ticket), drawn=OTHER, variant=2).scan

    outcomes = race([lambda: review(premiere, missed, boss, True) for _ in range(2)], gate="bookings_booking")

    assert sorted(type(one.error).__name__ for one in outcomes) == ["NoneType", "NothingToReview"]
    assert Scan.objects.filter(result="accepted").count() == 1


def test_reviews_through_the_api_are_the_supervisors(premiere, guard, boss, ticket, api):
    missed = compare(premiere, guard, scan(premiere, guard, ticket), drawn=OTHER, variant=2).scan
    here = f"/api/v1/gate/{premiere.pk}"
    decision = {"gate": "North", "decision": "refuse", "reason": "Another person’s ticket"}

    assert api.as_user(guard).get(f"{here}/reviews").status == 403
    assert api.as_user(guard).post(f"{here}/scans/{missed.pk}/review", decision).status == 403
    (waiting,) = api.as_user(boss).get(f"{here}/reviews").body["data"]
    assert (waiting["id"], waiting["next"]) == (str(missed.pk), ["face", "identity", "review"])
    made = api.as_user(boss).post(f"{here}/scans/{missed.pk}/review", decision)
    assert (made.status, made.body["data"]["reason"], made.body["data"]["next"]) == (201, "refused", ["review"])
    assert made.body["data"]["note"] == "Another person’s ticket"
    assert api.as_user(boss).get(f"{here}/reviews").body["data"] == []


def test_withdrawn_consent_leaves_the_id(premiere, guard, ticket):
    asking = scan(premiere, guard, ticket)
    withdraw_consent(user_id=ticket.holder_id)

    with pytest.raises(NoFaceToCompare):
        compare(premiere, guard, asking)
    assert scan(premiere, guard, ticket, gate="South").reason == "id_needed"


def test_worker_that_died_gives_the_try_back(premiere, guard, ticket):
    made = services.check_face(
        event_id=premiere.pk,
        scan_id=scan(premiere, guard, ticket).pk,
        staff_id=guard.pk,
        gate="North",
        photo=shot(SELF, 5),
    )
    FaceCheck.objects.filter(pk=made.pk).update(expires_at=timezone.now() - timedelta(seconds=1))

    assert services.give_back_expired() == 1

    made.refresh_from_db()
    assert (made.status, made.failure_code) == ("returned", "check_interrupted")
    assert_nothing_is_kept()


def test_door_without_the_switch_asks_for_no_face(premiere, organiser, guard, ticket):
    services.change_entrance(event_id=premiere.pk, staff_id=organiser.pk, checks_faces=False, reason="Quiet night")

    green = scan(premiere, guard, ticket)

    assert green.result == "accepted"
    with pytest.raises(NoCheckNeeded):
        compare(premiere, guard, green)
    assert Scan.objects.count() == 1


def test_unassigned_ticket_opens_no_door(premiere, guard, ticket):
    Ticket.objects.filter(pk=ticket.pk).update(status="unassigned", holder=None, code="NOBODYS")
    ticket.refresh_from_db()

    assert scan(premiere, guard, ticket).reason == "unassigned"


def test_list_asks_for_an_id_without_network(premiere, guard, ticket, api):
    found = api.as_user(guard).get(f"/api/v1/gate/{premiere.pk}/list?gate=North").body["data"]

    assert '"f"' in found["list"]


def test_face_through_the_api(premiere, guard, ticket, api, settings):
    from django.core.files.uploadedfile import SimpleUploadedFile
    from django.test import Client

    settings.FACE_WAIT_SECONDS = 0
    asking = (
        api.as_user(guard).post(f"/api/v1/gate/{premiere.pk}/scans", {"gate": "N", "code": ticket.code}).body["data"]
    )
    assert asking["next"] == ["face", "identity", "review"]
    photo = SimpleUploadedFile("face.jpg", shot(SELF, 5), content_type="image/jpeg")
    token = api.as_user(guard).token

    answer = Client().post(
        f"/api/v1/gate/{premiere.pk}/scans/{asking['id']}/face",
        {"gate": "N", "photo": photo},
        headers={"Authorization": f"Bearer {token}"},
    )

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "reserved")
    made = FaceCheck.objects.get()
    services.run_check(check_id=made.pk)
    decided = api.as_user(guard).get(f"/api/v1/gate/{premiere.pk}/face-checks/{made.pk}")
    assert (decided.status, decided.body["data"]["scan"]["result"]) == (200, "accepted")
    assert "similarity" not in str(decided.body)
