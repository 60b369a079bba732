"""The engine that the setting FACE_ENGINE names. There is no falling back from one to another."""

from functools import cache

from django.conf import settings

from faceverify.engines.base import (
    Analysis,
    Box,
    Engine,
    Flag,
    LivenessOutcome,
    Match,
    NormalisedImage,
    Pose,
    Template,
)
from faceverify.engines.local import LocalEngine
from faceverify.engines.rekognition import RekognitionEngine

__all__ = [
    "ENGINES",
    "Analysis",
    "Box",
    "Engine",
    "Flag",
    "LivenessOutcome",
    "Match",
    "NormalisedImage",
    "Pose",
    "Template",
    "engine",
]

ENGINES: dict[str, type[LocalEngine] | type[RekognitionEngine]] = {
    kind.name: kind for kind in (LocalEngine, RekognitionEngine)
}


def engine() -> Engine:
    """Return the engine in use."""
    return engine_named(settings.FACE_ENGINE)


@cache
def engine_named(name: str) -> Engine:
    """Return one engine; it keeps nothing of what it is given."""
    return ENGINES[name]()
