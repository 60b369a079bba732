"""
The list that works without network: every ticket as a hash with its state, signed.

A code has 130 random bits, so its hash says nothing to anybody who has not got the ticket; there is no name, no address and no
reference on the list. The signature (ECDSA P-256, which every browser can verify) is made with a key that comes from
SECRET_KEY, so a device can tell a list of ours from one that was changed on the device or on the way.
"""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from bookings.models import Ticket
from events.models import Event
from gate.queries import checks_faces, opens_at

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's group
SHORT = 22  # letters of a hash on the list: 132 bits
# One letter a ticket: comes in; comes in after a look at an ID; is inside; nobody's; cancelled.
STATES: dict[str, str] = {
    Ticket.Status.ACTIVE: "a",
    Ticket.Status.USED: "u",
    Ticket.Status.UNASSIGNED: "n",
    Ticket.Status.VOID: "v",
}


def normalise_code(text: str) -> str:
    """Return what was read as we write codes: upper case, without spaces, no longer than any code."""
    return "".join(text.split()).upper()[:200]


def hash_code(event_id: UUID, code: str) -> str:
    """Return the SHA-256 of a code at one event, as hexadecimal."""
    return sha256(f"{event_id}:{code}".encode()).hexdigest()


def short_hash(event_id: UUID, code: str) -> str:
    """Return a code as the list has it: the first letters of its SHA-256 in URL-safe base64."""
    return urlsafe_b64encode(sha256(f"{event_id}:{code}".encode()).digest()).decode()[:SHORT]


def build_list(*, event: Event, now: datetime) -> dict[str, Any]:
    """Return an event's list as text, its signature, and the key that verifies it."""
    looks = checks_faces(event)
    tickets = Ticket.objects.filter(event=event).values_list("code", "status", "personal").order_by("code")
    body = {
        "version": 1,
        "eventId": str(event.pk),
        "issuedAt": stamp(now),
        "validUntil": stamp(min(now + timedelta(seconds=settings.GATE_LIST_SECONDS), event.ends_at)),
        "opensAt": stamp(opens_at(event)),
        "endsAt": stamp(event.ends_at),
        "tickets": {
            short_hash(event.pk, code): "f" if looks and personal and status == Ticket.Status.ACTIVE else STATES[status]
            for code, status, personal in tickets.iterator(chunk_size=5000)
        },
    }
    text = json.dumps(body, separators=(",", ":"))
    return {"list": text, "signature": sign(text), "key": public_key()}


def stamp(at: datetime) -> str:
    """Return a moment as the list writes it."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def sign(text: str) -> str:
    """Return the signature of a text: r and s, 32 bytes each, in base64 (what WebCrypto calls raw)."""
    r, s = decode_dss_signature(signing_key(settings.SECRET_KEY).sign(text.encode(), ec.ECDSA(SHA256())))
    return encoded(r.to_bytes(32) + s.to_bytes(32))


def public_key() -> str:
    """Return the point of the public key, uncompressed, in base64."""
    return encoded(
        signing_key(settings.SECRET_KEY).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )


@lru_cache(maxsize=4)
def signing_key(secret: str) -> ec.EllipticCurvePrivateKey:
    """Return the key that HKDF makes of a secret, for lists and nothing else."""
    drawn = HKDF(algorithm=SHA256(), length=48, salt=None, info=b"fairseat:gate list").derive(secret.encode())
    return ec.derive_private_key(int.from_bytes(drawn) % (ORDER - 1) + 1, ec.SECP256R1())


def encoded(content: bytes) -> str:
    """Return bytes in URL-safe base64 without padding."""
    return urlsafe_b64encode(content).decode().rstrip("=")
