"""What an engine can do, in words both engines share. Everything an engine takes or gives is defined here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceverify.refusals import EngineUnavailable

Pixels = NDArray[np.uint8]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class NormalisedImage:
    """A picture as our intake makes it: upright RGB without metadata, re-encoded. No other bytes ever reach an engine."""

    jpeg: bytes = field(repr=False)
    width: int
    height: int
    pixels_sha256: str

    @cached_property
    def pixels(self) -> Pixels:
        """The decoded picture, height × width × 3."""
        with Image.open(BytesIO(self.jpeg), formats=("JPEG",)) as image:
            return np.asarray(image.convert("RGB"))


@dataclass(frozen=True)
class Box:
    """Where a face is, as parts of the picture's width and height."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True)
class Pose:
    """Degrees; `turn` is how far the nose is off the middle of the eyes, as a part of their distance (None: not measured)."""

    roll: float
    yaw: float | None = None
    pitch: float | None = None
    turn: float | None = None


@dataclass(frozen=True)
class Flag:
    """A yes or no about a face and how sure the engine is, 0 to 100."""

    value: bool
    confidence: float


@dataclass(frozen=True)
class Analysis:
    """
    What an engine sees in a picture. The figures are those of the largest face, 0 to 100; without a face they are 0.

    `reasons` are the codes (faceverify.refusals.QUALITY) for which the picture will not do, worst first; empty: it will do.
    What an engine does not measure is None, never invented.
    """

    faces: int
    confidence: float = 0.0
    brightness: float = 0.0
    sharpness: float = 0.0
    contrast: float | None = None
    pose: Pose | None = None
    box: Box | None = None
    occluded: Flag | None = None
    eyes_open: Flag | None = None
    mouth_open: Flag | None = None
    reasons: tuple[str, ...] = ()
    fingerprint: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Template:
    """
    What is kept of a person: vectors (local engine), one crop of the face, and fingerprints to know the same photo again.

    Lives only in memory and, sealed by `faceverify.vault`, in a FaceReference.
    """

    vectors: tuple[Vector, ...] = field(default=(), repr=False)
    fingerprints: tuple[bytes, ...] = field(default=(), repr=False)
    crop: bytes = field(default=b"", repr=False)
    agreement: float = 100.0  # how alike its two most different photos are; known only when it was just made

    @property
    def mean(self) -> Vector:
        """The one vector that stands for all photos."""
        return np.mean(np.stack(self.vectors), axis=0)


@dataclass(frozen=True)
class Match:
    """How alike a picture is to a template, 0 to 100, and whether it is one of the very photos the template was made of."""

    similarity: float
    same_photo: bool
    analysis: Analysis


@dataclass(frozen=True)
class LivenessOutcome:
    """What a provider says of a liveness session; `image` is the picture it took itself."""

    finished: bool
    passed: bool
    reason: str = ""
    image: bytes = field(default=b"", repr=False)


class Engine(Protocol):
    """One provider of face checks. Every method raises faceverify.refusals only."""

    name: str
    model_version: str
    max_side: int  # pixels; what the intake shrinks pictures to
    capabilities: frozenset[str]  # of: vector, occlusion, eyes, liveness, turns
    liveness: str  # how a person shows that they are there: pose_challenge, or rekognition's sessions

    def analyse(self, image: NormalisedImage) -> Analysis:
        """
        Say what is in the picture; trouble with it is in `reasons`.

        :raises EngineTrouble: if the engine gives no usable answer
        """

    def enrol(self, images: Sequence[NormalisedImage]) -> Template:
        """
        Make a template of one to three photos, each with exactly one good face.

        :raises QualityRefusal: if one of them will not do
        :raises EngineTrouble: if the engine gives no usable answer
        """

    def compare(self, template: Template, image: NormalisedImage) -> Match:
        """
        Say how alike the one face in the picture is to the template.

        :raises QualityRefusal: if the picture will not do
        :raises EngineTrouble: if the engine gives no usable answer
        """

    def alike(self, one: Template, other: Template) -> float:
        """
        Say how alike two templates are, 0 to 100.

        :raises EngineTrouble: if the engine gives no usable answer
        """

    def start_liveness(self, token: str) -> str:
        """
        Open a liveness session at the provider and return its id; the same `token` opens it once.

        :raises EngineTrouble: if there is no answer, or the engine has no liveness
        """

    def liveness_result(self, session_id: str, *, threshold: float) -> LivenessOutcome:
        """
        Fetch how a liveness session ended.

        :raises EngineTrouble: if there is no answer, or the engine has no liveness
        """


def crop_face(image: NormalisedImage, box: Box, *, margin: float = 0.8, max_side: int = 400) -> bytes:
    """Return a JPEG of the face with some room around it, at most `max_side` pixels."""
    left = (box.left - margin * box.width / 2) * image.width
    top = (box.top - margin * box.height / 2) * image.height
    right = (box.left + box.width * (1 + margin / 2)) * image.width
    bottom = (box.top + box.height * (1 + margin / 2)) * image.height
    area = (max(0, int(left)), max(0, int(top)), min(image.width, int(right) + 1), min(image.height, int(bottom) + 1))
    face = Image.fromarray(image.pixels).crop(area)
    face.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    file = BytesIO()
    face.save(file, "JPEG", quality=90)
    return file.getvalue()


def fingerprint(face: Image.Image) -> bytes:
    """
    Return 256 bits that change little when the same photo is re-encoded, resized or brightened.

    Each is the sign of one step from left to right in a thumbnail of 17 × 16.
    """
    small = np.asarray(face.convert("L").resize((17, 16), Image.Resampling.BOX), dtype=np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).tobytes()


def bits_apart(one: bytes, other: bytes) -> float:
    """Return which part of two fingerprints differs, 0 to 1."""
    if not one or len(one) != len(other):
        return 1.0
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count() / (8 * len(one))


def checked_similarity(value: Any) -> float:
    """
    Return a similarity an engine gave, or refuse to use it: an answer that makes no sense must never let anybody in.

    :raises EngineUnavailable: if it is no number from 0 to 100
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0.0 <= float(value) <= 100.0:
        raise EngineUnavailable(retry_after=30)
    return float(value)
