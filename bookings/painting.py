"""Paints an event's poster (`events.artwork`) on a PDF page: as much of SVG as the posters use, and an error for the rest."""

import math
import re
from collections.abc import Iterator
from uuid import UUID
from xml.etree import ElementTree

from reportlab.lib.colors import HexColor
from reportlab.pdfgen.canvas import Canvas
from reportlab.pdfgen.pathobject import PDFPathObject

from events.artwork import HEIGHT, poster

TOKEN = re.compile(r"[A-Za-z]|-?(?:\d+\.?\d*|\.\d+)")
NUMBERS = {"M": 2, "L": 2, "H": 1, "V": 1, "Q": 4, "T": 2, "C": 6, "A": 7, "Z": 0}
CAPS = {"butt": 0, "round": 1}


class CanNotPaint(ValueError):
    """The poster uses something that this painter does not know."""


def paint_poster(canvas: Canvas, event_id: UUID) -> None:
    """
    Paint the poster in its own coordinates, WIDTH × HEIGHT with the origin at the top left.

    :raises CanNotPaint: if the poster uses something this painter does not know
    """
    canvas.saveState()
    canvas.transform(1, 0, 0, -1, 0, HEIGHT)
    for node in ElementTree.fromstring(poster(event_id)):  # noqa: S314 - our own text, made a moment ago
        paint(canvas, node.tag.rpartition("}")[2], node.attrib)
    canvas.restoreState()


def paint(canvas: Canvas, tag: str, given: dict[str, str]) -> None:
    """Paint one element."""
    canvas.saveState()
    turn(canvas, given.get("transform", ""))
    fill, stroke = given.get("fill", "#000000"), given.get("stroke", "none")
    opacity = float(given.get("opacity", 1))
    if fill != "none":
        canvas.setFillColor(HexColor(fill))
        canvas.setFillAlpha(opacity)
    if stroke != "none":
        canvas.setStrokeColor(HexColor(stroke))
        canvas.setLineWidth(float(given.get("stroke-width", 1)))
        canvas.setLineCap(CAPS[given.get("stroke-linecap", "butt")])
        canvas.setDash([float(length) for length in given.get("stroke-dasharray", "").split()])
    painted = {"stroke": int(stroke != "none"), "fill": int(fill != "none")}
    x, y, r = (float(given.get(name, 0)) for name in ("cx", "cy", "r"))
    if tag == "circle":
        canvas.circle(x, y, r, **painted)
    elif tag == "rect":
        left, top, wide, tall = (float(given.get(name, 0)) for name in ("x", "y", "width", "height"))
        canvas.roundRect(left, top, wide, tall, min(float(given.get("rx", 0)), wide / 2, tall / 2), **painted)
    elif tag == "path":
        path = canvas.beginPath()
        trace(path, given["d"])
        canvas.drawPath(path, **painted)
    else:
        raise CanNotPaint(tag)
    canvas.restoreState()


def turn(canvas: Canvas, transform: str) -> None:
    """Apply `translate(x y)` or `rotate(degrees x y)`."""
    if not transform:
        return
    kind, _, rest = transform.partition("(")
    numbers = [float(number) for number in rest.rstrip(")").split()]
    if kind == "translate":
        canvas.translate(*numbers)
    elif kind == "rotate":
        canvas.translate(*numbers[1:])
        canvas.rotate(numbers[0])
        canvas.translate(-numbers[1], -numbers[2])
    else:
        raise CanNotPaint(transform)


def steps(d: str) -> Iterator[tuple[str, list[float]]]:
    """Yield each command of a path with its numbers; repeated numbers repeat the command."""
    tokens = TOKEN.findall(d)
    at, command = 0, ""
    while at < len(tokens):
        if tokens[at].isalpha():
            command = tokens[at]
            at += 1
        count = NUMBERS.get(command.upper())
        if count is None:
            raise CanNotPaint(command)
        yield command, [float(number) for number in tokens[at : at + count]]
        at += count


def trace(path: PDFPathObject, d: str) -> None:
    """Draw the path that `d` describes."""
    x = y = start_x = start_y = 0.0
    bend = (0.0, 0.0)
    for command, n in steps(d):
        kind = command.upper()
        if command != kind:  # relative: make it absolute
            n = [*n[:5], n[5] + x, n[6] + y] if kind == "A" else relative(kind, n, x, y)
        if kind == "M":
            x, y = start_x, start_y = n[0], n[1]
            path.moveTo(x, y)
        elif kind in "LHV":
            x, y = (n[0], y) if kind == "H" else (x, n[0]) if kind == "V" else (n[0], n[1])
            path.lineTo(x, y)
        elif kind in "QT":
            middle = (2 * x - bend[0], 2 * y - bend[1]) if kind == "T" else (n[0], n[1])
            x, y = quadratic(path, x, y, middle, (n[-2], n[-1]))
            bend = middle
        elif kind == "C":
            path.curveTo(*n)
            x, y = n[4], n[5]
        elif kind == "A":
            arc(path, x, y, n)
            x, y = n[5], n[6]
        else:
            path.close()
            x, y = start_x, start_y
        if kind not in "QT":
            bend = (x, y)


def relative(kind: str, n: list[float], x: float, y: float) -> list[float]:
    """Return the numbers of a relative command as those of the absolute one."""
    if kind in "HV":
        return [n[0] + (x if kind == "H" else y)]
    return [number + (y if index % 2 else x) for index, number in enumerate(n)]


def quadratic(
    path: PDFPathObject, x: float, y: float, middle: tuple[float, float], end: tuple[float, float]
) -> tuple[float, float]:
    """Draw a curve with one control point as the cubic one that PDF knows; return its end."""
    path.curveTo(
        x + 2 / 3 * (middle[0] - x),
        y + 2 / 3 * (middle[1] - y),
        end[0] + 2 / 3 * (middle[0] - end[0]),
        end[1] + 2 / 3 * (middle[1] - end[1]),
        *end,
    )
    return end


def arc(path: PDFPathObject, x: float, y: float, n: list[float]) -> None:
    """Draw a part of a circle: the shorter way, clockwise on the page, in quarters at most."""
    radius, large, sweep, end_x, end_y = n[0], n[3], n[4], n[5], n[6]
    if n[1] != radius or large or not sweep:
        raise CanNotPaint(f"arc {n}")
    chord = math.hypot(end_x - x, end_y - y)
    radius = max(radius, chord / 2)
    height = math.sqrt(max(0.0, radius**2 - (chord / 2) ** 2))
    centre_x = (x + end_x) / 2 - height * (end_y - y) / chord
    centre_y = (y + end_y) / 2 + height * (end_x - x) / chord
    begin = math.atan2(y - centre_y, x - centre_x)
    whole = 2 * math.asin(min(1.0, chord / 2 / radius))
    parts = max(1, math.ceil(whole / (math.pi / 2) - 1e-9))
    angle = whole / parts
    reach = 4 / 3 * math.tan(angle / 4) * radius
    for part in range(parts):
        a, b = begin + part * angle, begin + (part + 1) * angle
        from_x, from_y = centre_x + radius * math.cos(a), centre_y + radius * math.sin(a)
        to_x, to_y = centre_x + radius * math.cos(b), centre_y + radius * math.sin(b)
        path.curveTo(
            from_x - reach * math.sin(a),
            from_y + reach * math.cos(a),
            to_x + reach * math.sin(b),
            to_y - reach * math.cos(b),
            to_x,
            to_y,
        )
