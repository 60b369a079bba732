"""The test cards: what each number, and each of Stripe's names for it, does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """A test card; `outcome` is succeed, decline, challenge, delayed or late."""

    number: str
    name: str
    outcome: str
    label: str
    code: str = ""
    decline_code: str = ""
    message: str = ""

    @property
    def spaced(self) -> str:
        """The number in groups of four, as it stands on a card."""
        return " ".join(self.number[start : start + 4] for start in range(0, 16, 4))


DECLINED = "Your card was declined."
CARDS = (
    Card("4242424242424242", "pm_card_visa", "succeed", "Succeeds"),
    Card("5555555555554444", "pm_card_mastercard", "succeed", "Succeeds (Mastercard)"),
    Card(
        "4000000000000002",
        "pm_card_chargeDeclined",
        "decline",
        "Declined",
        "card_declined",
        "generic_decline",
        DECLINED,
    ),
    Card(
        "4000000000009995",
        "pm_card_chargeDeclinedInsufficientFunds",
        "decline",
        "Declined: not enough money",
        "card_declined",
        "insufficient_funds",
        "Your card has insufficient funds.",
    ),
    Card(
        "4000000000000069",
        "pm_card_chargeDeclinedExpiredCard",
        "decline",
        "Declined: expired card",
        "expired_card",
        "",
        "Your card has expired.",
    ),
    Card(
        "4000000000000127",
        "pm_card_chargeDeclinedIncorrectCvc",
        "decline",
        "Declined: wrong security code",
        "incorrect_cvc",
        "",
        "Your card's security code is incorrect.",
    ),
    Card(
        "4000002500003155", "pm_card_authenticationRequired", "challenge", "The bank asks you to approve (3-D Secure)"
    ),
    Card("4000000000006009", "pm_card_delayed", "delayed", "Takes a few seconds, then succeeds"),
    Card("4000000000007007", "pm_card_late", "late", "Succeeds only after the hold has ended"),
)
BY_NUMBER = {card.number: card for card in CARDS}
BY_NAME = {card.name: card for card in CARDS} | {"pm_card_visa_chargeDeclined": CARDS[2]}
ALIASES = {"pm_card_threeDSecure2Required": "pm_card_authenticationRequired"}


def by_name(name: str) -> Card | None:
    """Return the card behind a payment method's name."""
    return BY_NAME.get(ALIASES.get(name, name))


def by_number(number: str) -> Card | None:
    """Return the card with this number, typed with or without spaces."""
    return BY_NUMBER.get("".join(character for character in number if character.isdigit()))
