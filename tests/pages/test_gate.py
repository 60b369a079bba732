"""The gate in a real browser: scanner, camera, no network, no script."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import segno
from axe_playwright_python.sync_playwright import Axe
from django.db.models import F
from django.utils import timezone
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect
from playwright.sync_api import Error as PlaywrightError

from accounts.models import User
from bookings.models import Ticket
from events.models import Event
from faceverify.models import FaceImage
from gate import offline, services
from gate.models import Entrance, GateDevice, Scan
from tests.factories import PASSWORD, EventFactory, OrganiserFactory, TicketCategoryFactory, UserFactory
from tests.pages.camera import flags
from tests.pages.conftest import PHONE, launch
from tests.pages.scenes import buy
from tests.pages.test_accessibility import check
from tests.registrations.scenes import OTHER, SELF, enrolled, face_event, registered, shot
from tests.registrations.scenes import check as verify
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def door(db: None) -> User:
    """An organiser who stands at their own gate."""
    return OrganiserFactory(email="door@example.test", name="Doro", password=PASSWORD)


@pytest.fixture
def tonight(door: User) -> Event:
    """An event whose gate is open."""
    now = timezone.now()
    event = EventFactory(
        name="Night Swim", starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=5), created_by=door
    )
    TicketCategoryFactory(event=event, name="Standing", capacity=50)
    return event


def tickets(event: Event, *, quantity: int = 2, name: str = "Ana Silva") -> list[Ticket]:
    """Sell tickets to somebody new."""
    return list(buy(UserFactory(name=name), event, quantity=quantity).tickets.order_by("number"))


def at_gate(page: Page, event: Event, gate: str = "North") -> None:
    page.goto(f"/gate/{event.pk}?gate={gate}")


def stop_clock(page: Page) -> None:
    """Have the page's time stand still, so that no answer leaves the screen before it was read; `run_for` moves it on."""
    now = timezone.now()
    page.clock.install(time=now)
    page.clock.pause_at(now + timedelta(seconds=1))


def look_away(page: Page) -> None:
    """Let the moment pass in which a code that is seen again is the same sight of it, for the page and for the site."""
    GateDevice.objects.update(sight_at=F("sight_at") - timedelta(seconds=10))
    page.clock.run_for(3100)


def has_list(page: Page) -> None:
    """Wait until the page says how long it works without network, so that its list is kept."""
    expect(page.get_by_text("Works without network until")).to_be_visible()


def typed(page: Page, code: str) -> None:
    """Type as a scanner does: wherever the focus is, and Enter."""
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def test_scanner_types_and_the_answer_fills_the_screen(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    first, second = tickets(tonight)
    page = browse()
    log_in(page, door)
    stop_clock(page)
    page.goto("/gate")
    page.get_by_role("link", name="Night Swim").click()
    page.get_by_label("Which entrance").fill("North")
    page.get_by_role("button", name="Start scanning").click()
    expect(page.get_by_label("Ticket code")).to_be_focused()

    typed(page, first.code)
    expect(page.get_by_role("alertdialog")).to_contain_text("Welcome in")
    expect(page.get_by_role("alertdialog")).to_contain_text("Ana Silva")
    typed(page, first.code)  # within three seconds it is the same sight of it
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    look_away(page)
    typed(page, first.code)
    expect(page.get_by_role("alertdialog")).to_contain_text("Inside since")
    expect(page.get_by_role("alertdialog")).to_contain_text("by North")
    typed(page, second.code)  # over the red answer: scanners do not press "Next"
    expect(page.get_by_role("alertdialog")).to_contain_text("2 of 2")
    page.get_by_role("button", name="Next").click()
    typed(page, "NO SUCH CODE")
    expect(page.get_by_role("alertdialog")).to_contain_text("No ticket has this code")
    expect(page.locator("[data-inside]")).to_have_text("2")
    assert list(Scan.objects.order_by("at").values_list("reason", flat=True)) == ["", "already_used", "", "unknown"]


def test_without_network_the_list_decides_and_scans_are_sent_later(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    first, second = tickets(tonight)
    page = browse()
    log_in(page, door)
    stop_clock(page)
    with page.expect_response("**/list?*"):
        at_gate(page, tonight)
    has_list(page)
    page.context.set_offline(True)

    typed(page, first.code)
    expect(page.get_by_role("alertdialog")).to_contain_text("Without network")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("No network. Scanning goes on")).to_be_visible()
    expect(page.get_by_text("1 scan waits to be sent")).to_be_visible()
    page.clock.run_for(3100)
    typed(page, first.code)
    expect(page.get_by_role("alertdialog")).to_contain_text("inside already")
    page.get_by_role("button", name="Next").click()
    assert not Scan.objects.exists()
    # Meanwhile another gate, with network, lets the same ticket's copy in, and the second ticket.
    services.scan_ticket(event_id=tonight.pk, staff_id=door.pk, gate="South", code=first.code)
    page.context.set_offline(False)

    expect(page.get_by_role("alertdialog")).to_contain_text("Call a supervisor")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("wait to be sent")).to_be_hidden()
    double = Scan.objects.get(reason="double")
    assert (double.offline, double.is_case, double.device.gate) == (True, True, "North")
    page.reload()
    page.get_by_label("What did you do?").fill("The copy went home")
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("Closed.")).to_be_visible()
    assert not Scan.objects.get(pk=double.pk).is_case
    assert Ticket.objects.get(pk=second.pk).status == "active"


def test_changed_list_is_not_used(browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event) -> None:
    (ticket, _) = tickets(tonight)
    page = browse()
    log_in(page, door)

    def forged(route: Any) -> None:
        answer = route.fetch()
        body = answer.json() | {"list": answer.json()["list"].replace('"version":1', '"version":2')}
        route.fulfill(response=answer, json=body)

    page.route("**/list?*", forged)
    with page.expect_response("**/list?*") as got:
        at_gate(page, tonight)
    got.value.finished()
    page.context.set_offline(True)

    typed(page, ticket.code)

    expect(page.get_by_role("alertdialog")).to_contain_text("No list")


def test_without_script_forms_answer(browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event) -> None:
    first, second = tickets(tonight)
    page = browse(javascript=False)
    log_in(page, door)
    at_gate(page, tonight)

    page.get_by_label("Ticket code").fill(first.code)
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("alert")).to_contain_text("Welcome in")
    page.get_by_label("Name or reference").fill("silva")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Let in").click()
    expect(page.get_by_role("alert")).to_contain_text("2 of 2")
    page.get_by_text("Undo").first.click()
    page.get_by_label("Why?").first.fill("Wrong person")
    page.get_by_role("button", name="Take back").first.click()
    expect(page.get_by_text("Taken back. The ticket is good")).to_be_visible()
    second.refresh_from_db()
    assert second.status == "active"


def test_supervisor_opens_the_gate_early(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    Event.objects.filter(pk=tonight.pk).update(
        starts_at=timezone.now() + timedelta(days=2), ends_at=timezone.now() + timedelta(days=3)
    )
    page = browse()
    log_in(page, door)
    at_gate(page, tonight)
    expect(page.get_by_text("Until then every scan is red")).to_be_visible()

    page.get_by_text("Rules of this entrance").click()
    page.get_by_label("The gate").select_option("is open from now on")
    page.get_by_label("Why?").last.fill("Members come early")
    page.get_by_role("button", name="Change", exact=True).click()

    expect(page.get_by_text("Until then every scan is red")).to_be_hidden()
    assert Entrance.objects.get().opens_at is not None


def test_stranger_finds_no_gate(browse: Callable[..., Page], log_in: Callable, ana: User, tonight: Event) -> None:
    page = browse()
    log_in(page, ana)

    for address in ("/gate", f"/gate/{tonight.pk}", f"/gate/{tonight.pk}/list?gate=N", f"/gate/{tonight.pk}/counters"):
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 404


def test_gate_is_clean(browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event) -> None:
    first, second = tickets(tonight)
    scan = {"event_id": tonight.pk, "staff_id": door.pk, "gate": "South"}
    green = services.scan_ticket(**scan, code=first.code)
    red = services.scan_ticket(**scan | {"gate": "East"}, code=first.code)
    services.sync_scans(
        **scan | {"gate": "West"},
        scans=[
            services.Offline(
                client_id=second.pk, code=first.code, scanned_at=timezone.now(), accepted=True, method="code"
            )
        ],
    )
    page = browse()
    log_in(page, door)
    here = f"/gate/{tonight.pk}"

    found = [
        problem
        for address in (
            "/gate",
            here,
            f"{here}?gate=North",
            f"{here}?gate=North&scan={green.pk}",
            f"{here}?gate=North&scan={red.pk}",
            f"{here}?gate=North&q=silva#search",
            "/gate/shell",
        )
        for problem in check(page, address)
    ]
    at_gate(page, tonight)
    typed(page, first.code)
    expect(page.locator(".gate-answer.bad")).to_be_visible()
    found += [violation["id"] for violation in Axe().run(page).response["violations"]]
    stop_clock(page)
    at_gate(page, tonight)
    typed(page, second.code)
    expect(page.locator(".gate-answer.ok")).to_be_visible()

    assert found == []


# -- Opened without network -------------------------------------------------------------------------------------------


KEPT = """async () => {
    const caches_ = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
    const kept = await Promise.all(caches_.map((one) => one.keys()));
    return kept.flat().map((one) => new URL(one.url).pathname).sort();
}"""


def has_shell(page: Page) -> None:
    """Wait until the page may be opened without network: its worker has everything and answers for it."""
    has_list(page)
    eventually(lambda: page.evaluate("navigator.serviceWorker.controller !== null"), what="the worker did not begin")


def test_gate_that_was_opened_once_opens_and_scans_without_network(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    first, second = tickets(tonight)
    page = browse()
    log_in(page, door)
    at_gate(page, tonight)
    has_shell(page)
    page.context.set_offline(True)

    page.reload()
    expect(page.get_by_role("heading", name="Night Swim")).to_be_visible()
    typed(page, first.code)
    expect(page.get_by_role("alertdialog")).to_contain_text("Without network")
    page.reload()
    expect(page.get_by_text("1 scan waits to be sent")).to_be_visible()
    other = page.context.new_page()  # a second tab, of the whole of /gate: this device knows where it stood
    other.goto("/gate")
    other.get_by_role("link", name="Night Swim: North").click()
    expect(other.get_by_text("Scanning goes on with the list")).to_be_visible()
    typed(other, first.code)
    expect(other.get_by_role("alertdialog")).to_contain_text("inside already")
    typed(other, second.code)
    expect(other.get_by_role("alertdialog")).to_contain_text("Welcome in")
    other.close()
    assert not Scan.objects.exists()
    page.context.set_offline(False)

    expect(page.get_by_role("heading", name="Latest scans")).to_be_visible()  # the page itself came back, by itself
    expect(page.get_by_text("to be sent")).to_be_hidden()
    assert Scan.objects.filter(result="accepted", offline=True).count() == 2
    assert not Scan.objects.filter(result="rejected", let_in=True).exists()


def test_control_without_its_worker_the_page_does_not_open(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    page = browse()
    page.add_init_script("delete Navigator.prototype.serviceWorker")
    log_in(page, door)
    at_gate(page, tonight)
    has_list(page)
    page.context.set_offline(True)

    with pytest.raises(PlaywrightError, match="ERR_INTERNET_DISCONNECTED"):
        page.reload()


def test_nothing_else_of_the_site_is_kept_and_nothing_old(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    page = browse()
    log_in(page, door)
    page.evaluate("caches.open('gate-0000000000000000').then((old) => old.put('/gate/shell', new Response('old')))")
    at_gate(page, tonight)
    has_shell(page)
    page.goto("/tickets")
    at_gate(page, tonight)
    has_list(page)

    expect(page.get_by_text("Works without network")).to_be_visible()
    eventually(lambda: page.evaluate("caches.keys()") == [f"gate-{offline.version()}"], what="an old cache stayed")
    assert page.evaluate(KEPT) == sorted(["/gate/shell", *offline.addresses().values()])
    # A deploy: the page says another version than the site, and loads again.
    page.route("**/counters", another_version, times=1)
    with page.expect_navigation():
        page.evaluate("dispatchEvent(new Event('online'))")


def another_version(route: Any) -> None:
    """Answer as a site does that was deployed anew."""
    answer = route.fetch()
    route.fulfill(response=answer, json=answer.json() | {"version": "another"})


def test_end_of_a_shift_and_a_log_out_leave_nothing(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    tickets(tonight)
    page = browse()
    lists = """() => new Promise((done) => { const opening = indexedDB.open("gate"); opening.onsuccess = () => {
        const asked = opening.result.transaction("lists").objectStore("lists").count();
        asked.onsuccess = () => { opening.result.close(); done(asked.result); }; }; })"""
    for how in ("End shift and log out", "Log out"):
        log_in(page, door)
        at_gate(page, tonight)
        has_list(page)
        assert page.evaluate(lists) == 1
        if how == "Log out":
            page.goto("/profile")
        page.get_by_role("button", name=how, exact=True).click()
        expect(page.get_by_role("link", name="Log in").first).to_be_visible()
        eventually(lambda: page.evaluate("localStorage.getItem('gate')") is None, what="something was kept")
        assert page.evaluate(lists) == 0


def test_phone_with_a_wrong_clock_dates_its_scans_rightly_and_drops_the_list_in_time(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    first, second = tickets(tonight)
    page = browse()
    log_in(page, door)
    page.clock.install(time=timezone.now() - timedelta(days=400))
    at_gate(page, tonight)
    has_list(page)
    page.context.set_offline(True)
    typed(page, first.code)
    expect(page.get_by_role("alertdialog")).to_contain_text("Without network")
    page.context.set_offline(False)
    expect(page.get_by_text("to be sent")).to_be_hidden()
    scan = Scan.objects.get()
    assert abs(scan.scanned_at - timezone.now()) < timedelta(minutes=3)

    page.context.set_offline(True)
    page.clock.fast_forward("26:00:00")
    typed(page, second.code)

    expect(page.get_by_role("alertdialog")).to_contain_text("No list")


# -- Scanners that are set up for another keyboard --------------------------------------------------------------------


def keyed(page: Page, code: str, layout: dict[str, str]) -> None:
    """Type as a scanner does on a machine whose keyboard has this layout: the same keys, other letters."""
    session = page.context.new_cdp_session(page)
    for letter in code:
        shown = layout.get(letter, letter)
        name = f"Digit{letter}" if letter.isdigit() else f"Key{letter}"
        session.send("Input.dispatchKeyEvent", {"type": "keyDown", "key": shown, "code": name, "text": shown})
        session.send("Input.dispatchKeyEvent", {"type": "keyUp", "key": shown, "code": name})
    page.keyboard.press("Enter")


GERMAN = {"Y": "Z", "Z": "Y"}
FRENCH = {"A": "Q", "Q": "A", "Z": "W", "W": "Z", "M": "?"} | dict(zip("1234567890", "&é\"'(-è_çà", strict=True))


def test_scanner_for_another_keyboard_is_understood(
    browse: Callable[..., Page], log_in: Callable, door: User, tonight: Event
) -> None:
    first, second = tickets(tonight)
    Ticket.objects.filter(pk=first.pk).update(code="ZY0123456789ZYQAWM3467ACDE")
    Ticket.objects.filter(pk=second.pk).update(code="QAZWM0123456789ZYXWVTSRQPN")
    page = browse()
    log_in(page, door)
    at_gate(page, tonight)
    has_list(page)

    keyed(page, "ZY0123456789ZYQAWM3467ACDE", GERMAN)
    expect(page.get_by_role("alertdialog")).to_contain_text("1 of 2")
    keyed(page, "QAZWM0123456789ZYXWVTSRQPN", FRENCH)
    expect(page.get_by_role("alertdialog")).to_contain_text("2 of 2")

    assert sorted(Scan.objects.values_list("result", flat=True)) == ["accepted", "accepted"]


# -- Camera -----------------------------------------------------------------------------------------------------------


def film_of(code: str, path: Path) -> Path:
    """Write a film that shows a ticket's QR code to Chromium's camera."""
    file = BytesIO()
    segno.make_qr(code, error="q").save(file, kind="png", scale=9, border=5)
    shown = Image.open(file).convert("RGB")
    frame = Image.new("RGB", (640, 480), "#666")
    frame.paste(shown, ((640 - shown.width) // 2, (480 - shown.height) // 2))
    still = BytesIO()
    frame.save(still, "JPEG", quality=92)
    path.write_bytes(still.getvalue() * 4)
    return path


@pytest.fixture
def sees(driver: Playwright, tmp_path: Path) -> Iterator[Callable[[str], Browser]]:
    """`sees(code)` starts a browser whose camera sees that code."""
    browsers: list[Browser] = []

    def started(code: str) -> Browser:
        browsers.append(launch(driver, flags(film_of(code, tmp_path / "code.mjpeg"))))
        return browsers[-1]

    yield started
    for browser in browsers:
        browser.close()


def test_camera_reads_the_code(
    sees: Callable[[str], Browser], live_site: Any, log_in: Callable, door: User, tonight: Event
) -> None:
    (ticket, _) = tickets(tonight)
    page = sees(ticket.code).new_context(base_url=live_site.url, viewport=PHONE, permissions=["camera"]).new_page()
    log_in(page, door)
    # However slow this machine is, the code that is held there stays in sight.
    page.add_init_script(
        """document.addEventListener("readystatechange", () =>
            document.querySelector("[data-gate-page]")?.setAttribute("data-sight", "600"));"""
    )
    at_gate(page, tonight)

    page.get_by_role("button", name="Camera").click()

    expect(page.get_by_role("alertdialog")).to_contain_text("Welcome in", timeout=60_000)
    ticket.refresh_from_db()
    assert ticket.status == "used"
    expect(page.get_by_role("alertdialog")).to_be_hidden()  # green goes by itself, and the code is still there
    page.wait_for_timeout(1000)
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    assert Scan.objects.count() == 1


def test_face_is_compared_at_the_door_or_an_id_is_looked_at(
    browse: Callable[..., Page], log_in: Callable, door: User
) -> None:
    now = timezone.now()
    premiere = face_event(
        name="Premiere", starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=5), created_by=door
    )
    TicketCategoryFactory(event=premiere, price_minor=0, capacity=10)
    services.change_entrance(event_id=premiere.pk, staff_id=door.pk, checks_faces=True, reason="Resale last year")
    holder = enrolled(UserFactory(name="Ana Silva"))
    verify(registered(holder, premiere), drawn=SELF)
    ticket = Ticket.objects.get(holder=holder, event=premiere)
    page = browse()
    log_in(page, door)
    at_gate(page, premiere)

    typed(page, ticket.code)
    expect(page.get_by_role("alertdialog")).to_contain_text("One more check")
    page.get_by_role("link", name="Check face or ID").click()
    found = check(page, page.url)
    page.get_by_label("Photo of the face").set_input_files(
        {"name": "stranger.jpg", "mimeType": "image/jpeg", "buffer": shot(OTHER, 2)}
    )
    page.get_by_role("button", name="Compare the face").click()
    expect(page.get_by_role("alert")).to_contain_text("The face is not the holder’s")
    page.get_by_label("Photo of the face").set_input_files(
        {"name": "face.jpg", "mimeType": "image/jpeg", "buffer": shot(SELF, 5)}
    )
    page.get_by_role("button", name="Compare the face").click()
    expect(page.get_by_role("alert")).to_contain_text("Welcome in")

    ticket.refresh_from_db()
    assert ticket.status == "used"
    assert found == []
    entry = Scan.objects.get(result="accepted")
    services.undo_scan(event_id=premiere.pk, scan_id=entry.pk, staff_id=door.pk, reason="To be decided anew")
    at_gate(page, premiere)
    typed(page, ticket.code)
    page.get_by_role("link", name="Check face or ID").click()
    page.get_by_label("Supervisor: why?").fill("Another person’s ticket")
    page.get_by_role("button", name="Refuse").click()
    expect(page.get_by_role("alert")).to_contain_text("A supervisor has refused this person")
    page.get_by_label("Supervisor: why?").fill("Cleared up with the box office")
    page.get_by_role("button", name="Let in").click()
    expect(page.get_by_role("alert")).to_contain_text("Welcome in")
    expect(page.get_by_text("“Another person’s ticket”")).to_be_visible()
    assert not FaceImage.objects.filter(deleted_at=None, owner=holder).exclude(consumed_at=None).exists()
