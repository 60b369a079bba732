"""The sandbox's pages for a browser: the card form and the bank's question. They work without JavaScript."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from common.money import display
from payments.sandbox import cards, markup
from payments.sandbox.checkout import Checkout
from payments.sandbox.configuration import LOOPBACK, Config
from payments.sandbox.store import Body
from payments.sandbox.wire import Reply, Request


class Pages:
    """Answers browsers."""

    def __init__(self, config: Config, checkout: Checkout) -> None:
        self.config = config
        self.checkout = checkout

    def answer(self, request: Request) -> Reply:
        """Answer a browser."""
        match [request.method, *request.path.strip("/").split("/")]:
            case ["GET", ""]:
                return page(200, markup.home(self.config.site_url))
            case ["GET", "sandbox.css"]:
                return Reply(200, markup.CSS, {"Cache-Control": "max-age=3600"}, "text/css; charset=utf-8")
            case ["GET", "healthz"]:
                return Reply(200, {"status": "ok"})
            case ["GET" | "POST", "pay", subject]:
                return self.pay(request, subject)
            case ["GET", "challenge", intent_id]:
                return self.challenge(request, intent_id)
            case ["POST", "challenge", intent_id]:
                return self.challenge(request, intent_id)
        return page(404, markup.message("Nothing here", "There is no such page.", self.config.site_url))

    def pay(self, request: Request, subject: str) -> Reply:
        """The card form: of an intent, or of a checkout session."""
        session = self.checkout.get(subject) if subject.startswith("cs_") else None
        if session is not None:
            return_url = session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
            back = session["cancel_url"] or ""
            if session["status"] == "expired":
                return page(410, markup.message("Too late", "This payment is closed. Nothing was charged.", back))
            intent = self.checkout.intent_of(session)
        else:
            intent = self.checkout.intents.get(subject)
            return_url = back = str(request.params.get("return_url", ""))
        if return_url and not self.config.is_of_the_shop(return_url):
            return page(400, markup.message("Not this shop", "The address to go back to is not the shop's."))
        if intent["status"] in {"succeeded", "processing"}:
            return see_other(after(intent, return_url or self.config.site_url))
        if intent["status"] == "canceled":
            return page(410, markup.message("Too late", "This payment is closed. Nothing was charged.", back))
        form: dict[str, Any] = {
            "action": f"/pay/{subject}"
            + (f"?{urlencode({'return_url': return_url})}" if not session and return_url else ""),
            "amount": display(intent["amount"], intent["currency"].upper()),
            "title": intent["metadata"].get("title", ""),
            "back": back if back and self.config.is_of_the_shop(back) else "",
        }
        if request.method == "GET":
            return page(200, markup.pay(**form))
        values = {name: str(request.params.get(name, "")) for name in markup.FIELDS}
        if errors := markup.wrong_fields(values):
            return page(422, markup.pay(**form, values=values, errors=errors))
        card = cards.by_number(values["number"])
        assert card is not None
        reply = self.checkout.intents.charge(intent, card, return_url=return_url)
        if reply.status != 200:
            return page(402, markup.pay(**form, values=values, declined=reply.body["error"]["message"]))
        if intent["status"] == "requires_action":
            return see_other(intent["next_action"]["redirect_to_url"]["url"])
        return see_other(after(intent, return_url or self.config.site_url))

    def challenge(self, request: Request, intent_id: str) -> Reply:
        """The bank's page."""
        intent = self.checkout.intents.get(intent_id)
        back = intent.get("_return_url") or self.config.site_url
        if not self.config.is_of_the_shop(back):
            back = self.config.site_url
        if intent["status"] != "requires_action":
            return see_other(after(intent, back))
        if request.method == "GET":
            return page(200, markup.challenge(intent))
        intent = self.checkout.intents.answer_challenge(intent, approved=request.params.get("answer") == "approve")
        return see_other(after(intent, back))

    def headers(self) -> dict[str, str]:
        """The security headers of the pages: no scripts at all, forms only here and back to the shop."""
        shop = urlsplit(self.config.site_url)
        names = LOOPBACK - {"::1"} if shop.hostname in LOOPBACK else {shop.hostname}
        port = f":{shop.port}" if shop.port else ""
        shops = " ".join(sorted(f"{shop.scheme}://{name}{port}" for name in names))
        return {
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {shops}",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }


def page(status: int, html: str) -> Reply:
    """Return an HTML answer."""
    return Reply(status, html, {"Cache-Control": "no-store"}, "text/html; charset=utf-8")


def see_other(url: str) -> Reply:
    """Send the browser on."""
    return Reply(303, "", {"Location": url}, "text/html; charset=utf-8")


def after(intent: Body, return_url: str) -> str:
    """Return the shop's address with what Stripe appends to it."""
    parts = urlsplit(return_url)
    status = {"succeeded": "succeeded", "processing": "processing"}.get(intent["status"], "failed")
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("payment_intent", intent["id"]),
        ("payment_intent_client_secret", intent["client_secret"]),
        ("redirect_status", status),
    ]
    return urlunsplit(parts._replace(query=urlencode(query)))
