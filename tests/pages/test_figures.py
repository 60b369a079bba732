"""Figures as pages: an organiser's own events, and the first page of the admin."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from accounts.models import User
from analytics import services
from analytics.plots import bars, steps
from events.models import Event
from tests.factories import OrganiserFactory, StaffFactory, UserFactory
from tests.pages.scenes import DESKTOP, PHONE, buy
from tests.pages.test_accessibility import check

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]
PASSWORD = "correct-horse-battery"


@pytest.fixture
def organiser(concert: Event) -> User:
    """The organiser of the concert."""
    user = OrganiserFactory(password=PASSWORD)
    Event.objects.filter(pk=concert.pk).update(created_by=user)
    return user


def log_in(page: Page, person: User) -> None:
    page.goto("/login")
    page.fill("[name=email]", person.email)
    page.fill("[name=password]", PASSWORD)
    page.click("main [type=submit]")
    page.wait_for_url("**/tickets")


def test_organiser_finds_their_events_and_how_each_sells(
    browse: Callable[..., Page], organiser: User, ana: User, concert: Event
) -> None:
    buy(ana, concert, quantity=2)
    services.refresh()
    page = browse(javascript=False)
    log_in(page, organiser)

    page.get_by_role("link", name="My events").click()
    page.get_by_role("link", name=concert.name).click()

    expect(page.get_by_role("heading", level=1)).to_have_text(concert.name)
    expect(page.locator(".tiles > div").first).to_contain_text("2")
    expect(page.get_by_role("img", name="Tickets sold per day")).to_be_visible()


def test_organisers_pages_are_clean(browse: Callable[..., Page], organiser: User, ana: User, concert: Event) -> None:
    buy(ana, concert, quantity=2)
    services.refresh()
    page = browse()
    log_in(page, organiser)

    assert [*check(page, "/organiser"), *check(page, f"/organiser/events/{concert.pk}")] == []


def test_pages_of_organisers_are_for_them(client_for: Callable, organiser: User, ana: User, concert: Event) -> None:
    address = f"/organiser/events/{concert.pk}"

    assert client_for(organiser).get(address).status_code == 200
    assert client_for(StaffFactory()).get(address).status_code == 200
    for path in ("/organiser", address):
        assert client_for(ana).get(path).status_code == 403
    assert client_for(OrganiserFactory()).get(address).status_code == 403
    assert concert.name not in client_for(OrganiserFactory()).get("/organiser").content.decode()
    Event.objects.filter(pk=concert.pk).update(status="draft")
    assert client_for(OrganiserFactory()).get(address).status_code == 404


def test_nobody_is_led_to_log_in_and_back(client: object) -> None:
    answer = client.get("/organiser")  # type: ignore[attr-defined]

    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=")
    assert "organiser" in answer["Location"]


def test_first_page_of_the_admin_shows_the_house(browse: Callable[..., Page], ana: User, concert: Event) -> None:
    buy(ana, concert, quantity=2)
    services.refresh()
    staff = StaffFactory(password=PASSWORD, is_superuser=True)
    page = browse(viewport=DESKTOP)
    page.goto("/admin/")
    page.fill("[name=username]", staff.email)
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")

    expect(page.get_by_text("Sold today")).to_be_visible()
    expect(page.get_by_role("img", name="Tickets sold per hour")).to_be_visible()
    for viewport in (PHONE, DESKTOP):
        page.set_viewport_size(viewport)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.reload()
            ours = Axe().run(page, context="[aria-label=Figures]").response["violations"]
            assert [violation["id"] for violation in ours] == []


def test_admins_first_page_costs_the_same_whatever_was_sold(
    client_for: Callable, concert: Event, django_assert_max_num_queries: Callable
) -> None:
    staff = client_for(StaffFactory(is_superuser=True))
    for _ in range(5):
        buy(UserFactory(), concert, quantity=1)
    services.refresh()
    staff.get("/admin/")

    with django_assert_max_num_queries(20):
        assert staff.get("/admin/").status_code == 200


def test_bars_say_what_they_show() -> None:
    plot = bars("Tickets", [("Mon", 0), ("Tue", 4), ("<b>", 2)], what="tickets")

    assert plot.says == "6 tickets, most at Tue: 4"
    assert plot.picture.count("<rect") == 2
    assert "<b>" not in plot.picture
    assert 'aria-label="Tickets: 6 tickets, most at Tue: 4"' in plot.picture
    assert bars("Tickets", [], what="tickets").is_empty


def test_steps_are_shares_of_the_widest() -> None:
    assert [step.share for step in steps([("a", 0), ("b", 10), ("c", 5)])] == [0.0, 1.0, 0.5]
    assert [step.share for step in steps([("a", 0)])] == [0.0]
