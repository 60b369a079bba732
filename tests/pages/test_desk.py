"""The staff's screens of money in a browser: clean for axe, whole on a phone, done in two presses."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from bookings.models import Booking
from events.models import Event
from payments import services
from payments.models import Comparison, Difference, Payment, Refund
from tests.factories import PASSWORD, StaffFactory
from tests.pages.scenes import DESKTOP, PHONE, buy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def booking(ana: User, concert: Event) -> Booking:
    """A booking with tickets that was paid, with one refund that came back."""
    booking = buy(ana, concert)
    payment = Payment.objects.create(
        booking=booking,
        intent_id="pi_desk",
        amount_minor=booking.amount_minor,
        currency=booking.currency,
        status="succeeded",
        received_minor=booking.amount_minor,
        use=Payment.Use.BOOKING,
        settled_at=timezone.now(),
    )
    Refund.objects.create(
        payment=payment,
        key="desk",
        amount_minor=1,
        currency=booking.currency,
        reason=Refund.Reason.STAFF,
        status="failed",
        last_error="lost_or_stolen_card",
        finished_at=timezone.now(),
    )
    return booking


@pytest.fixture
def comparison(booking: Booking) -> Comparison:
    """A comparison that found one line."""
    now = timezone.now()
    found = services.begin_comparison(since=now - timedelta(days=1), until=now, staff_id=None, by_worker=False)
    Comparison.objects.filter(pk=found.pk).update(status="done", finished_at=now)
    Difference.objects.create(
        comparison=found, kind="unknown_here", intent_id="pi_768454b9d71ff30b4d60a865", ours="unknown", theirs="€42.00"
    )
    return found


def staff(browse: Callable[..., Page], log_in: Callable) -> Page:
    page = browse()
    log_in(page, StaffFactory(email="mara@example.test", name="Mara Lind", password=PASSWORD))
    return page


def problems(page: Page) -> list[str]:
    """Return what is wrong with the page that is shown, in both lights on a phone and a desktop."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.reload()
        for viewport in (PHONE, DESKTOP):
            page.set_viewport_size(viewport)
            if page.evaluate("document.documentElement.scrollWidth") > viewport["width"]:
                found.append(f"{page.url} is wider than {viewport['width']}")
            violations = Axe().run(page).response["violations"]
            found += [f"{page.url} {scheme}: {one['id']} {one['nodes'][0]['html'][:120]}" for one in violations]
    return found


def test_screens_of_money_are_clean(
    browse: Callable[..., Page], log_in: Callable, booking: Booking, comparison: Comparison
) -> None:
    page, found = staff(browse, log_in), []
    for address in (
        f"/admin/payments/payment/refund/{booking.pk}/",
        f"/admin/payments/comparison/{comparison.pk}/change/",
    ):
        page.goto(address)
        found += problems(page)

    assert found == []


def test_ticket_is_refunded_from_the_first_page(
    browse: Callable[..., Page], log_in: Callable, booking: Booking
) -> None:
    page = staff(browse, log_in)
    page.set_viewport_size(PHONE)

    page.goto("/admin/")
    page.get_by_role("link", name="Refund a booking").click()
    page.get_by_label("Booking reference or ticket code").fill(booking.reference)
    page.get_by_role("button", name="Find it").click()
    page.get_by_role("checkbox", name="1 ·").check()
    page.get_by_label("Reason", exact=True).fill("Fell ill")
    page.get_by_role("button", name="See what will happen").click()
    expect(page.get_by_text("The booking goes on with 1 ticket.")).to_be_visible()
    page.get_by_role("button", name="Send €").click()

    expect(page.get_by_text("refund booking: Fell ill")).to_be_visible()
    expect(page.get_by_role("checkbox", name="2 ·")).to_be_visible()
    assert Refund.objects.filter(reason="tickets").count() == 1
    assert booking.tickets.exclude(status="void").count() == 1
