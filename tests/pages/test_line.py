"""The line as pages, without a browser: states, redirects, the answers that the script polls, and what they cost."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from bookings.models import Booking
from bookings.services import confirm_booking, hold_seats
from bookings.waitingroom import services, store
from bookings.waitingroom.wishes import get_wish
from events.models import Event, SeatInventory
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
    assert '<h1 data-word="heading">You’re in line</h1>' in waiting
    assert '<p class="big" data-word="place">1</p>' in waiting
    assert "<title>Number 1 in line – Night Swim</title>" in waiting
    assert '<noscript><meta http-equiv="refresh"' in waiting
    services.leave(user_id=other.pk, event_id=rush.pk)
    turn = client.get(f"/events/{rush.pk}/line").content.decode()
    assert '<h1 tabindex="-1" autofocus data-turn>It’s your turn</h1>' in turn
    assert "data-choice" in turn
    held = client.post(f"/events/{rush.pk}/hold", {"category": str(category(rush).pk), "quantity": 2})
    booking = Booking.objects.get()
    assert (booking.user, held["Location"]) == (ana, f"/bookings/{booking.pk}/tickets")


def test_more_time_to_choose_is_one_click_unless_the_event_says_no(client_for, ana: User, rush: Event) -> None:
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")
    before = services.status(user_id=ana.pk, event_id=rush.pk).expires_at
    assert before is not None

    assert "I need more time" in client.get(f"/events/{rush.pk}/line").content.decode()
    answer = client.post(f"/events/{rush.pk}/line/more", follow=True).content.decode()

    assert "You have 1 minute more." in answer
    assert services.status(user_id=ana.pk, event_id=rush.pk).expires_at == before + timedelta(seconds=60)
    Event.objects.filter(pk=rush.pk).update(allow_hold_extension=False, updated_at=timezone.now())
    assert "I need more time" not in client.get(f"/events/{rush.pk}/line").content.decode()
    answer = client.post(f"/events/{rush.pk}/line/more", follow=True).content.decode()
    assert "The organiser does not allow more time for this event." in answer


def test_nobody_is_told_what_the_line_is_and_logs_in_to_join(client, rush: Event) -> None:
    somebody_is_in(rush)
    services.join(user_id=UserFactory().pk, event_id=rush.pk)

    html = client.get(f"/events/{rush.pk}/line").content.decode()

    assert "1 person is in line." in html
    assert "data-line" not in html
    answer = client.get(f"/events/{rush.pk}/line/join")
    assert answer["Location"] == f"/login?next=%2Fevents%2F{rush.pk}%2Fline"


def test_opening_the_address_of_joining_joins_nobody(client_for, ana: User, rush: Event) -> None:
    answer = client_for(ana).get(f"/events/{rush.pk}/line/join")

    assert answer["Location"] == f"/events/{rush.pk}/line"
    assert services.status(user_id=ana.pk, event_id=rush.pk).status == "outside"


def test_lobby_counts_down_and_shows_no_place(client_for, ana: User, soon: Event) -> None:
    client = client_for(ana)
    client.post(f"/events/{soon.pk}/line/join")

    html = client.get(f"/events/{soon.pk}/line").content.decode()

    assert "<title>You’re in the lobby – Soon</title>" in html
    assert "data-countdown" in html
    assert "You’re the first one here." in html
    assert '<section class="card stack-s" aria-labelledby="place-title" data-show="waiting paused" hidden>' in html


def test_before_the_lobby_opens_there_is_nothing_to_join(client_for, ana: User, soon: Event) -> None:
    event = EventFactory(name="Later", queue_enabled=True, sale_starts_at=timezone.now() + timedelta(days=3))
    TicketCategoryFactory(event=event, name="Standing")
    client = client_for(ana)

    html = client.get(f"/events/{event.pk}/line").content.decode()
    assert "The lobby opens" in html
    assert "/line/join" not in html

    refused = client.post(f"/events/{event.pk}/line/join", follow=True).content.decode()
    assert "This line is not open yet." in refused


def test_an_event_without_a_line_leads_to_its_tickets(client_for, ana: User, concert: Event) -> None:
    assert client_for(ana).get(f"/events/{concert.pk}/line")["Location"] == f"/events/{concert.pk}"


def test_a_pause_says_why_and_keeps_the_place(client_for, ana: User, rush: Event) -> None:
    somebody_is_in(rush)
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")
    services.pause(rush.pk, reason="A power cut at the hall.")

    html = client.get(f"/events/{rush.pk}/line").content.decode()

    assert "<title>Paused, number 1 in line – Night Swim</title>" in html
    assert "A power cut at the hall." in html
    assert client.get(f"/events/{rush.pk}/line/status").json()["phase"] == "paused"


def test_leaving_is_asked_for_and_done(client_for, ana: User, rush: Event) -> None:
    somebody_is_in(rush)
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")
    assert "You are number 1 now." in client.get(f"/events/{rush.pk}/line/leave").content.decode()

    html = client.post(f"/events/{rush.pk}/line/leave", follow=True).content.decode()

    assert "You left the line." in html
    assert services.status(user_id=ana.pk, event_id=rush.pk).status == "outside"
    assert client.get(f"/events/{rush.pk}/line/leave")["Location"] == f"/events/{rush.pk}/line"


def test_a_turn_that_was_not_used_passes_and_one_may_line_up_again(client_for, ana: User, rush: Event) -> None:
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")
    services.release(event_id=rush.pk, user_id=ana.pk)

    html = client.get(f"/events/{rush.pk}/line").content.decode()
    assert "<h1>Your turn has passed</h1>" in html

    client.post(f"/events/{rush.pk}/line/join")
    assert services.status(user_id=ana.pk, event_id=rush.pk).status == "active"


def test_who_bought_is_told_so(client_for, ana: User, rush: Event) -> None:
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")
    client.post(f"/events/{rush.pk}/hold", {"category": str(category(rush).pk), "quantity": 2})
    held = client.get(f"/events/{rush.pk}/line").content.decode()
    assert '<h2 id="tickets-title">Held for you</h2>' in held

    confirm_booking(booking_id=Booking.objects.get().pk)

    done = client.get(f"/events/{rush.pk}/line").content.decode()
    assert "2 × Standing are yours." in done
    assert "data-line" not in done


def test_when_nothing_is_left_the_line_is_over(client_for, ana: User, rush: Event) -> None:
    other = somebody_is_in(rush)
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")
    SeatInventory.objects.update(capacity=2)
    services.tick(rush.pk)
    confirm_booking(booking_id=hold_seats(user_id=other.pk, category_id=category(rush).pk, quantity=2).pk)
    services.tick(rush.pk)

    html = client.get(f"/events/{rush.pk}/line").content.decode()

    assert "<h1>Sold out</h1>" in html
    assert client.get(f"/events/{rush.pk}/line/status").status_code == 401


def test_the_polled_answer_costs_one_call_of_redis_and_no_statement(
    client_for, ana: User, rush: Event, count_redis_calls, django_assert_num_queries
) -> None:
    somebody_is_in(rush)
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")
    client.get(f"/events/{rush.pk}/line")
    services.tick(rush.pk)

    with django_assert_num_queries(0), count_redis_calls() as calls:
        answer = client.get(f"/events/{rush.pk}/line/status")

    assert calls == ["EVALSHA"]
    news = answer.json()
    assert (news["phase"], news["words"]["place"], news["moves"]) == ("waiting", "1", True)
    assert 1_000 < int(answer["Next-Poll-Ms"]) < 80_000
    assert answer["Cache-Control"] == "private, no-store"
    same = client.get(f"/events/{rush.pk}/line/status", headers={"If-None-Match": answer["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert int(same["Next-Poll-Ms"]) > 1_000


def test_the_cookie_speaks_for_its_person_only(client_for, client, ana: User, rush: Event) -> None:
    somebody_is_in(rush)
    member = client_for(ana)
    member.post(f"/events/{rush.pk}/line/join")
    member.get(f"/events/{rush.pk}/line")

    assert client.get(f"/events/{rush.pk}/line/status").status_code == 401
    client.cookies["line"] = member.cookies["line"].value[:-2] + "xx"
    assert client.get(f"/events/{rush.pk}/line/status").status_code == 401

    stranger = client_for(UserFactory())
    stranger.cookies["line"] = member.cookies["line"].value
    assert "/line/status" not in stranger.get("/help").content.decode()
    assert member.cookies["line"]["httponly"]


def test_other_pages_show_the_place_in_their_bar(client_for, ana: User, rush: Event, concert: Event) -> None:
    other = somebody_is_in(rush)
    client = client_for(ana)
    assert "line-bar" not in client.get("/").content.decode()
    client.post(f"/events/{rush.pk}/line/join")
    client.get(f"/events/{rush.pk}/line")

    home = client.get("/")
    assert '<span data-word="title">Number 1 in line</span>: Night Swim' in home.content.decode()
    assert "line-bar" in client.get(f"/events/{concert.pk}").content.decode()
    assert "line-bar" not in client.get(f"/events/{rush.pk}/line").content.decode()
    services.leave(user_id=other.pk, event_id=rush.pk)

    moved = client.get("/", headers={"If-None-Match": home["ETag"]})
    assert '<span data-word="title">It’s your turn</span>: Night Swim' in moved.content.decode()


def test_the_place_is_the_same_on_another_device(client_for, ana: User, rush: Event) -> None:
    somebody_is_in(rush)
    client_for(ana).post(f"/events/{rush.pk}/line/join")

    other_device = client_for(ana)

    assert '<p class="big" data-word="place">1</p>' in other_device.get(f"/events/{rush.pk}/line").content.decode()
    assert other_device.get(f"/events/{rush.pk}/line/status").json()["words"]["place"] == "1"


def test_an_event_page_knows_ones_place_and_ones_turn(client_for, ana: User, rush: Event) -> None:
    other = somebody_is_in(rush)
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")
    waiting = client.get(f"/events/{rush.pk}")
    assert '<h2 id="tickets-title">Number 1 in line</h2>' in waiting.content.decode()

    services.leave(user_id=other.pk, event_id=rush.pk)

    turn = client.get(f"/events/{rush.pk}", headers={"If-None-Match": waiting["ETag"]}).content.decode()
    assert "data-choice" in turn
    assert "It’s your turn until" in turn


def test_wishes_are_kept_and_never_more_than_one_may_have(client_for, ana: User, rush: Event) -> None:
    somebody_is_in(rush)
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")

    client.post(f"/events/{rush.pk}/line/wishes", {"mail": "on", "waitlist": "99"})

    wish = get_wish(user_id=ana.pk, event_id=rush.pk)
    assert (wish.mail_at_turn, wish.waitlist_quantity) == (True, 10)
    html = client.get(f"/events/{rush.pk}/line").content.decode()
    assert 'name="mail" checked' in html
    assert '<option value="10" selected>' in html
    client.post(f"/events/{rush.pk}/line/wishes", {"waitlist": "x"})
    wish = get_wish(user_id=ana.pk, event_id=rush.pk)
    assert (wish.mail_at_turn, wish.waitlist_quantity) == (False, 0)


def test_faces_are_checked_while_one_waits(client_for, ana: User, rush: Event) -> None:
    Event.objects.update(requires_face_verification=True, face_necessity="Tickets were resold.")
    somebody_is_in(rush)
    client = client_for(ana)
    client.post(f"/events/{rush.pk}/line/join")

    waiting = client.get(f"/events/{rush.pk}/line").content.decode()
    assert "Use the time: get checked now" in waiting
    assert f'action="/events/{rush.pk}/register"' in waiting


def test_while_the_line_is_restored_nobody_is_told_to_join_again(client_for, ana: User, rush: Event) -> None:
    client = client_for(ana)
    somebody_is_in(rush)
    client.post(f"/events/{rush.pk}/line/join")
    store.client().hset(store.key(rush.pk, "cfg"), "state", "rebuilding")

    html = client.get(f"/events/{rush.pk}/line").content.decode()

    assert "we are restoring your place" in html
    assert '<meta http-equiv="refresh"' in html
    assert "Line up again" not in html


def test_strangers_and_drafts(client, client_for, ana: User, rush: Event) -> None:
    Event.objects.update(status="draft")

    assert client.get(f"/events/{rush.pk}/line").status_code == 404
    assert client_for(ana).post(f"/events/{rush.pk}/line/join").status_code == 404
