"""The way to a ticket of an event that checks faces, page by page, without scripts; the worker's part is run in between."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from bookings.models import Booking
from events.models import Event
from faceverify import drawings
from faceverify import services as faces
from faceverify.engines.local import LocalEngine
from faceverify.models import FaceImage
from faceverify.refusals import EngineUnavailable
from registrations import services
from registrations.models import Registration, VerificationAttempt
from registrations.services import review_failure
from tests.factories import EventFactory, TicketCategoryFactory
from tests.pages.camera import agree, enrolled, upload

pytestmark = pytest.mark.django_db
ME, STRANGER = 2, 26


@pytest.fixture
def show(db: None) -> Event:
    """An event with one kind of ticket, that checks faces."""
    event = EventFactory(
        name="Ten Years",
        requires_face_verification=True,
        max_tickets_per_booking=1,
        face_necessity="Resold at ten times the price.",
    )
    TicketCategoryFactory(event=event, name="Standing", price_minor=4900, capacity=3)
    return event


@pytest.fixture
def mine(client_for: Callable, ana: User) -> Client:
    return client_for(ana)


def begin(person: User, event: Event) -> Registration:
    return services.create_registration(user_id=person.pk, event_id=event.pk)


def send(client: Client, registration: Registration, picture: bytes, **how: Any) -> Any:
    """Send a selfie as the form does."""
    return client.post(f"/registrations/{registration.pk}/face", {"photo": upload(picture)}, **how)


def compare() -> None:
    """Do what the worker does with every picture that waits."""
    for attempt_id in VerificationAttempt.objects.filter(status="reserved").values_list("pk", flat=True):
        services.run_check(attempt_id=attempt_id)


def miss(client: Client, registration: Registration, variant: int = 0) -> None:
    send(client, registration, drawings.photo(STRANGER, variant))
    compare()


def page_of(client: Client, registration: Registration) -> str:
    """Return the page at which a registration is now."""
    return client.get(f"/registrations/{registration.pk}", follow=True).content.decode()


def test_the_event_page_leads_into_the_check_instead_of_the_form(client: Client, mine: Client, show: Event) -> None:
    anybody = client.get(f"/events/{show.pk}").content.decode()
    member = mine.get(f"/events/{show.pk}").content.decode()

    for html, method in ((anybody, "get"), (member, "post")):
        assert "Your face check comes first" in html
        assert f'action="/events/{show.pk}/register" method="{method}"' in html
        assert f'action="/events/{show.pk}/hold"' not in html
        assert "Resold at ten times the price." in html


def test_who_is_not_logged_in_does_that_first(client: Client, show: Event) -> None:
    answer = client.get(f"/events/{show.pk}/register")

    assert answer.status_code == 302
    assert answer["Location"] == f"/login?next=%2Fevents%2F{show.pk}%23tickets"


def test_the_journey_begins_once_and_is_found_again(mine: Client, ana: User, show: Event) -> None:
    first = mine.post(f"/events/{show.pk}/register")
    second = mine.post(f"/events/{show.pk}/register")

    registration = Registration.objects.get(user=ana, event=show)
    assert first["Location"] == second["Location"] == f"/registrations/{registration.pk}"
    assert "Go on with it" in mine.get(f"/events/{show.pk}").content.decode()


def test_an_event_that_is_cancelled_begins_nothing(mine: Client, show: Event) -> None:
    Event.objects.filter(pk=show.pk).update(status="cancelled")

    answer = mine.post(f"/events/{show.pk}/register", follow=True)

    assert "This event was cancelled." in answer.content.decode()
    assert not Registration.objects.exists()


def test_from_the_event_to_a_held_ticket(mine: Client, ana: User, show: Event) -> None:
    mine.post(f"/events/{show.pk}/register")
    registration = Registration.objects.get()

    # A profile photo first, with everything said before.
    html = page_of(mine, registration)
    assert "First, a photo of you" in html
    assert "Resold at ten times the price." in html
    assert "1 Your face check" in html
    assert "Ask a person instead" in html
    answer = mine.post(f"/registrations/{registration.pk}/photo", agree() | {"photo_1": upload(drawings.photo(ME))})
    assert answer["Location"] == f"/registrations/{registration.pk}/face"

    # Then one more photo, which is compared.
    html = mine.get(answer["Location"]).content.decode()
    assert "Try 1 of 3" in html
    assert 'capture="user"' in html
    answer = send(mine, registration, drawings.photo(ME, 1))
    assert answer["Location"] == f"/registrations/{registration.pk}/checking"
    waiting = mine.get(answer["Location"])
    assert "Comparing your photos" in waiting.content.decode()
    assert 'http-equiv="refresh"' in waiting.content.decode()
    assert "Comparing your photos" in page_of(mine, registration)

    # It is them: the ticket is held.
    compare()
    booking = Booking.objects.get(user=ana, event=show)
    answer = mine.get(f"/registrations/{registration.pk}/checking", follow=True)
    assert answer.redirect_chain[-1][0] == f"/bookings/{booking.pk}/tickets"
    assert "It’s you. Your face check is done." in answer.content.decode()
    assert "Step 2 of 4" in answer.content.decode()
    html = page_of(mine, registration)
    assert "It’s you. Your ticket is held." in html
    assert f'href="/bookings/{booking.pk}/pay"' in html
    assert not FaceImage.objects.filter(deleted_at=None).exists()


def test_a_free_event_gives_the_ticket_at_once(mine: Client, ana: User) -> None:
    event = EventFactory(requires_face_verification=True, max_tickets_per_booking=1, face_necessity="One each.")
    TicketCategoryFactory(event=event, price_minor=0)
    enrolled(ana, ME)
    registration = begin(ana, event)

    send(mine, registration, drawings.photo(ME, 1))
    compare()
    answer = mine.get(f"/registrations/{registration.pk}/checking", follow=True)

    assert "You’re going to" in answer.content.decode()
    assert answer.redirect_chain[-1][0].endswith("/done")
    assert "See your ticket" in page_of(mine, registration)


def test_with_several_kinds_of_tickets_a_pass_opens_the_form(mine: Client, ana: User, show: Event) -> None:
    gallery = TicketCategoryFactory(event=show, name="Gallery")
    enrolled(ana, ME)
    registration = begin(ana, show)
    send(mine, registration, drawings.photo(ME, 1))
    compare()

    html = page_of(mine, registration)
    event = mine.get(f"/events/{show.pk}").content.decode()
    answer = mine.post(f"/events/{show.pk}/hold", {"category": str(gallery.pk), "quantity": "1"}, follow=True)

    assert "It’s you. You’re checked." in html
    assert "Choose your ticket" in event
    assert f'action="/events/{show.pk}/hold"' in event
    assert "You’re checked for this event." in event
    assert "This ticket is held for you" in answer.content.decode()


def test_before_the_sale_a_pass_makes_ready(mine: Client, ana: User, show: Event) -> None:
    Event.objects.filter(pk=show.pk).update(sale_starts_at=timezone.now() + timedelta(days=2))
    assert "Get checked" in mine.get(f"/events/{show.pk}").content.decode()
    enrolled(ana, ME)
    registration = begin(ana, show)
    send(mine, registration, drawings.photo(ME, 1))
    compare()

    assert "You are ready." in page_of(mine, registration)
    assert "You’re checked for this event." in mine.get(f"/events/{show.pk}").content.decode()


def test_when_sold_out_a_pass_is_a_place_on_the_waitlist(
    mine: Client, client_for: Callable, user_factory: type, ana: User
) -> None:
    event = EventFactory(
        name="Full", requires_face_verification=True, max_tickets_per_booking=1, face_necessity="One each."
    )
    TicketCategoryFactory(event=event, price_minor=0, capacity=1)
    bea = user_factory()
    enrolled(bea, 31)
    send(client_for(bea), begin(bea, event), drawings.photo(31, 1))
    compare()
    assert "Get checked for the waitlist" in mine.get(f"/events/{event.pk}").content.decode()
    enrolled(ana, ME)
    registration = begin(ana, event)
    send(mine, registration, drawings.photo(ME, 1))
    compare()

    html = page_of(mine, registration)
    assert "You’re checked, and on the waitlist" in html
    assert '<p class="big">1</p>' in html
    assert "number 1 on the waitlist" in mine.get(f"/events/{event.pk}").content.decode()
    assert "number 1 on the waitlist" in mine.get("/registrations").content.decode()


def test_a_mismatch_says_which_try_it_was_and_what_helps(mine: Client, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    registration = begin(ana, show)

    miss(mine, registration)

    html = page_of(mine, registration)
    assert "This photo doesn’t match well enough (try 1 of 3). Take off hats or glasses, face a window." in html
    assert "<title>Error: " in html
    assert "Try 2 of 3" in html
    assert "Ask a person instead" in html
    assert not re.search(r"similarity|\d+ %", html)


def test_after_three_tries_a_person_looks_at_it(mine: Client, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    registration = begin(ana, show)
    for variant in range(3):
        miss(mine, registration, variant)

    html = page_of(mine, registration)
    again = send(mine, registration, drawings.photo(ME, 1))

    assert "Three tries are used. A person will look at it." in html
    assert 'type="file"' not in html
    assert again["Location"] == f"/registrations/{registration.pk}"
    assert VerificationAttempt.objects.count() == 3
    assert "A person is looking" in mine.get("/registrations").content.decode()


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (drawings.nobody(), "We couldn’t see a face."),
        (drawings.two_people(ME, STRANGER), "We saw more than one face."),
        (drawings.blurred(ME), "It’s blurry."),
    ],
    ids=["nobody", "two", "blurred"],
)
def test_a_picture_that_will_not_do_uses_up_no_try(
    mine: Client, ana: User, show: Event, picture: bytes, words: str
) -> None:
    enrolled(ana, ME)
    registration = begin(ana, show)

    send(mine, registration, picture)
    compare()

    html = page_of(mine, registration)
    assert words in html
    assert "This did not use up a try." in html
    assert "Try 1 of 3" in html


def test_a_file_that_is_no_picture_is_refused_before_anything_is_counted(mine: Client, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    registration = begin(ana, show)

    broken, nothing = send(mine, registration, b"<svg/>"), mine.post(f"/registrations/{registration.pk}/face")

    assert "We couldn’t read that picture. Send a JPEG or PNG. This did not use up a try." in broken.content.decode()
    assert 'href="#id_photo"' in nothing.content.decode()
    assert (broken.status_code, nothing.status_code) == (400, 400)
    assert not VerificationAttempt.objects.exists()


def test_a_photo_that_was_used_before_is_refused_and_uses_up_no_try(mine: Client, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    registration = begin(ana, show)

    send(mine, registration, drawings.photo(ME))
    compare()

    html = page_of(mine, registration)
    assert "That is a photo we have seen before. Take a new one. This did not use up a try." in html
    assert "Try 1 of 3" in html


def test_the_engine_being_away_uses_up_no_try(
    mine: Client, ana: User, show: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled(ana, ME)
    registration = begin(ana, show)

    def away(self: object, template: object, image: object) -> None:
        raise EngineUnavailable

    monkeypatch.setattr(LocalEngine, "compare", away)
    send(mine, registration, drawings.photo(ME, 1))
    compare()

    html = page_of(mine, registration)
    assert "The face check did not answer. This did not use up a try. Please try again." in html
    assert "Try 1 of 3" in html


def test_a_person_instead_of_the_camera(mine: Client, ana: User, show: Event) -> None:
    registration = begin(ana, show)

    html = mine.post(f"/registrations/{registration.pk}/person", follow=True).content.decode()

    registration.refresh_from_db()
    assert registration.identity_method == "manual_id"
    assert "A person will check your ID" in html
    assert "A person is looking at your case." in mine.get(f"/events/{show.pk}").content.decode()
    assert "Use the camera after all" in html
    assert "First, a photo of you" in mine.get(f"/registrations/{registration.pk}/face", follow=True).content.decode()


def test_what_staff_decide_is_on_the_page(mine: Client, ana: User, show: Event, user_factory: type) -> None:
    staff = user_factory(is_staff=True)
    registration = begin(ana, show)
    services.ask_a_person(registration=registration)

    review_failure(actor=staff, registration_id=registration.pk, action="approve", reason="Passport seen")

    html = page_of(mine, registration)
    assert "Your ticket is held" in html
    assert "by a person" in html


def test_staff_saying_no_closes_it_with_a_way_to_object(
    mine: Client, ana: User, show: Event, user_factory: type
) -> None:
    staff = user_factory(is_staff=True)
    registration = begin(ana, show)
    services.ask_a_person(registration=registration)

    review_failure(actor=staff, registration_id=registration.pk, action="reject", reason="Not the same person")

    html = page_of(mine, registration)
    assert "This face check is closed" in html
    assert "a person will look at it again" in html
    assert "See why" in mine.get(f"/events/{show.pk}").content.decode()


def test_a_deleted_profile_photo_is_asked_for_again(mine: Client, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    registration = begin(ana, show)
    faces.forget_reference(user_id=ana.pk, why="deleted_by_owner")

    answer = send(mine, registration, drawings.photo(ME, 1))

    assert answer["Location"] == f"/registrations/{registration.pk}/photo"


@pytest.mark.parametrize("step", ["", "/photo", "/face", "/checking"])
def test_somebody_elses_registration_is_not_there(
    client_for: Callable, user_factory: type, ana: User, show: Event, step: str
) -> None:
    registration = begin(ana, show)
    stranger = client_for(user_factory())

    assert stranger.get(f"/registrations/{registration.pk}{step}").status_code == 404
    assert stranger.post(f"/registrations/{registration.pk}/person").status_code == 404
    assert stranger.get("/registrations").content.decode().count("Ten Years") == 0


def test_staff_do_not_show_their_face_for_somebody(
    client_for: Callable, user_factory: type, ana: User, show: Event
) -> None:
    registration = begin(ana, show)
    enrolled(ana, ME)

    answer = send(client_for(user_factory(is_staff=True)), registration, drawings.photo(ME, 1))

    assert answer.status_code == 404
    assert not VerificationAttempt.objects.exists()


@pytest.mark.parametrize("how_many", [1, 3])
def test_the_list_makes_the_same_statements_for_any_number(
    mine: Client, ana: User, how_many: int, django_assert_num_queries: Callable
) -> None:
    for number in range(how_many):
        event = EventFactory(
            name=f"Event {number}",
            requires_face_verification=True,
            max_tickets_per_booking=1,
            face_necessity="One each.",
        )
        TicketCategoryFactory(event=event)
        begin(ana, event)

    with django_assert_num_queries(9):
        html = mine.get("/registrations").content.decode()

    assert html.count("Not checked yet") == how_many


def test_an_event_without_face_checks_keeps_its_three_steps(mine: Client, ana: User, concert: Event) -> None:
    html = mine.get(f"/events/{concert.pk}").content.decode()

    assert "face check" not in html.partition('<footer class="end">')[0].lower()
    assert mine.post(f"/events/{concert.pk}/register")["Location"] == f"/events/{concert.pk}#tickets"


def test_everything_about_oneself_can_be_downloaded(mine: Client, ana: User, show: Event, user_factory: type) -> None:
    other = user_factory(email="other@example.test")
    begin(other, show)
    enrolled(ana, ME)
    registration = begin(ana, show)
    miss(mine, registration)

    answer = mine.get("/profile/data")

    held = answer.json()
    assert answer["Content-Disposition"] == 'attachment; filename="my-fairseat-data.json"'
    assert answer["Cache-Control"] == "private, no-store"
    assert (held["profile"]["email"], len(held["registrations"])) == ("ana@example.test", 1)
    assert held["registrations"][0]["attempts"][0]["status"] == "mismatch"
    assert len(held["faces"]["consents"]) == 1
    assert b"other@example.test" not in answer.content
    assert 'href="/profile/data"' in mine.get("/profile").content.decode()


def test_the_good_news_is_said_once_however_often_the_page_looks(mine: Client, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    registration = begin(ana, show)
    send(mine, registration, drawings.photo(ME, 1))
    compare()

    mine.get(f"/registrations/{registration.pk}/checking")
    html = mine.get(f"/registrations/{registration.pk}/checking", follow=True).content.decode()

    assert html.count("It’s you. Your face check is done.") == 1
    assert "Your face check is done." not in page_of(mine, registration)


def test_a_check_under_way_is_named_in_the_list(mine: Client, ana: User, show: Event) -> None:
    enrolled(ana, ME)
    send(mine, begin(ana, show), drawings.photo(ME, 1))

    assert ">Comparing<" in mine.get("/registrations").content.decode()
