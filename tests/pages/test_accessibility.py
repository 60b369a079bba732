"""Every page: axe finds nothing in light or dark on a phone or a desktop, and nothing scrolls sideways at 320 pixels."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone
from playwright.sync_api import Page, Route

from accounts.models import User
from bookings.models import Ticket
from bookings.services import cancel_booking
from events.models import Event
from tests.factories import EventFactory, TicketCategoryFactory
from tests.pages.scenes import DESKTOP, PHONE, buy, hold, lapse

pytestmark = pytest.mark.django_db(transaction=True)


def check(page: Page, address: str) -> list[str]:
    """Return what is wrong with one page, in every light and width."""
    page.set_viewport_size(PHONE)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(address)
    found = []
    page.set_viewport_size({"width": 320, "height": 640})
    if (wide := page.evaluate("document.documentElement.scrollWidth")) > 320:
        found.append(f"{address}: {wide} px wide at 320")
    for viewport in (PHONE, DESKTOP):
        page.set_viewport_size(viewport)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for violation in Axe().run(page).response["violations"]:
                where = [node["html"][:120] for node in violation["nodes"][:3]]
                found.append(f"{address} {viewport['width']} {scheme}: {violation['id']} {where}")
    return found


def answer_with(html: str) -> Callable[[Route], None]:
    """Return a handler that answers a request of the browser with this page."""
    return lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8")


def test_pages_of_anybody_are_clean(browse: Callable[..., Page], ana: User, concert: Event) -> None:
    now = timezone.now()
    soon = EventFactory(name="Soon", sale_starts_at=now + timedelta(days=2))
    sold_out = EventFactory(name="Sold out")
    faces = EventFactory(name="Faces", requires_face_verification=True, face_necessity="Tickets were resold last year.")
    cancelled = EventFactory(name="Cancelled", status="cancelled")
    for event in (soon, faces, cancelled):
        TicketCategoryFactory(event=event, name="General")
    only_codes = TicketCategoryFactory(event__name="Only codes", hidden=True).event
    TicketCategoryFactory(event=sold_out, name="Standing", capacity=2)
    buy(ana, sold_out)
    page = browse()

    found = [
        problem
        for address in (
            "/",
            "/?search=nothing+like+that",
            "/?max_price=abc",
            *(f"/events/{event.pk}" for event in (concert, soon, sold_out, faces, cancelled)),
            f"/events/{concert.pk}?code=NONSENSE",
            f"/events/{only_codes.pk}",
            "/login",
            "/login?next=/profile",
            "/signup",
            "/forgot",
            "/reset/wrong",
            "/help",
            "/privacy",
            "/accessibility",
            "/dev/mail",
            "/nothing-here",
        )
        for problem in check(page, address)
    ]

    assert found == []


def test_pages_between_and_after_are_clean(
    browse: Callable[..., Page], log_in: Callable, ana: User, concert: Event
) -> None:
    page = browse()
    page.goto("/signup")
    page.get_by_label("Email").fill("new@example.test")
    page.get_by_label("Password").fill("green river stones")
    page.get_by_role("button", name="Send me a code").click()
    page.wait_for_url("**/signup/code")
    found = check(page, "/signup/code")
    for name in ("400", "403", "429", "500", "503", "csrf", "refused", "accounts/erased", "accounts/forgot_sent"):
        context = {"message": "That did not work.", "retry_after": 40, "email": ana.email, "tries_again": 5}
        html = render_to_string(f"{name}.html", context, request=RequestFactory().get("/"))
        page.route(f"**/shown/{name}", answer_with(html))
        found += check(page, f"/shown/{name}")

    log_in(page, ana)
    booking = hold(ana, concert)
    page.goto(f"/bookings/{booking.pk}/pay")
    page.get_by_label("Card number").fill("4000 0000 0000 7007")
    page.get_by_role("button", name="Pay €98.00").click()
    page.wait_for_url("**/pay/return**")
    found += check(page, page.url)

    assert found == []


def test_pages_of_a_member_are_clean(browse: Callable[..., Page], log_in: Callable, ana: User, concert: Event) -> None:
    held, bought, gone, lapsed = (EventFactory(name=name) for name in ("Held", "Bought", "Gone", "Lapsed"))
    for event in (held, bought, gone, lapsed):
        TicketCategoryFactory(event=event, name="Standing")
    holding = hold(ana, held)
    booking = buy(ana, bought)
    cancelled = buy(ana, gone)
    void = Ticket.objects.filter(booking=cancelled).first()
    cancel_booking(booking_id=cancelled.pk, by="buyer")
    late = hold(ana, lapsed)
    lapse(late)
    page = browse()
    log_in(page, ana)

    found = [
        problem
        for address in (
            "/",
            f"/events/{concert.pk}",
            f"/bookings/{holding.pk}/tickets",
            f"/bookings/{holding.pk}/give-up",
            f"/bookings/{holding.pk}/pay",
            f"/bookings/{holding.pk}/pay?problem=declined",
            f"/bookings/{booking.pk}/done",
            f"/bookings/{booking.pk}",
            f"/bookings/{booking.pk}/cancel",
            f"/bookings/{cancelled.pk}",
            f"/bookings/{late.pk}",
            "/bookings",
            "/tickets",
            "/tickets?show=past",
            f"/tickets/{booking.tickets.first().code}",
            f"/tickets/{void.code}",
            "/profile",
            "/profile/password",
            "/profile/delete",
            "/logout",
        )
        for problem in check(page, address)
    ]

    assert found == []
