"""The head turn in a real browser: a drawn person follows the dot, a still one does not, and the real engine judges both."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client
from playwright.sync_api import Browser, Page, Playwright, expect

from accounts.models import User
from bookings.models import Booking
from events.models import Event
from faceverify import drawings
from faceverify.models import LivenessCheck
from registrations.models import Registration, VerificationAttempt
from registrations.services import create_registration
from tests.factories import EventFactory, TicketCategoryFactory
from tests.pages.camera import enrolled, film, flags
from tests.pages.conftest import launch
from tests.pages.test_accessibility import answer_with, check

pytestmark = pytest.mark.django_db(transaction=True)
ME = 12
TURNS = {"straight": 0.0, "half-left": 0.12, "left": 0.35, "half-right": -0.12, "right": -0.35}
# A camera that films somebody who follows the dot: it shows the picture that belongs to where the dot is.
FOLLOWS = """(pictures) => {
  const canvas = document.createElement("canvas");
  canvas.width = 480; canvas.height = 640;
  const pen = canvas.getContext("2d");
  const shown = Object.fromEntries(Object.entries(pictures).map(([at, source]) => {
    const image = new Image(); image.src = source; return [at, image];
  }));
  navigator.mediaDevices.getUserMedia = async () => {
    await Promise.all(Object.values(shown).map((image) => image.decode()));
    const show = () => pen.drawImage(shown[document.querySelector("[data-follow]")?.dataset.at ?? "straight"], 0, 0);
    show();
    setInterval(show, 40);
    return canvas.captureStream(25);
  };
}"""

# Tells the test what is said, one after the other: each is said for a second or two only.
HEAR = """
    const status = document.querySelector("[role=status]");
    new MutationObserver(() => hear(status.textContent)).observe(status, { childList: true });
"""


@pytest.fixture(scope="module")
def chromium(driver: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera shows a drawn person who does not move the head."""
    shown = film(tmp_path_factory.mktemp("camera") / "me.mjpeg", ME, smile=True)
    browser = launch(driver, flags(shown))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def follower() -> str:
    """The script that makes the camera's person follow the dot."""
    pictures = {}
    for at, turn in TURNS.items():
        drawn = drawings.draw(ME, turn=turn, smile=True, side_light=0.35, shift=(14, 8), tilt=4.0, size=(480, 640))
        pictures[at] = "data:image/jpeg;base64," + base64.b64encode(drawings.as_jpeg(drawn)).decode()
    return f"({FOLLOWS})({json.dumps(pictures)})"


@pytest.fixture
def show(db: None) -> Event:
    event = EventFactory(
        name="Ten Years",
        requires_face_verification=True,
        max_tickets_per_booking=1,
        face_necessity="Resold last year.",
        liveness="required",
    )
    TicketCategoryFactory(event=event, name="Standing", price_minor=4900)
    return event


def begin(page: Page, log_in: Callable, person: User, event: Event) -> Registration:
    """Log in and open the face step of somebody with a profile photo."""
    enrolled(person, ME)
    registration = create_registration(user_id=person.pk, event_id=event.pk)
    log_in(page, person)
    page.goto(f"/registrations/{registration.pk}")
    expect(page.get_by_role("heading", name="Show that it is you")).to_be_visible()
    return registration


def test_who_follows_the_dot_gets_the_ticket_held(
    browse: Callable[..., Page], log_in: Callable, ana: User, show: Event, follower: str
) -> None:
    page = browse()
    page.add_init_script(follower)
    begin(page, log_in, ana, show)

    # By keyboard alone; what is to be done is said, in the order the server chose.
    page.get_by_role("button", name="Open the camera").press("Enter")
    expect(page.get_by_role("status")).to_have_text("Put your face inside the oval, then begin.")
    heard: list[str] = []
    page.expose_function("hear", lambda words: heard.append(words))
    page.evaluate(HEAR)
    page.get_by_role("button", name="Begin the head turn").press("Enter")

    expect(page.get_by_role("heading", name="This ticket is held for you")).to_be_visible(timeout=60_000)
    turns = LivenessCheck.objects.get().turns.split(",")
    assert heard[: len(turns) + 1] == ["Look straight ahead"] + [
        f"Turn slowly to your {side}" + (", past the middle" if number else "") for number, side in enumerate(turns)
    ]
    assert Booking.objects.get(user=ana, event=show).status == "pending"
    assert [attempt.status for attempt in VerificationAttempt.objects.all()] == ["passed"]
    assert LivenessCheck.objects.get().used_at is not None


def test_who_does_not_move_is_told_how_and_uses_up_no_try(
    browse: Callable[..., Page], log_in: Callable, ana: User, show: Event
) -> None:
    page = browse()
    registration = begin(page, log_in, ana, show)
    page.get_by_role("button", name="Open the camera").click()
    page.get_by_role("button", name="Begin the head turn").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("We didn’t see your head turn far enough", timeout=60_000)
    expect(alert).to_be_focused()
    expect(page.get_by_role("button", name="Begin again")).to_be_visible()
    assert (LivenessCheck.objects.get().passed, VerificationAttempt.objects.count()) == (False, 0)

    # Escape closes the camera; the way to a person stands on the same page.
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Open the camera")).to_be_focused()
    page.get_by_role("button", name="Ask a person instead").click()
    expect(page.get_by_role("heading", name="A person will check your ID")).to_be_visible()
    registration.refresh_from_db()
    assert registration.verification_attempts == 0


def test_without_scripts_a_person_is_the_way(
    browse: Callable[..., Page], log_in: Callable, ana: User, show: Event
) -> None:
    page = browse(javascript=False)
    begin(page, log_in, ana, show)

    expect(page.get_by_text("Without them, ask a person: it counts the same.")).to_be_visible()
    expect(page.get_by_role("button", name="Open the camera")).to_be_hidden()
    page.get_by_role("button", name="Ask a person instead").click()

    expect(page.get_by_role("heading", name="A person will check your ID")).to_be_visible()


def test_one_picture_sent_to_the_page_is_not_compared(client_for: Callable, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    registration = create_registration(user_id=ana.pk, event_id=show.pk)

    answer = client_for(ana).post(f"/registrations/{registration.pk}/face", {})

    assert answer["Location"] == f"/registrations/{registration.pk}/face"
    assert not VerificationAttempt.objects.exists()


def test_check_that_is_over_says_begin_again(client_for: Callable, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    registration = create_registration(user_id=ana.pk, event_id=show.pk)
    mine = client_for(ana)

    answer = mine.post(f"/registrations/{registration.pk}/head-turns/{registration.pk}", HTTP_ACCEPT="application/json")

    assert answer.status_code == 400
    assert "Time was up" in answer.content.decode()


def test_with_rekognition_the_page_says_that_the_app_does_it(
    browse: Callable[..., Page], client_for: Callable, ana: User, show: Event, settings: Any
) -> None:
    enrolled(ana, ME)
    registration = create_registration(user_id=ana.pk, event_id=show.pk)
    settings.FACE_ENGINE = "rekognition"
    settings.AWS_REGION = "eu-central-1"
    mine: Client = client_for(ana)
    html = mine.get(f"/registrations/{registration.pk}/face").content.decode()
    page = browse()
    page.route("**/shown/app", answer_with(html))

    found = check(page, "/shown/app")

    expect(page.get_by_text("asks for Amazon’s liveness check, which needs our app")).to_be_visible()
    expect(page.get_by_role("button", name="Ask a person instead")).to_be_visible()
    assert found == []


def test_the_page_and_its_open_camera_are_clean(
    browse: Callable[..., Page], log_in: Callable, ana: User, show: Event, follower: str
) -> None:
    page = browse()
    page.add_init_script(follower)
    registration = begin(page, log_in, ana, show)
    found: list[Any] = list(check(page, f"/registrations/{registration.pk}/face"))

    for scheme in ("light", "dark"):
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.reload()
        page.get_by_role("button", name="Open the camera").click()
        expect(page.get_by_role("button", name="Begin the head turn")).to_be_visible()
        page.get_by_label("Slower: give me twice the time").check()
        page.get_by_role("button", name="Begin the head turn").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("^Turn slowly"))
        assert page.evaluate("getComputedStyle(document.querySelector('[data-dot]')).transitionDuration") == "0s"
        found += Axe().run(page).response["violations"]
        page.set_viewport_size({"width": 320, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.get_by_role("button", name="Close the camera").click()

    assert found == []
