"""The waitlist in a real browser on a running site: from sold out to a ticket, without scripts, by keyboard, with axe."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from playwright.sync_api import Page, expect

from accounts.models import User
from bookings.models import Booking
from events.models import Event
from tests.factories import PASSWORD, OrganiserFactory, TicketCategoryFactory, UserFactory
from tests.pages.test_accessibility import check
from tests.waiting import eventually
from tests.waitlist.scenes import full_house, offered, overdue, release, sell_out, wait
from waitlist import services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db(transaction=True)


def mailed_link(page: Page, person: User, words: str) -> str:
    """Return the link to the site in the newest mail to a person whose subject has these words."""

    def look() -> str | None:
        mails = page.request.get(f"/dev/mail?to={person.email}", headers={"Accept": "application/json"}).json()
        found = next((mail for mail in mails if words in mail["subject"]), None)
        link = re.search(r"https?://\S+/waitlist/\S+", found["text"]) if found else None
        return link.group(0) if link else None

    return eventually(look, what=f"no mail about {words}")


def test_a_ticket_that_comes_back_goes_to_who_waits_and_is_paid(
    browse: Callable[..., Page], log_in: Callable[[Page, Any], None], ana: User
) -> None:
    category, sold = full_house(capacity=2, event__name="Night Swim")
    ben = UserFactory(email="ben@example.test", name="Ben", password=PASSWORD)
    page, other = browse(), browse()
    log_in(page, ana)
    log_in(other, ben)

    page.goto(f"/events/{category.event_id}")
    page.get_by_role("link", name="Join the waitlist").click()
    page.get_by_role("button", name="Join the waitlist").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You’re on the waitlist")
    wait(ben, category)
    release(sold[0])  # a worker offers it by itself

    link = mailed_link(other, ana, "Night Swim: yours until")
    assert WaitlistEntry.objects.get(user=ben).status == "waiting"
    other.goto(f"/events/{category.event_id}")
    expect(other.get_by_text("You’re number 1 on the waitlist")).to_be_visible()
    fresh = browse()
    fresh.goto(link)
    fresh.get_by_label("Email").fill(ana.email)
    fresh.get_by_label("Password").fill(PASSWORD)
    fresh.locator("main").get_by_role("button", name="Log in").click()
    expect(fresh.get_by_role("heading", level=1)).to_have_text(re.compile("tickets? (is|are) yours"))
    expect(fresh.locator("[data-left]")).to_have_text(re.compile(r"23:5\d"))
    fresh.get_by_role("button", name="Accept and pay €49.00").click()
    fresh.get_by_role("link", name="Go to payment").click()
    # Exactly: until the script runs, there is another button, to the test card page.
    fresh.get_by_role("button", name="Pay €49.00", exact=True).click()
    fresh.wait_for_url("**/done")

    booking = Booking.objects.get(user=ana)
    assert (booking.status, booking.source, booking.tickets.count()) == ("confirmed", "waitlist", 1)


def test_the_same_without_scripts(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    category = TicketCategoryFactory(capacity=3, price_minor=0)
    sold = sell_out(category, each=3)
    page = browse(javascript=False)
    log_in(page, ana)

    page.goto(f"/events/{category.event_id}/waitlist")
    page.locator("label", has=page.locator('input[name=quantity][value="3"]')).click()
    page.get_by_role("button", name="Join the waitlist").click()
    expect(page.get_by_text("This page looks again every minute")).to_be_visible()
    release(*sold)
    eventually(lambda: WaitlistEntry.objects.get().status == "offered", what="nothing was offered")
    page.get_by_role("link", name="Look now").click()
    expect(page.get_by_text("hours and minutes left")).to_be_visible()
    page.get_by_text("Take fewer").click()
    page.get_by_role("button", name="Take that many").click()
    page.wait_for_url("**/done")

    assert Booking.objects.get(user=ana).quantity == 2


def test_a_place_is_said_politely_and_an_offer_appears_by_itself(
    browse: Callable[..., Page], log_in: Callable, ana: User
) -> None:
    category, sold = full_house(capacity=2)
    first = wait(UserFactory(), category)
    entry = wait(ana, category)
    page = browse()
    log_in(page, ana)
    page.clock.install()
    page.goto(f"/waitlist/{entry.pk}")
    expect(page.locator("[data-live=position]")).to_have_text("2")

    services.leave(user_id=first.user_id, event_id=category.event_id)
    page.clock.run_for(31_000)
    expect(page.locator("[data-live=position]")).to_have_text("1")
    expect(page.locator("[data-said]")).to_have_text("You are now number 1 in line.")
    release(sold[0])
    eventually(lambda: WaitlistEntry.objects.get(pk=entry.pk).status == "offered", what="nothing was offered")
    page.clock.run_for(31_000)

    expect(page.get_by_role("heading", level=1)).to_have_text("A ticket is yours if you want it")


def test_the_clock_of_an_offer_runs_out(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    category, sold = full_house(capacity=1)
    entry = offered(ana, category, *sold)
    soon = Now() + timedelta(minutes=30)
    Booking.objects.filter(pk=entry.booking_id).update(expires_at=soon)
    WaitlistEntry.objects.filter(pk=entry.pk).update(offer_expires_at=soon)
    page = browse()
    log_in(page, ana)
    page.clock.install()
    page.goto(f"/waitlist/{entry.pk}")
    expect(page.locator("[data-unit]")).to_have_text("minutes and seconds left")

    overdue(entry)
    page.clock.run_for(31 * 60_000)

    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Your offer ended|You’re on the waitlist"))


def test_answers_are_reached_by_keyboard(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    category, sold = full_house(capacity=2, price_minor=0)
    entry = offered(ana, category, *sold, quantity=2)
    page = browse()
    log_in(page, ana)
    page.goto(f"/waitlist/{entry.pk}")

    passed = []
    for _ in range(25):
        page.keyboard.press("Tab")
        passed.append(page.evaluate("document.activeElement.textContent.trim()"))
        if passed[-1].startswith("No thanks"):
            break

    answers = ["Accept, it’s free", "Take fewer", "No thanks, give them to the next person"]
    assert [words for words in passed if words in answers] == answers
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Give them to the next person?")


def test_pages_of_the_waitlist_are_clean(
    browse: Callable[..., Page], log_in: Callable, ana: User, concert: Event
) -> None:
    waited, _ = full_house(capacity=2, event__name="Waited for")
    balcony = TicketCategoryFactory(event=waited.event, name="Balcony", capacity=1, position=1)
    sell_out(balcony)
    wait(UserFactory(), waited)
    entry = wait(ana, waited, quantity=2)
    house, sold = full_house(capacity=3, event__name="Offered")
    offer = offered(ana, house, *sold[:2], quantity=3)
    old, sold = full_house(capacity=1, event__name="Too late")
    late = offered(ana, old, *sold)
    overdue(late)
    left, _ = full_house(capacity=1, event__name="Left")
    gone = wait(ana, left)
    services.leave(user_id=ana.pk, event_id=left.event_id)
    fresh, _ = full_house(capacity=1, event__name="Fresh")
    few = TicketCategoryFactory(event__name="Few left", name="Standing", capacity=3)
    organiser = OrganiserFactory(email="olga@example.test", password=PASSWORD)
    Event.objects.filter(pk=waited.event_id).update(created_by=organiser)
    page = browse()
    log_in(page, ana)
    page.goto(f"/events/{few.event_id}")
    page.get_by_text("Do you want more than 3?").click()
    expect(page.get_by_label("How many in all?")).to_be_visible()

    found = [
        problem
        for address in (
            f"/events/{few.event_id}",
            f"/events/{waited.event_id}",
            f"/events/{house.event_id}",
            f"/events/{fresh.event_id}",
            f"/events/{fresh.event_id}/waitlist",
            f"/events/{house.event_id}/waitlist/offers",
            "/waitlist",
            f"/waitlist/{entry.pk}",
            f"/waitlist/{entry.pk}/change",
            f"/waitlist/{entry.pk}/leave",
            f"/waitlist/{offer.pk}",
            f"/waitlist/{offer.pk}/decline",
            f"/waitlist/{late.pk}",
            f"/waitlist/{gone.pk}",
        )
        for problem in check(page, address)
    ]
    olga = browse()
    log_in(olga, organiser)
    found += check(olga, f"/events/{waited.event_id}/waitlist/overview")

    assert found == []
