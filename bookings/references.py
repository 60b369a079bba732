"""The random names of bookings and tickets."""

import secrets

# No letter or digit that looks or sounds like another one of the set when read aloud (no 0/O, 1/I/L, 5/S, 8/B, 2/Z, U/V…).
ALPHABET = "3467ACDEFHJKMNPRTWXY"


def new_reference() -> str:
    """Return a booking's reference: `K7M4-XT3R` without its hyphen, 20⁸ = 2.6·10¹⁰ of them."""
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


def spoken(reference: str) -> str:
    """Return the reference as people read it: in two groups."""
    return f"{reference[:4]}-{reference[4:]}"


def normalise_reference(text: str) -> str:
    """Return the stored form of a reference that a person typed: upper case, without spaces and hyphens."""
    return "".join(character for character in text.upper() if character.isalnum())


def new_ticket_code() -> str:
    """Return a ticket's code: 130 random bits, safe in a URL and in a QR code's alphanumeric mode."""
    return "".join(secrets.choice("0123456789ABCDEFGHJKMNPQRSTVWXYZ") for _ in range(26))
