"""The seed of a draw: chosen when the room is made, sealed until its list is closed; and who an entry stands for."""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from functools import lru_cache
from uuid import UUID

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings

from bookings.waitingroom import fairness


@lru_cache(maxsize=8)
def box(keys: tuple[str, ...]) -> MultiFernet:
    """Return what seals seeds; its keys are derived from the application's secrets and serve nothing else."""
    derived = [hashlib.sha256(b"waiting-room-seed:" + key.encode()).digest() for key in keys]
    return MultiFernet([Fernet(urlsafe_b64encode(key)) for key in derived])


def current_box() -> MultiFernet:
    return box((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def new_seed() -> tuple[bytes, str]:
    """Return a fresh seed, sealed, and the commitment that is published at once."""
    seed = secrets.token_bytes(fairness.SEED_BYTES)
    return current_box().encrypt(seed), fairness.commitment(seed)


def unseal(sealed: bytes) -> bytes:
    """Return a sealed seed."""
    return current_box().decrypt(bytes(sealed))


@lru_cache(maxsize=8)
def entry_key(secret: str) -> bytes:
    """Return the key of entries; nobody but the site can tell who an entry is."""
    return hashlib.sha256(b"waiting-room-entry:" + secret.encode()).digest()


def entry_of(event_id: UUID, user_id: UUID) -> str:
    """Return what stands for a person in one line."""
    return hmac.digest(entry_key(settings.SECRET_KEY), event_id.bytes + user_id.bytes, "sha256").hex()
