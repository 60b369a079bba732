"""Small pictures of an hour of a sale, drawn as SVG for the staff's page."""

from collections.abc import Sequence

from django.utils.html import format_html
from django.utils.safestring import SafeString

WIDTH, HEIGHT, TOP = 320, 96, 8


def plot(title: str, counts: Sequence[int], *, minutes: int = 60) -> SafeString:
    """
    Draw `counts`, oldest first, as a line over an area; the last one is now.

    The label says in words what the line shows: where it began, its highest point and where it is now.
    """
    values = list(counts) or [0]
    highest = max(values)
    points = [place(index, value, len(values), highest) for index, value in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return format_html(
        '<svg viewBox="0 0 {w} {h}" role="img" aria-label="{label}" class="w-full" height="{h}" preserveAspectRatio="none">'
        '<polygon points="0,{h} {path} {w},{h}" fill="currentColor" fill-opacity=".14"/>'
        '<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="2" vector-effect="non-scaling-stroke"/>'
        "</svg>",
        w=WIDTH,
        h=HEIGHT,
        path=path,
        label=f"{title}, last {minutes} minutes: from {values[0]:,}, at most {highest:,}, now {values[-1]:,}",
    )


def place(index: int, value: int, count: int, highest: int) -> tuple[float, float]:
    """Return where a value stands in the picture."""
    x = WIDTH * index / max(1, count - 1)
    return x, HEIGHT - (HEIGHT - TOP) * value / max(1, highest)
