"""The HTML of the sandbox's pages: plain, in the shop's look, without scripts."""

import re
import time
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from common.money import display
from payments.sandbox.cards import CARDS
from payments.sandbox.store import Body

CSS = (Path(__file__).parent / "sandbox.css").read_text()
FIELDS = {"number": "Card number", "expiry": "Expiry", "cvc": "Security code"}


def page(title: str, body: str) -> str:
    """Return a whole page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="stylesheet" href="/sandbox.css"></head><body>'
        '<header class="test" role="banner">Test mode: no card is charged and no money moves.</header>'
        f'<main id="main" class="stack">{body}</main></body></html>'
    )


def pay(
    *,
    action: str,
    amount: str,
    title: str,
    back: str,
    values: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    declined: str = "",
) -> str:
    """Return the page with the card form, with what was wrong at the first try."""
    values = values or {
        "number": CARDS[0].spaced,
        "expiry": f"12 / {(datetime.now(UTC).year + 3) % 100:02d}",
        "cvc": "123",
    }
    errors = errors or {}
    problem = ""
    if errors:
        links = "".join(f'<li><a href="#{name}">{escape(text)}</a></li>' for name, text in errors.items())
        problem = f"<h2>Please check your card</h2><ul>{links}</ul>"
    elif declined:
        problem = (
            f"<h2>{escape(declined)}</h2><p>Nothing was charged and your tickets are still held. "
            '<a href="#number">Use another card</a>.</p>'
        )
    alert = f'<div class="errs stack" role="alert">{problem}</div>' if problem else ""
    heading = f"Pay {amount}"
    cancel = f'<p><a class="btn ghost" href="{escape(back)}">Back without paying</a></p>' if back else ""
    return page(
        f"{'Error: ' if problem else ''}{heading} (test mode)",
        f"<h1>{escape(heading)}</h1>{alert}"
        f'<p class="muted">{escape(title)}</p>'
        f'<form method="post" action="{escape(action)}" class="card stack" autocomplete="off" novalidate>'
        f"{field('number', values, errors, hint='A test card from the list below', inputmode='numeric')}"
        f'<div class="pair">{field("expiry", values, errors, hint="For example 08 / 29", inputmode="numeric")}'
        f"{field('cvc', values, errors, hint='Any three digits', inputmode='numeric')}</div>"
        f'<button class="btn" type="submit">{escape(heading)}</button></form>{cancel}{card_table()}',
    )


def field(name: str, values: dict[str, str], errors: dict[str, str], *, hint: str, inputmode: str) -> str:
    """Return one labelled input with its hint and its error."""
    error = f'<p class="err" id="{name}-e">{escape(errors[name])}</p>' if name in errors else ""
    described = f"{name}-h" + (f" {name}-e" if name in errors else "")
    return (
        f'<div class="field"{" data-bad" if name in errors else ""}><label for="{name}">{FIELDS[name]}</label>'
        f'<span class="hint" id="{name}-h">{escape(hint)}</span>{error}'
        f'<input id="{name}" name="{name}" inputmode="{inputmode}" required aria-describedby="{described}"'
        f'{" aria-invalid=true" if name in errors else ""} value="{escape(values.get(name, ""))}"></div>'
    )


def card_table() -> str:
    """Return the list of test cards and what they do."""
    rows = "".join(f'<tr><th scope="row">{card.spaced}</th><td>{escape(card.label)}</td></tr>' for card in CARDS)
    return (
        '<section class="card small"><table><caption>Test cards</caption><thead><tr><th scope="col">Number</th>'
        f'<th scope="col">What happens</th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def challenge(intent: Body) -> str:
    """Return the page on which "the bank" asks."""
    amount = display(intent["amount"], intent["currency"].upper())
    return page(
        "Your bank asks (test mode)",
        f"<h1>Is it you who pays {escape(amount)}?</h1>"
        '<p class="muted">This page stands in for your bank\'s. Nothing is charged until you approve.</p>'
        f'<form method="post" action="/challenge/{intent["id"]}" class="card stack">'
        '<button class="btn" name="answer" value="approve">Yes, approve the payment</button>'
        '<button class="btn ghost" name="answer" value="decline">No, refuse it</button></form>',
    )


def message(title: str, text: str, back: str = "") -> str:
    """Return a page that only says something."""
    link = f'<p><a class="btn" href="{escape(back)}">Back to the shop</a></p>' if back else ""
    return page(f"{title} (test mode)", f"<h1>{escape(title)}</h1><p>{escape(text)}</p>{link}")


def home(site_url: str) -> str:
    """Return the sandbox's front page."""
    return page(
        "Payment sandbox",
        "<h1>Payment sandbox</h1><p>This server stands in for Stripe while no Stripe keys are set. "
        f'<a href="{escape(site_url)}">To the shop</a></p>{card_table()}',
    )


def wrong_fields(values: dict[str, str]) -> dict[str, str]:
    """Return what is wrong with a filled card form, by field."""
    errors = {}
    number = re.sub(r"[\s-]", "", values.get("number", ""))
    if number not in {card.number for card in CARDS}:
        errors["number"] = "Use one of the test card numbers below"
    matched = re.fullmatch(r"\s*(\d{1,2})\s*/\s*(\d{2}|\d{4})\s*", values.get("expiry", ""))
    if matched is None or not 1 <= int(matched[1]) <= 12:
        errors["expiry"] = "Write the expiry as month / year, for example 08 / 29"
    else:
        now = time.gmtime()
        if (int(matched[2]) % 100 + 2000, int(matched[1])) < (now.tm_year, now.tm_mon):
            errors["expiry"] = "This card has expired. Any later date will do"
    if not re.fullmatch(r"\s*\d{3,4}\s*", values.get("cvc", "")):
        errors["cvc"] = "Write the three or four digits of the security code"
    return errors
