"""Faces over the API, as a client that knows only the contract."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from faceverify import drawings
from faceverify.models import FaceImage, FaceReference, LivenessCheck
from faceverify.policy import current_policy
from faceverify.services import start_liveness
from tests.faceverify.people import ANA, BEN, agree, enrolled, photo

pytestmark = pytest.mark.django_db
PHOTO, IMAGES, CHECKS = "/api/v1/auth/profile/photo", "/api/v1/face-images", "/api/v1/face-checks"


def file(content, name="me.jpg"):
    return SimpleUploadedFile(name, content, "image/jpeg")


def send(api, method, path, **fields):
    return api.send(method, path, encode_multipart(BOUNDARY, fields), Content_Type=MULTIPART_CONTENT)


def consent():
    return {"consent": "true", "textVersion": current_policy().version}


def test_text_is_there_before_anything_is_asked(api, ana):
    status, body = api.as_user(ana).get(PHOTO)

    assert status == 200
    assert body["data"] == {
        "enrolled": False,
        "photos": 0,
        "enrolledAt": None,
        "deleteAfter": None,
        "consent": None,
        "policy": {"textVersion": current_policy().version, "language": "en", "text": current_policy().text},
    }


def test_enrolment_with_two_photos(api, ana):
    status, body = send(api.as_user(ana), "PUT", PHOTO, photo=[file(photo(ANA)), file(photo(ANA, 1))], **consent())

    assert (status, body["message"]) == (200, "Your profile photo is set.")
    assert (body["data"]["enrolled"], body["data"]["photos"]) == (True, 2)
    assert body["data"]["consent"]["textVersion"] == current_policy().version
    assert FaceReference.objects.get().user == ana


def test_enrolment_needs_consent(api, ana):
    me = api.as_user(ana)

    status, body = send(me, "PUT", PHOTO, photo=file(photo(ANA)))
    assert (status, body["code"]) == (403, "consent_required")
    status, body = send(me, "PUT", PHOTO, photo=file(photo(ANA)), consent="false", textVersion=current_policy().version)
    assert (status, body["code"]) == (403, "consent_required")
    status, body = send(me, "PUT", PHOTO, photo=file(photo(ANA)), consent="true", textVersion="2020-01")
    assert (status, body["code"], body["textVersion"]) == (409, "consent_outdated", current_policy().version)
    assert FaceReference.objects.count() == 0


REFUSED = {
    "nobody": (drawings.nobody(), 400, "face_none", "No face detected in the image"),
    "two people": (drawings.two_people(2, BEN), 400, "face_many", "Multiple faces detected"),
    "no picture": (b"GIF89a", 400, "image_invalid", None),
}


@pytest.mark.parametrize(("content", "status", "code", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_photos_are_refused_in_words(api, ana, content, status, code, message):
    answer = send(api.as_user(ana), "PUT", PHOTO, photo=file(content), **consent())

    assert (answer.status, answer.body["code"]) == (status, code)
    assert message is None or answer.body["message"] == message


def test_too_large_a_body_is_refused(api, ana, settings):
    settings.FACE_MAX_BYTES = 10_000
    agree(ana)

    one = send(api.as_user(ana), "POST", IMAGES, image=file(photo(ANA)))
    whole = send(api.as_user(ana), "POST", IMAGES, image=file(b"x" * 200_000))

    assert (one.status, one.body["code"]) == (413, "image_too_large")
    assert (whole.status, whole.body["code"]) == (413, "image_too_large")


def test_withdrawing_over_the_api(api, ana):
    enrolled(ana)

    status, body = api.as_user(ana).delete(PHOTO)

    assert status == 200
    assert (body["data"]["enrolled"], body["data"]["consent"]) == (False, None)


def test_upload_gives_an_opaque_key(api, ana):
    agree(ana)

    status, body = send(api.as_user(ana), "POST", IMAGES, image=file(photo(ANA), "../../etc/passwd"))

    image = FaceImage.objects.get()
    assert status == 201
    assert set(body["data"]) == {"faceImageKey", "expiresAt"}
    assert body["data"]["faceImageKey"] == str(image.pk)
    assert "passwd" not in image.storage_name


def test_upload_needs_consent_and_a_person(api, ana):
    assert send(api, "POST", IMAGES, image=file(photo(ANA))).status == 401
    answer = send(api.as_user(ana), "POST", IMAGES, image=file(photo(ANA)))
    assert (answer.status, answer.body["code"]) == (403, "consent_required")


def test_json_is_no_upload(api, ana):
    status, body = api.as_user(ana).post(IMAGES, {"image": "x"})

    assert (status, body["code"]) == (415, "unsupported_media_type")
    assert "multipart/form-data" in body["message"]


def test_uploads_are_limited(api, ana, settings):
    settings.THROTTLES = settings.THROTTLES | {"face": ((1, 60), (100, 60), True)}
    agree(ana)
    me = api.as_user(ana)

    assert send(me, "POST", IMAGES, image=file(photo(ANA))).status == 201
    answer = send(me, "POST", IMAGES, image=file(photo(ANA, 1)))

    assert answer.status == 429
    assert int(me.last.headers["Retry-After"]) >= 1
    assert me.get(PHOTO).status == 200


def test_direct_upload_needs_s3(api, ana):
    agree(ana)

    answer = api.as_user(ana).post(f"{IMAGES}/presign")

    assert (answer.status, answer.body["code"]) == (409, "direct_upload_unavailable")


# -- Head turns -------------------------------------------------------------------------------------------------------


LEFT, RIGHT = (0.0, 0.1, 0.25, 0.35), (0.2, 0.05, -0.1, -0.2, -0.3, -0.35)
PATHS = {"left,right": (*LEFT, *RIGHT), "right,left": tuple(-turn for turn in (*LEFT, *RIGHT))}


@pytest.fixture
def turning(ana):
    """A person who agreed."""
    agree(ana)
    return ana


def start(user, turns):
    """Begin a check and let the server have chosen these turns."""
    check = start_liveness(user_id=user.pk)
    assert set(check.turns.split(",")) == {"left", "right"}
    LivenessCheck.objects.filter(pk=check.pk).update(turns=turns)
    return f"{CHECKS}/{check.pk}"


def frames(path, person=12):
    return [file(drawings.as_jpeg(drawings.draw(person, turn=turn))) for turn in path]


@pytest.mark.parametrize("turns", PATHS)
def test_head_turned_in_the_chosen_order_passes_once(api, turning, turns):
    path = start(turning, turns)

    status, body = send(api.as_user(turning), "POST", path, frames=frames(PATHS[turns]))

    assert status == 200
    assert (body["data"]["passed"], body["data"]["reason"]) == (True, "")
    assert FaceImage.objects.get(pk=body["data"]["faceImageKey"]).owner == turning
    assert send(api.as_user(turning), "POST", path, frames=frames(PATHS[turns])).status == 404


def test_head_turned_in_another_order_fails(api, turning):
    path = start(turning, "right,left")

    body = send(api.as_user(turning), "POST", path, frames=frames(PATHS["left,right"])).body

    assert body["data"] == {
        "checkId": body["data"]["checkId"],
        "passed": False,
        "reason": "wrong_turns",
        "faceImageKey": None,
    }
    assert FaceImage.objects.count() == 0


def test_still_picture_fails(api, turning):
    path = start(turning, "left,right")

    body = send(api.as_user(turning), "POST", path, frames=frames([0.0] * 8)).body

    assert (body["data"]["passed"], body["data"]["reason"]) == (False, "wrong_turns")


def test_check_belongs_to_one_person(api, turning, ben):
    path = start(turning, "left,right")

    assert send(api.as_user(ben), "POST", path, frames=frames([0.0])).status == 404
    assert api.as_user(turning).post(f"{CHECKS}/nonsense").status in {400, 415}
