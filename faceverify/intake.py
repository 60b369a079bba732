"""
The one way in for pictures: whatever was uploaded becomes an upright RGB JPEG without metadata, or is refused.

The order matters: bytes, then format, then the size in the header, and only then are pixels decoded, so that a small file that
unpacks to gigabytes costs nothing. File name and Content-Type are never looked at.
"""

import hashlib
from io import BytesIO

from django.conf import settings
from PIL import ExifTags, Image, UnidentifiedImageError

from faceverify.engines.base import NormalisedImage
from faceverify.refusals import ImageInvalid, ImageTooLarge

FORMATS = ("JPEG", "PNG")
SHORTEST_SIDE = 80
PNG_MAX_PIXELS = 12_500_000  # a PNG can not be decoded at a smaller scale, a JPEG can
JPEG_QUALITY = 90
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError)


def normalise(content: bytes, *, max_side: int) -> NormalisedImage:
    """
    Return the picture in `content`, turned upright, shrunk to `max_side` and encoded anew from bare pixels.

    :raises ImageTooLarge: if it has too many bytes or pixels
    :raises ImageInvalid: if it is no JPEG or PNG, is broken, or is too small to hold a face
    """
    if len(content) > settings.FACE_MAX_BYTES:
        raise ImageTooLarge(f"That picture is larger than {settings.FACE_MAX_BYTES // 1_048_576} MB.")
    try:
        image = decode(content, max_side)
    except UnidentifiedImageError as error:
        raise ImageInvalid from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge from error
    except BROKEN as error:  # what Pillow's decoders raise for broken files
        raise ImageInvalid from error
    pixels = image.tobytes()
    bare = Image.frombytes("RGB", image.size, pixels)  # nothing but pixels: no EXIF, no comment, no profile
    file = BytesIO()
    bare.save(file, "JPEG", quality=JPEG_QUALITY)
    digest = hashlib.sha256(f"{bare.width}x{bare.height}:".encode() + pixels).hexdigest()
    return NormalisedImage(jpeg=file.getvalue(), width=bare.width, height=bare.height, pixels_sha256=digest)


def decode(content: bytes, max_side: int) -> Image.Image:
    """Return the pixels of a file whose header is within the limits."""
    with Image.open(BytesIO(content), formats=FORMATS) as image:
        refuse_by_header(image)
        orientation = orientation_of(image)
        if image.format != "PNG":
            image.draft("RGB", (max_side, max_side))
        image.load()
        small: Image.Image = image
        if max(image.size) > max_side:
            if image.mode == "P":
                small = image.convert("RGBA")
            ratio = max_side / max(image.size)
            size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
            small = small.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
        if small.mode in {"P", "PA", "LA"}:
            small = small.convert("RGBA")
        small = small.convert("RGB")
        return small.transpose(TURNS[orientation]) if orientation in TURNS else small


def refuse_by_header(image: Image.Image) -> None:
    """
    Look at the size a file says it has, before any pixel of it is decoded.

    :raises ImageTooLarge: if decoding it would cost too much
    :raises ImageInvalid: if it is too small to hold a face
    """
    most = min(settings.FACE_MAX_PIXELS, PNG_MAX_PIXELS) if image.format == "PNG" else settings.FACE_MAX_PIXELS
    if image.width * image.height > most:
        raise ImageTooLarge(f"That picture has more than {most // 1_000_000} million pixels.")
    if min(image.size) < SHORTEST_SIDE:
        raise ImageInvalid(f"That picture is too small: each side needs at least {SHORTEST_SIDE} pixels.")


def orientation_of(image: Image.Image) -> int:
    """Return how the camera was held (EXIF), 1 when the file does not say or says it in a broken way."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except BROKEN:
        return 1
