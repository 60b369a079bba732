"""What templates need to show money, time, icons and pictures; no tag makes a query."""

import math
import random
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from bookings.references import spoken
from common import money
from common.clocks import zone_name
from events.artwork import VERSION

register = template.Library()

ICONS = {
    "calendar": '<path d="M4 6.5h16v13H4zM4 10.5h16M8.5 4v4M15.5 4v4"/>',
    "pin": '<path d="M12 21s7-6.1 7-11.5A7 7 0 0 0 5 9.5C5 14.9 12 21 12 21z"/><circle cx="12" cy="9.5" r="2.5"/>',
    "ticket": '<path d="M3.5 7h17v3.2a2 2 0 0 0 0 3.6V17h-17v-3.2a2 2 0 0 0 0-3.6zM14.5 7v2m0 2v2m0 2v2"/>',
    "clock": '<circle cx="12" cy="12" r="8.5"/><path d="M12 7.5V12l3 2"/>',
    "search": '<circle cx="11" cy="11" r="6.5"/><path d="M16 16l4.5 4.5"/>',
    "face": '<circle cx="12" cy="12" r="8.5"/><path d="M9 9.8v.4m6-.4v.4M8.8 14.3a4.2 4.2 0 0 0 6.4 0"/>',
    "seat": '<path d="M7 4.5h10l-1 8.5H8zM5 11.5V16h14v-4.5M7.5 16v3.5m9-3.5v3.5"/>',
    "lock": '<path d="M5.5 11h13v9h-13zM8.5 11V8a3.5 3.5 0 0 1 7 0v3"/>',
    "sliders": '<path d="M4 8h9m4 0h3M4 16h3m4 0h9"/><circle cx="15" cy="8" r="2"/><circle cx="9" cy="16" r="2"/>',
    "download": '<path d="M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 19.5h14"/>',
    "mail": '<path d="M4 6.5h16v11H4zM4.5 7l7.5 6 7.5-6"/>',
    "copy": '<path d="M9 9h10.5v10.5H9zM5 15H4.5V4.5H15V5"/>',
    "back": '<path d="M19 12H5m6-6-6 6 6 6"/>',
    "camera": '<path d="M4 8h3.5l1.5-2.5h6L16.5 8H20v11H4z"/><circle cx="12" cy="13.2" r="3.3"/>',
    "eye": '<path d="M2.8 12S6 6 12 6s9.2 6 9.2 6-3.2 6-9.2 6-9.2-6-9.2-6z"/><circle cx="12" cy="12" r="2.6"/>',
    "person": '<circle cx="12" cy="8.3" r="3.8"/><path d="M4.8 20c.6-4 3.4-6 7.2-6s6.6 2 7.2 6"/>',
    "bell": '<path d="M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 2h-15zM10 20.500a2.200 2.200 0 0 0 4 0"/>',
    "check": '<path d="M5 12.5l4.5 4.5L19 7.5"/>',
}  # fmt: skip


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw a decorative icon; the words beside it carry the meaning."""
    return mark_safe(  # noqa: S308 - a constant of ours
        f'<svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">{ICONS[name]}</svg>'
    )


@register.simple_tag
def art(event: Any) -> str:
    """Return the address of an event's poster."""
    return reverse("artwork", args=[VERSION, event.id])


@register.simple_tag
def money_of(amount_minor: int, currency: str) -> str:
    """Write an amount: `€49.00`, or `Free`."""
    return money.display(amount_minor, currency)


@register.simple_tag
def sum_of(amount_minor: int, currency: str) -> str:
    """Write an amount in a sum, where nothing is `€0.00`."""
    if amount_minor:
        return money.display(amount_minor, currency)
    return money.display(1, currency).replace("1", "0")


def zone(name: str) -> ZoneInfo:
    """Return a time zone by name; UTC for a name this machine does not know."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def iso(at: datetime) -> str:
    """Return the instant for a `datetime` attribute."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@register.simple_tag
def day(at: datetime, tz: str = "UTC", form: str = "long") -> SafeString:
    """Write a day in a zone: `Saturday 5 December 2026`, or `Sat 5 Dec` (this year) when short."""
    local = at.astimezone(zone(tz))
    if form == "short":
        year = "" if local.year == timezone.now().astimezone(local.tzinfo).year else f" {local.year}"
        text = f"{local:%a} {local.day} {local:%b}{year}"
    else:
        text = f"{local:%A} {local.day} {local:%B} {local.year}"
    return format_html('<time datetime="{}">{}</time>', iso(at), text)


@register.simple_tag
def hour(at: datetime, tz: str = "UTC", form: str = "") -> SafeString:
    """Write a time of day in a zone: `20:00`; with form="zone" the zone's short name behind it."""
    local = at.astimezone(zone(tz))
    text = f"{local:%H:%M} {zone_name(local)}" if form == "zone" else f"{local:%H:%M}"
    return format_html('<time datetime="{}">{}</time>', iso(at), text)


@register.simple_tag
def moment(at: datetime, tz: str = "UTC") -> SafeString:
    """Write a whole instant: `Sat 5 Dec 2026, 20:00 CET`; page.js adds the reader's own time where it differs."""
    local = at.astimezone(zone(tz))
    text = f"{local:%a} {local.day} {local:%b} {local.year}, {local:%H:%M} {zone_name(local)}"
    return format_html('<time datetime="{}" data-local>{}</time>', iso(at), text)


@register.filter
def relative(at: datetime) -> str:
    """Say how far away an instant is: `in 3 days`, `in 2 hours`, `5 minutes ago`."""
    gap = at - timezone.now()
    words = span(abs(gap))
    return f"in {words}" if gap > timedelta() else f"{words} ago"


def span(gap: timedelta) -> str:
    """Say a length of time in its largest fitting unit."""
    seconds = int(gap.total_seconds())
    for size, word in ((604_800, "week"), (86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (size < 604_800 and seconds >= size):
            count = round(seconds / size)
            return f"{count} {word}{'' if count == 1 else 's'}"
    return "less than a minute"


@register.filter
def minutes_left(at: datetime) -> str:
    """Say what is left until a deadline as `9:41`."""
    seconds = max(0, int((at - timezone.now()).total_seconds()))
    return f"{seconds // 60}:{seconds % 60:02d}"


@register.filter
def is_near(at: datetime) -> bool:
    """Whether a deadline is less than two minutes away."""
    return (at - timezone.now()).total_seconds() < 120


@register.simple_tag
def server_time() -> int:
    """Return the server's clock in milliseconds, by which the page's timers correct the reader's clock."""
    return int(timezone.now().timestamp() * 1000)


@register.filter
def iso_time(at: datetime) -> str:
    """Return an instant for a data attribute."""
    return iso(at)


@register.simple_tag
@lru_cache(maxsize=4)
def house(rows: int = 9) -> SafeString:
    """Draw the house: rows of seats in arcs, some taken, one of them yours."""
    draw = random.Random(7)
    parts = []
    yours = (rows // 2, 0.53)
    for row in range(rows):
        radius = 170 + row * 44
        count = 9 + row * 3
        mine = round(yours[1] * (count - 1)) if row == yours[0] else -1
        for seat in range(count):
            angle = math.pi * (1.13 + 0.74 * seat / (count - 1))
            x, y = 500 + radius * math.cos(angle), 560 + radius * math.sin(angle)
            if seat == mine:
                parts.append(f'<circle class="halo" cx="{x:.0f}" cy="{y:.0f}" r="24"/>')
            kind = "yours" if seat == mine else "sold" if draw.random() < 0.5 else ""
            parts.append(f'<circle class="seat {kind}" cx="{x:.0f}" cy="{y:.0f}" r="14"/>')
    return mark_safe(  # noqa: S308 - numbers of ours
        f'<svg class="house" viewBox="0 0 1000 600" aria-hidden="true" focusable="false">{"".join(parts)}</svg>'
    )


@register.simple_tag(takes_context=True)
def with_query(context: dict[str, Any], **changes: Any) -> str:
    """Return this page's query string with some values changed; an empty value is left out."""
    query = context["request"].GET.copy()
    for key, value in changes.items():
        query.pop(key, None)
        if value not in ("", None):
            query[key] = str(value)
    return f"?{query.urlencode()}" if query else "?"


@register.filter
def wait_words(seconds: int) -> str:
    """Say how long to wait: `40 seconds`, `3 minutes`, `1 hour`."""
    return f"{seconds} second{'' if seconds == 1 else 's'}" if seconds < 60 else span(timedelta(seconds=seconds))


@register.filter(name="spoken")
def spoken_reference(reference: str) -> str:
    """Write a booking's reference in two groups."""
    return spoken(reference)
