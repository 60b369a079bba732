"""The control of a sale for its organiser: their own events, every deed with a reason, the same services as in the admin."""

import pytest

from accounts.models import StaffAction
from bookings.waitingroom import console, services
from bookings.waitingroom.models import WaitingRoom
from events.models import Event
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _counted_anew() -> None:
    console._kept.clear()


@pytest.fixture
def organiser(db: None):
    return OrganiserFactory()


@pytest.fixture
def rush(organiser) -> Event:
    event = EventFactory(name="Night Swim", queue_enabled=True, max_active_users=1, created_by=organiser)
    TicketCategoryFactory(event=event, name="Standing", capacity=20)
    services.ensure_room(event.pk)
    services.tick(event.pk)
    return event


def do(client, event: Event, deed: str, **form: object):
    """Send one deed and return the answer."""
    return client.post(f"/events/{event.pk}/line/control", {"deed": deed, "reason": "Fire drill"} | form, follow=True)


def test_organisers_see_their_own_sales_and_staff_all(client_for, client, organiser, rush: Event) -> None:
    address = f"/events/{rush.pk}/line/control"

    for path in (address, f"{address}/live"):
        assert client_for(organiser).get(path).status_code == 200
        assert client_for(StaffFactory()).get(path).status_code == 200
        assert client_for(OrganiserFactory()).get(path).status_code == 404
        assert client_for(UserFactory()).get(path).status_code == 404
        assert client.get(path)["Location"].startswith("/login")
    assert do(client_for(OrganiserFactory()), rush, "pause").status_code == 404
    assert WaitingRoom.objects.get().state == "open"


def test_an_event_without_a_line_has_no_control(client_for, organiser) -> None:
    event = EventFactory(created_by=organiser)

    assert client_for(organiser).get(f"/events/{event.pk}/line/control").status_code == 404


def test_every_deed_is_done_by_the_services_and_written_down(client_for, organiser, rush: Event) -> None:
    client = client_for(organiser)
    people = UserFactory.create_batch(3)
    for person in people:
        services.join(user_id=person.pk, event_id=rush.pk)

    assert "everybody in it reads why" in do(client, rush, "pause").content.decode()
    assert services.status(user_id=people[2].pk, event_id=rush.pk).status == "paused"
    assert "People are let in again." in do(client, rush, "resume").content.decode()
    do(client, rush, "pace", max_active="2", per_minute="")
    assert services.status(user_id=people[1].pk, event_id=rush.pk).status == "active"
    do(client, rush, "message", message="Doors at eight.", reason="")
    assert services.status(user_id=people[2].pk, event_id=rush.pk).message == "Doors at eight."
    do(client, rush, "admit", email=people[2].email)
    assert services.status(user_id=people[2].pk, event_id=rush.pk).status == "active"
    do(client, rush, "close")
    assert WaitingRoom.objects.get().state == "ended"

    kept = list(StaffAction.objects.order_by("pk").values_list("actor_id", "action"))
    deeds = ["pause_line", "resume_line", "change_event", "set_line_message", "admit_from_line", "close_line"]
    assert kept == [(organiser.pk, deed) for deed in deeds]
    assert "Pause the line" not in client.get(f"/events/{rush.pk}/line/control").content.decode()


def test_without_a_reason_nothing_is_done(client_for, organiser, rush: Event) -> None:
    answer = do(client_for(organiser), rush, "pause", reason=" ")

    assert answer.status_code == 400
    assert "Write a reason" in answer.content.decode()
    assert WaitingRoom.objects.get().state == "open"
    assert StaffAction.objects.count() == 0


@pytest.mark.parametrize(
    ("deed", "form", "words"),
    [
        ("fly", {}, "Choose what to do."),
        ("admit", {"email": ""}, "Write the email of their account."),
        ("admit", {"email": "nobody@example.test"}, "There is no account with this address."),
        ("pace", {"max_active": "0"}, "greater than or equal to 1"),
        ("resume", {}, "not possible while the line is open"),
    ],
)
def test_what_is_not_possible_is_said(client_for, organiser, rush: Event, deed: str, form: dict, words: str) -> None:
    assert words in do(client_for(organiser), rush, deed, **form).content.decode()
