"""Codes as text: how they are written and made, and how often somebody may guess."""

import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from redis.exceptions import RedisError

from bookings.references import ALPHABET
from bookings.refusals import CodeUnknown, TooManyCodes
from common import ratelimit
from common.errors import Unavailable

LENGTH = 12  # 20¹² = 4·10¹⁵ codes


def normalise_code(text: str) -> str:
    """Return a code as it is stored, however it was typed: in capitals, without spaces, hyphens and the like."""
    plain = unicodedata.normalize("NFKC", text).upper()
    return "".join(sign for sign in plain if sign.isalnum())


def new_code() -> str:
    """Return a code that nobody guesses, of letters and digits that are not taken for one another."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def spoken_code(code: str) -> str:
    """Return a made code as people read it, in groups of four; a chosen word stays a word."""
    if len(code) != LENGTH or not set(code) <= set(ALPHABET):
        return code
    return "-".join(code[start : start + 4] for start in range(0, LENGTH, 4))


@contextmanager
def guessing(who: str) -> Iterator[None]:
    """
    Count one try with a code against CODE_TRIES of `who` before it is looked at; only codes that do not exist stay counted.

    :raises TooManyCodes: if there were too many
    :raises Unavailable: if Redis is away: guessing is never unlimited
    """
    limit = [(f"code:{who}", settings.CODE_TRIES)]
    try:
        allowance = ratelimit.take(limit, seconds=settings.CODE_WINDOW_SECONDS)
    except RedisError as error:
        raise Unavailable(retry_after=5) from error
    if not allowance.allowed:
        raise TooManyCodes(retry_after=allowance.reset)
    try:
        yield
    except CodeUnknown:
        raise
    except BaseException:
        give_back(who)
        raise
    give_back(who)


def give_back(who: str) -> None:
    """Uncount a try with a code that exists; if Redis went away meanwhile, it stays counted."""
    try:
        ratelimit.give_back([f"code:{who}"], seconds=settings.CODE_WINDOW_SECONDS)
    except RedisError:
        return
