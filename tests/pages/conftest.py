"""A real browser for the pages, and the events they show."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

# Playwright's sync API keeps an event loop in this thread; the rows are still read by this thread alone.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

expect.set_options(timeout=60_000)
PHONE = {"width": 390, "height": 844}
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def driver() -> Iterator[Playwright]:
    """Playwright, which runs once in a process."""
    with sync_playwright() as playwright:
        yield playwright


def launch(driver: Playwright, flags: Sequence[str] = ()) -> Browser:
    """Start the Chromium of this machine, or Playwright's own where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return driver.chromium.launch(executable_path=found, args=[*FLAGS, *flags])


@pytest.fixture(scope="session")
def chromium(driver: Playwright) -> Iterator[Browser]:
    """A browser without a camera."""
    browser = launch(driver)
    yield browser
    browser.close()


@pytest.fixture
def browse(chromium: Browser, live_site: Any) -> Iterator[Callable[..., Page]]:
    """
    `browse(javascript=False, width=1280)` opens a page of a fresh browser profile on the running site.

    Whatever a page complains about in the console (a broken script, a refused style) fails the test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened(*, javascript: bool = True, viewport: dict[str, int] = PHONE, **options: Any) -> Page:
        context = chromium.new_context(
            base_url=live_site.url,
            viewport=viewport,
            java_script_enabled=javascript,
            timezone_id="Europe/Berlin",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(40_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if is_complaint(line) else None)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def is_complaint(line: Any) -> bool:
    """Whether a console line is a fault of the page; an answer of 4xx is not, nor a font that a slow machine used late."""
    harmless = line.text.startswith("Failed to load resource") or "was preloaded using link preload" in line.text
    return line.type in {"error", "warning"} and not harmless


@pytest.fixture
def log_in() -> Callable[[Page, Any], None]:
    """`log_in(page, person)` by the form."""

    from tests.factories import PASSWORD

    def log_in(page: Page, person: Any) -> None:
        page.goto("/login")
        page.get_by_label("Email").fill(person.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("main").get_by_role("button", name="Log in").click()
        page.wait_for_url("**/tickets")

    return log_in


@pytest.fixture
def ana(db: None) -> Any:
    """Somebody who can log in."""
    from tests.factories import PASSWORD, UserFactory

    return UserFactory(email="ana@example.test", name="Ana Silva", password=PASSWORD)


@pytest.fixture
def concert(db: None) -> Any:
    """An event on sale with two categories."""
    from tests.factories import EventFactory, TicketCategoryFactory

    event = EventFactory(
        name="Night Swim", location="Harbour Hall, Gdańsk", timezone="Europe/Warsaw", description="Bring a towel."
    )
    TicketCategoryFactory(event=event, name="Standing", price_minor=4900, capacity=100)
    TicketCategoryFactory(event=event, name="Balcony", price_minor=8900, position=1, rows={"A": 8, "B": 8})
    return event
