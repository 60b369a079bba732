"""
Text on paper: which font draws which letter, so that no name of a holder or an event becomes boxes.

Inter draws Latin, Greek and Cyrillic; DejaVu and Droid Sans Fallback what Inter lacks; right-to-left scripts are shaped and
ordered; what none of them has is spelled in Latin letters.
"""

import unicodedata
from functools import lru_cache
from pathlib import Path

from anyascii import anyascii
from arabic_reshaper import ArabicReshaper
from bidi import get_display
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

FONTS = Path(__file__).parent / "fonts"
FALLBACKS = ("DejaVuSans", "DroidSansFallback")
EAST_ASIAN_WIDE = ("W", "F")
ARABIC = ArabicReshaper({"ARABIC LIGATURE ALLAH": False})


@lru_cache
def font(name: str) -> TTFont:
    """Return a font of ours, read from its file at the first use."""
    loaded = TTFont(name, FONTS / f"{name}.ttf")
    pdfmetrics.registerFont(loaded)
    return loaded


def clean(text: str) -> str:
    """Return `text` composed, on one line and without control characters."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(letter for letter in composed if unicodedata.category(letter)[0] != "C")


def runs(text: str, *, bold: bool = False) -> list[tuple[str, str]]:
    """Split `text` into (font name, letters) as it is drawn from left to right."""
    if any(unicodedata.bidirectional(letter) in {"R", "AL"} for letter in text):
        text = get_display(ARABIC.reshape(text))
    found: list[tuple[str, str]] = []
    for letter in text:
        name, drawn = glyphs(letter, "Inter-Bold" if bold else "Inter-Regular")
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1] + drawn)
        elif drawn:
            found.append((name, drawn))
    return found


@lru_cache(maxsize=8192)
def glyphs(letter: str, first: str) -> tuple[str, str]:
    """Return the font that has `letter`, and the letter; else the first font and the letter's Latin spelling."""
    for name in (first, *FALLBACKS):
        if ord(letter) in font(name).face.charToGlyph:
            return name, letter
    return first, anyascii(letter)


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return how wide `text` is in points."""
    return sum(pdfmetrics.stringWidth(letters, name, size) for name, letters in runs(text, bold=bold))


def draw(canvas: Canvas, x: float, y: float, text: str, size: float, *, bold: bool = False, spacing: float = 0) -> None:
    """Draw one line of `text` with its baseline beginning at (x, y)."""
    line = canvas.beginText(x, y)
    line.setCharSpace(spacing)
    for name, letters in runs(text, bold=bold):
        line.setFont(name, size)
        line.textOut(letters)
    canvas.drawText(line)


def wrap(text: str, size: float, room: float, *, bold: bool = False, lines: int = 2) -> list[str]:
    """Break `text` into at most `lines` lines no wider than `room`; what does not fit ends in an ellipsis."""
    broken = [""]
    for word in words(clean(text)):
        longer = broken[-1] + word
        if width(longer.rstrip(), size, bold=bold) <= room:
            broken[-1] = longer
        elif width(word.rstrip(), size, bold=bold) <= room:
            broken.append(word)
        else:
            for letter in word:
                if width(broken[-1] + letter, size, bold=bold) > room:
                    broken.append("")
                broken[-1] += letter
    broken = [line.strip() for line in broken if line.strip()]
    if len(broken) > lines:
        last = broken[lines - 1]
        while last and width(last + "…", size, bold=bold) > room:
            last = last[:-1]
        broken = [*broken[: lines - 1], last.rstrip() + "…"]
    return broken


def words(text: str) -> list[str]:
    """Split `text` where a line may break: after spaces, and around each Chinese, Japanese or Korean letter."""
    parts = [""]
    for letter in text:
        if letter != " " and (is_wide(letter) or parts[-1].endswith(" ") or is_wide(parts[-1][-1:])):
            parts.append("")
        parts[-1] += letter
    return [part for part in parts if part]


def is_wide(letter: str) -> bool:
    """Whether this is a letter of a script that writes without spaces between words."""
    return bool(letter) and unicodedata.east_asian_width(letter) in EAST_ASIAN_WIDE
