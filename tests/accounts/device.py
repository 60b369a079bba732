"""An authenticator in software: makes passkeys and answers challenges as devices do, and wrongly where a test says so."""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

PRESENT, VERIFIED, SYNCABLE, SYNCED, HAS_KEY = 1, 4, 8, 16, 64


def text(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


@dataclass
class Device:
    """
    One device of one person, at one address of the browser.

    `step` is by how much its counter goes on at each use; a device that shares its passkeys counts nothing (0).
    """

    origin: str
    step: int = 1
    unlocked: bool = True
    synced: bool = False
    count: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: token_bytes(32))
    owner: str = ""

    def make(self, options: dict[str, Any], **wrong: Any) -> str:
        """Make a passkey as the options ask, and return what the browser sends."""
        self.owner = options["user"]["id"]
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        held = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + encode_cbor(cose)
        told = self.told(wrong.get("site", options["rp"]["id"]), HAS_KEY) + held
        response = {
            "clientDataJSON": text(self.seen("webauthn.create", options, **wrong)),
            "attestationObject": text(encode_cbor({"fmt": "none", "attStmt": {}, "authData": told})),
            "transports": ["internal", "by-pigeon"],
        }
        return self.written(response)

    def answer(self, options: dict[str, Any], **wrong: Any) -> str:
        """Sign the challenge of the options, and return what the browser sends."""
        self.count += self.step
        told = self.told(wrong.get("site", options["rpId"]))
        seen = self.seen("webauthn.get", options, **wrong)
        signature = self.key.sign(told + sha256(seen).digest(), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": text(seen),
            "authenticatorData": text(told),
            "signature": text(wrong.get("signature", signature)),
            "userHandle": wrong.get("owner", self.owner),
        }
        return self.written(response)

    def seen(self, usual: str, options: dict[str, Any], **wrong: Any) -> bytes:
        """Return what the browser says it saw."""
        client = {
            "type": wrong.get("kind", usual),
            "challenge": wrong.get("challenge", options["challenge"]),
            "origin": wrong.get("origin", self.origin),
            "crossOrigin": wrong.get("framed", False),
        }
        return json.dumps(client).encode()

    def told(self, name: str, flags: int = 0) -> bytes:
        """Return what the device says: for which site, how it was unlocked, its counter."""
        flags |= PRESENT | (VERIFIED if self.unlocked else 0) | (SYNCABLE | SYNCED if self.synced else 0)
        return sha256(name.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def written(self, response: dict[str, Any]) -> str:
        return json.dumps({"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": response})

    def copied(self) -> "Device":
        """Return a second device with the same key and the same counter."""
        return Device(self.origin, self.step, count=self.count, key=self.key, id=self.id, owner=self.owner)
