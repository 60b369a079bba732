"""Codes as text: how they are written and made, and how often somebody may guess."""

import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from redis.exceptions import RedisError

from accounts.limits import address_digest
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


@dataclass(frozen=True)
class Guessers:
    """Who tries a code: a person, or nobody known, and the digest of the address they come from, if that is known."""

    user_id: UUID | None = None
    address: str = ""

    @property
    def limits(self) -> list[tuple[str, int]]:
        """
        Return what their tries are counted against. A crowd behind one address types wrong codes too, so an address has as many
        tries as several people; who is not logged in has those of one.
        """
        if self.user_id is None:
            return [(f"code:n:{self.address}", settings.CODE_TRIES), *self.of_address]
        return [(f"code:p:{self.user_id}", settings.CODE_TRIES), *self.of_address]

    @property
    def of_address(self) -> list[tuple[str, int]]:
        return [(f"code:a:{self.address}", settings.CODE_TRIES_PER_ADDRESS)] if self.address else []


def guessers(request: HttpRequest) -> Guessers:
    """Return who tries a code with this request."""
    user = getattr(request, "user", None)
    known = user is not None and user.is_authenticated
    return Guessers(user.pk if user is not None and known else None, address_digest(request.META["REMOTE_ADDR"]))


@contextmanager
def guessing(who: Guessers) -> Iterator[None]:
    """
    Count one try with a code against what `who` may try before it is looked at; only codes that do not exist stay counted.

    :raises TooManyCodes: if there were too many
    :raises Unavailable: if Redis is away: guessing is never unlimited
    """
    try:
        allowance = ratelimit.take(who.limits, seconds=settings.CODE_WINDOW_SECONDS)
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


def give_back(who: Guessers) -> None:
    """Uncount a try with a code that exists; if Redis went away meanwhile, it stays counted."""
    try:
        ratelimit.give_back([name for name, _ in who.limits], seconds=settings.CODE_WINDOW_SECONDS)
    except RedisError:
        return
