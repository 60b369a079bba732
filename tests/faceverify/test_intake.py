"""The one way in for pictures: what it refuses before decoding, and what it leaves of what it takes."""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

from faceverify import drawings
from faceverify.intake import TURNS, normalise
from faceverify.refusals import ImageInvalid, ImageTooLarge
from tests.faceverify.people import ANA, ENGINE, opened, photo, seen, taken_in


def file_of(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_header(width, height):
    """A PNG that says how large it is and unpacks to that many zeros, in a few hundred bytes per million pixels."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = b"\0" * (width + 1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_picture_becomes_an_upright_jpeg_of_bare_pixels():
    image = taken_in(photo(ANA))

    with opened(image.jpeg) as made:
        assert (made.format, made.mode, made.size) == ("JPEG", "RGB", (480, 600))
        assert set(made.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert image.pixels.shape == (600, 480, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_forgotten(orientation):
    upright = drawings.draw(ANA)
    backwards = {6: 8, 8: 6}.get(orientation, orientation)
    held = upright.transpose(TURNS[backwards]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}  # where it was taken

    image = taken_in(drawings.as_jpeg(held, exif=exif))

    assert np.abs(image.pixels.astype(int) - seen(ANA).pixels.astype(int)).mean() < 2
    assert opened(image.jpeg).getexif() == {}
    assert ENGINE.analyse(image).reasons == ()


def test_picture_on_its_side_without_a_hint_has_no_face():
    assert ENGINE.analyse(taken_in(drawings.as_jpeg(drawings.draw(ANA).rotate(90, expand=True)))).reasons == (
        "face_none",
    )


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_matter():
    whole = photo(ANA)
    broken = whole[:2] + b"\xff\xe1\x00\x10Exif\0\0MM\0*\xff\xff\xff\xff" + whole[2:]

    assert taken_in(broken).pixels_sha256 == taken_in(whole).pixels_sha256


def test_large_picture_is_shrunk():
    image = taken_in(drawings.as_jpeg(drawings.draw(ANA).resize((1920, 2400))))

    assert (image.width, image.height) == (512, 640)
    assert ENGINE.analyse(image).reasons == ()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "I;16"])
def test_png_of_any_mode_is_taken(mode):
    image = taken_in(file_of(drawings.draw(ANA).convert("L" if mode == "I;16" else mode).convert(mode), "PNG"))

    assert opened(image.jpeg).mode == "RGB"


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO"])
def test_other_formats_are_refused_whatever_they_are_called(kind):
    with pytest.raises(ImageInvalid):
        taken_in(file_of(drawings.draw(ANA).resize((120, 150)), kind))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff",
        os.urandom(5000),
        photo(ANA)[:9000],
    ],
    ids=["nothing", "a gif's head", "svg", "a jpeg's head", "noise", "cut off"],
)
def test_broken_files_are_refused(content):
    with pytest.raises(ImageInvalid):
        taken_in(content)


def test_broken_files_are_refused_because_nothing_switched_that_off():
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_too_many_bytes_are_refused(settings):
    settings.FACE_MAX_BYTES = 10_000

    with pytest.raises(ImageTooLarge):
        taken_in(photo(ANA))


def test_too_small_a_picture_is_refused():
    with pytest.raises(ImageInvalid):
        taken_in(drawings.as_jpeg(drawings.draw(ANA).resize((79, 300))))


@pytest.mark.parametrize("size", [(13_000, 13_000), (30_000, 30_000), (5_100, 5_000)])
def test_pixel_bombs_are_refused(size):
    with pytest.raises(ImageTooLarge):
        taken_in(png_header(*size))


def test_text_bombs_are_refused():
    head = png_header(100, 100)
    text = b"Comment\0\0" + zlib.compress(b"x" * 60_000_000, 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))

    with pytest.raises(ImageInvalid):
        taken_in(head[:33] + chunk + head[33:])


BOMB = """
import resource, sys
import django
django.setup()
from faceverify.intake import normalise
from faceverify.refusals import ImageTooLarge
from faceverify.drawings import photo
normalise(photo(5), max_side=640)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
content = open(sys.argv[1], "rb").read()
try:
    normalise(content, max_side=640)
except ImageTooLarge:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_pixel_bomb_costs_no_memory(settings, tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(13_000, 13_000))

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BOMB, path],
        cwd=settings.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == ""
    assert path.stat().st_size < 600_000
    assert int(done.stdout) < 64 * 1024  # KiB


def test_what_hides_in_a_file_does_not_get_through():
    script = b"<script>alert(1)</script>"
    hidden = photo(ANA)
    hidden = hidden[:2] + b"\xff\xfe" + struct.pack(">H", len(script) + 2) + script + hidden[2:] + script

    assert script in hidden
    assert script not in taken_in(hidden).jpeg


def test_same_pixels_have_the_same_mark_whatever_surrounds_them():
    exif = Image.Exif()
    exif[0x010E] = "another description"
    plain = file_of(drawings.draw(ANA), "PNG")
    described = file_of(drawings.draw(ANA), "PNG", exif=exif)

    assert plain != described
    assert taken_in(plain).pixels_sha256 == taken_in(described).pixels_sha256
    assert taken_in(plain).pixels_sha256 != taken_in(photo(ANA, 1)).pixels_sha256


def test_orientation_of_pillow_is_the_same_as_ours():
    for orientation in TURNS:
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = drawings.as_jpeg(drawings.draw(ANA).resize((120, 150)), exif=exif)
        theirs = ImageOps.exif_transpose(opened(content))

        ours = normalise(content, max_side=640)

        assert (ours.width, ours.height) == theirs.size
        assert np.abs(ours.pixels.astype(int) - np.asarray(theirs).astype(int)).mean() < 3
