"""Names as people type them at a door: without accents, in any case."""

import unicodedata
from typing import Any

from django.db.models import CharField, Func, Value
from django.db.models.functions import Lower, Replace

# Letters that Unicode does not take apart into a plain one and a mark.
PLAIN = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}


def folded(text: str) -> str:
    """Return a text in small letters, without accents."""
    apart = unicodedata.normalize("NFKD", text.lower())
    bare = "".join(letter for letter in apart if not unicodedata.combining(letter))
    return "".join(PLAIN.get(letter, letter) for letter in bare)


class Bare(Func):
    """A text whose accents are gone, taken apart as `folded` does it."""

    template = r"regexp_replace(normalize(%(expressions)s, NFKD), '[\u0300-\u036f]', '', 'g')"
    output_field = CharField()


def folded_column(name: str) -> Any:
    """Return the expression that folds a column as `folded` folds a text."""
    expression: Any = Bare(Lower(name))
    for letter, plain in PLAIN.items():
        expression = Replace(expression, Value(letter), Value(plain))
    return expression
