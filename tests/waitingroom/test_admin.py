"""The on-sale control: who sees it, what it shows, what its buttons do, and where that is kept."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from accounts.models import StaffAction, User
from bookings.services import confirm_booking, hold_seats
from bookings.waitingroom import console, services
from bookings.waitingroom.models import ChainLink, WaitingRoom
from events.models import Event
from tests.factories import EventFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)
ROOMS = "/admin/waitingroom/waitingroom/"


@pytest.fixture(autouse=True)
def _counted_anew() -> None:
    console._kept.clear()


@pytest.fixture
def staff(client_for):
    return client_for(StaffFactory(is_superuser=True))


@pytest.fixture
def rush(db: None) -> Event:
    event = EventFactory(name="Night Swim", queue_enabled=True, max_active_users=1)
    TicketCategoryFactory(event=event, name="Standing", capacity=20)
    services.ensure_room(event.pk)
    return event


def act(client, event: Event, name: str, **form: object) -> str:
    """Send a dialog's form and return the page it leads to."""
    path = f"{ROOMS}{event.pk}/{name}/"
    return client.post(path, {"_form_submitted": "on", "reason": "Fire drill", **form}, follow=True).content.decode()


def line_up(event: Event, count: int) -> list[User]:
    people = UserFactory.create_batch(count)
    for person in people:
        services.join(user_id=person.pk, event_id=event.pk)
    services.drain_journal(event.pk)
    return people


def test_control_shows_the_line_the_room_and_the_seats(staff, rush: Event) -> None:
    first, *_ = line_up(rush, 4)
    services.status(user_id=first.pk, event_id=rush.pk)
    booking = hold_seats(user_id=first.pk, category_id=rush.categories.get().pk, quantity=2)
    confirm_booking(booking_id=booking.pk)
    services.tick(rush.pk)

    html = staff.get(f"{ROOMS}{rush.pk}/change/").content.decode()

    assert f'data-onsale="{ROOMS}{rush.pk}/live/"' in html
    shown = figures(html)
    assert shown["In line"][0] == "2"
    assert shown["Called"][0] == "1"
    assert shown["Choosing or paying"][0] == "0 of 1"
    assert shown["Let in so far"][0] == "1"
    assert shown["Seats sold"] == ["2", "of 20"]
    assert shown["Seats free"][0] == "18"
    assert html.count('<svg viewBox="0 0 320 96"') == 3
    assert "Seats sold, last 60 minutes: from 0, at most 2, now 2" in html


def figures(html: str) -> dict[str, list[str]]:
    """Return the panel's figures: label → value and what stands below it."""
    import re

    found = {}
    for block in re.findall(r"<dt>(.*?)</div>", html, re.S):
        label, _, rest = block.partition("</dt>")
        found[label] = re.findall(r"<dd[^>]*>(.*?)</dd>", rest)
    return found
