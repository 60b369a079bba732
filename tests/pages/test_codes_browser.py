"""The field for a code, and a kind of ticket that opens while somebody chooses, in a real browser."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from bookings.models import Booking
from bookings.services import Terms, create_code
from events.models import Event
from tests.factories import PASSWORD, OrganiserFactory, TicketCategoryFactory
from tests.pages.scenes import DESKTOP, category

pytestmark = pytest.mark.django_db(transaction=True)


def make(event: Event, code: str, **terms: object) -> None:
    create_code(event_id=event.pk, actor_id=OrganiserFactory().pk, terms=Terms(**terms), code=code)  # type: ignore[arg-type]


def test_enter_in_the_codes_field_looks_and_elsewhere_holds(
    browse: Callable[..., Page], log_in: Callable, ana: User, concert: Event
) -> None:
    make(concert, "SUMMER", percent=20)
    page = browse()
    log_in(page, ana)
    page.goto(f"/events/{concert.pk}")
    page.get_by_text("Balcony").click()
    page.get_by_role("group", name="How many?").get_by_text("3", exact=True).click()
    page.get_by_text("Have a code?").click()

    page.get_by_label("Code", exact=True).fill("sum mer")
    page.get_by_label("Code", exact=True).press("Enter")
    expect(page.get_by_text("20 % off.")).to_be_visible()
    expect(page.get_by_role("radio", name="Balcony")).to_be_checked()
    expect(page.get_by_role("button", name="Hold 3 tickets · €213.60")).to_be_visible()
    assert not Booking.objects.exists()

    page.get_by_role("radio", name="3", exact=True).press("Enter")
    page.wait_for_url("**/tickets")
    assert Booking.objects.get().amount_minor == 21_360
    expect(page.get_by_text("Code SUMMER")).to_be_visible()


def test_without_script_a_wrong_code_is_told_and_the_right_one_is_kept_through_the_log_in(
    browse: Callable[..., Page], ana: User, concert: Event
) -> None:
    make(concert, "SUMMER", percent=100)
    page = browse(javascript=False, viewport=DESKTOP)
    page.goto(f"/events/{concert.pk}")
    page.get_by_text("Have a code?").click()
    page.get_by_label("Code", exact=True).fill("winter")
    page.get_by_role("button", name="Use it").click()
    expect(page).to_have_title(re.compile("^Error: This event has no such code"))
    page.get_by_label("Code", exact=True).fill("summer")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_text("100 % off.")).to_be_visible()

    page.get_by_role("button", name="Hold these tickets").click()
    page.get_by_label("Email").fill(ana.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_text("100 % off.")).to_be_visible()
    page.get_by_role("button", name="Hold these tickets").click()

    expect(page.get_by_role("heading", name="You’re going to Night Swim")).to_be_visible()
    assert Booking.objects.get().discount_minor == 9800


def test_tickets_that_open_while_somebody_chooses_are_told_and_the_choice_stays(
    browse: Callable[..., Page], concert: Event
) -> None:
    opens = timezone.now() + timedelta(minutes=50)
    lounge = TicketCategoryFactory(event=concert, name="Lounge", position=2, sale_starts_at=opens)
    page = browse()
    page.clock.install()
    page.goto(f"/events/{concert.pk}")
    page.get_by_text("Balcony").click()
    expect(page.get_by_text(re.compile(r", in 4\d min \d+ s"))).to_be_visible()

    type(lounge).objects.filter(pk=lounge.pk).update(sale_starts_at=timezone.now() - timedelta(seconds=1))
    page.clock.fast_forward("51:00")

    expect(page.get_by_text("Lounge is on sale now.")).to_be_visible()
    page.get_by_role("link", name="Show them").click()
    expect(page.get_by_role("radio", name="Lounge")).to_be_visible()
    expect(page.get_by_role("radio", name="Balcony")).to_be_checked()
    assert category(concert, "Lounge").sale_starts_at is not None


def test_numbers_that_one_person_may_not_have_can_not_be_chosen(browse: Callable[..., Page], concert: Event) -> None:
    make(concert, "PAIR", percent=10, per_person=2, category_ids=(category(concert).pk,))
    page = browse()
    page.goto(f"/events/{concert.pk}?code=PAIR&quantity=5")

    expect(page.get_by_text("At most 2 per person")).to_be_visible()
    expect(page.get_by_role("radio", name="3", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Hold 2 tickets · €88.20")).to_be_visible()
    page.get_by_text("Balcony").click()

    expect(page.get_by_role("radio", name="5", exact=True)).to_be_enabled()
