"""A camera that shows a drawn person, for Chromium: nobody's face, and the whole way from the lens to the engine."""

from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import User
from faceverify import drawings, services
from faceverify.models import FaceReference
from faceverify.policy import current_policy

FRAMES = 6


def film(path: Path, person: int, **look: Any) -> Path:
    """Write a film of a drawn person that Chromium plays as its camera."""
    frames = [
        drawings.as_jpeg(drawings.draw(person, size=(1280, 960), shift=(number % 3 - 1, 0), **look))
        for number in range(FRAMES)
    ]
    path.write_bytes(b"".join(frames))
    return path


def flags(film_path: Path) -> list[str]:
    """Return the flags with which Chromium has this film as its camera, and is allowed to use it."""
    return [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film_path}",
    ]


def upload(content: bytes) -> SimpleUploadedFile:
    """Return a picture as a form sends it."""
    return SimpleUploadedFile("photo.jpg", content, content_type="image/jpeg")


def agree() -> dict[str, str]:
    """Return the fields of somebody who ticks the box under the text in force."""
    return {"consent": "on", "text_version": current_policy().version}


def enrolled(person: User, drawing: int) -> FaceReference:
    """Give a person's account the face of a drawing, with consent."""
    services.give_consent(user_id=person.pk, policy_version=current_policy().version, method="checkbox")
    return services.enrol(user_id=person.pk, photos=[drawings.photo(drawing)])
