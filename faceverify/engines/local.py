"""
The engine on this machine: dlib's face detector, five landmarks and the 128-number embedding, all in this process.

The model files are those of the package face-recognition-models, found by path and never imported: importing it needs
pkg_resources and, through face_recognition, would switch off Pillow's refusal of truncated files. Its 68-point model is not
used: it was trained on pictures that must not be used commercially.
"""

import ctypes
import importlib.util
import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceverify.engines.base import (
    Analysis,
    Box,
    LivenessOutcome,
    Match,
    NormalisedImage,
    Pixels,
    Pose,
    Template,
    Vector,
    bits_apart,
    checked_similarity,
    crop_face,
    fingerprint,
)
from faceverify.engines.gate import Gate, refuse_unusable
from faceverify.pose_challenge import Frame
from faceverify.refusals import EngineMisconfigured

M_MMAP_THRESHOLD, LARGE_BLOCK = -3, 262_144
LANDMARKS = "shape_predictor_5_face_landmarks.dat"
EMBEDDING = "dlib_face_recognition_resnet_model_v1.dat"
CHIP, CHIP_ROOM = 150, 0.25  # the aligned face the embedding was trained on
LEAST_SCORE = 0.3  # the weakest real second face scored .41, a face in a pattern .12
RIVAL_AREA = 0.2  # a further face counts from a fifth of the largest one's area
LEAST_FACE = 50  # pixels between the borders of the box, in a picture of at most 640
GATE = Gate(confidence=90, brightness=(10, 88), contrast=2, sharpness=25, turn=0.25)
SAME_PHOTO_DISTANCE, SAME_PHOTO_BITS = 0.25, 0.08
MIDDLE, STEEPNESS = 0.60, math.log(4) / 0.10  # similarity 50 at distance .60, 80 at .50


def similarity(distance: float) -> float:
    """Return a distance between two embeddings as a similarity: 80 at .50, where no two of 8 117 strangers were closer."""
    return 100 / (1 + math.exp(STEEPNESS * (distance - MIDDLE)))


def distance(one: Vector, other: Vector) -> float:
    """Return how far apart two embeddings are."""
    return float(np.linalg.norm(one - other))


def models_folder() -> Path | None:
    """Return where the model files are, None when the package is not installed. Nothing of it is imported."""
    found = importlib.util.find_spec("face_recognition_models")
    folder = Path(found.origin).parent / "models" if found and found.origin else None
    return folder if folder and all((folder / name).is_file() for name in (LANDMARKS, EMBEDDING)) else None


@dataclass(frozen=True)
class Face:
    """One face that was found: its box, score, five points and the aligned picture of it."""

    rectangle: Any
    score: float
    shape: Any
    chip: Pixels
    pose: Pose


class Models:
    """dlib and its models, loaded once per process (half a second, 75 MB) when first needed; one caller at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    @cached_property
    def dlib(self) -> Any:
        # The embedding is one small matrix product after the other: more threads only fight over the cores.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        try:
            import dlib
        except ImportError as error:
            raise EngineMisconfigured from error
        return dlib

    @cached_property
    def folder(self) -> Path:
        folder = models_folder()
        if folder is None:
            raise EngineMisconfigured
        return folder

    @cached_property
    def detector(self) -> Any:
        give_back_large_blocks()
        return self.dlib.get_frontal_face_detector()

    @cached_property
    def landmarks(self) -> Any:
        return self.dlib.shape_predictor(str(self.folder / LANDMARKS))

    @cached_property
    def embedding(self) -> Any:
        return self.dlib.face_recognition_model_v1(str(self.folder / EMBEDDING))

    def find(self, pixels: Pixels) -> list[Face]:
        """Return the faces in a picture, the largest first."""
        with self.lock:
            boxes, scores, _ = self.detector.run(pixels, 1, 0.0)  # enlarged once: finds faces from 40 pixels
            found = [(box, score) for box, score in zip(boxes, scores, strict=True) if score >= LEAST_SCORE]
            return [self.look(pixels, box, score) for box, score in sorted(found, key=lambda face: -face[0].area())]

    def look(self, pixels: Pixels, box: Any, score: float) -> Face:
        """Return one face with its points and its aligned picture."""
        shape = self.landmarks(pixels, box)
        chip = self.dlib.get_face_chip(pixels, shape, CHIP, CHIP_ROOM)
        return Face(box, score, shape, chip, pose_of(shape))

    def embed(self, face: Face) -> Vector:
        """Return the 128 numbers that stand for a face."""
        with self.lock:
            return np.array(self.embedding.compute_face_descriptor(face.chip))


def give_back_large_blocks() -> None:
    """
    Let glibc return blocks above a quarter of a megabyte to the system when they are freed.

    Left alone it raises that limit as the detector frees its enlarged pictures, and the worker keeps 12 MB more.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library needs no such hint
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


MODELS = Models()


class LocalEngine:
    """Faces compared on this machine; no picture leaves it."""

    name = "local"
    model_version = "dlib-resnet-1"
    max_side = 640
    capabilities = frozenset({"vector", "turns"})
    liveness = "pose_challenge"

    def analyse(self, image: NormalisedImage) -> Analysis:
        """Say what is in the picture."""
        return self.look(image)[0]

    def enrol(self, images: Sequence[NormalisedImage]) -> Template:
        """Make a template of photos that have exactly one good face each."""
        looks = [self.usable(image) for image in images]
        best = max(range(len(looks)), key=lambda index: looks[index][0].sharpness)
        box = looks[best][0].box
        assert box is not None  # a usable picture has a face
        vectors = tuple(MODELS.embed(face) for _, face in looks)
        return Template(
            vectors=vectors,
            agreement=min((similarity(distance(*pair)) for pair in combinations(vectors, 2)), default=100.0),
            fingerprints=tuple(seen.fingerprint for seen, _ in looks),
            crop=crop_face(images[best], box),
        )

    def compare(self, template: Template, image: NormalisedImage) -> Match:
        """Say how alike the one face in the picture is to the template."""
        seen, face = self.usable(image)
        vector = MODELS.embed(face)
        known = zip(template.vectors, template.fingerprints, strict=True)
        same = any(
            distance(vector, old) < SAME_PHOTO_DISTANCE and bits_apart(seen.fingerprint, mark) < SAME_PHOTO_BITS
            for old, mark in known
        )
        return Match(checked_similarity(similarity(distance(vector, template.mean))), same, seen)

    def alike(self, one: Template, other: Template) -> float:
        """Say how alike two templates are."""
        return checked_similarity(similarity(distance(one.mean, other.mean)))

    def similarity_of(self, one: Vector, other: Vector) -> float:
        """Say how alike two embeddings are."""
        return checked_similarity(similarity(distance(one, other)))

    def frame(self, image: NormalisedImage) -> Frame:
        """Say how a head is turned in one frame of a head-turn check."""
        seen, face = self.look(image, turned_is_fine=True)
        if face is None or seen.pose is None or seen.pose.turn is None:
            return Frame(0.0, np.zeros(128), seen.reasons)
        return Frame(seen.pose.turn, MODELS.embed(face), seen.reasons)

    def start_liveness(self, token: str) -> str:
        raise EngineMisconfigured  # a drawing looks like a person to this engine; pose_challenge is what it can do

    def liveness_result(self, session_id: str, *, threshold: float) -> LivenessOutcome:
        raise EngineMisconfigured

    def usable(self, image: NormalisedImage) -> tuple[Analysis, Face]:
        """
        Return what is in a picture with exactly one good face, and that face.

        :raises QualityRefusal: if it has none, several, or a bad one
        """
        seen, face = self.look(image)
        refuse_unusable(seen)
        assert face is not None  # otherwise the analysis has a reason
        return seen, face

    def look(self, image: NormalisedImage, *, turned_is_fine: bool = False) -> tuple[Analysis, Face | None]:
        """Return what is in a picture, and its largest face."""
        faces = MODELS.find(image.pixels)
        if not faces:
            return Analysis(faces=0, reasons=("face_none",)), None
        face = faces[0]
        largest = face.rectangle.area()
        count = sum(other.rectangle.area() >= RIVAL_AREA * largest for other in faces)
        luma = luma_of(face.chip)
        seen = Analysis(
            faces=count,
            confidence=100 / (1 + math.exp(-4.4 * face.score)),
            brightness=float(luma.mean() / 255 * 100),
            contrast=float(luma.std() / 255 * 100),
            sharpness=sharpness_of(luma),
            pose=face.pose,
            box=Box(
                face.rectangle.left() / image.width,
                face.rectangle.top() / image.height,
                face.rectangle.width() / image.width,
                face.rectangle.height() / image.height,
            ),
            fingerprint=fingerprint(Image.fromarray(face.chip)),
        )
        if count > 1:
            return replace(seen, reasons=("face_many",)), face
        small = ("face_small",) if face.rectangle.width() < LEAST_FACE else ()
        return replace(seen, reasons=small + GATE.reasons(seen, turned_is_fine=turned_is_fine)), face


def pose_of(shape: Any) -> Pose:
    """Return how a head is held, from the corners of the eyes and the nose."""
    points = np.array([(point.x, point.y) for point in shape.parts()], dtype=float)
    left, right, nose = (points[0] + points[1]) / 2, (points[2] + points[3]) / 2, points[4]
    line = left - right
    apart = max(float(np.hypot(*line)), 1e-6)
    turn = float(np.dot(nose - (left + right) / 2, line / apart) / apart)
    return Pose(roll=math.degrees(math.atan2(line[1], line[0])), turn=turn)


def luma_of(chip: Pixels) -> NDArray[np.float64]:
    """Return the brightness of the middle of an aligned face, where skin, eyes and mouth are."""
    margin = (CHIP - 120) // 2
    middle = chip[margin : CHIP - margin, margin : CHIP - margin].astype(np.float64)
    return middle @ np.array([0.299, 0.587, 0.114])


def sharpness_of(luma: NDArray[np.float64]) -> float:
    """
    Return 0 to 100: how much a face loses when it is blurred once more (Crété's measure); what is blurred already loses little.

    Unlike the variance of the Laplacian it hardly depends on resolution, light and noise.
    """
    blur = max(blurriness(luma), blurriness(luma.T))
    return 100 * min(1.0, max(0.0, (0.90 - blur) / 0.55))


def blurriness(luma: NDArray[np.float64], window: int = 11) -> float:
    """Return the part of the differences between neighbours, down the columns, that survives a blur over `window` pixels."""
    padded = np.pad(luma, ((window // 2 + 1, window // 2), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0)
    blurred = (sums[window:] - sums[:-window]) / window
    before = np.abs(np.diff(luma, axis=0))
    after = np.abs(np.diff(blurred, axis=0))
    lost = np.maximum(0, before - after).sum()
    total = before.sum()
    return float((total - lost) / total) if total else 1.0
