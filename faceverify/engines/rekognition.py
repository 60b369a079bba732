"""
The engine at AWS: DetectFaces, CompareFaces and Face Liveness sessions through boto3.

Pictures are sent as bytes that our intake made; a client's storage key never reaches AWS. CompareFaces is asked with a
threshold of 0 and decided here, because a match below its threshold comes back without a figure. Every error of the service is
turned into one of ours in one place.
"""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from itertools import combinations
from typing import Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from django.conf import settings
from PIL import Image

from faceverify.engines.base import (
    Analysis,
    Box,
    Flag,
    LivenessOutcome,
    Match,
    NormalisedImage,
    Pose,
    Template,
    bits_apart,
    checked_similarity,
    crop_face,
    fingerprint,
)
from faceverify.engines.gate import Gate, refuse_unusable
from faceverify.refusals import (
    EngineMisconfigured,
    EngineRefused,
    EngineUnavailable,
    FaceMany,
    ImageInvalid,
    ImageTooLarge,
    LivenessNotFound,
)

log = structlog.get_logger(__name__)

CONFIG = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
# Asked for by name: age, gender and emotions are never asked for.
ATTRIBUTES = ["DEFAULT", "EYES_OPEN", "MOUTH_OPEN", "FACE_OCCLUDED"]
RIVAL_AREA = 0.2
GATE = Gate(confidence=90, brightness=(10, 95), sharpness=10, yaw=30)
SAME_PHOTO_SIMILARITY, SAME_PHOTO_BITS = 99.0, 0.08
RETRY_AFTER = 15
ERRORS: dict[str, type[Exception]] = {
    "InvalidImageFormatException": ImageInvalid,
    "ImageTooLargeException": ImageTooLarge,
    "InvalidParameterException": EngineRefused,
    "ThrottlingException": EngineUnavailable,
    "ProvisionedThroughputExceededException": EngineUnavailable,
    "InternalServerError": EngineUnavailable,
    "ServiceUnavailable": EngineUnavailable,
    "AccessDeniedException": EngineMisconfigured,
    "InvalidS3ObjectException": EngineMisconfigured,
    "UnrecognizedClientException": EngineMisconfigured,
    "InvalidSignatureException": EngineMisconfigured,
    "ExpiredTokenException": EngineMisconfigured,
    "SessionNotFoundException": LivenessNotFound,
}


class Breaker:
    """After `limit` failures in a row nothing is asked for `seconds`; then one call finds out whether it works again."""

    def __init__(self, *, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self.failures = 0
        self.open_until = 0.0
        self.lock = threading.Lock()

    def enter(self) -> None:
        """
        Ask to make a call.

        :raises EngineUnavailable: while it is not worth it
        """
        with self.lock:
            now = time.monotonic()
            if now < self.open_until:
                raise EngineUnavailable(retry_after=math.ceil(self.open_until - now))
            if self.failures >= self.limit:
                self.open_until = now + self.seconds  # the others wait for what this one call finds

    def note(self, *, worked: bool) -> None:
        """Say how the call went."""
        with self.lock:
            self.failures = 0 if worked else self.failures + 1
            if worked:
                self.open_until = 0.0
            elif self.failures >= self.limit:
                self.open_until = time.monotonic() + self.seconds


breaker = Breaker(limit=5, seconds=30)


@lru_cache(maxsize=2)
def client_for(region: str, endpoint: str) -> Any:
    """Return the SDK's client; credentials come from where boto3 looks for them."""
    session = (
        boto3.session.Session()
    )  # not the default one, which is shared by threads and never looks for credentials again
    return session.client("rekognition", region_name=region, endpoint_url=endpoint or None, config=CONFIG)


@contextmanager
def calling(operation: str) -> Iterator[Any]:
    """
    Give the client for one call and turn what may go wrong into an error of ours.

    :raises EngineTrouble: if the service can not be used
    :raises QualityRefusal: if it refuses this picture
    """
    breaker.enter()
    try:
        yield client()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        kind = ERRORS.get(code, EngineUnavailable)
        breaker.note(worked=kind is not EngineUnavailable)
        log.warning("rekognition.failed", operation=operation, reason=code)
        raise (kind(retry_after=RETRY_AFTER) if kind is EngineUnavailable else kind()) from error
    except (NoCredentialsError, NoRegionError) as error:
        log.error("rekognition.misconfigured", operation=operation, reason=type(error).__name__)
        raise EngineMisconfigured from error
    except BotoCoreError as error:  # no answer in time, no connection, or one that can not be read
        breaker.note(worked=False)
        log.warning("rekognition.failed", operation=operation, reason=type(error).__name__)
        raise EngineUnavailable(retry_after=RETRY_AFTER) from error
    else:
        breaker.note(worked=True)


def client() -> Any:
    """Return the client that the settings name."""
    return client_for(settings.AWS_REGION, settings.REKOGNITION_ENDPOINT_URL)


class RekognitionEngine:
    """Faces compared by AWS Rekognition. CompareFaces keeps nothing there; one crop of each person is kept here."""

    name = "rekognition"
    model_version = "compare-faces"
    max_side = 1280
    capabilities = frozenset({"occlusion", "eyes", "liveness"})
    liveness = "rekognition"

    def analyse(self, image: NormalisedImage) -> Analysis:
        """Say what is in the picture."""
        with calling("DetectFaces") as service:
            answer = service.detect_faces(Image={"Bytes": image.jpeg}, Attributes=ATTRIBUTES)
        try:
            return analysis_of(image, answer["FaceDetails"])
        except (KeyError, TypeError, ValueError) as error:
            raise EngineUnavailable(retry_after=RETRY_AFTER) from error

    def enrol(self, images: Sequence[NormalisedImage]) -> Template:
        """Make a template of photos that have exactly one good face each: the sharpest face, cut out."""
        seen = [self.usable(image) for image in images]
        crops = [crop_face(image, one.box) for image, one in zip(images, seen, strict=True) if one.box]
        best = max(range(len(seen)), key=lambda index: seen[index].sharpness)
        return Template(
            fingerprints=tuple(one.fingerprint for one in seen),
            crop=crops[best],
            agreement=min((self.similarity(one, other) for one, other in combinations(crops, 2)), default=100.0),
        )

    def compare(self, template: Template, image: NormalisedImage) -> Match:
        """Say how alike the one face in the picture is to the template."""
        seen = self.usable(image)
        similarity = self.similarity(template.crop, image.jpeg)
        same = similarity >= SAME_PHOTO_SIMILARITY and any(
            bits_apart(seen.fingerprint, mark) < SAME_PHOTO_BITS for mark in template.fingerprints
        )
        return Match(similarity, same, seen)

    def alike(self, one: Template, other: Template) -> float:
        """Say how alike two templates are."""
        return self.similarity(one.crop, other.crop)

    def similarity(self, source: bytes, target: bytes) -> float:
        """
        Return how alike the faces in two pictures are.

        :raises FaceMany: if the second has more than one; AWS would compare each of them
        :raises EngineTrouble: if there is no usable answer
        """
        with calling("CompareFaces") as service:
            answer = service.compare_faces(
                SourceImage={"Bytes": source},
                TargetImage={"Bytes": target},
                SimilarityThreshold=0,
                QualityFilter="NONE",
            )
        matches, others = answer.get("FaceMatches", []), answer.get("UnmatchedFaces", [])
        if len(matches) + len(others) > 1:
            raise FaceMany
        if not matches and not others:
            raise EngineUnavailable(retry_after=RETRY_AFTER)
        return checked_similarity(matches[0].get("Similarity") if matches else 0.0)

    def start_liveness(self, token: str) -> str:
        """Open a Face Liveness session; the video goes from the browser to AWS."""
        with calling("CreateFaceLivenessSession") as service:
            answer = service.create_face_liveness_session(ClientRequestToken=token, Settings={"AuditImagesLimit": 0})
        return str(answer["SessionId"])

    def liveness_result(self, session_id: str, *, threshold: float) -> LivenessOutcome:
        """Fetch how a Face Liveness session ended. Its score stays here; the picture AWS took becomes the selfie."""
        with calling("GetFaceLivenessSessionResults") as service:
            answer = service.get_face_liveness_session_results(SessionId=session_id)
        status = answer["Status"]
        if status in {"CREATED", "IN_PROGRESS"}:
            return LivenessOutcome(finished=False, passed=False)
        if status != "SUCCEEDED":
            feedback = [item["Code"].lower() for item in answer.get("Feedback", [])]
            return LivenessOutcome(finished=True, passed=False, reason=feedback[0] if feedback else status.lower())
        image = answer.get("ReferenceImage", {}).get("Bytes", b"")
        passed = checked_similarity(answer.get("Confidence")) >= threshold and bool(image)
        return LivenessOutcome(finished=True, passed=passed, reason="" if passed else "not_live", image=image)

    def usable(self, image: NormalisedImage) -> Analysis:
        """
        Return what is in a picture with exactly one good face.

        :raises QualityRefusal: if it has none, several, or a bad one
        """
        seen = self.analyse(image)
        refuse_unusable(seen)
        return seen


def analysis_of(image: NormalisedImage, details: list[dict[str, Any]]) -> Analysis:
    """Return what DetectFaces saw, in our words."""
    if not details:
        return Analysis(faces=0, reasons=("face_none",))
    boxes = [box_of(detail["BoundingBox"]) for detail in details]
    first = max(range(len(boxes)), key=lambda index: boxes[index].area)
    face, box = details[first], boxes[first]
    count = sum(other.area >= RIVAL_AREA * box.area for other in boxes)
    pose = face["Pose"]
    seen = Analysis(
        faces=count,
        confidence=checked_similarity(face["Confidence"]),
        brightness=checked_similarity(face["Quality"]["Brightness"]),
        sharpness=checked_similarity(face["Quality"]["Sharpness"]),
        pose=Pose(roll=pose["Roll"], yaw=pose["Yaw"], pitch=pose["Pitch"]),
        box=box,
        occluded=flag_of(face, "FaceOccluded"),
        eyes_open=flag_of(face, "EyesOpen"),
        mouth_open=flag_of(face, "MouthOpen"),
        fingerprint=fingerprint(Image.open(BytesIO(crop_face(image, box, margin=0)))),
    )
    return replace(seen, reasons=("face_many",) if count > 1 else GATE.reasons(seen))


def box_of(box: dict[str, float]) -> Box:
    """Return AWS's box; it may reach over the picture's edge."""
    return Box(box["Left"], box["Top"], box["Width"], box["Height"])


def flag_of(face: dict[str, Any], name: str) -> Flag | None:
    """Return one of AWS's yes-or-no attributes, if it came."""
    return Flag(face[name]["Value"], face[name]["Confidence"]) if name in face else None
