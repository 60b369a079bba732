"""
Small secrets at rest: sealed with a key made of SECRET_KEY, one per purpose, so that a copy of the database opens none.

SECRET_KEY_FALLBACKS open what an older key has sealed. Faces have keys of their own (`faceverify.vault`).
"""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class Unsealable(Exception):
    """What was sealed was changed, was sealed for another purpose, or its key is gone."""


def seal(text: str, *, purpose: str) -> str:
    """Return `text` sealed for `purpose`."""
    return box(purpose).encrypt(text.encode()).decode()


def unseal(token: str, *, purpose: str) -> str:
    """
    Return what was sealed for `purpose`.

    :raises Unsealable: if it can not be opened
    """
    try:
        return box(purpose).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise Unsealable(purpose) from error


def box(purpose: str) -> MultiFernet:
    """Return the cipher of a purpose: today's SECRET_KEY seals, older ones still open."""
    return MultiFernet([Fernet(derived(key, purpose)) for key in [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]])


def derived(secret: str, purpose: str) -> bytes:
    """Return the key that HKDF (RFC 5869) makes of a secret for a purpose."""
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"fairseat:{purpose}".encode()).derive(secret.encode())
    return urlsafe_b64encode(key)
