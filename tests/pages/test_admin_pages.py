"""The admin's frame in a browser: clean for axe on a dark phone and a light desktop, and usable on a phone."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from accounts.models import User
from events.models import Event
from tests.factories import PASSWORD, StaffFactory
from tests.pages.scenes import DESKTOP, PHONE, buy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
LONG = "A Gala with Surprise Guests, Fireworks and the Unabridged Donaudampfschifffahrtsgesellschaft"


def problems(page: Page, address: str) -> list[str]:
    """Return what is wrong with a page of the admin; it takes over a change of light when it is loaded."""
    found = []
    for viewport, scheme in ((PHONE, "dark"), (DESKTOP, "light")):
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.goto(address)
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > viewport["width"]:
            found.append(f"{address}: {wide} px wide at {viewport['width']}")
        for violation in Axe().run(page).response["violations"]:
            where = [node["html"][:120] for node in violation["nodes"][:3]]
            found.append(f"{address} {viewport['width']} {scheme}: {violation['id']} {where}")
    return found


@pytest.fixture
def desk(browse: Callable[..., Page], log_in: Callable) -> Page:
    """The admin as an owner sees it."""
    page = browse()
    log_in(page, StaffFactory(email="sam@example.test", name="Sam Okafor", password=PASSWORD, is_superuser=True))
    return page


def test_frame_lists_facts_and_dialogs_are_clean(desk: Page, ana: User, concert: Event) -> None:
    Event.objects.filter(pk=concert.pk).update(name=LONG)
    buy(ana, concert)

    found = [
        problem
        for address in (
            "/admin/",
            "/admin/bookings/booking/",
            "/admin/payments/refund/",
            f"/admin/events/event/{concert.pk}/change/",
            f"/admin/events/event/{concert.pk}/cancel/",
        )
        for problem in problems(desk, address)
    ]

    assert found == []


def test_actions_are_reached_on_a_phone_and_their_dialog_fits(desk: Page, concert: Event) -> None:
    desk.set_viewport_size(PHONE)
    desk.goto(f"/admin/events/event/{concert.pk}/change/")

    desk.locator("#header-inner a[href='#']").click()
    desk.locator("#header-inner").get_by_text("Selling rules").click()

    dialog = desk.locator("#modal-content")
    expect(dialog.get_by_role("heading", name="How this event sells")).to_be_visible()
    box = dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["y"] >= 0
    assert box["x"] + box["width"] <= PHONE["width"]
    assert box["y"] + box["height"] <= PHONE["height"]
    dialog.get_by_text("Back").click()
    expect(dialog).to_be_hidden()


def test_menu_and_account_open_with_a_keyboard(desk: Page) -> None:
    desk.set_viewport_size(PHONE)
    desk.goto("/admin/")

    desk.get_by_role("button", name="Menu").press("Enter")
    desk.get_by_role("button", name="Sam Okafor").press("Enter")

    expect(desk.get_by_role("link", name="Your account")).to_be_visible()
    expect(desk.get_by_role("link", name="Today")).to_have_attribute("aria-current", "page")
