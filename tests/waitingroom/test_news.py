"""What people in line are told: once for one line, in time, and only who is not looking."""

import pytest
from django.core import mail

from accounts.models import Notification, NotificationChoice, User
from bookings.services import hold_seats
from bookings.waitingroom import news, services, store
from bookings.waitingroom.models import WaitingRoom
from bookings.waitingroom.wishes import set_wish
from common import jobs, outbox
from events.models import Event
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rush(db: None) -> Event:
    """An event with a line: one person at a time."""
    event = EventFactory(name="Night Swim", queue_enabled=True, max_active_users=1)
    TicketCategoryFactory(event=event, name="Standing", capacity=20)
    services.ensure_room(event.pk)
    services.tick(event.pk)
    return event


def line_up(event: Event, count: int) -> list[User]:
    """So many people who join; the first has their turn."""
    people = UserFactory.create_batch(count)
    for person in people:
        services.join(user_id=person.pk, event_id=event.pk)
    services.status(user_id=people[0].pk, event_id=event.pk)
    services.drain_journal(event.pk)
    return people


def everybody_goes(event: Event) -> None:
    """Forget who was there lately, as two minutes without a sign do."""
    store.client().unlink(*(store.key(event.pk, part) for part in ("hb0", "hb1", "hb2")))


def told(kind: str) -> list:
    return list(Notification.objects.filter(kind=kind).order_by("pk").values_list("user_id", flat=True))


def mail_to(person: User) -> mail.EmailMessage:
    """Return the one mail to somebody."""
    (letter,) = [letter for letter in mail.outbox if letter.to == [person.email]]
    return letter


def tell() -> int:
    return jobs.JOBS["waitingroom.tell"].run()


def test_who_looks_is_not_mailed_and_who_closed_the_page_is_once(rush: Event) -> None:
    _, *people = line_up(rush, 6)
    assert tell() == 0

    everybody_goes(rush)
    services.status(user_id=people[0].pk, event_id=rush.pk)
    assert tell() == 2
    assert tell() == 0

    assert set(told("line_nearly")) == {people[1].pk, people[2].pk}
    while outbox.deliver_due():
        pass
    letter = mail_to(people[1])
    assert letter.subject == "Nearly your turn: Night Swim"
    assert f"/events/{rush.pk}/line" in letter.body
    assert "1 minute to come, and then 5 minutes to choose tickets" in letter.body


def test_a_fast_line_tells_more_people_in_time(rush: Event, settings) -> None:
    settings.QUEUE_NEARLY_SECONDS = 60
    _, *people = line_up(rush, 12)
    everybody_goes(rush)
    store.client().hset(store.key(rush.pk, "cfg"), "ew", "0.15")

    tell()

    assert set(told("line_nearly")) == {person.pk for person in people[:9]}


def test_who_was_passed_over_is_told_to_come_back(rush: Event) -> None:
    first, second, *_ = line_up(rush, 8)
    everybody_goes(rush)
    store.client().hset(store.key(rush.pk, "cfg"), "hbfrom", 0)
    services.leave(user_id=first.pk, event_id=rush.pk)
    services.drain_journal(rush.pk)
    assert second.places.get().state == "parked"

    tell()

    assert second.pk in told("line_nearly")


def test_only_who_asked_is_mailed_that_it_is_their_turn(rush: Event) -> None:
    first, second = line_up(rush, 2)
    set_wish(user_id=second.pk, event_id=rush.pk, mail_at_turn=True, waitlist_quantity=0)
    tell()
    assert told("line_your_turn") == []

    services.leave(user_id=first.pk, event_id=rush.pk)
    services.drain_journal(rush.pk)
    tell()
    tell()

    assert told("line_your_turn") == [second.pk]
    while outbox.deliver_due():
        pass
    assert mail_to(second).subject == "It’s your turn: Night Swim"


def test_who_holds_tickets_already_is_not_called(rush: Event) -> None:
    (first,) = line_up(rush, 1)
    set_wish(user_id=first.pk, event_id=rush.pk, mail_at_turn=True, waitlist_quantity=0)
    hold_seats(user_id=first.pk, category_id=rush.categories.get().pk, quantity=1)
    services.drain_journal(rush.pk)

    tell()

    assert told("line_your_turn") == []


def test_who_switched_these_mails_off_still_reads_it_on_the_site(rush: Event) -> None:
    _, second = line_up(rush, 2)
    NotificationChoice.objects.create(user=second, group="line", channel="mail", wanted=False)
    everybody_goes(rush)

    tell()
    while outbox.deliver_due():
        pass

    assert told("line_nearly") == [second.pk]
    assert mail.outbox == []


def test_a_paused_line_and_a_lost_one_tell_nothing(rush: Event) -> None:
    line_up(rush, 3)
    everybody_goes(rush)
    services.pause(rush.pk, reason="A break.")
    assert tell() == 0

    WaitingRoom.objects.update(state="open")
    store.client().unlink(store.key(rush.pk, "cfg"))
    assert tell() == 0


def test_its_words_need_what_they_are_given():
    for kind in (news.NEARLY, news.YOUR_TURN, news.SOLD_OUT):
        assert kind.missing({"event": "x", "claim": "1 minute", "slot": "5 minutes"}) == set()
