"""The engine that the setting FACE_ENGINE names. There is no falling back from one to another."""

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

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

# Imported when used: boto3 alone is 30 MB in every process that imports it.
ENGINES = {
    "local": "faceverify.engines.local.LocalEngine",
    "rekognition": "faceverify.engines.rekognition.RekognitionEngine",
}


def engine() -> Engine:
    """Return the engine in use."""
    return engine_named(settings.FACE_ENGINE)


@cache
def engine_named(name: str) -> Engine:
    """Return one engine; it keeps nothing of what it is given."""
    made: Engine = import_string(ENGINES[name])()
    return made
