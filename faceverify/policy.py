"""
The text people agree to before we look at their face, and its version.

The text says what the settings do (which engine, what is kept, how long), so another setting makes another version, and a
consent names the version and the hash of the very text that was shown.
"""

import hashlib
from dataclasses import dataclass

from django.conf import settings

EDITION = "2026-11"
LANGUAGES = ("en",)


@dataclass(frozen=True)
class Policy:
    """One version of the text in one language."""

    version: str
    language: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def current_policy(language: str = "en") -> Policy:
    """Return the text in force, in `language` or else in English."""
    language = language if language in LANGUAGES else "en"
    text = "\n\n".join(paragraphs())
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Policy(f"{EDITION}-{digest}", language, text)


def paragraphs() -> list[str]:
    """Return the paragraphs that are true with the settings as they are."""
    days = settings.FACE_RETENTION_DAYS
    return [
        "I agree that this shop compares photos of my face, to make sure that a ticket goes to the person it was made for. "
        "I am 18 or older.",
        where(),
        what(),
        f"It is deleted {days} days after the last event I was verified for, after {settings.FACE_UNUSED_DAYS} days if there "
        f"is none, and at the latest after three years. Photos taken to be checked are deleted right after the decision; one "
        f"that did not match is kept for at most {settings.FACE_REVIEW_HOURS} hours, so that a person can look at it.",
        "Only staff who review verifications may see these photos, and each look is written down. Nobody sells or shares them.",
        "I may withdraw this at any time. Everything is deleted at once then, and my tickets stay mine. "
        "I do not have to agree: I can ask a person to check my ID instead, with the same chances.",
    ]


def where() -> str:
    """Say who does the comparing."""
    if settings.FACE_ENGINE == "rekognition":
        return (
            "The comparing is done by Amazon Rekognition "
            f"(Amazon Web Services, region {settings.AWS_REGION}) on our behalf. The photos are sent there for each check; "
            "we do not ask it to keep them."
        )
    return "The comparing is done on this shop's own computers. No photo is sent to another company."


def what() -> str:
    """Say what is kept."""
    if settings.FACE_ENGINE == "rekognition":
        return "Of my profile photos one small picture of my face is kept, encrypted."
    if settings.FACE_KEEP_CROP:
        return "Of my profile photos a list of numbers that describes my face and one small picture of it are kept, encrypted."
    return "Of my profile photos only a list of numbers that describes my face is kept, encrypted; no picture."
