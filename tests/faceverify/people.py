"""Drawn people for these tests: each picture is taken in by the real intake and seen by the real engine."""

from functools import cache
from io import BytesIO

from PIL import Image

from faceverify import drawings
from faceverify.engines.base import NormalisedImage
from faceverify.engines.local import LocalEngine
from faceverify.intake import normalise
from faceverify.models import FaceImage, FaceReference
from faceverify.policy import current_policy
from faceverify.services import claim_probe, enrol, give_consent, store_probe

ANA, BEN = 5, 9
ENGINE = LocalEngine()


@cache
def photo(person: int, variant: int = 0) -> bytes:
    """A JPEG of a drawn person."""
    return drawings.photo(person, variant)


def taken_in(content: bytes, max_side: int = 640) -> NormalisedImage:
    """A picture as the engines get it."""
    return normalise(content, max_side=max_side)


@cache
def seen(person: int, variant: int = 0) -> NormalisedImage:
    """A drawn person's photo as the engines get it."""
    return taken_in(photo(person, variant))


def agree(user) -> None:
    """Let a person agree to the text in force."""
    give_consent(user_id=user.pk, policy_version=current_policy().version, method="test")


def enrolled(user, person: int = ANA, *variants: int) -> FaceReference:
    """Let a person agree and enrol as a drawn person."""
    agree(user)
    return enrol(user_id=user.pk, photos=[photo(person, variant) for variant in variants or (0,)])


def claimed(user, content: bytes) -> FaceImage:
    """Upload a picture and claim it."""
    return claim_probe(user_id=user.pk, image_key=str(store_probe(user_id=user.pk, content=content).pk))


def opened(content: bytes) -> Image.Image:
    """The picture in a file."""
    return Image.open(BytesIO(content))
