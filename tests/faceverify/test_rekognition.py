"""The engine at AWS: the real boto3 client against a double on loopback, and every error of the SDK's own service model."""

import json
import os

import boto3
import pytest
from botocore.stub import Stubber

from faceverify import drawings
from faceverify.engines import engine, rekognition
from faceverify.engines.rekognition import Breaker, RekognitionEngine
from faceverify.models import FaceImage
from faceverify.refusals import (
    EngineMisconfigured,
    EngineRefused,
    EngineUnavailable,
    FaceBlurry,
    FaceChanged,
    FaceCovered,
    FaceMany,
    FaceNone,
    FaceTurned,
    ImageInvalid,
    ImageTooLarge,
    LivenessLocked,
    LivenessNotFound,
    LivenessPending,
    PhotosDiffer,
    SamePhoto,
)
from faceverify.services import compare, enrol, finish_liveness, start_liveness
from faceverify.services.references import template_of
from tests.faceverify.double import Double, Fault
from tests.faceverify.people import ANA, BEN, agree, claimed, enrolled, opened, photo, taken_in

AWS = RekognitionEngine()
THROTTLES = ["ThrottlingException", "ProvisionedThroughputExceededException"]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    """Keys that open nothing, and no look into this machine's own configuration."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture(autouse=True)
def _fresh(settings, monkeypatch):
    """A client and a breaker of this test's own."""
    settings.FACE_ENGINE = "rekognition"
    settings.AWS_REGION = "eu-central-1"
    rekognition.client_for.cache_clear()
    monkeypatch.setattr(rekognition, "breaker", Breaker(limit=5, seconds=30))
    yield
    rekognition.client_for.cache_clear()


@pytest.fixture
def aws(settings):
    """The double."""
    double = Double()
    settings.REKOGNITION_ENDPOINT_URL = double.url
    yield double
    double.stop()


def wide(content):
    return taken_in(content, 1280)


# -- End to end -------------------------------------------------------------------------------------------------------


def test_same_person_is_alike_and_another_is_not(aws):
    template = AWS.enrol([wide(photo(ANA))])

    assert AWS.compare(template, wide(photo(ANA, 1))).similarity >= 97
    assert AWS.compare(template, wide(photo(BEN))).similarity <= 45


def test_service_is_asked_with_bytes_and_a_threshold_of_nothing(aws):
    AWS.compare(AWS.enrol([wide(photo(ANA))]), wide(photo(BEN)))

    (asked,) = aws.asked("CompareFaces")
    assert (asked["SimilarityThreshold"], asked["QualityFilter"]) == (0, "NONE")
    assert set(asked["SourceImage"]) == set(asked["TargetImage"]) == {"Bytes"}
    for detect in aws.asked("DetectFaces"):
        assert detect["Attributes"] == ["DEFAULT", "EYES_OPEN", "MOUTH_OPEN", "FACE_OCCLUDED"]


def test_faces_are_detected_before_they_are_compared(aws):
    template = AWS.enrol([wide(photo(ANA))])

    with pytest.raises(FaceNone):
        AWS.compare(template, wide(drawings.nobody()))
    assert aws.asked("CompareFaces") == []


def test_group_selfie_is_refused(aws):
    template = AWS.enrol([wide(photo(BEN))])

    with pytest.raises(FaceMany):
        AWS.compare(template, wide(drawings.two_people(2, BEN)))
    assert aws.asked("CompareFaces") == []


def test_face_that_only_the_comparison_finds_is_refused_too(aws):
    template = AWS.enrol([wide(photo(BEN))])
    aws.answers = [aws.DetectFaces({"Image": aws_image(photo(BEN, 1))})]

    with pytest.raises(FaceMany):
        AWS.compare(template, wide(drawings.two_people(2, BEN)))


def aws_image(content):
    import base64

    return {"Bytes": base64.b64encode(wide(content).jpeg).decode()}


def test_attributes_are_taken_over(aws):
    analysis = AWS.analyse(wide(photo(BEN)))

    assert (analysis.eyes_open.value, analysis.eyes_open.confidence) == (True, 98.0)
    assert analysis.mouth_open.value is False
    assert analysis.contrast is None
    assert analysis.reasons == ()


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"FaceOccluded": {"Value": True, "Confidence": 95.0}}, FaceCovered),
        ({"Pose": {"Roll": 0, "Yaw": 45, "Pitch": 0}}, FaceTurned),
        ({"Quality": {"Brightness": 50.0, "Sharpness": 9.0}}, FaceBlurry),
    ],
)
def test_covered_turned_and_blurred_faces_are_refused(aws, change, refusal):
    seen = aws.DetectFaces({"Image": aws_image(photo(BEN))})
    seen["FaceDetails"][0] |= change
    aws.answers = [seen]

    with pytest.raises(refusal):
        AWS.enrol([wide(photo(BEN))])


@pytest.mark.django_db
def test_whole_flow_with_aws(aws, ana, store):
    reference = enrolled(ana, ANA, 0, 1)

    assert (reference.engine, template_of(reference).vectors) == ("rekognition", ())
    assert max(opened(template_of(reference).crop).size) <= 400
    assert compare(reference=reference, image=claimed(ana, photo(ANA, 2))).passes()
    missed = compare(reference=reference, image=claimed(ana, photo(BEN)))
    assert missed.similarity <= 45
    assert not missed.passes()
    with pytest.raises(SamePhoto):
        compare(reference=reference, image=claimed(ana, photo(ANA)))


@pytest.mark.django_db
def test_enrolment_rules_hold_with_aws(aws, ana):
    agree(ana)
    with pytest.raises(PhotosDiffer):
        enrol(user_id=ana.pk, photos=[photo(ANA), photo(BEN)])
    enrolled(ana)
    with pytest.raises(FaceChanged):
        enrol(user_id=ana.pk, photos=[photo(BEN)])


@pytest.mark.django_db
def test_local_faces_are_not_compared_at_aws(aws, ana, settings):
    settings.FACE_ENGINE = "local"
    enrolled(ana)
    settings.FACE_ENGINE = "rekognition"

    assert engine().name == "rekognition"
    with pytest.raises(FaceChanged):
        enrol(user_id=ana.pk, photos=[photo(ANA, 1)]) if agree(ana) is None else None
    assert aws.asked("CompareFaces") == []


# -- Trouble ----------------------------------------------------------------------------------------------------------


def test_throttling_is_tried_again_by_the_sdk(aws):
    aws.faults = [Fault(code) for code in THROTTLES]

    assert AWS.analyse(wide(photo(BEN))).faces == 1
    assert len(aws.calls) == 3


@pytest.mark.parametrize("code", THROTTLES)
def test_lasting_throttling_is_an_outage_with_a_time_to_come_back(aws, code):
    aws.faults = [Fault(code) for _ in range(3)]

    with pytest.raises(EngineUnavailable) as refused:
        AWS.analyse(wide(photo(BEN)))

    assert refused.value.retry_after == 15
    assert refused.value.text == "Face verification service error"


def test_after_five_outages_the_service_is_left_alone_and_then_asked_once(aws, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(rekognition.time, "monotonic", lambda: now[0])
    aws.faults = [Fault("AccessDeniedException")] + [Fault("ServiceUnavailable", 503) for _ in range(18)]
    image = wide(photo(BEN))

    with pytest.raises(EngineMisconfigured):
        AWS.analyse(image)  # no outage: does not count
    for _ in range(5):
        with pytest.raises(EngineUnavailable):
            AWS.analyse(image)
    calls = len(aws.calls)
    with pytest.raises(EngineUnavailable) as refused:
        AWS.analyse(image)
    assert len(aws.calls) == calls
    assert refused.value.retry_after == 30

    now[0] += 31
    with pytest.raises(EngineUnavailable):
        AWS.analyse(image)  # the one call that finds out
    assert len(aws.calls) == calls + 3
    now[0] += 31
    assert AWS.analyse(image).faces == 1
    assert AWS.analyse(image).faces == 1


def test_service_that_does_not_answer_is_an_outage(settings):
    settings.REKOGNITION_ENDPOINT_URL = "http://127.0.0.1:1"

    with pytest.raises(EngineUnavailable):
        AWS.analyse(wide(photo(BEN)))


def test_waiting_is_bounded():
    config = rekognition.client_for("eu-central-1", "").meta.config

    assert (config.connect_timeout, config.read_timeout) == (2, 5)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


def test_missing_credentials_are_our_fault(settings, monkeypatch, aws):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(EngineMisconfigured):
        AWS.analyse(wide(photo(BEN)))


ODD = {
    "no number": {"FaceMatches": [{"Similarity": None}]},
    "more than all": {"FaceMatches": [{"Similarity": 101.0}]},
    "nothing": {},
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
def test_answer_that_makes_no_sense_lets_nobody_in(aws, answer):
    template = AWS.enrol([wide(photo(ANA))])
    aws.answers = [aws.DetectFaces({"Image": aws_image(photo(ANA, 1))}), answer]

    with pytest.raises(EngineUnavailable):
        AWS.compare(template, wide(photo(ANA, 1)))


def test_description_that_makes_no_sense_is_an_outage(aws):
    aws.answers = [{"FaceDetails": [{"Confidence": 99.0}]}]

    with pytest.raises(EngineUnavailable):
        AWS.analyse(wide(photo(ANA)))


# -- The SDK's own service model --------------------------------------------------------------------------------------


MAPPED = {
    "InvalidImageFormatException": ImageInvalid,
    "ImageTooLargeException": ImageTooLarge,
    "InvalidParameterException": EngineRefused,
    "ThrottlingException": EngineUnavailable,
    "ProvisionedThroughputExceededException": EngineUnavailable,
    "InternalServerError": EngineUnavailable,
    "AccessDeniedException": EngineMisconfigured,
    "InvalidS3ObjectException": EngineMisconfigured,
}


@pytest.fixture
def stubbed(monkeypatch):
    """The real client, whose answers are checked against the service model."""
    real = boto3.client("rekognition", region_name="eu-central-1")
    monkeypatch.setattr(rekognition, "client", lambda: real)
    with Stubber(real) as stubber:
        yield stubber


def test_every_error_of_the_model_is_mapped(stubbed):
    model = stubbed.client.meta.service_model
    declared = {
        shape.name
        for operation in ("DetectFaces", "CompareFaces", "GetFaceLivenessSessionResults")
        for shape in model.operation_model(operation).error_shapes
    }

    assert declared - set(rekognition.ERRORS) == set()
    assert {
        name
        for operation in ("DetectFaces", "CompareFaces")
        for name in (shape.name for shape in model.operation_model(operation).error_shapes)
    } == set(MAPPED)


@pytest.mark.parametrize(("code", "refusal"), MAPPED.items(), ids=MAPPED.keys())
def test_errors_become_ours(stubbed, code, refusal):
    for operation, act in (
        ("detect_faces", lambda: AWS.analyse(wide(photo(BEN)))),
        ("compare_faces", lambda: AWS.similarity(photo(ANA), photo(BEN))),
    ):
        stubbed.add_client_error(operation, service_error_code=code, http_status_code=400)
        with pytest.raises(refusal):
            act()


def test_request_and_answer_fit_the_model(stubbed):
    stubbed.add_response(
        "compare_faces",
        {"FaceMatches": [], "UnmatchedFaces": [{"Confidence": 99.0}]},
        {
            "SourceImage": {"Bytes": photo(ANA)},
            "TargetImage": {"Bytes": photo(BEN)},
            "SimilarityThreshold": 0,
            "QualityFilter": "NONE",
        },
    )

    assert AWS.similarity(photo(ANA), photo(BEN)) == 0.0


def test_image_never_exceeds_what_aws_takes():
    noise = drawings.np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), dtype="uint8")
    content = drawings.as_jpeg(drawings.Image.fromarray(noise), quality=70)

    assert len(wide(content).jpeg) < 5_242_880


# -- Liveness ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def live(aws):
    return aws


@pytest.mark.django_db
def test_liveness_picture_becomes_the_selfie(live, ana):
    reference = enrolled(ana)
    check = start_liveness(user_id=ana.pk)

    with pytest.raises(LivenessPending):
        finish_liveness(user_id=ana.pk, check_id=check.pk)
    live.film(check.provider_id, photo(ANA, 1), 97.0)
    done = finish_liveness(user_id=ana.pk, check_id=check.pk)

    from faceverify.queries import liveness_of
    from faceverify.services import claim_probe

    assert done.passed
    assert liveness_of(done.image) == {"method": "rekognition", "passed": True}
    image = claim_probe(user_id=ana.pk, image_key=str(done.image_id))
    assert compare(reference=reference, image=image).passes()
    with pytest.raises(LivenessNotFound):
        finish_liveness(user_id=ana.pk, check_id=check.pk)


@pytest.mark.django_db
def test_liveness_session_is_opened_once_and_keeps_no_audit_images(live, ana):
    agree(ana)
    check = start_liveness(user_id=ana.pk)

    (asked,) = live.asked("CreateFaceLivenessSession")
    assert asked == {"ClientRequestToken": str(check.pk), "Settings": {"AuditImagesLimit": 0}}


@pytest.mark.django_db
def test_weak_liveness_fails_without_its_score(live, ana):
    agree(ana)
    check = start_liveness(user_id=ana.pk)
    live.film(check.provider_id, photo(ANA), 60.0)

    done = finish_liveness(user_id=ana.pk, check_id=check.pk)

    assert (done.passed, done.reason, done.image) == (False, "not_live", None)
    assert FaceImage.objects.count() == 0


@pytest.mark.django_db
def test_five_failures_lock(live, ana):
    agree(ana)
    for _ in range(5):
        check = start_liveness(user_id=ana.pk)
        live.sessions[check.provider_id] |= {"Status": "FAILED", "Feedback": [{"Code": "LOW_LIGHTING_DETECTED"}]}
        assert finish_liveness(user_id=ana.pk, check_id=check.pk).reason == "low_lighting_detected"

    with pytest.raises(LivenessLocked):
        start_liveness(user_id=ana.pk)


@pytest.mark.django_db
def test_liveness_of_another_person_is_not_mine(live, ana, ben):
    agree(ana)
    check = start_liveness(user_id=ana.pk)
    live.film(check.provider_id, photo(ANA), 97.0)

    with pytest.raises(LivenessNotFound):
        finish_liveness(user_id=ben.pk, check_id=check.pk)


def test_unknown_session_is_not_found(live):
    with pytest.raises(LivenessNotFound):
        AWS.liveness_result("x" * 36, threshold=80)


def test_double_speaks_the_protocol_it_claims(aws):
    assert json.loads(json.dumps(aws.DetectFaces({"Image": aws_image(photo(BEN))})))["FaceDetails"]
