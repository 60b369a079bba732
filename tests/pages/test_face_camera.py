"""The face step with a camera, in a real browser: it films a drawn person, and the real engine compares."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, expect

from accounts.models import User
from bookings.models import Booking
from events.models import Event
from faceverify import drawings, services
from registrations.models import Registration, VerificationAttempt
from registrations.services import create_registration
from tests.factories import EventFactory, TicketCategoryFactory
from tests.pages.camera import enrolled, film, flags
from tests.pages.conftest import launch

pytestmark = pytest.mark.django_db(transaction=True)
ME, STRANGER = 2, 26


@pytest.fixture(scope="module")
def chromium(driver: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera shows a smiling drawn person."""
    shown = film(tmp_path_factory.mktemp("camera") / "me.mjpeg", ME, smile=True)
    browser = launch(driver, flags(shown))
    yield browser
    browser.close()


@pytest.fixture
def show(db: None) -> Event:
    event = EventFactory(
        name="Ten Years", requires_face_verification=True, max_tickets_per_booking=1, face_necessity="Resold last year."
    )
    TicketCategoryFactory(event=event, name="Standing", price_minor=4900)
    return event


def begin(page: Page, log_in: Callable, person: User, event: Event) -> Registration:
    """Log in and open the face step of somebody with a profile photo."""
    registration = create_registration(user_id=person.pk, event_id=event.pk)
    log_in(page, person)
    page.goto(f"/registrations/{registration.pk}")
    expect(page.get_by_role("heading", name="Show your face")).to_be_visible()
    return registration


def take(page: Page) -> None:
    """Open the camera and take a photo."""
    page.get_by_role("button", name="Open the camera").click()
    expect(page.locator("[data-advice]")).to_have_text(re.compile("^Good light."))
    page.get_by_role("button", name="Take the photo").click()
    expect(page.get_by_role("img", name="The photo you took")).to_be_visible()


def picture(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def test_from_the_event_with_photo_and_camera_to_a_held_ticket(
    browse: Callable[..., Page], log_in: Callable, ana: User, show: Event, tmp_path: Path
) -> None:
    page = browse()
    log_in(page, ana)
    page.goto(f"/events/{show.pk}")
    page.get_by_role("button", name="Get checked").click()

    # Everything is said before the camera opens, and nothing is ticked.
    expect(page.get_by_role("heading", name="First, a photo of you")).to_be_visible()
    expect(page.get_by_role("checkbox", name="I have read this and I agree")).not_to_be_checked()
    page.get_by_role("button", name="Save my photo").click()
    expect(page.get_by_role("alert")).to_contain_text("We look at your face only if you agree.")
    page.get_by_role("checkbox", name="I have read this and I agree").check()
    page.get_by_text("Choose files instead").click()
    page.get_by_label("Photo of your face").set_input_files(picture(tmp_path / "me.jpg", drawings.photo(ME, 1)))
    page.get_by_role("button", name="Save my photo").click()

    # One more photo, by the camera.
    expect(page.get_by_text("Your profile photo is saved.")).to_be_visible()
    expect(page.get_by_text("Try 1 of 3")).to_be_visible()
    take(page)
    page.get_by_role("button", name="Take another").click()
    page.get_by_role("button", name="Take the photo").click()
    page.get_by_role("button", name="Use this photo").click()

    expect(page.get_by_role("heading", name="This ticket is held for you")).to_be_visible()
    expect(page.get_by_text("It’s you. Your face check is done.")).to_be_visible()
    assert Booking.objects.get(user=ana, event=show).status == "pending"
    assert [attempt.status for attempt in VerificationAttempt.objects.all()] == ["passed"]


def test_a_mismatch_leaves_two_tries_and_the_way_to_a_person(
    browse: Callable[..., Page], log_in: Callable, ana: User, show: Event
) -> None:
    enrolled(ana, STRANGER)
    page = browse()
    registration = begin(page, log_in, ana, show)

    take(page)
    page.get_by_role("button", name="Use this photo").click()

    expect(page.get_by_role("alert")).to_contain_text("This photo doesn’t match well enough (try 1 of 3).")
    expect(page.get_by_text("Try 2 of 3")).to_be_visible()
    page.get_by_role("button", name="Ask a person instead").click()
    expect(page.get_by_role("heading", name="A person will check your ID")).to_be_visible()
    registration.refresh_from_db()
    assert registration.verification_attempts == 1


def test_photos_for_the_profile_are_taken_looked_at_and_removed(
    browse: Callable[..., Page], log_in: Callable, ana: User
) -> None:
    page = browse()
    log_in(page, ana)
    page.goto("/profile/photo")
    page.get_by_role("checkbox", name="I have read this and I agree").check()

    take(page)
    page.get_by_role("button", name="Use this photo").click()
    page.get_by_role("button", name="Take one more").click()
    page.get_by_role("button", name="Take the photo").click()
    page.get_by_role("button", name="Use this photo").click()
    expect(page.get_by_role("list", name="Your photos").get_by_role("listitem")).to_have_count(2)
    page.get_by_role("button", name="Remove photo 2").click()
    expect(page.get_by_role("list", name="Your photos").get_by_role("listitem")).to_have_count(1)
    page.get_by_role("button", name="Save my photo").click()

    expect(page.get_by_text("Your profile photo is set.")).to_be_visible()
    assert services.current_reference(user_id=ana.pk).photos == 1


def test_without_a_connection_the_photo_is_kept_and_sent_again(
    browse: Callable[..., Page], log_in: Callable, ana: User
) -> None:
    page = browse()
    log_in(page, ana)
    page.goto("/profile/photo")
    page.get_by_role("checkbox", name="I have read this and I agree").check()
    take(page)
    page.get_by_role("button", name="Use this photo").click()

    page.route("**/profile/photo", lambda route: route.abort())
    page.get_by_role("button", name="Save my photo").click()
    expect(page.get_by_role("alert")).to_contain_text("Your photo is still here.")
    page.unroute("**/profile/photo")
    page.get_by_role("button", name="Save my photo").click()

    expect(page.get_by_text("Your profile photo is set.")).to_be_visible()


def test_the_camera_stops_when_it_is_closed(
    browse: Callable[..., Page], log_in: Callable, ana: User, show: Event
) -> None:
    enrolled(ana, ME)
    page = browse()
    begin(page, log_in, ana, show)
    page.get_by_role("button", name="Open the camera").click()
    expect(page.locator("video")).to_be_visible()
    track = page.evaluate_handle("document.querySelector('video').srcObject.getTracks()[0]")
    assert page.evaluate("track => track.readyState", track) == "live"

    page.get_by_role("button", name="Close the camera").click()

    assert page.evaluate("track => track.readyState", track) == "ended"
    expect(page.get_by_role("button", name="Open the camera")).to_be_focused()


def test_the_open_camera_is_clean_and_fits(
    browse: Callable[..., Page], log_in: Callable, ana: User, show: Event
) -> None:
    enrolled(ana, ME)
    page = browse()
    begin(page, log_in, ana, show)
    found: list[Any] = []

    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.reload()
        page.get_by_role("button", name="Open the camera").click()
        expect(page.locator("[data-advice]")).to_have_text(re.compile("^Good light."))
        found += Axe().run(page).response["violations"]
        page.get_by_role("button", name="Take the photo").click()
        expect(page.get_by_role("button", name="Use this photo")).to_be_focused()
        found += Axe().run(page).response["violations"]
        page.set_viewport_size({"width": 320, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.set_viewport_size({"width": 390, "height": 844})

    assert found == []
