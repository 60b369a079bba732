"""
Faces drawn by us, for tests, demo data and `face_doctor`: nobody's biometrics, and yet they pass the real engine.

A person is a number; the same number always draws the same face. PEOPLE are those whose every photo passes the quality gate.
Any two of them may look alike to the engine, which was made for photographs; pairs it tells apart in every variant are in
DIFFERENT.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]

PEOPLE = (
    0,
    1,
    2,
    3,
    4,
    5,
    8,
    9,
    10,
    11,
    12,
    14,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    25,
    26,
    27,
    28,
    29,
    31,
    32,
    33,
    36,
    38,
    39,
)
DIFFERENT = ((5, 9), (5, 31), (2, 26), (2, 10))
# Whose drawn face the accounts of the demo have; everybody else who tries the demo is VISITOR.
DEMO_FACES = {"ana@demo.test": 5, "ben@demo.test": 9}
VISITOR = 2
STRANGER = 26  # whom the engine takes for none of them
SCALE = 2  # drawn twice as large and shrunk, for soft edges
SKINS: list[Colour] = [(224, 172, 140), (198, 134, 96), (141, 85, 56), (241, 194, 165), (110, 68, 45)]
HAIRS: list[Colour] = [(40, 28, 20), (90, 60, 30), (20, 20, 22), (150, 110, 60), (120, 40, 20)]
IRISES: list[Colour] = [(60, 40, 25), (60, 90, 120), (70, 95, 60), (35, 25, 20)]
GREY: Colour = (150, 150, 150)


@dataclass(frozen=True)
class Features:
    """What makes one drawn person; lengths are parts of the picture's height, places are relative to the middle of the face."""

    skin: Colour
    hair: Colour
    face_width: float
    face_height: float
    eye_x: float
    eye_y: float
    eye_width: float
    eye_height: float
    iris: Colour
    nose_length: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lip: float
    brow_width: float
    brow_y: float
    beard: bool
    long_hair: bool
    glasses: bool
    background: Colour
    shirt: Colour
    fringe: tuple[int, int]


def features_of(person: int) -> Features:
    """Return the features of a person; the order of the draws is what makes the face."""
    dice = random.Random(person)
    return Features(
        skin=dice.choice(SKINS),
        hair=dice.choice(HAIRS),
        face_width=dice.uniform(0.185, 0.225),
        face_height=dice.uniform(0.25, 0.29),
        eye_x=dice.uniform(0.078, 0.10),
        eye_y=dice.uniform(-0.055, -0.035),
        eye_width=dice.uniform(0.036, 0.048),
        eye_height=dice.uniform(0.013, 0.020),
        iris=dice.choice(IRISES),
        nose_length=dice.uniform(0.055, 0.085),
        nose_width=dice.uniform(0.028, 0.045),
        mouth_y=dice.uniform(0.125, 0.150),
        mouth_width=dice.uniform(0.055, 0.08),
        lip=dice.uniform(0.011, 0.02),
        brow_width=dice.uniform(0.010, 0.018),
        brow_y=dice.uniform(0.035, 0.048),
        beard=dice.random() < 0.35,
        long_hair=dice.random() < 0.5,
        glasses=dice.random() < 0.25,
        background=(dice.randint(120, 200), dice.randint(120, 200), dice.randint(130, 210)),
        shirt=(dice.randint(40, 160), dice.randint(40, 160), dice.randint(40, 160)),
        fringe=(dice.randint(-6, 6), dice.randint(-6, 6)),
    )


@dataclass(frozen=True)
class Canvas:
    """A drawing in the units of a face: the middle of the face is 0, 0 and 1 is the picture's height."""

    image: Image.Image
    middle: tuple[float, float]

    @property
    def pen(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.image)

    def length(self, part: float) -> int:
        return int(part * self.image.height)

    def box(self, x: float, y: float, half_width: float, half_height: float) -> list[float]:
        unit = self.image.height
        across, down = self.middle
        return [
            across + (x - half_width) * unit,
            down + (y - half_height) * unit,
            across + (x + half_width) * unit,
            down + (y + half_height) * unit,
        ]

    def ellipse(self, x: float, y: float, half_width: float, half_height: float, fill: Colour | int) -> None:
        self.pen.ellipse(self.box(x, y, half_width, half_height), fill=fill)

    def corners(self, left: float, top: float, right: float, bottom: float) -> list[float]:
        return self.box((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2)

    def tint(self, colour: Colour, blur: int, shapes: Callable[["Canvas"], None]) -> "Canvas":
        """Return the drawing with a soft colour over it where `shapes` draws on a mask."""
        mask = Canvas(Image.new("L", self.image.size, 0), self.middle)
        shapes(mask)
        soft = mask.image.filter(ImageFilter.GaussianBlur(blur * SCALE))
        return Canvas(Image.composite(Image.new("RGB", self.image.size, colour), self.image, soft), self.middle)


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker or lighter."""
    red, green, blue = (max(0, min(255, int(part * factor))) for part in colour)
    return red, green, blue


def draw(
    person: int,
    *,
    smile: bool = False,
    light: float = 1.0,
    side_light: float = 0.0,
    shift: tuple[int, int] = (0, 0),
    turn: float = 0.0,
    tilt: float = 0.0,
    size: tuple[int, int] = (480, 600),
) -> Image.Image:
    """
    Draw a person: smiling, in other light or light from one side (-1 to 1), moved, with the head turned to their own left
    (positive) or tilted by degrees.
    """
    looks = features_of(person)
    width, height = size[0] * SCALE, size[1] * SCALE
    middle = (width * 0.5 + shift[0] * SCALE, height * 0.45 + shift[1] * SCALE)
    canvas = Canvas(Image.new("RGB", (width, height), looks.background), middle)
    draw_head(canvas, looks)
    canvas = Canvas(canvas.image.filter(ImageFilter.GaussianBlur(2 * SCALE)), middle)
    aside = turn * 2 * looks.eye_x  # how far a turn moves the nose is measured by the distance of the eyes
    canvas = shade_face(canvas, looks, aside)
    draw_fringe(canvas, looks)
    draw_eyes(canvas, looks)
    draw_nose(canvas, looks, aside)
    draw_mouth(canvas, looks, smile, aside / 2)
    if looks.beard:
        canvas = draw_beard(canvas, looks)
    image = canvas.image.filter(ImageFilter.GaussianBlur(0.8 * SCALE)).resize(size, Image.Resampling.LANCZOS)
    noise = np.random.default_rng(person * 10 + int(smile)).normal(0, 2.5, (size[1], size[0], 3))
    ramp = light * np.linspace(1 - side_light, 1 + side_light, size[0])[None, :, None]
    lit = np.clip(np.asarray(image, dtype=np.float32) * ramp + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(lit).rotate(tilt, resample=Image.Resampling.BILINEAR, fillcolor=GREY)


def draw_head(canvas: Canvas, looks: Features) -> None:
    """Draw shoulders, neck, hair behind, ears and head."""
    canvas.ellipse(0, 0.62, 0.36, 0.28, looks.shirt)
    canvas.pen.rectangle(canvas.corners(-0.085, 0.15, 0.085, 0.42), fill=shade(looks.skin, 0.82))
    canvas.ellipse(0, -0.06, looks.face_width * 1.16, looks.face_height * 1.12, looks.hair)
    if looks.long_hair:
        wide = looks.face_width * 1.16
        canvas.pen.rounded_rectangle(
            canvas.corners(-wide, -0.05, wide, 0.33), radius=canvas.length(0.06), fill=looks.hair
        )
    for side in (-1, 1):
        canvas.ellipse(side * looks.face_width, 0.0, 0.022, 0.045, shade(looks.skin, 0.85))
    canvas.ellipse(0, 0.01, looks.face_width, looks.face_height, looks.skin)


def shade_face(canvas: Canvas, looks: Features, aside: float) -> Canvas:
    """Return the face with soft shadows and lights, without which the detector sees no face."""

    def shadows(mask: Canvas) -> None:
        for side in (-1, 1):
            mask.ellipse(side * looks.eye_x, looks.eye_y - 0.006, looks.eye_width * 1.45, looks.eye_height * 2.9, 110)
            mask.ellipse(side * looks.face_width * 0.92, 0.03, looks.face_width * 0.22, looks.face_height * 0.75, 70)
        mask.ellipse(aside, 0.045 + looks.nose_length * 0.4, looks.nose_width * 1.3, 0.018, 95)
        mask.ellipse(aside / 2, looks.mouth_y + 0.045, looks.mouth_width * 0.75, 0.012, 90)
        mask.ellipse(0, looks.face_height * 0.97, looks.face_width * 0.5, 0.03, 90)

    def lights(mask: Canvas) -> None:
        mask.ellipse(aside, -0.01, looks.nose_width * 0.35, looks.nose_length * 0.8, 90)
        for side in (-1, 1):
            mask.ellipse(side * looks.face_width * 0.5, 0.06, 0.03, 0.025, 60)
        mask.ellipse(0, -0.15, looks.face_width * 0.5, 0.04, 60)

    return canvas.tint(shade(looks.skin, 0.45), 9, shadows).tint(shade(looks.skin, 1.25), 9, lights)


def draw_fringe(canvas: Canvas, looks: Features) -> None:
    """Draw the hair over the forehead."""
    wide, tall = looks.face_width * 1.05, looks.face_height
    start, end = 200 + looks.fringe[0], 340 + looks.fringe[1]
    canvas.pen.chord(canvas.corners(-wide, -tall * 1.08, wide, tall * 0.55), start, end, fill=looks.hair)


def draw_eyes(canvas: Canvas, looks: Features) -> None:
    """Draw eyes, lids, brows and perhaps glasses."""
    wide, tall, y = looks.eye_width, looks.eye_height, looks.eye_y
    pen = canvas.pen
    for side in (-1, 1):
        x = side * looks.eye_x
        canvas.ellipse(x, y, wide, tall, (242, 240, 236))
        canvas.ellipse(x + 0.002, y, tall * 0.98 + 0.002, tall * 0.98, looks.iris)
        canvas.ellipse(x + 0.002, y, tall * 0.45, tall * 0.45, (8, 8, 8))
        canvas.ellipse(x + 0.006, y - 0.005, 0.003, 0.003, (255, 255, 255))
        line = canvas.length(0.006)
        pen.arc(canvas.box(x, y, wide, tall * 1.5), 195, 345, fill=shade(looks.skin, 0.25), width=line)
        brow = canvas.corners(x - wide * 1.35, y - looks.brow_y - 0.02, x + wide * 1.35, y - looks.brow_y + 0.045)
        pen.arc(brow, 205, 335, fill=shade(looks.hair, 0.9), width=canvas.length(looks.brow_width))
        if looks.glasses:
            pen.ellipse(canvas.box(x, y, wide * 1.5, wide * 1.1), outline=(30, 30, 30), width=line)


def draw_nose(canvas: Canvas, looks: Features, aside: float) -> None:
    """Draw the nose, `aside` from its place when the head is turned."""
    length, width = looks.nose_length, looks.nose_width
    for side in (-1, 1):
        canvas.ellipse(aside + side * width * 0.55, 0.03 + length * 0.55, 0.0085, 0.006, shade(looks.skin, 0.35))
        wing = canvas.corners(
            aside + side * width - 0.016,
            0.005 + length * 0.35,
            aside + side * width + 0.016,
            0.045 + length * 0.5,
        )
        start, end = (20, 90) if side > 0 else (90, 160)
        canvas.pen.arc(wing, start, end, fill=shade(looks.skin, 0.55), width=canvas.length(0.005))


def draw_mouth(canvas: Canvas, looks: Features, smile: bool, aside: float) -> None:
    """Draw the mouth, open a little when it smiles, `aside` when the head is turned."""
    opening = 0.006 if smile else 0
    lips = shade((178, 84, 80), 0.55 + 0.45 * looks.skin[0] / 241)
    canvas.ellipse(aside, looks.mouth_y, looks.mouth_width, looks.lip + opening, lips)
    left, middle, right, _ = canvas.box(aside, looks.mouth_y, looks.mouth_width * 0.97, 0)
    canvas.pen.line([left, middle, right, middle], fill=shade(looks.skin, 0.3), width=canvas.length(0.005))
    if smile:
        canvas.ellipse(aside, looks.mouth_y, looks.mouth_width * 0.7, opening + 0.004, (240, 235, 228))


def draw_beard(canvas: Canvas, looks: Features) -> Canvas:
    """Return the face with a beard."""

    def hairs(mask: Canvas) -> None:
        mask.ellipse(0, looks.mouth_y + 0.03, looks.face_width * 0.75, 0.075, 150)
        mask.ellipse(0, looks.mouth_y, looks.mouth_width * 1.02, looks.lip * 1.3, 0)

    return canvas.tint(looks.hair, 4, hairs)


# -- Files ------------------------------------------------------------------------------------------------------------


def as_jpeg(image: Image.Image, *, quality: int = 92, exif: Image.Exif | None = None) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    file = BytesIO()
    image.save(file, "JPEG", quality=quality, exif=exif or Image.Exif())
    return file.getvalue()


def photo(person: int, variant: int = 0) -> bytes:
    """Return a JPEG of a person; each variant (0, 1, 2) is another photo of them: expression, light, place, turn, tilt."""
    shots = (
        {},
        {"smile": True, "light": 0.95, "side_light": 0.35, "shift": (14, 8), "turn": -0.08, "tilt": 4.0},
        {"light": 1.05, "side_light": -0.35, "shift": (-10, 5), "turn": 0.08, "tilt": -5.0},
    )
    return as_jpeg(draw(person, **shots[variant]))  # type: ignore[arg-type]


POSES = (2, 3, 4, 5, 6, 9, 11, 12, 13, 19)


def selfie(person: int, number: int = 0) -> bytes:
    """Return one of ten more photos of a person, each unlike the others enough to count as another picture."""
    pose = POSES[number % len(POSES)]
    picture = draw(
        person,
        smile=bool(pose % 2),
        light=0.86 + 0.02 * (pose % 10),
        shift=(4 * (pose % 7) - 12, 3 * (pose % 5) - 6),
        tilt=float(pose % 9 - 4) + pose / 20,
    )
    return as_jpeg(picture)


def two_people(one: int, other: int) -> bytes:
    """Return a JPEG of two people side by side."""
    whole = Image.new("RGB", (960, 600))
    whole.paste(draw(one), (0, 0))
    whole.paste(draw(other), (480, 0))
    return as_jpeg(whole)


def nobody() -> bytes:
    """Return a JPEG without any face: a wall with a door."""
    wall = Image.new("RGB", (480, 600), (170, 165, 150))
    ImageDraw.Draw(wall).rectangle([180, 200, 320, 600], fill=(110, 80, 60))
    return as_jpeg(wall)


def blurred(person: int, radius: float = 7) -> bytes:
    """Return a JPEG of a person out of focus."""
    return as_jpeg(draw(person).filter(ImageFilter.GaussianBlur(radius)))
