"""
How faces are sealed: Fernet with the keys of FACE_TEMPLATE_KEYS (the first seals, all open), which are not in the database.

Before it is sealed a vector is turned by an orthogonal matrix of its own person and key. Distances between vectors of one
person stay what they are; vectors of one face under two accounts or two keys can not be linked, and a person's new key makes
stolen vectors worthless. It does not help against somebody who has both the rows and the keys.
"""

import hashlib
import hmac
import struct
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import numpy as np
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from numpy.typing import NDArray

from faceverify.engines.base import Template
from faceverify.refusals import EngineMisconfigured

DIMENSIONS = 128
FINGERPRINT = 32
HEADER = struct.Struct("!16sBB")  # whose it is, number of vectors, number of fingerprints


class Sealed(NamedTuple):
    """A template as it is stored."""

    key_id: str
    vector: bytes
    crop: bytes


def seal(template: Template, *, user_id: UUID, keep_crop: bool) -> Sealed:
    """Return a person's template, turned and encrypted with the first key."""
    key = settings.FACE_TEMPLATE_KEYS[0]
    turned = [turn(vector, user_id=user_id, key=key) for vector in template.vectors]
    head = HEADER.pack(user_id.bytes, len(turned), len(template.fingerprints))
    vectors = b"".join(vector.astype("<f4").tobytes() for vector in turned)
    crop = seal_bytes(template.crop, user_id=user_id) if keep_crop and template.crop else b""
    return Sealed(key_id(key), fernet().encrypt(head + vectors + b"".join(template.fingerprints)), crop)


def unseal(sealed: Sealed, *, user_id: UUID) -> Template:
    """
    Return a person's template.

    :raises EngineMisconfigured: if its key is gone, or it is not this person's
    """
    key = next((key for key in settings.FACE_TEMPLATE_KEYS if key_id(key) == sealed.key_id), None)
    if key is None:
        raise EngineMisconfigured
    plain = unlock(sealed.vector)
    owner, vectors, fingerprints = HEADER.unpack_from(plain)
    if owner != user_id.bytes:
        raise EngineMisconfigured
    size = vectors * DIMENSIONS
    numbers = np.frombuffer(plain, dtype="<f4", count=size, offset=HEADER.size).astype(np.float64)
    rest = plain[HEADER.size + 4 * size :]
    return Template(
        vectors=tuple(turn(vector, user_id=user_id, key=key, back=True) for vector in numbers.reshape(-1, DIMENSIONS)),
        fingerprints=tuple(rest[i * FINGERPRINT : (i + 1) * FINGERPRINT] for i in range(fingerprints)),
        crop=unseal_bytes(sealed.crop, user_id=user_id) if sealed.crop else b"",
    )


def seal_bytes(content: bytes, *, user_id: UUID) -> bytes:
    """Return a picture encrypted and bound to its owner."""
    return fernet().encrypt(user_id.bytes + content)


def unseal_bytes(sealed: bytes, *, user_id: UUID) -> bytes:
    """
    Return an encrypted picture.

    :raises EngineMisconfigured: if its key is gone, or it is not this person's
    """
    plain = unlock(sealed)
    if plain[:16] != user_id.bytes:
        raise EngineMisconfigured
    return plain[16:]


def unlock(token: bytes) -> bytes:
    """
    Decrypt with whichever key fits.

    :raises EngineMisconfigured: if none does
    """
    try:
        return fernet().decrypt(bytes(token))
    except InvalidToken as error:
        raise EngineMisconfigured from error


def fernet() -> MultiFernet:
    """Return the cipher: the first key seals, every key opens."""
    return MultiFernet([Fernet(key) for key in settings.FACE_TEMPLATE_KEYS])


def key_id(key: str) -> str:
    """Return a name for a key that says nothing about it."""
    return hashlib.sha256(b"face-key-id:" + key.encode()).hexdigest()[:16]


def turn(vector: NDArray[np.float64], *, user_id: UUID, key: str, back: bool = False) -> NDArray[np.float64]:
    """Return the vector turned by its person's matrix, or turned back."""
    matrix = rotation(hmac.new(key.encode(), b"face-rotation:" + user_id.bytes, hashlib.sha256).digest())
    return (matrix.T if back else matrix) @ vector


@lru_cache(maxsize=8)
def rotation(seed: bytes) -> NDArray[np.float64]:
    """Return the orthogonal matrix that belongs to a seed, always the same."""
    stream = hashlib.shake_256(seed).digest(8 * DIMENSIONS * DIMENSIONS)
    uniform = (np.frombuffer(stream, dtype="<u8") >> 11).astype(np.float64) * 2.0**-53
    pairs = uniform.reshape(2, -1)
    # Box–Muller: normal numbers make the matrix evenly distributed over all rotations and reflections.
    radius = np.sqrt(-2 * np.log(1 - pairs[0]))
    normal = np.concatenate([radius * np.cos(2 * np.pi * pairs[1]), radius * np.sin(2 * np.pi * pairs[1])])
    matrix, upper = np.linalg.qr(normal.reshape(DIMENSIONS, DIMENSIONS))
    return matrix * np.sign(np.diag(upper))
