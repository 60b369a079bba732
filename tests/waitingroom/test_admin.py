"""The on-sale control: who sees it, what it shows, what its buttons do, and where that is kept."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import StaffAction, User
from bookings.refusals import QueueRequired
from bookings.services import confirm_booking, hold_seats
from bookings.waitingroom import console, services, store
from bookings.waitingroom.models import ChainLink, Place, WaitingRoom
from bookings.waitingroom.plots import plot
from bookings.waitingroom.refusals import LineClosed
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


def test_without_redis_the_control_says_so_and_shows_the_seats(staff, rush: Event) -> None:
    line_up(rush, 2)
    store.client().unlink(store.key(rush.pk, "cfg"))

    html = staff.get(f"{ROOMS}{rush.pk}/live/").content.decode()

    assert "Redis does not answer, or is being filled anew." in html
    assert figures(html)["Seats free"][0] == "20"
    assert "In line" not in figures(html)


def test_the_live_part_is_the_panel_alone_and_kept_by_nobody(staff, rush: Event) -> None:
    answer = staff.get(f"{ROOMS}{rush.pk}/live/")

    assert "no-store" in answer["Cache-Control"]
    assert "<html" not in answer.content.decode()
    assert "In line" in answer.content.decode()


def test_pausing_tells_everybody_why_and_resuming_takes_it_away(staff, rush: Event) -> None:
    _, second = line_up(rush, 2)

    page = act(staff, rush, "pause", reason="A power cut.")

    assert "The line is paused, and everybody in it reads why." in page
    standing = services.status(user_id=second.pk, event_id=rush.pk)
    assert (standing.status, standing.message) == ("paused", "A power cut.")
    assert "That is not possible while the line is paused." in act(staff, rush, "pause", reason="Again.")
    act(staff, rush, "resume")
    assert services.status(user_id=second.pk, event_id=rush.pk).status == "waiting"
    assert audit() == [("pause_line", "A power cut."), ("resume_line", "Fire drill")]
    assert links(rush)[-2:] == ["pause", "resume"]


def audit() -> list[tuple[str, str]]:
    return list(StaffAction.objects.order_by("pk").values_list("action", "reason"))


def links(event: Event) -> list[str]:
    """Return the kinds of links in the book of a line, without the moves."""
    kinds = ChainLink.objects.filter(event=event).order_by("number").values_list("kind", flat=True)
    return [kind for kind in kinds if kind != "moves"]


def test_the_pace_is_both_how_many_at_once_and_how_many_a_minute(staff, rush: Event) -> None:
    people = line_up(rush, 6)

    page = act(staff, rush, "pace", max_active=3, per_minute=600)

    assert "The pace is changed." in page
    rush.refresh_from_db()
    assert (rush.max_active_users, WaitingRoom.objects.get().rate_per_minute) == (3, 600)
    inside = [services.status(user_id=person.pk, event_id=rush.pk).status for person in people]
    assert inside == ["active"] * 3 + ["waiting"] * 3
    assert [name for name, _ in audit()] == ["change_event", "set_line_rate"]
    assert "rate" in links(rush)
    act(staff, rush, "pace", max_active=3, per_minute="")
    assert WaitingRoom.objects.get().rate_per_minute is None
    assert len(audit()) == 3


def test_a_message_reaches_everybody_in_line(staff, rush: Event) -> None:
    _, second = line_up(rush, 2)

    act(staff, rush, "message", message="Doors open at eight.")

    assert services.status(user_id=second.pk, event_id=rush.pk).message == "Doors open at eight."
    assert "Doors open at eight." in staff.get(f"{ROOMS}{rush.pk}/message/").content.decode()
    act(staff, rush, "message", message="")
    assert services.status(user_id=second.pk, event_id=rush.pk).message == ""
    assert [name for name, _ in audit()] == ["set_line_message", "set_line_message"]


def test_one_person_is_let_in_with_a_reason_and_the_book_tells_it_without_a_name(staff, rush: Event) -> None:
    *_, last = line_up(rush, 4)

    page = act(staff, rush, "admit", email=last.email.upper(), reason="Uses a wheelchair, phoned.")

    assert "It is their turn now." in page
    assert services.status(user_id=last.pk, event_id=rush.pk).status == "active"
    assert audit() == [("admit_from_line", "Uses a wheelchair, phoned.")]
    services.drain_journal(rush.pk)
    moves = [move for link in ChainLink.objects.filter(event=rush, kind="moves") for move in link.payload["moves"]]
    assert [move[1] for move in moves if move[0] == "staff"] == [last.places.get().entry]
    assert "There is no account with this address." in act(staff, rush, "admit", email="nobody@example.test")
    act(staff, rush, "admit", email=last.email, reason="")
    assert len(audit()) == 1


def test_lobby_and_sale_are_opened_by_hand(staff) -> None:
    event = EventFactory(queue_enabled=True, sale_starts_at=timezone.now() + timedelta(days=2))
    TicketCategoryFactory(event=event)
    services.ensure_room(event.pk)

    act(staff, event, "open-lobby")
    person = UserFactory()
    assert services.join(user_id=person.pk, event_id=event.pk).status == "lobby"
    act(staff, event, "open-line")

    assert services.status(user_id=person.pk, event_id=event.pk).status == "active"
    event.refresh_from_db()
    assert event.sale_starts_at <= timezone.now()
    assert [name for name, _ in audit()] == ["open_lobby", "open_line"]


def test_a_line_that_nobody_else_may_join_serves_who_is_in_it_and_ends(staff, rush: Event) -> None:
    first, second = line_up(rush, 2)

    assert "Nobody else can join" in act(staff, rush, "drain")
    with pytest.raises(LineClosed, match="takes nobody else"):
        services.join(user_id=UserFactory().pk, event_id=rush.pk)
    assert services.join(user_id=second.pk, event_id=rush.pk).position == 1
    act(staff, rush, "let-join-again")
    third = UserFactory()
    assert services.join(user_id=third.pk, event_id=rush.pk).position == 2
    act(staff, rush, "drain")
    for person in (first, second, third):
        services.tick(rush.pk)
        assert WaitingRoom.objects.get().state == "open"
        assert services.status(user_id=person.pk, event_id=rush.pk).status == "active"
        services.leave(user_id=person.pk, event_id=rush.pk)
    services.tick(rush.pk)

    assert WaitingRoom.objects.get().state == "ended"
    assert [name for name, _ in audit()] == ["drain_line", "let_join_again", "drain_line"]
    assert links(rush)[-4:] == ["drain", "joinable", "drain", "ended"]


def test_closing_ends_the_line(staff, rush: Event) -> None:
    _, second = line_up(rush, 2)

    act(staff, rush, "close", reason="The hall is flooded.")

    assert services.status(user_id=second.pk, event_id=rush.pk).status in {"closed", "outside"}
    assert WaitingRoom.objects.get().state == "ended"
    assert audit() == [("close_line", "The hall is flooded.")]
    assert links(rush)[-1] == "ended"


def test_nobody_else_gets_in(client, client_for, rush: Event) -> None:
    live = f"{ROOMS}{rush.pk}/live/"
    assert client.get(live).headers["Location"].startswith("/admin/login/")
    for visitor in (client_for(UserFactory()), client_for(UserFactory(is_organiser=True))):
        assert visitor.get(live).status_code == 404


def test_refused_holds_are_counted(staff, rush: Event) -> None:
    _, second = line_up(rush, 2)
    with pytest.raises(QueueRequired):
        hold_seats(user_id=second.pk, category_id=rush.categories.get().pk, quantity=1)

    assert figures(staff.get(f"{ROOMS}{rush.pk}/live/").content.decode())["Holds refused"][0] == "1"


def test_the_line_is_followed_backwards_by_minute(rush: Event) -> None:
    line_up(rush, 4)
    now = timezone.now()
    for minutes, place in enumerate(Place.objects.order_by("joined_at")):
        Place.objects.filter(pk=place.pk).update(joined_at=now - timedelta(minutes=10 * minutes + 5))

    seen = console.console(WaitingRoom.objects.select_related("event").get())

    assert len(seen.lengths) == 60
    assert seen.lengths[-1] == seen.in_line
    assert seen.lengths[0] == 0
    assert [seen.lengths[-minutes] for minutes in (2, 8, 18, 28, 40)] == [4, 3, 2, 1, 0]


def test_a_picture_says_in_words_what_it_shows():
    drawn = plot("People in line", [0, 40, 12])

    assert 'aria-label="People in line, last 60 minutes: from 0, at most 40, now 12"' in drawn
    assert "0.0,96.0 160.0,8.0 320.0,69.6" in drawn
