"""A ticket's code as the gate reads and keeps it: the code itself is written down nowhere."""

from base64 import urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

LONGEST = 200
SHORT = 22  # letters of a hash on the list: 132 bits


def normalise_code(text: str) -> str:
    """Return what was read as we write codes: upper case, without spaces, no longer than any code."""
    return "".join(text.split()).upper()[:LONGEST]


def hash_code(event_id: UUID, code: str) -> str:
    """Return the SHA-256 of a code at one event, as hexadecimal."""
    return sha256(f"{event_id}:{code}".encode()).hexdigest()


def short_hash(event_id: UUID, code: str) -> str:
    """Return a code as the list has it: the first letters of its SHA-256 in URL-safe base64."""
    return shorten(hash_code(event_id, code))


def shorten(digest: str) -> str:
    """Return a hash as the list has it."""
    return urlsafe_b64encode(bytes.fromhex(digest)).decode()[:SHORT]
