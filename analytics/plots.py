"""Figures as pictures: bars over time and steps of a way, drawn as SVG with what they show in words beside them."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT, TOP = 640, 140, 6


@dataclass(frozen=True)
class Plot:
    """A picture with its title, what it says in a sentence, and the same figures as rows of a table."""

    title: str
    says: str
    picture: SafeString
    first: str
    last: str
    rows: list[tuple[str, int]]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(value for _, value in self.rows)


def bars(title: str, points: Sequence[tuple[str, int]], *, what: str) -> Plot:
    """
    Draw one bar per point, oldest first; `what` names what is counted ("tickets").

    Bars are drawn in a box that is stretched to its place, so the labels stand outside as text.
    """
    highest = max((value for _, value in points), default=0)
    step = WIDTH / max(1, len(points))
    drawn = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>',
        (
            (
                f"{index * step + step * 0.1:.1f}",
                f"{HEIGHT - tall(value, highest):.1f}",
                f"{step * 0.8:.1f}",
                f"{tall(value, highest):.1f}",
                label,
                f"{value:,}",
            )
            for index, (label, value) in enumerate(points)
            if value
        ),
    )
    total = sum(value for _, value in points)
    best = max(points, key=lambda point: point[1], default=("", 0))
    says = f"{total:,} {what}, most at {best[0]}: {best[1]:,}" if total else f"no {what}"
    picture = format_html(
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}: {}">'
        '<line x1="0" y1="{}" x2="{}" y2="{}" stroke="currentColor" stroke-opacity=".35" vector-effect="non-scaling-stroke"/>'
        '<g fill="currentColor">{}</g></svg>',
        WIDTH,
        HEIGHT,
        title,
        says,
        HEIGHT,
        WIDTH,
        HEIGHT,
        drawn,
    )
    first, last = (points[0][0], points[-1][0]) if points else ("", "")
    return Plot(title, says, picture, first, last, list(points))


def tall(value: int, highest: int) -> float:
    """Return the height of a bar; what is there is at least seen."""
    return max(2.0, (HEIGHT - TOP) * value / highest) if value and highest else 0.0


@dataclass(frozen=True)
class Step:
    """One step of a way: how many took it, and the share of those who took the widest step."""

    words: str
    count: int
    share: float
    picture: SafeString


def steps(found: Sequence[tuple[str, int]]) -> list[Step]:
    """Draw the steps of a way as bars of their share of the widest one."""
    widest = max((count for _, count in found), default=0)
    return [
        Step(words, count, count / widest if widest else 0.0, strip(count / widest if widest else 0.0))
        for words, count in found
    ]


def strip(share: float) -> SafeString:
    """Draw a share of 0 to 1 as a strip; the figure beside it says the same."""
    return format_html(
        '<svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="100" height="8" rx="1" fill="currentColor" fill-opacity=".14"/>'
        '<rect width="{}" height="8" rx="1" fill="currentColor"/></svg>',
        f"{100 * share:.1f}",
    )
