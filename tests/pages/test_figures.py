"""Figures as pages: an organiser's own events, and the first page of the admin."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from analytics import services
from analytics.models import PeopleDay
from analytics.pictures import earnings_plot
from analytics.plots import bars, stacks, steps
from bookings.models import Booking
from events.models import Event
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory
from tests.pages.scenes import DESKTOP, PHONE, buy
from tests.pages.test_accessibility import check

pytestmark = pytest.mark.django_db(transaction=True)
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
    checked = {"checks_passed": 5, "checks_missed": 2, "checks_returned": 1, "lined_up": 9, "waitlisted": 3}
    PeopleDay.objects.create(event=concert, day=timezone.localdate(), **checked)
    empty = EventFactory(name="Nothing sold", created_by=organiser)
    page = browse()
    log_in(page, organiser)

    addresses = ("/organiser", f"/organiser/events/{concert.pk}", f"/organiser/events/{empty.pk}")
    assert [problem for address in addresses for problem in check(page, address)] == []
    page.goto(f"/organiser/events/{concert.pk}")
    page.get_by_role("figure", name="Face checks per day").get_by_text("As a table").click()
    expect(page.get_by_role("columnheader", name="Given back")).to_be_visible()


def test_page_without_events_is_clean(browse: Callable[..., Page]) -> None:
    page = browse()
    log_in(page, OrganiserFactory(password=PASSWORD))

    assert check(page, "/organiser") == []


def test_pages_of_organisers_are_for_them(client_for: Callable, organiser: User, ana: User, concert: Event) -> None:
    address = f"/organiser/events/{concert.pk}"

    assert client_for(organiser).get(address).status_code == 200
    assert client_for(StaffFactory()).get(address).status_code == 200
    for path in ("/organiser", address):
        assert client_for(ana).get(path).status_code == 404
    assert client_for(OrganiserFactory()).get(address).status_code == 404
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
    booking = Booking.objects.get(user=ana)
    for address, ours in (
        ("/admin/", "[aria-label=Figures]"),
        (f"/admin/history/booking/{booking.pk}/", "[aria-label='What happened']"),
        (f"/admin/history/person/{ana.pk}/", "[aria-label='What happened']"),
    ):
        page.goto(address)
        for viewport in (PHONE, DESKTOP):
            page.set_viewport_size(viewport)
            assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                found = Axe().run(page, context=ours).response["violations"]
                assert [violation["id"] for violation in found] == []


def statements(client: Client, path: str) -> int:
    """Return how many statements a page takes in all: session, person and rights included."""
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    return len(asked)


# By role: the admin's first page, and an event's page of somebody else's event, where the role may see it.
@pytest.mark.parametrize(("role", "first_page", "of_event"), [("owner", 7, 8), ("manager", 8, 9), ("support", 8, None)])
def test_staffs_pages_cost_the_same_whatever_was_sold(
    client_for: Callable, concert: Event, role: str, first_page: int, of_event: int | None
) -> None:
    staff = client_for(StaffFactory(is_superuser=role == "owner", role=role))
    for count in (1, 6):
        for _ in range(count):
            buy(UserFactory(), concert, quantity=1)
            TicketCategoryFactory()
        services.refresh()

        assert statements(staff, "/admin/") == first_page
        if of_event:
            assert statements(staff, f"/organiser/events/{concert.pk}") == of_event


def test_organisers_pages_cost_the_same_with_one_event_and_with_two_hundred(
    client_for: Callable, organiser: User, concert: Event
) -> None:
    client = client_for(organiser)
    buy(UserFactory(), concert, quantity=1)
    services.refresh()
    assert (statements(client, "/organiser"), statements(client, f"/organiser/events/{concert.pk}")) == (7, 8)

    begins = timezone.now() + timedelta(days=90)
    ends = begins + timedelta(hours=3)
    more = (Event(name=f"Show {n}", starts_at=begins, ends_at=ends, created_by=organiser) for n in range(199))
    Event.objects.bulk_create(more)
    assert (statements(client, "/organiser"), statements(client, "/organiser?page=10")) == (7, 7)

    first, last = (client.get(f"/organiser?page={page}").content.decode() for page in (1, 10))
    assert first.index(concert.name) < first.index("Show ")  # sooner than the others
    assert "Page 1 of 10" in first
    assert concert.name not in last
    assert last.count("booking-row") == 20


def test_organiser_without_events_is_told_how_to_begin(client_for: Callable) -> None:
    page = client_for(OrganiserFactory()).get("/organiser").content.decode()

    assert "No events yet" in page
    assert "Gates" not in page


def test_event_without_sales_says_so_and_earned_nothing(client_for: Callable, organiser: User, concert: Event) -> None:
    page = client_for(organiser).get(f"/organiser/events/{concert.pk}").content.decode()

    assert "No tickets" in page
    assert "€0.00" in page  # not "Free"
    assert "Nothing earned" in page
    assert "Nothing was counted yet" in page


def test_gate_is_one_step_away_for_who_may_stand_there(client_for: Callable, organiser: User, concert: Event) -> None:
    gate = f"/gate/{concert.pk}"
    address = f"/organiser/events/{concert.pk}"

    mine = client_for(organiser)
    assert "/gate" in mine.get("/organiser").content.decode()
    for somebody in (organiser, StaffFactory(role="manager")):
        client = client_for(somebody)
        assert gate in client.get(address).content.decode()
        assert client.get(gate).status_code == 200
    Event.objects.filter(pk=concert.pk).update(status="draft")
    for path in ("/organiser", address):
        assert 'href="/gate' not in mine.get(path).content.decode()


def test_hours_and_days_are_those_of_the_place(client_for: Callable, organiser: User, concert: Event) -> None:
    Event.objects.filter(pk=concert.pk).update(timezone="Asia/Kolkata")
    buy(UserFactory(), concert, quantity=1)
    services.refresh()

    page = client_for(organiser).get(f"/organiser/events/{concert.pk}").content.decode()

    assert ":00 IST" in page
    assert "Days and hours are those of Asia/Kolkata" in page


def test_bars_say_what_they_show() -> None:
    plot = bars("Tickets", [("Mon", 0), ("Tue", 4), ("<b>", 2)], what="tickets")

    assert plot.says == "6 tickets, most at Tue: 4"
    assert plot.picture.count("<rect") == 2
    assert "<b>" not in plot.picture
    assert 'aria-label="Tickets: 6 tickets, most at Tue: 4"' in plot.picture
    assert (plot.columns, plot.rows) == (["Day", "Tickets"], [("Tue", ["4"]), ("<b>", ["2"])])
    assert bars("Tickets", [], what="tickets").is_empty


def test_parts_of_bars_stand_on_each_other_and_are_columns_of_the_table() -> None:
    plot = stacks("Checks", [("Mon", [3, 1]), ("Tue", [0, 0])], parts=["passed", "missed"], what="checks")

    assert plot.says == "3 passed, 1 missed, most at Mon: 4"
    assert [rect.split(" ")[0] for rect in plot.picture.split(' y="')[1:]] == ['39.5"', '6.0"']
    assert (plot.columns, plot.rows) == (["Day", "Passed", "Missed"], [("Mon", ["3", "1"])])
    assert [part for _, part in plot.legend] == ["passed", "missed"]


def test_money_is_drawn_in_its_currency() -> None:
    days = [{"date": "2026-10-24", "earned_minor": 0}, {"date": "2026-10-25", "earned_minor": 123_400}]

    assert earnings_plot(days, "EUR").says == "€1,234.00 in sales, most at 25 Oct: €1,234.00"
    assert earnings_plot(days, "JPY").rows == [("25 Oct", ["¥123,400"])]
    assert earnings_plot(days[:1], "EUR").says == "nothing earned"


def test_steps_are_shares_of_the_widest() -> None:
    assert [step.share for step in steps([("a", 0), ("b", 10), ("c", 5)])] == [0.0, 1.0, 0.5]
    assert [step.share for step in steps([("a", 0)])] == [0.0]
