"""From a fresh person to tickets in their hand, in a real browser on a real site, at the width of a phone."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from bookings.models import Booking, Ticket
from events.models import Event, SeatInventory
from payments.models import Payment
from tests.pages.scenes import category, hold
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def code_from_mail(page: Page, email: str) -> str:
    """Read the sign-up code as a developer would."""

    def newest() -> str:
        answer = page.request.get(f"/dev/mail?to={email}", headers={"Accept": "application/json"})
        texts = [mail["text"] for mail in json.loads(answer.text())]
        return next((found[0] for text in texts if (found := re.search(r"\b\d{6}\b", text))), "")

    return eventually(newest, what="no code was mailed")


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no-javascript"])
def test_a_new_person_finds_an_event_signs_up_pays_and_has_two_tickets(
    browse: Callable[..., Page], concert: Event, javascript: bool
) -> None:
    page = browse(javascript=javascript)

    # Found by search, chosen before logging in.
    page.goto("/")
    page.get_by_label("Search events, artists or places").fill("swim")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Night Swim").click()
    page.get_by_text("Balcony").click()
    page.get_by_role("group", name="How many?").get_by_text("3", exact=True).click()
    page.locator("#tickets").get_by_role("button").click()

    # Signs up with a mailed code; the choice comes back.
    page.locator("main").get_by_role("link", name="Create an account").click()
    page.get_by_label("Email").fill("new@example.test")
    page.get_by_label("Password").fill("green river stones")
    page.get_by_label("Your name").fill("Nora New")
    page.get_by_role("button", name="Send me a code").click()
    expect(page.get_by_role("heading", name="Look in your mailbox")).to_be_visible()
    page.get_by_label("Code from the mail").fill(code_from_mail(page, "new@example.test"))
    page.get_by_role("button", name="Open my account").click()
    expect(page.get_by_role("radio", name="Balcony")).to_be_checked()
    expect(page.get_by_role("radio", name="3", exact=True)).to_be_checked()
    page.get_by_role("group", name="How many?").get_by_text("2", exact=True).click()
    page.locator("#tickets").get_by_role("button").click()

    # Held: two seats side by side, more time on demand.
    expect(page.get_by_role("heading", name="These 2 tickets are held for you")).to_be_visible()
    expect(page.get_by_role("list", name="Your seats").get_by_role("listitem")).to_have_text(
        ["Row A · Seat 4", "Row A · Seat 5"]
    )
    before = Booking.objects.get().expires_at
    page.get_by_role("button", name="I need more time").click()
    expect(page.get_by_text("You have 2 minutes more.")).to_be_visible()
    assert (Booking.objects.get().expires_at - before).total_seconds() == 120

    # Pays, after a card that is declined.
    page.get_by_role("link", name="Go to payment").click()
    expect(page.get_by_role("heading", name="Pay €178.00")).to_be_visible()
    if not javascript:
        page.get_by_role("button", name="on the test card page").click()
    pay_button = page.get_by_role("button", name="Pay €178.00")
    page.get_by_label("Card number").fill("4000 0000 0000 0002")
    pay_button.click()
    expect(page.get_by_role("alert")).to_contain_text("Your card was declined")
    expect(page).to_have_title(re.compile("^Error: "))
    page.get_by_label("Card number").fill("4242 4242 4242 4242")
    pay_button.click()

    # Has two tickets, each with a code that opens the door.
    expect(page.get_by_role("heading", name="You’re going to Night Swim")).to_be_visible()
    page.get_by_role("link", name="Night Swim (ticket 1 of 2)").click()
    expect(page.get_by_role("img", name="QR code of ticket 1")).to_be_visible()
    tickets = list(Ticket.objects.filter(booking__user__email="new@example.test").order_by("number"))
    assert [(ticket.seat.label, ticket.status, ticket.holder_name) for ticket in tickets] == [
        ("Row A · Seat 4", "active", "Nora New"),
        ("Row A · Seat 5", "active", "Nora New"),
    ]
    with page.expect_download() as download:
        page.get_by_role("link", name="This ticket as PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF-")
    inventory = SeatInventory.objects.get(category=category(concert, "Balcony"))
    assert (inventory.held, inventory.sold) == (0, 2)
    assert Payment.objects.get().received_minor == 17_800


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no-javascript"])
def test_a_bank_that_asks_first_and_says_no_leaves_the_tickets_held(
    browse: Callable[..., Page], log_in: Callable, ana: User, concert: Event, javascript: bool
) -> None:
    page = browse(javascript=javascript)
    log_in(page, ana)
    booking = hold(ana, concert)

    page.goto(f"/bookings/{booking.pk}/pay")
    if not javascript:
        page.get_by_role("button", name="on the test card page").click()
    page.get_by_label("Card number").fill("4000 0025 0000 3155")
    page.get_by_role("button", name="Pay €98.00").click()
    page.get_by_role("button", name="No, refuse it").click()

    expect(page.get_by_role("alert")).to_contain_text("Nothing was charged and your tickets are still held.")
    assert urlsplit(page.url).path == f"/bookings/{booking.pk}/pay"
    booking.refresh_from_db()
    assert booking.status == "pending"


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no-javascript"])
def test_a_slow_bank_shows_a_page_that_moves_on_by_itself(
    browse: Callable[..., Page], log_in: Callable, ana: User, concert: Event, javascript: bool
) -> None:
    page = browse(javascript=javascript)
    log_in(page, ana)
    booking = hold(ana, concert)

    page.goto(f"/bookings/{booking.pk}/pay")
    if not javascript:
        page.get_by_role("button", name="on the test card page").click()
    page.get_by_label("Card number").fill("4000 0000 0000 6009")
    page.get_by_role("button", name="Pay €98.00").click()

    expect(page.get_by_role("heading", name="Your bank is still checking")).to_be_visible()
    page.wait_for_url(f"**/bookings/{booking.pk}/done", timeout=60_000)


def test_the_bar_counts_down_by_the_servers_clock_and_ends_on_a_page_that_says_what_next(
    browse: Callable[..., Page], log_in: Callable, ana: User, concert: Event
) -> None:
    page = browse()
    log_in(page, ana)
    booking = hold(ana, concert)
    # A reader whose clock is two hours fast must not be told that the time is over.
    page.clock.install(time=booking.expires_at.timestamp() * 1000 + 7_200_000)
    page.goto(f"/bookings/{booking.pk}/tickets")
    expect(page.locator("[data-left]")).to_have_text(re.compile(r"^(9:\d\d|10:00)$"))

    page.clock.run_for(5 * 60_000)
    expect(page.locator("[data-left]")).to_have_text(re.compile(r"^(4:\d\d|5:00)$"))
    expect(page.locator("[data-spoken]")).to_have_text("5 minutes left")

    page.clock.run_for(3.2 * 60_000)
    expect(page.locator("[data-spoken]")).to_have_text("2 minutes left")
    expect(page.locator("[data-hold][data-low]")).to_be_visible()

    Booking.objects.filter(pk=booking.pk).update(expires_at=booking.created_at)
    page.clock.run_for(3 * 60_000)
    expect(page.get_by_role("heading", name=re.compile("Your hold ended"))).to_be_visible()
    page.get_by_role("link", name="Take them again").click()
    assert parse_qs(urlsplit(page.url).query)["quantity"] == ["2"]


def test_a_sale_that_opens_while_one_looks_shows_its_tickets_by_itself(
    browse: Callable[..., Page], concert: Event
) -> None:
    sale = Event.objects.filter(pk=concert.pk)
    sale.update(sale_starts_at=timezone.now() + timedelta(minutes=30))
    page = browse()
    page.clock.install()
    page.goto(f"/events/{concert.pk}")
    expect(page.get_by_role("heading", name=re.compile("^On sale in"))).to_be_visible()
    expect(page.locator("[data-opens]")).to_be_visible()  # it has asked the server for the time, and counts

    sale.update(sale_starts_at=timezone.now())
    page.clock.run_for(31 * 60_000)

    expect(page.get_by_role("heading", name="Choose your tickets")).to_be_visible()
