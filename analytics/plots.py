"""Figures as pictures: bars over time and steps of a way, as SVG with what they show in words and as a table beside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH, HEIGHT, TOP = 640, 140, 6
SHADES = ("1", ".6", ".35")


def plain(value: int) -> str:
    """Write a count."""
    return f"{value:,}"


@dataclass(frozen=True)
class Plot:
    """A picture with its title, what it says in a sentence, and the same figures as a table; `legend` where bars have parts."""

    title: str
    says: str
    picture: SafeString
    first: str
    last: str
    columns: list[str]
    rows: list[tuple[str, list[str]]] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.rows


def bars(
    title: str,
    points: Sequence[tuple[str, int]],
    *,
    what: str,
    unit: str = "Day",
    show: Callable[[int], str] = plain,
    none: str = "",
) -> Plot:
    """
    Draw one bar per point, oldest first; `what` names what is counted ("tickets"), `unit` what a point is.

    Bars are drawn in a box that is stretched to its place, so the labels stand outside as text.
    """
    return stacks(
        title, [(label, [value]) for label, value in points], parts=[what], what=what, unit=unit, show=show, none=none
    )


def stacks(
    title: str,
    points: Sequence[tuple[str, Sequence[int]]],
    *,
    parts: Sequence[str],
    what: str,
    unit: str = "Day",
    show: Callable[[int], str] = plain,
    none: str = "",
) -> Plot:
    """Draw one bar per point whose parts stand on each other, each in a shade of its own, the first at the bottom."""
    totals = [sum(values) for _, values in points]
    highest = max(totals, default=0)
    step = WIDTH / max(1, len(points))
    drawn: list[tuple[str, str, str, str, str, str]] = []
    for index, (label, values) in enumerate(points):
        top = float(HEIGHT)
        for shade, part, value in zip(SHADES, parts, values, strict=False):
            height = tall(value, highest)
            top -= height
            if value:
                words = f"{label}: {show(value)}" if len(parts) == 1 else f"{label}, {part}: {show(value)}"
                place = (f"{index * step + step * 0.1:.1f}", f"{top:.1f}", f"{step * 0.8:.1f}", f"{height:.1f}")
                drawn.append((*place, shade, words))
    says = none or f"no {what}"
    if sum(totals):
        best = max(range(len(points)), key=totals.__getitem__)
        each = [sum(values[index] for _, values in points) for index in range(len(parts))]
        whole = ", ".join(f"{show(count)} {part}" for count, part in zip(each, parts, strict=True))
        says = f"{whole if len(parts) > 1 else f'{show(sum(totals))} {what}'}, most at {points[best][0]}: {show(totals[best])}"
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
        format_html_join(
            "", '<rect x="{}" y="{}" width="{}" height="{}" fill-opacity="{}"><title>{}</title></rect>', drawn
        ),
    )
    first, last = (points[0][0], points[-1][0]) if points else ("", "")
    rows = [(label, [show(value) for value in values]) for label, values in points if sum(values)]
    legend = list(zip(SHADES, parts, strict=False)) if len(parts) > 1 else []
    return Plot(title, says, picture, first, last, [unit, *(part.capitalize() for part in parts)], rows, legend)


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
