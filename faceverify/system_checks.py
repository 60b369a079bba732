"""What must be right before the site starts to look at faces."""

import importlib.util
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from PIL import ImageFile

from faceverify.engines import ENGINES
from faceverify.engines.local import models_folder

STRICT_ENOUGH = 90


@register(Tags.security)
def check_engine(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """The engine exists, and the local one has its library and model files; nobody is let in because it is missing."""
    if settings.FACE_ENGINE not in ENGINES:
        return [Error(f"FACE_ENGINE is {settings.FACE_ENGINE!r}; write local or rekognition.", id="faces.E001")]
    if settings.FACE_ENGINE == "rekognition":
        return check_rekognition()
    if importlib.util.find_spec("dlib") is None:
        return [
            Error(
                "FACE_ENGINE=local needs dlib, and it is not installed on this machine.",
                hint="pip install dlib-bin, or set FACE_ENGINE=rekognition.",
                id="faces.E002",
            )
        ]
    if models_folder() is None:
        return [
            Error(
                "FACE_ENGINE=local needs the model files of face-recognition-models, and they are not there.",
                hint="pip install face-recognition-models, or set FACE_ENGINE=rekognition.",
                id="faces.E003",
            )
        ]
    return []


def check_rekognition() -> list[CheckMessage]:
    """AWS is named, and its scale is used as AWS advises."""
    found: list[CheckMessage] = []
    if not settings.AWS_REGION:
        found.append(Error("FACE_ENGINE=rekognition needs AWS_REGION.", id="faces.E004"))
    if settings.FACE_THRESHOLDS["rekognition"] < STRICT_ENOUGH:
        found.append(
            Warning(
                f"REKOGNITION_THRESHOLD is {settings.FACE_THRESHOLDS['rekognition']}.",
                hint="AWS advises up to 99 for access control; 80 is meant for photo albums.",
                id="faces.W001",
            )
        )
    return found


@register(Tags.security)
def check_keys(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """The keys that seal faces are keys."""
    if not settings.FACE_TEMPLATE_KEYS:
        return [Error("FACE_TEMPLATE_KEYS is empty: faces could not be sealed.", id="faces.E005")]
    try:
        for key in settings.FACE_TEMPLATE_KEYS:
            Fernet(key)
    except ValueError:
        hint = "Make one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
        return [Error("FACE_TEMPLATE_KEYS holds something that is no Fernet key.", hint=hint, id="faces.E006")]
    return []


@register(Tags.security)
def check_pillow(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Pillow refuses broken pictures; the package face_recognition would switch that off for the whole process."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        return [
            Error("Something set PIL.ImageFile.LOAD_TRUNCATED_IMAGES: broken pictures would pass.", id="faces.E009")
        ]
    return []
