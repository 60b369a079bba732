"""The line as pages, without a browser: states, redirects, the answers that the script polls, and what they cost."""

from datetime import timedelta

import pytest
from django.core.cache import cache  # noqa: F401
from django.utils import timezone

from accounts.models import User
from bookings.models import Booking
from bookings.waitingroom import services, store
from bookings.waitingroom.wishes import get_wish
from events.models import Event
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.pages.scenes import category

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rush(db: None) -> Event:
    """An event with a line: one person at a time."""
    event = EventFactory(name="Night Swim", timezone="Europe/Warsaw", queue_enabled=True, max_active_users=1)
    TicketCategoryFactory(event=event, name="Standing", price_minor=4900, capacity=20)
    services.ensure_room(event.pk)
    return event


@pytest.fixture
def soon(db: None) -> Event:
    """An event whose lobby is open: the sale opens in ten minutes."""
    event = EventFactory(
        name="Soon", queue_enabled=True, sale_starts_at=timezone.now() + timedelta(minutes=10), max_active_users=2
    )
    TicketCategoryFactory(event=event, name="Standing", price_minor=4900, capacity=20)
    services.ensure_room(event.pk)
    return event


def somebody_is_in(event: Event) -> User:
    """Let somebody else be first, and take the one slot."""
    other = UserFactory()
    services.join(user_id=other.pk, event_id=event.pk)
    assert services.status(user_id=other.pk, event_id=event.pk).status == "active"
    return other


def test_event_page_leads_to_the_line_and_takes_no_hold(client, client_for, ana: User, rush: Event) -> None:
    html = client.get(f"/events/{rush.pk}").content.decode()
    assert f'href="/events/{rush.pk}/line">To the line</a>' in html
    assert "data-choice" not in html

    member = client_for(ana)
    answer = member.post(f"/events/{rush.pk}/hold", {"category": str(category(rush).pk), "quantity": 1})

    assert (answer.status_code, answer["Location"]) == (302, f"/events/{rush.pk}/line")
    assert "This sale has a line. Join it to buy." in member.get(answer["Location"]).content.decode()
    assert Booking.objects.count() == 0


def test_somebody_joins_waits_and_has_their_turn(client_for, ana: User, rush: Event) -> None:
    other = somebody_is_in(rush)
    client = client_for(ana)

    assert client.post(f"/events/{rush.pk}/line/join")["Location"] == f"/events/{rush.pk}/line"

    waiting = client.get(f"/events/{rush.pk}/line").content.decode()
    assert "<h1 data-word=\"heading\">You’re in line</h1>" in waiting
    assert '<p class="big" data-word="place">1</p>' in waiting
    assert "<title>Number 1 in line – Night Swim</title>" in waiting
    assert '<noscript><meta http-equiv="refresh"' in waiting
    services.leave(user_id=other.pk, event_id=rush.pk)
    turn = client.get(f"/events/{rush.pk}/line").content.decode()
    assert "<h1 tabindex=\"-1\" autofocus data-turn>It’s your turn</h1>" in turn
    assert "data-choice" in turn
    held = client.post(f"/events/{rush.pk}/hold", {"category": str(category(rush).pk), "quantity": 2})
    booking = Booking.objects.get()
    assert (booking.user, held["Location"]) == (ana, f"/bookings/{booking.pk}/tickets")
