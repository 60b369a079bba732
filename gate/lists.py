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
from gate.codes import short_hash, shorten
from gate.models import RetiredCode
from gate.queries import checks_faces, opens_at, refused_tickets

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's group
# One letter a ticket: comes in (`f` instead: after a look at an ID); is inside; nobody's; cancelled. `p` is a code that was
# passed on, `x` a ticket whose holder a supervisor has refused.
STATES: dict[str, str] = {
    Ticket.Status.ACTIVE: "a",
    Ticket.Status.USED: "u",
    Ticket.Status.UNASSIGNED: "n",
    Ticket.Status.VOID: "v",
}


def build_list(*, event: Event, now: datetime) -> dict[str, Any]:
    """Return an event's list as text, its signature, and the key that verifies it."""
    looks, refused = checks_faces(event), refused_tickets(event)
    tickets = Ticket.objects.filter(event=event).values_list("pk", "code", "status", "personal").order_by("code")
    passed_on = RetiredCode.objects.filter(event=event).values_list("code_hash", flat=True).order_by("code_hash")

    def letter(ticket_id: UUID, status: str, personal: bool) -> str:
        if status != Ticket.Status.ACTIVE or not personal:
            return STATES[status]
        return "x" if ticket_id in refused else "f" if looks else STATES[status]

    body = {
        "version": 1,
        "eventId": str(event.pk),
        "issuedAt": stamp(now),
        "validUntil": stamp(min(now + timedelta(seconds=settings.GATE_LIST_SECONDS), event.ends_at)),
        "opensAt": stamp(opens_at(event)),
        "endsAt": stamp(event.ends_at),
        "tickets": {shorten(digest): "p" for digest in passed_on.iterator(chunk_size=5000)}
        | {
            short_hash(event.pk, code): letter(ticket_id, status, personal)
            for ticket_id, code, status, personal in tickets.iterator(chunk_size=5000)
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
