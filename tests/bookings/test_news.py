"""What people are told about their bookings and events: in the list and by mail, each once."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db.models.functions import Now

from accounts.models import Notification
from accounts.notifications import notify_many, queries
from bookings import services
from bookings.news import tell_of_change
from common import outbox
from common.models import OutboxMessage, SentMail
from events.services import cancel_event, update_event
from tests.factories import TicketCategoryFactory, UserFactory
from tests.races import errors, race

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mails_as_rows(settings):
    settings.EMAIL_BACKEND = "common.mail.RecordedEmailBackend"


@pytest.fixture
def concert():
    return TicketCategoryFactory().event


def hold(user, event, quantity=2):
    return services.hold_seats(user_id=user.pk, category_id=event.categories.get().pk, quantity=quantity)


def buy(user, event, quantity=2):
    return services.confirm_booking(booking_id=hold(user, event, quantity).pk)


def pass_time():
    """Let every message of the outbox be due, and deliver until nothing is left."""
    while OutboxMessage.objects.filter(done_at=None, failed_at=None).update(due_at=Now()):
        outbox.deliver_due()
    return SimpleNamespace(kinds=lambda user: [told.kind for told in queries.list_for(user.pk)])


def subjects(user):
    return list(SentMail.objects.filter(to=user.email).order_by("id").values_list("subject", flat=True))


def told(user, kind):
    return [queries.Shown.of(row) for row in queries.list_for(user.pk) if row.kind == kind]


def test_tickets_and_their_cancellation_are_told_once_each_however_often_the_task_runs(concert):
    user = UserFactory()
    booking = buy(user, concert)
    pass_time()
    services.cancel_booking(booking_id=booking.pk, by="staff")
    pass_time()
    OutboxMessage.objects.filter(topic="booking_cancelled_mail").update(done_at=None)
    pass_time()

    (tickets,) = told(user, "tickets_issued")
    assert tickets.title == f"Your 2 tickets for {concert.name}"
    assert tickets.url == f"/bookings/{booking.pk}"
    (cancelled,) = told(user, "booking_cancelled")
    assert cancelled.body.startswith("Our staff cancelled it.")


def test_cancelled_event_is_told_to_buyers_and_to_who_still_held_seats(concert):
    buyer, holder, stranger = UserFactory(), UserFactory(), UserFactory()
    buy(buyer, concert)
    hold(holder, concert)

    cancel_event(event_id=concert.pk, reason="The singer is ill.")
    services.cancel_event_bookings(event_id=concert.pk)
    cancel_event(event_id=concert.pk, reason="Again")
    pass_time()

    for user in (buyer, holder):
        (cancelled,) = told(user, "event_cancelled")
        assert cancelled.title == f"{concert.name} is cancelled"
        assert cancelled.body.startswith("The singer is ill.")
    assert not queries.list_for(stranger.pk).exists()
    assert subjects(buyer) == [f"{concert.name} does not take place"]
    assert subjects(holder) == []


def test_change_is_told_in_words_once_to_everybody_it_concerns(concert):
    buyer, holder, stranger = UserFactory(), UserFactory(), UserFactory()
    buy(buyer, concert)
    hold(holder, concert)

    for _ in range(2):  # saved twice
        update_event(event_id=concert.pk, location="Opera House")
    pass_time()

    for user in (buyer, holder):
        (changed,) = told(user, "event_changed")
        assert changed.title == f"{concert.name}: place changed"
        assert changed.body == "Place: Opera House (was: Town Hall)."
        assert f"{concert.name}: place changed" in subjects(user)
    assert not queries.list_for(stranger.pk).exists()


def test_corrections_in_a_row_are_one_notice_with_the_first_and_the_last_state(concert):
    user = UserFactory()
    buy(user, concert)
    starts, ends = concert.starts_at, concert.ends_at

    update_event(event_id=concert.pk, location="Opera Hous")
    update_event(event_id=concert.pk, location="Opera House")
    update_event(event_id=concert.pk, starts_at=starts + timedelta(days=1), ends_at=ends + timedelta(days=1))
    pass_time()

    (changed,) = told(user, "event_changed")
    assert changed.title == f"{concert.name}: date and place changed"
    assert "Opera House (was: Town Hall)" in changed.body
    assert "Hous)" not in changed.body


def test_change_that_is_taken_back_in_time_is_not_told_and_the_next_one_is(concert):
    user = UserFactory()
    buy(user, concert)
    update_event(event_id=concert.pk, location="Opera House")
    update_event(event_id=concert.pk, location="Town Hall")
    pass_time()
    assert told(user, "event_changed") == []

    update_event(event_id=concert.pk, location="Opera House")
    pass_time()
    update_event(event_id=concert.pk, location="Arena")
    pass_time()

    assert [changed.body for changed in told(user, "event_changed")] == [
        "Place: Arena (was: Opera House).",
        "Place: Opera House (was: Town Hall).",
    ]


def test_what_concerns_nobody_who_goes_there_is_not_told(concert):
    user = UserFactory()
    buy(user, concert)

    update_event(event_id=concert.pk, name="Another name", description="More words", max_active_users=7)
    pass_time()

    assert told(user, "event_changed") == []
    assert not OutboxMessage.objects.filter(topic="event_change").exists()


def test_drafts_and_cancelled_events_tell_no_change(concert):
    user = UserFactory()
    buy(user, concert)
    update_event(event_id=concert.pk, location="Opera House")
    cancel_event(event_id=concert.pk)

    pass_time()

    assert told(user, "event_changed") == []


def test_a_worker_killed_half_way_tells_the_rest_and_nobody_twice(concert, monkeypatch):
    people = [UserFactory() for _ in range(7)]
    for user in people:
        buy(user, concert, 1)
    monkeypatch.setattr("bookings.news.AT_ONCE", 3)
    update_event(event_id=concert.pk, location="Opera House")
    runs = []

    def dying(**given):
        runs.append(len(given["user_ids"]))
        if len(runs) == 2:
            raise SystemExit("killed")
        return notify_many(**given)

    monkeypatch.setattr("bookings.news.notify_many", dying)
    with pytest.raises(SystemExit):
        pass_time()
    assert Notification.objects.filter(kind="event_changed").count() == 3

    pass_time()
    pass_time()

    for user in people:
        assert len(told(user, "event_changed")) == 1
        assert subjects(user).count(f"{concert.name}: place changed") == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_with_one_change_tell_everybody_once(concert):
    people = [UserFactory() for _ in range(5)]
    for user in people:
        buy(user, concert, 1)
    update_event(event_id=concert.pk, location="Opera House")
    OutboxMessage.objects.filter(topic="event_change").update(due_at=Now())
    outbox.deliver_due()
    Notification.objects.filter(kind="event_changed").delete()
    change = OutboxMessage.objects.get(topic="event_changed")

    outcomes = race(
        [lambda: tell_of_change(change.dedupe_key, change.payload) for _ in range(4)], gate="accounts_notification"
    )

    assert errors(outcomes) == []
    assert Notification.objects.filter(kind="event_changed").count() == 5
