"""
Signed tokens of the line: short, checked without any store, the same as long as they say the same.

A *place* token says which order key a person had in which epoch: with it a place that was lost before it was written down can
be restored. An *admission* says until when a person may start a booking: with it they can while Redis is away. Both are bound
to one account and one event.
"""

import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from django.conf import settings

from common.errors import Forbidden

PLACE, ADMISSION = b"p", b"a"
BODY = struct.Struct("!c16s16sIQ")
MAC_BYTES = 16


class WrongToken(Forbidden):
    code = "queue_token_invalid"
    message = "This place in line is not yours, or for another event. Join the line yourself."


class Token(NamedTuple):
    """What a token says; `value` is an order key or the end of a slot in milliseconds."""

    kind: bytes
    event_id: UUID
    user_id: UUID
    epoch: int
    value: int


@lru_cache(maxsize=8)
def signing_key(secret: str) -> bytes:
    """Return the key for tokens of one application secret; it serves nothing else."""
    return hashlib.sha256(b"waiting-room-token:" + secret.encode()).digest()


def sign(kind: bytes, *, event_id: UUID, user_id: UUID, epoch: int, value: int) -> str:
    """Return a token."""
    body = BODY.pack(kind, event_id.bytes, user_id.bytes, epoch, value)
    mac = hmac.digest(signing_key(settings.SECRET_KEY), body, "sha256")[:MAC_BYTES]
    return urlsafe_b64encode(body + mac).rstrip(b"=").decode()


def read(text: str, *, event_id: UUID, user_id: UUID) -> Token:
    """
    Read a token that speaks for this person at this event.

    :raises WrongToken: if it is forged, or somebody else's, or another event's
    """
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (Error, ValueError):
        raise WrongToken from None
    if len(raw) != BODY.size + MAC_BYTES:
        raise WrongToken
    body, mac = raw[: BODY.size], raw[BODY.size :]
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if not any(
        hmac.compare_digest(hmac.digest(signing_key(secret), body, "sha256")[:MAC_BYTES], mac) for secret in secrets
    ):
        raise WrongToken
    kind, event, user, epoch, value = BODY.unpack(body)
    token = Token(kind, UUID(bytes=event), UUID(bytes=user), epoch, value)
    if token.event_id != event_id or token.user_id != user_id:
        raise WrongToken
    return token


PRESENTED: ContextVar[str] = ContextVar("queue_token", default="")


@contextmanager
def presented(token: str) -> Iterator[None]:
    """Have the gate see the token that came with a request, for the length of the block."""
    reset = PRESENTED.set(token)
    try:
        yield
    finally:
        PRESENTED.reset(reset)
