"""The ticket's poster is the event's own: everything its SVG may say is painted, and nothing else is passed over in silence."""

import random
from collections.abc import Callable
from io import BytesIO
from uuid import UUID

import pypdfium2
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from bookings.painting import CanNotPaint, paint, paint_poster
from events import artwork

BLACK = {"fill": "#000000"}


def picture(draw: Callable[[Canvas], None], *, wide: int = 100, high: int = 100) -> Image.Image:
    """Return what `draw` puts on a page, one pixel a point."""
    file = BytesIO()
    canvas = Canvas(file, pagesize=(wide, high))
    draw(canvas)
    canvas.save()
    return pypdfium2.PdfDocument(file.getvalue())[0].render(scale=1).to_pil().convert("RGB")


def painted(tag: str, given: dict[str, str]) -> Callable[[int, int], bool]:
    """Return a function that says whether a point of a 100 × 100 picture, counted from the top left, is dark."""

    def draw(canvas: Canvas) -> None:
        canvas.transform(1, 0, 0, -1, 0, 100)
        paint(canvas, tag, given)

    page = picture(draw)
    return lambda x, y: page.getpixel((x, y))[0] < 128


def ids(count: int) -> list[UUID]:
    """Return some ids, always the same."""
    dice = random.Random(7)
    return [UUID(int=dice.getrandbits(128)) for _ in range(count)]


def composition(event_id: UUID) -> str:
    """Return the name of the composition an id gets."""
    draw = random.Random(event_id.int)
    draw.randrange(len(artwork.PALETTES))
    return artwork.COMPOSITIONS[draw.randrange(len(artwork.COMPOSITIONS))].__name__


def test_every_composition_is_painted():
    chosen = ids(150)

    for event_id in chosen:
        paint_poster(Canvas(BytesIO()), event_id)

    assert {composition(event_id) for event_id in chosen} == {kind.__name__ for kind in artwork.COMPOSITIONS}


@pytest.mark.parametrize("event_id", ids(3), ids=composition)
def test_a_poster_fills_its_page_with_its_own_colours(event_id):
    page = picture(lambda canvas: paint_poster(canvas, event_id), wide=artwork.WIDTH, high=artwork.HEIGHT)

    colours = {"#{:02X}{:02X}{:02X}".format(*colour) for _, colour in page.getcolors(1_000_000)}
    palette = next(palette for palette in artwork.PALETTES if palette.ground in artwork.poster(event_id))
    assert palette.ground in colours
    assert len(colours & set(vars(palette).values())) >= 3
    assert page.getpixel((1, 1)) != (255, 255, 255)


def test_rectangles_and_circles_stand_where_they_should():
    box = painted("rect", BLACK | {"x": "10", "y": "20", "width": "50", "height": "30"})
    ball = painted("circle", BLACK | {"cx": "50", "cy": "30", "r": "20"})

    assert [box(12, 22), box(58, 48), box(8, 22), box(12, 52)] == [True, True, False, False]
    assert [ball(50, 12), ball(50, 48), ball(50, 52), ball(28, 30)] == [True, True, False, False]


def test_round_corners_are_round():
    pill = painted("rect", BLACK | {"x": "10", "y": "10", "width": "80", "height": "80", "rx": "40"})

    assert [pill(12, 12), pill(50, 12), pill(50, 50)] == [False, True, True]


def test_arcs_bulge_to_their_side():
    half = painted("path", BLACK | {"d": "M10 50 a40 40 0 0 1 80 0 z"})
    quarter = painted("path", BLACK | {"d": "M0 0 h100 a100 100 0 0 1 -100 100 z"})

    assert [half(50, 14), half(50, 56), half(14, 15)] == [True, False, False]
    assert [quarter(20, 20), quarter(68, 68), quarter(75, 75), quarter(3, 96)] == [True, True, False, True]


def test_curves_go_on_smoothly():
    wave = painted("path", BLACK | {"d": "M0 50 Q25 0 50 50 T100 50 V100 H0 Z"})

    assert [wave(25, 30), wave(25, 20), wave(75, 60), wave(75, 80)] == [True, False, False, True]


def test_turning_is_clockwise_as_in_svg():
    turned = painted(
        "rect", BLACK | {"x": "50", "y": "0", "width": "50", "height": "20", "transform": "rotate(90 50 50)"}
    )
    moved = painted(
        "rect", BLACK | {"x": "0", "y": "0", "width": "20", "height": "20", "transform": "translate(60 70)"}
    )

    assert [turned(90, 70), turned(60, 10)] == [True, False]
    assert [moved(70, 80), moved(10, 10)] == [True, False]


@pytest.mark.parametrize(
    ("tag", "given"),
    [
        ("text", {}),
        ("path", {"d": "M0 0 S1 1 2 2"}),
        ("path", {"d": "M0 0 A10 20 0 0 1 5 5"}),
        ("path", {"d": "M0 0 A10 10 0 1 1 5 5"}),
        ("circle", {"r": "1", "transform": "skewX(30)"}),
    ],
)
def test_what_it_does_not_know_is_refused(tag, given):
    with pytest.raises(CanNotPaint):
        paint(Canvas(BytesIO()), tag, given)
