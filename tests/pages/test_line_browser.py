"""The line in a real browser: from the lobby to tickets in several hands, without scripts, at the keyboard, offline."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from bookings.models import Booking, Ticket
from bookings.services import confirm_booking, hold_seats
from bookings.waitingroom import services, store
from bookings.waitingroom.models import Place
from events.models import Event, SeatInventory
from tests.factories import PASSWORD, EventFactory, TicketCategoryFactory, UserFactory
from tests.pages.scenes import DESKTOP, PHONE, category
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


LISTEN = """
    window.said = [];
    const place = document.querySelector("[data-line] > [data-spoken]");
    new MutationObserver(() => said.push(place.textContent)).observe(place, { childList: true });
"""


def sale(*, minutes: int = 0, most: int = 2, capacity: int = 20) -> Event:
    """An event with a line that opens in so many minutes, or is open."""
    opens = {"sale_starts_at": timezone.now() + timedelta(minutes=minutes)} if minutes else {}
    event = EventFactory(name="Night Swim", location="Harbour Hall", queue_enabled=True, max_active_users=most, **opens)
    TicketCategoryFactory(event=event, name="Standing", price_minor=4900, capacity=capacity)
    services.ensure_room(event.pk)
    services.tick(event.pk)
    return event


def crowd(event: Event, count: int) -> list[User]:
    """So many people who join at once; the first of them have their turn."""
    people = UserFactory.create_batch(count)
    for person in people:
        services.join(user_id=person.pk, event_id=event.pk)
        services.status(user_id=person.pk, event_id=event.pk)
    return people


def leaves(event: Event, person: User) -> None:
    services.leave(user_id=person.pk, event_id=event.pk)


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no-javascript"])
def test_three_people_come_from_the_lobby_to_tickets_two_at_a_time(
    browse: Callable[..., Page], log_in: Callable, javascript: bool
) -> None:
    people = [
        UserFactory(email=f"{name}@example.test", name=name, password=PASSWORD) for name in ("Ana", "Ben", "Cleo")
    ]
    pages = {person.pk: browse(javascript=javascript) for person in people}
    for person in people:
        log_in(pages[person.pk], person)
    event = sale(minutes=10)
    for page in pages.values():
        if javascript:
            page.clock.install()
        page.goto(f"/events/{event.pk}")
        page.get_by_role("link", name="To the lobby").click()
        page.get_by_role("button", name="Go into the lobby").click()
        expect(page.get_by_role("heading", name="You’re in the lobby")).to_be_visible()
    places = Place.objects.filter(event=event)

    # The sale opens and the pages notice by themselves: two have their turn, the third is first in line.
    Event.objects.filter(pk=event.pk).update(sale_starts_at=timezone.now())
    services.tick(event.pk)

    def turns() -> list[Page]:
        return [page for page in pages.values() if page.get_by_role("heading", name="It’s your turn").count()]

    def look() -> bool:
        for page in pages.values():
            if javascript:
                page.clock.run_for(10_000)
            else:
                page.goto(f"/events/{event.pk}/line")
        return len(turns()) == 2

    eventually(look, seconds=60, what="no two people had their turn")
    first, second = turns()
    (third,) = (page for page in pages.values() if page not in (first, second))
    expect(third.locator("[data-word=place]")).to_have_text("1")
    expect(third).to_have_title("Number 1 in line – Night Swim")

    # The first one takes two tickets and pays; that moment is the third one's turn.
    first.get_by_text("2", exact=True).click()
    first.locator("#tickets").get_by_role("button").click()
    expect(first.get_by_role("heading", name="These 2 tickets are held for you")).to_be_visible()
    assert services.status(user_id=person_of(pages, third), event_id=event.pk).status == "waiting"
    first.get_by_role("link", name="Go to payment").click()
    if not javascript:
        first.get_by_role("button", name="on the test card page").click()
    first.get_by_label("Card number").fill("4242 4242 4242 4242")
    first.get_by_role("button", name="Pay €98.00").click()
    expect(first.get_by_role("heading", name="You’re going to Night Swim")).to_be_visible()
    if not javascript:
        third.goto(f"/events/{event.pk}/line")
    expect(third.get_by_role("heading", name="It’s your turn")).to_be_visible(timeout=60_000)
    expect(third).to_have_title("It’s your turn – Night Swim")
    expect(third.locator("[data-turn]")).to_be_focused()
    third.locator("#tickets").get_by_role("button").click()
    expect(third.get_by_role("heading", name=re.compile("held for you"))).to_be_visible()

    assert Ticket.objects.filter(booking__event=event).count() == 2
    assert Booking.objects.filter(event=event, status="pending").count() == 1
    services.drain_journal(event.pk)
    assert sorted(places.values_list("state", flat=True)) == ["active", "active", "done"]


def person_of(pages: dict, wanted: Page) -> object:
    """Return whose page it is."""
    return next(pk for pk, page in pages.items() if page is wanted)


def test_the_page_moves_by_itself_and_speaks_at_milestones_only(
    browse: Callable[..., Page], log_in: Callable, ana: User
) -> None:
    page = browse()
    log_in(page, ana)
    event = sale(most=1)
    people = crowd(event, 8)
    page.goto(f"/events/{event.pk}/line")
    page.get_by_role("button", name="Join the line").click()
    expect(page.locator("[data-word=place]")).to_have_text("8")
    page.evaluate(LISTEN)

    for person in people[7:4:-1]:
        leaves(event, person)
    expect(page.locator("[data-word=place]")).to_have_text("5", timeout=60_000)
    expect(page.locator("[data-word=ahead]")).to_have_text("4 people are ahead of you.")
    expect(page).to_have_title("Number 5 in line – Night Swim")
    leaves(event, people[4])
    expect(page.locator("[data-word=place]")).to_have_text("4", timeout=60_000)

    assert [words.split(".")[0] for words in page.evaluate("said")] == ["Number 5 in line"]

    services.pause(event.pk, reason="A short break.")
    expect(page.get_by_role("heading", name="The line is paused")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("A short break.").first).to_be_visible()
    expect(page.get_by_text("Your turn should come")).to_be_hidden()
    services.resume(event.pk)
    expect(page.get_by_role("heading", name="You’re in line")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("A short break.").first).to_be_hidden()
    assert page.evaluate("said.length") <= 3


def test_one_window_asks_for_all_of_a_browser(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    page = browse()
    log_in(page, ana)
    event = sale(most=1)
    first, second = crowd(event, 2)
    page.goto(f"/events/{event.pk}/line")
    page.get_by_role("button", name="Join the line").click()
    other = page.context.new_page()
    asked = {"first": 0, "other": 0}
    page.on("request", lambda request: counted(asked, "first", request.url))
    other.on("request", lambda request: counted(asked, "other", request.url))
    other.goto(f"/events/{event.pk}/line")

    leaves(event, second)
    expect(other.locator("[data-word=place]")).to_have_text("1", timeout=60_000)
    expect(page.locator("[data-word=place]")).to_have_text("1")
    assert (asked["first"] > 0, asked["other"]) == (True, 0)

    # The window that asked is closed: the other one takes over, and has its turn.
    page.close()
    leaves(event, first)
    expect(other.get_by_role("heading", name="It’s your turn")).to_be_visible(timeout=60_000)


def counted(asked: dict[str, int], name: str, url: str) -> None:
    asked[name] += url.endswith("/line/status")


def test_offline_keeps_the_place_and_goes_on(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    page = browse()
    log_in(page, ana)
    event = sale(most=1)
    _, second = crowd(event, 2)
    page.goto(f"/events/{event.pk}/line")
    page.get_by_role("button", name="Join the line").click()
    expect(page.locator("[data-word=place]")).to_have_text("2")

    page.context.set_offline(True)
    expect(page.get_by_text("You seem to be offline.")).to_be_visible(timeout=60_000)
    leaves(event, second)
    page.context.set_offline(False)

    expect(page.locator("[data-word=place]")).to_have_text("1", timeout=60_000)
    expect(page.get_by_text("You seem to be offline.")).to_be_hidden()


def test_a_bar_on_another_page_says_when_it_is_ones_turn(
    browse: Callable[..., Page], log_in: Callable, ana: User
) -> None:
    page = browse()
    log_in(page, ana)
    event = sale(most=1)
    (first,) = crowd(event, 1)
    page.goto(f"/events/{event.pk}/line")
    page.get_by_role("button", name="Join the line").click()
    page.goto("/help")
    expect(page.get_by_role("region", name="Your place in line")).to_contain_text("Number 1 in line: Night Swim")

    leaves(event, first)

    bar = page.get_by_role("region", name="Your place in line")
    expect(bar).to_contain_text("It’s your turn: Night Swim", timeout=60_000)
    bar.get_by_role("link", name="Choose tickets").click()
    expect(page.get_by_role("heading", name="It’s your turn")).to_be_visible()


def test_everything_is_reached_with_the_keyboard(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    page = browse()
    log_in(page, ana)
    event = sale(most=1)
    crowd(event, 1)
    page.goto(f"/events/{event.pk}/line")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # "Skip to your place"
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Join the line")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You’re in line")).to_be_visible()

    reached = set()
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 24)"))
    assert {"Update now", "Play a sound at my turn", "Save", "Leave the line"} <= reached

    hear = page.get_by_role("button", name="Play a sound at my turn")
    hear.focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="A sound will play at your turn")).to_have_attribute("aria-pressed", "true")


def test_sold_out_leads_to_the_waitlist_in_one_click(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    page = browse()
    log_in(page, ana)
    event = sale(most=1, capacity=2)
    (buyer,) = crowd(event, 1)
    page.goto(f"/events/{event.pk}/line")
    page.get_by_role("button", name="Join the line").click()
    expect(page.locator("[data-word=place]")).to_have_text("1")

    confirm_booking(booking_id=hold_seats(user_id=buyer.pk, category_id=category(event).pk, quantity=2).pk)
    services.tick(event.pk)

    expect(page.get_by_role("heading", name="Sold out")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Put me on the waitlist").click()
    expect(page.get_by_text("You’re on the waitlist, at the place you had in line.")).to_be_visible()


def scenes(ana: User) -> dict[str, str]:
    """One page of a line in each of its states."""
    lobby, line, paused, turn, passed, outside, soon, over, sold_out = (
        EventFactory(name=name, queue_enabled=True, max_active_users=1, **more)
        for name, more in (
            ("Lobby", {"sale_starts_at": timezone.now() + timedelta(minutes=10)}),
            ("Line", {"created_by": ana}),
            ("Paused", {}),
            ("Turn", {}),
            ("Passed", {}),
            ("Outside", {}),
            ("Soon", {"sale_starts_at": timezone.now() + timedelta(days=2)}),
            ("Over", {}),
            ("Sold out", {}),
        )
    )
    events = (lobby, line, paused, turn, passed, outside, soon, over, sold_out)
    for event in events:
        TicketCategoryFactory(event=event, name="Standing", capacity=2)
        TicketCategoryFactory(event=event, name="Balcony", capacity=1, position=1)
        services.ensure_room(event.pk)
        services.tick(event.pk)
    for event in (line, paused, over, sold_out):
        crowd(event, 2)
    for event in (lobby, line, paused, turn, passed, over, sold_out):
        services.join(user_id=ana.pk, event_id=event.pk)
    store.client().hset(store.key(line.pk, "cfg"), mapping={"ew": "0.01", "ewc": "50"})
    services.pause(paused.pk, reason="The card payments are slow.")
    services.release(event_id=passed.pk, user_id=ana.pk)
    services.close(over.pk, reason="The hall is closed.")
    services.drain_journal(sold_out.pk)
    SeatInventory.objects.filter(category__event=sold_out).update(capacity=1, sold=1)
    services.tick(sold_out.pk)
    more = {f"/events/{line.pk}/line/leave": "Leave", f"/events/{line.pk}/line/control": "Control"}
    return {f"/events/{event.pk}/line": event.name for event in events} | more


def test_every_state_is_clean_for_axe(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    page = browse()
    log_in(page, ana)
    found = []

    for address, name in scenes(ana).items():
        page.set_viewport_size({"width": 320, "height": 640})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.goto(address)
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > 320:
            found.append(f"{name}: {wide} px wide at 320")
        for viewport in (PHONE, DESKTOP):
            page.set_viewport_size(viewport)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                for violation in Axe().run(page).response["violations"]:
                    where = [node["html"][:120] for node in violation["nodes"][:3]]
                    found.append(f"{name} {viewport['width']} {scheme}: {violation['id']} {where}")

    assert found == []
