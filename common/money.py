"""Money is an integer of minor units plus an ISO 4217 currency; decimals exist only at the rim."""

from decimal import Decimal, InvalidOperation

from common.errors import Invalid

# ISO 4217 currencies whose minor unit is not 1/100, as Stripe treats them.
ZERO_DECIMAL = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"]
)
THREE_DECIMAL = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "INR": "₹", "JPY": "¥"}


def exponent(currency: str) -> int:
    """Return how many decimals `currency` has."""
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def step_of(currency: str) -> int:
    """Return the smallest part of an amount, in minor units, that cards can be charged: a third decimal is cut off."""
    return 10 if currency in THREE_DECIMAL else 1


def to_minor(amount: Decimal | str, currency: str) -> int:
    """
    Turn a decimal amount into minor units.

    :raises Invalid: if it is no amount, negative, or has more decimals than the currency
    """
    try:
        scaled = Decimal(str(amount)).scaleb(exponent(currency))
    except InvalidOperation:
        raise Invalid("Write the price as a number, for example 49.00.") from None
    if not scaled.is_finite() or scaled < 0 or scaled != scaled.to_integral_value():
        raise Invalid(f"A price in {currency} can not be {amount}.")
    return int(scaled)


def to_decimal(amount_minor: int, currency: str) -> Decimal:
    """Turn minor units into the decimal amount that people and JSON see."""
    return Decimal(amount_minor).scaleb(-exponent(currency))


def display(amount_minor: int, currency: str) -> str:
    """Return the amount as a person reads it: `€49.00`, `¥500`, `CHF 12.00`, or `Free`."""
    if amount_minor == 0:
        return "Free"
    return display_sum(amount_minor, currency)


def display_sum(amount_minor: int, currency: str) -> str:
    """Return what was earned or is owed as a person reads it; nothing is `€0.00`, not free."""
    amount = f"{to_decimal(amount_minor, currency):,.{exponent(currency)}f}"
    return f"{SYMBOLS[currency]}{amount}" if currency in SYMBOLS else f"{currency} {amount}"
