"""An event that asks for liveness: only a fresh, unused check of this person for this registration opens the face check."""

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from events.models import Event
from events.refusals import LivenessNeedsFaceCheck
from events.services import update_event
from faceverify import drawings
from faceverify import services as faces
from faceverify.models import FaceImage, LivenessCheck
from faceverify.refusals import LivenessRequired
from registrations import services
from registrations.models import VerificationAttempt
from registrations.refusals import LivenessNotAsked
from tests.factories import UserFactory
from tests.races import errors, race, results
from tests.registrations.scenes import enrolled, face_category, registered, selfie, shot

pytestmark = pytest.mark.django_db
ME, STRANGER = 12, 9
LEFT_RIGHT = (0.0, 0.1, 0.25, 0.35, 0.2, 0.05, -0.1, -0.2, -0.3, -0.35)


@pytest.fixture(scope="module")
def turned_head():
    """The frames of a drawn person who turns left, then right."""
    return [
        drawings.as_jpeg(drawings.draw(ME, turn=turn, smile=True, side_light=0.35, shift=(14, 8), tilt=4.0))
        for turn in LEFT_RIGHT
    ]


def live_category(**details):
    return face_category(liveness=Event.Liveness.REQUIRED, **details)


def begun(person=None, **details):
    """A registration for an event that asks for liveness."""
    return registered(person or enrolled(drawn=ME), live_category(**details).event)


def pass_check(registration, frames):
    """Turn the head as asked and return the key of the picture that was taken from it."""
    check = services.start_liveness(registration=registration)
    LivenessCheck.objects.filter(pk=check.pk).update(turns="left,right")
    done = faces.finish_pose_challenge(user_id=registration.user_id, check_id=check.pk, frames=frames)
    assert (done.passed, done.reason) == (True, "")
    return str(done.image_id)


def passed(registration):
    """A check that was passed, without its frames: what the rules about using it look at."""
    image = faces.store_probe(user_id=registration.user_id, content=shot(ME, 3))
    return LivenessCheck.objects.create(
        user_id=registration.user_id,
        subject_id=registration.pk,
        method="pose_challenge",
        expires_at=Now() + timedelta(minutes=3),
        finished_at=Now(),
        passed=True,
        image=image,
    )


def attempts(registration):
    registration.refresh_from_db()
    return registration.verification_attempts, VerificationAttempt.objects.filter(registration=registration).count()


# -- The switch -------------------------------------------------------------------------------------------------------


def test_liveness_is_off_unless_the_event_asks_for_it():
    registration = registered(enrolled(drawn=ME), face_category().event)

    assert registration.event.liveness == "none"
    with pytest.raises(LivenessNotAsked):
        services.start_liveness(registration=registration)
    assert services.verify_face(registration=registration, image_key=selfie(registration.user, drawn=ME))


def test_liveness_is_a_part_of_a_face_check():
    event = face_category().event
    plain = face_category(requires_face_verification=False, face_necessity="").event

    update_event(event_id=event.pk, liveness="required")

    for changes in (
        {"event_id": event.pk, "requires_face_verification": False},
        {"event_id": plain.pk, "liveness": "required"},
    ):
        with pytest.raises(LivenessNeedsFaceCheck):
            update_event(**changes)
    with pytest.raises(IntegrityError, match="event_liveness_is_part_of_a_face_check"), transaction.atomic():
        Event.objects.filter(pk=plain.pk).update(liveness="required")
    with pytest.raises(IntegrityError, match="event_liveness_is_known"), transaction.atomic():
        Event.objects.filter(pk=event.pk).update(liveness="perhaps")


# -- The check --------------------------------------------------------------------------------------------------------


def test_one_picture_is_refused_before_a_try_is_counted():
    registration = begun()
    key = selfie(registration.user, drawn=ME)

    with pytest.raises(LivenessRequired) as refused:
        services.verify_face(registration=registration, image_key=key)

    assert refused.value.code == "liveness_required"
    assert attempts(registration) == (0, 0)
    assert FaceImage.objects.get(pk=key).consumed_at is None


def test_head_turned_as_asked_opens_the_check_once(turned_head):
    registration = begun()
    key = pass_check(registration, turned_head)

    attempt = services.verify_face(registration=registration, image_key=key)
    services.run_check(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    registration.refresh_from_db()
    assert (attempt.status, registration.status) == ("passed", "verified")
    assert LivenessCheck.objects.get().used_at is not None


def test_liveness_of_one_face_does_not_carry_the_picture_of_another(turned_head):
    """Somebody else turns their head: it is that head that is compared, and it does not match."""
    registration = begun(enrolled(drawn=STRANGER))
    key = pass_check(registration, turned_head)
    photo_of_the_owner = selfie(registration.user, drawn=STRANGER)

    with pytest.raises(LivenessRequired):
        services.verify_face(registration=registration, image_key=photo_of_the_owner)
    attempt = services.verify_face(registration=registration, image_key=key)
    services.run_check(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    assert attempt.status == "mismatch"


def test_check_serves_only_what_it_was_begun_for():
    registration = begun()
    elsewhere = registered(registration.user, live_category().event)
    check = passed(elsewhere)

    with pytest.raises(LivenessRequired):
        services.verify_face(registration=registration, image_key=str(check.image_id))

    assert services.verify_face(registration=elsewhere, image_key=str(check.image_id))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"finished_at": Now() - timedelta(seconds=181)},
        {"passed": False},
        {"used_at": Now()},
        {"user_id": "other"},
    ],
    ids=["stale", "failed", "used", "not mine"],
)
def test_check_must_be_passed_fresh_unused_and_mine(spoilt):
    registration = begun()
    check = passed(registration)
    spoilt = {name: UserFactory().pk if value == "other" else value for name, value in spoilt.items()}
    LivenessCheck.objects.filter(pk=check.pk).update(**spoilt)

    with pytest.raises(LivenessRequired):
        services.verify_face(registration=registration, image_key=str(check.image_id))

    assert attempts(registration) == (0, 0)


def test_refused_try_gives_the_check_back():
    """What refuses after the check was taken rolls that back too: no consent, no try, and the check is still good."""
    registration = begun()
    check = passed(registration)
    faces.forget_reference(user_id=registration.user_id, why="test")

    with pytest.raises(Exception, match="profile photo"):
        services.verify_face(registration=registration, image_key=str(check.image_id))

    assert LivenessCheck.objects.get().used_at is None


def test_database_keeps_a_check_from_being_used_unpassed_and_a_picture_from_two_checks():
    registration = begun()
    check = passed(registration)

    with pytest.raises(IntegrityError, match="used_liveness_check_was_passed"), transaction.atomic():
        LivenessCheck.objects.filter(pk=check.pk).update(passed=False, used_at=Now())
    check.pk = None
    with pytest.raises(IntegrityError, match="face_image_is_of_one_liveness_check"), transaction.atomic():
        check.save(force_insert=True)


def take_naively(registration, check):
    """The same without the guard: look, then write."""
    with transaction.atomic():
        if not LivenessCheck.objects.filter(pk=check.pk, passed=True, used_at=None).exists():
            raise LivenessRequired
        LivenessCheck.objects.filter(pk=check.pk).update(used_at=Now())


def take(registration, check):
    faces.use_liveness(user_id=registration.user_id, subject_id=registration.pk, image_key=str(check.image_id))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("how", "winners"), [(take, 1), (take_naively, 5)], ids=["guarded", "naive"])
def test_of_five_who_take_one_check_one_gets_it(how, winners):
    registration = begun()
    check = passed(registration)

    outcomes = race([lambda: how(registration, check)] * 5, gate="faceverify_livenesscheck")

    assert sum(outcome.error is None for outcome in outcomes) == winners
    assert {type(error) for error in errors(outcomes)} <= {LivenessRequired}


@pytest.mark.django_db(transaction=True)
def test_five_checks_with_one_picture_are_one_try():
    registration = begun()
    check = passed(registration)

    outcomes = race(
        [lambda: services.verify_face(registration=registration, image_key=str(check.image_id))] * 5,
        gate="registrations_registration",
    )

    assert len(results(outcomes)) == 1
    assert attempts(registration) == (1, 1)


# -- Over HTTP --------------------------------------------------------------------------------------------------------


def send_frames(api, check_id, frames):
    files = [SimpleUploadedFile("f.jpg", frame, "image/jpeg") for frame in frames]
    body = encode_multipart(BOUNDARY, {"frames": files})
    return api.send("POST", f"/api/v1/face-checks/{check_id}", body, Content_Type=MULTIPART_CONTENT)


@pytest.mark.django_db(transaction=True)
def test_client_is_led_from_the_refusal_to_the_ticket(api, worker_at_hand, turned_head):
    person = enrolled(drawn=ME)
    category = live_category()
    me = api.as_user(person)
    event = me.get(f"/api/v1/events/{category.event_id}").body["data"]
    assert (event["requiresFaceVerification"], event["liveness"]) == (True, "required")
    mine = me.post("/api/v1/registrations", {"eventId": str(category.event_id)}).body["data"]["registration"]["id"]
    base = f"/api/v1/registrations/{mine}"

    refused = me.post(f"{base}/verify-face", {"faceImageKey": selfie(person, drawn=ME)})
    assert (refused.status, refused.body["code"]) == (400, "liveness_required")
    assert "/face-checks" in refused.body["message"]

    status, body = me.post(f"{base}/face-checks")
    assert (status, body["data"]["method"], body["data"]["providerSessionId"]) == (201, "pose_challenge", "")
    LivenessCheck.objects.filter(pk=body["data"]["checkId"]).update(turns="left,right")
    result = send_frames(me, body["data"]["checkId"], turned_head).body["data"]
    assert (result["passed"], result["reason"]) == (True, "")

    status, body = me.post(f"{base}/verify-face", {"faceImageKey": result["faceImageKey"]})
    assert (status, body["data"]["action"]) == (200, "TICKET_ISSUED")
    again = me.post(f"{base}/face-checks")
    assert (again.status, again.body["code"]) == (400, "ticket_already_issued")


def test_check_of_another_persons_registration_is_not_there(api):
    registration = begun()
    stranger = api.as_user(enrolled(drawn=STRANGER))

    assert stranger.post(f"/api/v1/registrations/{registration.pk}/face-checks").status == 404


def test_event_that_does_not_ask_says_so(api):
    registration = registered(enrolled(drawn=ME), face_category().event)

    answer = api.as_user(registration.user).post(f"/api/v1/registrations/{registration.pk}/face-checks")

    assert (answer.status, answer.body["code"]) == (409, "liveness_off")
