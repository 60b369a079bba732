"""
Posters for events that nobody drew one for: one SVG per event id, the same every time, made without a query.

The id chooses a composition and a palette and seeds every detail. Only presentation attributes are used, no style and no
script, so that the strict Content-Security-Policy holds for the picture too.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

VERSION = 1  # part of the address: raise it when a picture changes, since browsers keep them for a year
WIDTH, HEIGHT = 800, 500


@dataclass(frozen=True)
class Palette:
    """A ground, two soft tones, two strong ones and a highlight that reads on the ground."""

    ground: str
    soft: str
    mid: str
    strong: str
    deep: str
    light: str


PALETTES = (
    Palette("#2A1E5C", "#4A37A0", "#7C5CF0", "#FF7A59", "#1A1140", "#FFD9A0"),
    Palette("#0E3B43", "#145C63", "#2FA39A", "#FFB454", "#082428", "#F6EBD2"),
    Palette("#F3D9C4", "#E9B99A", "#D97B5B", "#8C2F39", "#4A1A2C", "#FFF6EA"),
    Palette("#101E3C", "#1E3A6E", "#3D7DD8", "#F25F8B", "#0A1228", "#BFE3FF"),
    Palette("#F7C948", "#F4A93C", "#E8703A", "#2D3A8C", "#1B1F4B", "#FFF3C4"),
    Palette("#3A0F2E", "#6B1D4A", "#C2356B", "#FF9F6B", "#220818", "#FFD7E2"),
    Palette("#DDE8DF", "#A9C9B4", "#4F9172", "#17463A", "#0D2A23", "#FFFFFF"),
    Palette("#16233A", "#264653", "#2A9D8F", "#E9C46A", "#0C1526", "#F4F1DE"),
    Palette("#C9D6F2", "#9DB2E8", "#5B6FD6", "#2B2A72", "#191845", "#FFF5D6"),
    Palette("#251A33", "#513B6E", "#9A6FD0", "#8FE3C8", "#150D20", "#F3E8FF"),
)


def number(value: float) -> str:
    """Return a coordinate with one decimal at most."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def circle(x: float, y: float, r: float, fill: str, extra: str = "") -> str:
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(r)}" fill="{fill}"{extra}/>'


def rect(x: float, y: float, w: float, h: float, fill: str, extra: str = "") -> str:
    return f'<rect x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}" fill="{fill}"{extra}/>'


def shape(d: str, fill: str, extra: str = "") -> str:
    return f'<path d="{d}" fill="{fill}"{extra}/>'


def rings(draw: random.Random, p: Palette) -> list[str]:
    """Sound spreading from one point: rings that grow thinner, and a bright source."""
    x, y = draw.uniform(250, 550), draw.uniform(200, 320)
    tones = [p.soft, p.mid, p.strong, p.light]
    parts = []
    radius = 470.0
    while radius > 46:
        gap = draw.uniform(22, 44)
        width = draw.uniform(5, 18)
        tone = draw.choice(tones[:2] if radius > 260 else tones)
        ring = f' stroke="{tone}" stroke-width="{number(width)}"'
        if draw.random() < 0.45:
            turn = draw.uniform(0.3, 0.8) * 2 * math.pi * radius
            rest = 2 * math.pi * radius - turn
            ring += f' stroke-linecap="round" stroke-dasharray="{number(turn)} {number(rest)}"'
            ring += f' transform="rotate({draw.randrange(360)} {number(x)} {number(y)})"'
        parts.append(circle(x, y, radius, "none", ring))
        radius -= gap
    return [*parts, circle(x, y, 34, p.strong), circle(x, y, 13, p.light)]


def waves(draw: random.Random, p: Palette) -> list[str]:
    """A sun over water: five swells in front of each other."""
    sun = draw.uniform(180, 620)
    parts = [circle(sun, draw.uniform(130, 190), draw.uniform(70, 105), p.strong)]
    for index, tone in enumerate((p.soft, p.mid, p.soft, p.deep, p.mid)):
        base = 225 + index * 58
        length = draw.uniform(180, 300)
        height = draw.uniform(18, 46)
        shift = draw.uniform(0, length)
        points = [f"M{number(-shift)} {base}"]
        x, up = -shift, True
        while x < WIDTH + 40:
            peak = base - height if up else base + height * 0.5
            points.append(f"Q{number(x + length / 2)} {number(peak)} {number(x + length)} {base}")
            x, up = x + length, not up
        d = " ".join(points) + f" V{HEIGHT} H{number(-shift)} Z"
        parts.append(shape(d, tone, ' opacity=".92"'))
    return parts


def skyline(draw: random.Random, p: Palette) -> list[str]:
    """A town at night with a moon and windows that are still lit."""
    parts = [circle(draw.uniform(140, 660), 120, draw.uniform(46, 74), p.light)]
    parts += [circle(draw.uniform(0, WIDTH), draw.uniform(10, 240), draw.uniform(1, 2.6), p.light) for _ in range(34)]
    for tone, low, high, lit in ((p.soft, 150, 290, False), (p.deep, 80, 230, True)):
        x = -10.0
        while x < WIDTH:
            wide, tall = draw.uniform(52, 104), draw.uniform(low, high)
            top = HEIGHT - tall
            parts.append(rect(x, top, wide + 1, tall, tone))
            if draw.random() < 0.3:
                parts.append(
                    shape(f"M{number(x)} {number(top)} l{number(wide / 2)} -34 l{number(wide / 2)} 34 z", tone)
                )
            if lit:
                parts += [
                    rect(x + column, top + row, 9, 13, p.strong if draw.random() < 0.72 else p.light)
                    for column in range(12, int(wide) - 16, 20)
                    for row in range(20, int(tall) - 14, 28)
                    if draw.random() < 0.42
                ]
            x += wide
    return parts


def bars(draw: random.Random, p: Palette) -> list[str]:
    """An equaliser that swells towards the middle, mirrored on its axis."""
    count = draw.choice([15, 19, 23])
    step = WIDTH / (count + 1)
    centre = draw.uniform(0.36, 0.64) * count
    parts = [circle(step * (centre + 1), 250, 210, p.soft)]
    for index in range(count):
        swell = math.exp(-(((index - centre) / (count * 0.3)) ** 2))
        tall = 40 + 370 * swell * draw.uniform(0.55, 1)
        tone = draw.choice([p.mid, p.mid, p.strong, p.light])
        wide = step * 0.52
        parts.append(rect(step * (index + 1) - wide / 2, 250 - tall / 2, wide, tall, tone, f' rx="{number(wide / 2)}"'))
    return parts


def paper(draw: random.Random, p: Palette) -> list[str]:
    """Cut paper: big soft leaves and pebbles laid over each other."""
    parts = []
    tones = [p.soft, p.mid, p.strong, p.deep, p.light]
    draw.shuffle(tones)
    for index, tone in enumerate([*tones, tones[0]]):
        x, y = (index % 3) * 300 + draw.uniform(0, 180), (index // 3) * 260 + draw.uniform(40, 200)
        size = draw.uniform(120, 190)
        corners = draw.choice([5, 6, 7])
        points = []
        for corner in range(corners):
            angle = corner / corners * 2 * math.pi + draw.uniform(-0.25, 0.25)
            reach = size * draw.uniform(0.7, 1.15)
            points.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
        middles = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(points, points[1:] + points[:1], strict=True)]
        d = f"M{number(middles[-1][0])} {number(middles[-1][1])} " + " ".join(
            f"Q{number(a[0])} {number(a[1])} {number(m[0])} {number(m[1])}"
            for a, m in zip(points, middles, strict=True)
        )
        parts.append(shape(d + " Z", p.deep, ' opacity=".16" transform="translate(7 9)"'))
        parts.append(shape(d + " Z", tone))
    sway = draw.uniform(90, 150)
    parts.append(
        f'<path d="M-20 {number(sway + 250)} C200 {number(250 - sway)} 520 {number(420 + sway)} 830 {number(sway + 60)}"'
        f' fill="none" stroke="{p.light}" stroke-width="9" stroke-linecap="round"/>'
    )
    return parts


def arches(draw: random.Random, p: Palette) -> list[str]:
    """A row of stages: arches inside arches."""
    count = draw.choice([3, 4])
    wide = WIDTH / count
    parts = []
    for index in range(count):
        tones = [p.soft, p.mid, p.strong, p.light, p.deep]
        keep = draw.sample(tones, 4)
        x, top = index * wide + wide / 2, draw.uniform(60, 170)
        for layer, tone in enumerate(keep):
            half = wide / 2 - 10 - layer * wide / 10
            start = top + layer * wide / 9
            parts.append(
                shape(
                    f"M{number(x - half)} {HEIGHT} V{number(start + half)} A{number(half)} {number(half)} 0 0 1"
                    f" {number(x + half)} {number(start + half)} V{HEIGHT} Z",
                    tone,
                )
            )
        parts.append(circle(x, max(26, top - 22), 11, p.light))
    return parts


def tiles(draw: random.Random, p: Palette) -> list[str]:
    """A mosaic of quarter circles, half circles and dots."""
    side = 100
    parts = []
    tones = [p.soft, p.mid, p.strong, p.light, p.deep]
    for left in range(0, WIDTH, side):
        for top in range(0, HEIGHT, side):
            back, front = draw.sample(tones, 2)
            parts.append(rect(left, top, side, side, back))
            kind = draw.randrange(5)
            turn = f' transform="rotate({draw.choice([0, 90, 180, 270])} {left + 50} {top + 50})"'
            if kind == 0:
                parts.append(shape(f"M{left} {top} h100 a100 100 0 0 1 -100 100 z", front, turn))
            elif kind == 1:
                parts.append(shape(f"M{left} {top + 50} a50 50 0 0 1 100 0 z", front, turn))
            elif kind == 2:
                parts.append(circle(left + 50, top + 50, draw.choice([18, 28, 38]), front))
            elif kind == 3:
                parts.append(shape(f"M{left} {top} h100 l-100 100 z", front, turn))
            else:
                parts.append(shape(f"M{left} {top} h100 a100 100 0 0 1 -100 100 z", front, turn))
                parts.append(shape(f"M{left} {top} h50 a50 50 0 0 1 -50 50 z", back, turn))
    return parts


def sunburst(draw: random.Random, p: Palette) -> list[str]:
    """Rays from behind the hills, as on an old festival poster."""
    x, y = draw.uniform(280, 520), 330.0
    count = draw.choice([22, 26, 30])
    parts = []
    for index in range(0, count, 2):
        a, b = (2 * math.pi * (index + k) / count for k in (0, 1))
        parts.append(
            shape(
                f"M{number(x)} {number(y)} L{number(x + 900 * math.cos(a))} {number(y + 900 * math.sin(a))}"
                f" L{number(x + 900 * math.cos(b))} {number(y + 900 * math.sin(b))} Z",
                p.soft,
            )
        )
    parts += [circle(x, y, 168, p.mid), circle(x, y, 128, p.strong), circle(x, y, 84, p.light)]
    left, right = draw.uniform(290, 360), draw.uniform(290, 370)
    parts.append(shape(f"M0 {number(left + 40)} Q200 {number(left)} 420 410 T800 {number(right)} V500 H0 Z", p.mid))
    parts.append(
        shape(f"M0 {number(right + 90)} Q260 {number(left + 40)} 500 440 T800 {number(left + 100)} V500 H0 Z", p.deep)
    )
    return parts


def halftone(draw: random.Random, p: Palette) -> list[str]:
    """A spotlight in printed dots, falling on a stage."""
    x, y = draw.uniform(260, 540), draw.uniform(170, 290)
    parts = [circle(x, y, 236, p.soft)]
    for row in range(13):
        for column in range(20):
            cx, cy = 20 + column * 40 + (row % 2) * 20, 20 + row * 40
            near = math.hypot(cx - x, cy - y)
            r = 17.5 - near / 24
            if r > 1.6:
                tone = p.strong if near < 115 else p.mid
                parts.append(circle(cx, cy, r, tone))
    parts.append(circle(x, y, 52, p.light))
    return parts


COMPOSITIONS: tuple[Callable[[random.Random, Palette], list[str]], ...] = (
    rings, waves, skyline, bars, paper, arches, tiles, sunburst, halftone,
)  # fmt: skip


@lru_cache(maxsize=512)
def poster(event_id: UUID) -> str:
    """Return the poster of one event as an SVG document of about 2 to 12 KB."""
    draw = random.Random(event_id.int)
    palette = PALETTES[draw.randrange(len(PALETTES))]
    compose = COMPOSITIONS[draw.randrange(len(COMPOSITIONS))]
    parts = compose(draw, palette)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        f' preserveAspectRatio="xMidYMid slice">{rect(0, 0, WIDTH, HEIGHT, palette.ground)}{"".join(parts)}</svg>'
    )
