"""Holding, giving up, cancelling and showing tickets, without a browser: states, redirects, and other people's things."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from bookings.models import Booking, Ticket
from bookings.services import cancel_booking, confirm_booking, hold_seats, record_refund
from events.models import Event, SeatInventory
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.pages.scenes import buy, category, hold, lapse

pytestmark = pytest.mark.django_db


def choice(event: Event, quantity: int = 2, name: str = "Standing") -> dict[str, object]:
    return {"category": str(category(event, name).pk), "quantity": quantity}


def test_nobody_logs_in_first_and_finds_the_choice_kept(client: Client, concert: Event) -> None:
    wanted = choice(concert, 3)

    answer = client.get(f"/events/{concert.pk}/hold", wanted)

    target = urlsplit(answer["Location"])
    back = parse_qs(target.query)["next"][0]
    assert (answer.status_code, target.path) == (302, "/login")
    assert urlsplit(back).path == f"/events/{concert.pk}"
    assert parse_qs(urlsplit(back).query) == {"category": [wanted["category"]], "quantity": ["3"]}
    assert Booking.objects.count() == 0


def test_opening_the_address_of_the_form_never_holds(client_for, ana: User, concert: Event) -> None:
    answer = client_for(ana).get(f"/events/{concert.pk}/hold", choice(concert, 3))

    assert urlsplit(answer["Location"]).path == f"/events/{concert.pk}"
    assert Booking.objects.count() == 0


def test_the_choice_in_the_address_is_ticked(client_for, ana: User, concert: Event) -> None:
    wanted = choice(concert, 3, "Balcony")

    html = client_for(ana).get(f"/events/{concert.pk}", wanted).content.decode()

    assert f'value="{wanted["category"]}" data-price="8900" data-free="16" required checked' in html
    assert 'name="quantity" value="3" checked' in html


def test_holding_leads_to_the_tickets_that_are_held(client_for, ana: User, concert: Event) -> None:
    client = client_for(ana)

    answer = client.post(f"/events/{concert.pk}/hold", choice(concert, 2, "Balcony"))

    booking = Booking.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/bookings/{booking.pk}/tickets")
    html = client.get(answer["Location"]).content.decode()
    assert "<title>Step 1 of 3, your tickets: Night Swim – Fairseat</title>" in html
    assert "Row A · Seat 4" in html
    assert "€178.00" in html
    assert 'aria-current="step">1 Tickets' in html


def test_free_tickets_are_done_at_once(client_for, ana: User) -> None:
    event = EventFactory()
    TicketCategoryFactory(event=event, name="Standing", price_minor=0)
    client = client_for(ana)

    answer = client.post(f"/events/{event.pk}/hold", choice(event, 1))

    booking = Booking.objects.get()
    assert (booking.status, answer["Location"]) == ("confirmed", f"/bookings/{booking.pk}/done")
    assert "You’re going to" in client.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(
    ("sent", "words"),
    [({}, "Choose a ticket."), ({"category": "x"}, "Choose a ticket."), ({"quantity": "0"}, "Choose how many.")],
)
def test_a_form_without_a_choice_comes_back_with_the_reason(
    client_for, ana: User, concert: Event, sent: dict, words: str
) -> None:
    sent = ({"category": str(category(concert).pk)} | sent) if "quantity" in sent else sent

    answer = client_for(ana).post(f"/events/{concert.pk}/hold", sent)

    html = answer.content.decode()
    assert answer.status_code == 400
    assert f"<title>Error: {words} – Night Swim" in html
    assert 'role="alert"' in html


def test_too_few_left_offers_what_is_left(client_for, ana: User, concert: Event) -> None:
    SeatInventory.objects.filter(category=category(concert)).update(capacity=3)

    answer = client_for(ana).post(f"/events/{concert.pk}/hold", choice(concert, 5))

    html = answer.content.decode()
    assert answer.status_code == 409
    assert "Only 3 of 5 are left." in html
    assert "Take 3 instead" in html
    assert f'name="category" value="{category(concert).pk}"><input type="hidden" name="quantity" value="3"' in html


def test_the_last_ticket_gone_meanwhile_says_so(client_for, ana: User, concert: Event) -> None:
    SeatInventory.objects.filter(category=category(concert)).update(waiting=1)

    answer = client_for(ana).post(f"/events/{concert.pk}/hold", choice(concert))

    assert answer.status_code == 409
    assert "The last Standing tickets just went." in answer.content.decode()


def test_a_sale_that_is_not_open_is_refused_in_words(client_for, ana: User, concert: Event) -> None:
    Event.objects.filter(pk=concert.pk).update(sale_starts_at=timezone.now() + timedelta(hours=1))

    answer = client_for(ana).post(f"/events/{concert.pk}/hold", choice(concert))

    assert answer.status_code == 409
    assert "The sale has not opened yet." in answer.content.decode()


def test_a_second_hold_leads_to_the_first(client_for, ana: User, concert: Event) -> None:
    first = hold(ana, concert)
    client = client_for(ana)

    answer = client.post(f"/events/{concert.pk}/hold", choice(concert), follow=True)

    assert answer.redirect_chain == [(f"/bookings/{first.pk}/tickets", 302)]
    assert "already held for you" in answer.content.decode()


def test_a_buyer_who_comes_again_is_led_to_their_booking(client_for, ana: User, concert: Event) -> None:
    bought = buy(ana, concert)

    answer = client_for(ana).post(f"/events/{concert.pk}/hold", choice(concert), follow=True)

    assert answer.redirect_chain == [(f"/bookings/{bought.pk}", 302)]
    assert "You already have tickets for this event." in answer.content.decode()


def test_a_category_of_no_event_is_not_there(client_for, ana: User, concert: Event) -> None:
    answer = client_for(ana).post(f"/events/{concert.pk}/hold", {"category": str(uuid4()), "quantity": 1})

    assert answer.status_code == 404


def test_more_time_is_given_and_comes_back_to_the_same_page(client_for, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)

    answer = client_for(ana).post(
        f"/bookings/{booking.pk}/extend", {"back": f"/bookings/{booking.pk}/give-up"}, follow=True
    )

    later = Booking.objects.get().expires_at
    assert later - booking.expires_at == timedelta(seconds=120)
    assert answer.redirect_chain == [(f"/bookings/{booking.pk}/give-up", 302)]
    assert "You have 2 minutes more." in answer.content.decode()


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_a_small_form_never_leads_away_from_the_site(client_for, ana: User, concert: Event, back: str) -> None:
    booking = hold(ana, concert)

    answer = client_for(ana).post(f"/bookings/{booking.pk}/extend", {"back": back})

    assert answer["Location"] == f"/bookings/{booking.pk}/tickets"


def test_an_organiser_may_refuse_more_time(client_for, ana: User, concert: Event) -> None:
    Event.objects.filter(pk=concert.pk).update(allow_hold_extension=False)
    booking = hold(ana, concert)
    client = client_for(ana)

    assert "I need more time" not in client.get(f"/bookings/{booking.pk}/tickets").content.decode()
    answer = client.post(f"/bookings/{booking.pk}/extend", follow=True)

    assert "does not allow more time" in answer.content.decode()


def test_changing_tickets_gives_them_back_and_keeps_the_choice(client_for, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    client = client_for(ana)

    assert "go back on sale first" in client.get(f"/bookings/{booking.pk}/give-up").content.decode()
    assert Booking.objects.get().status == "pending"
    answer = client.post(f"/bookings/{booking.pk}/give-up", {"then": "choose"})

    assert Booking.objects.get().status == "cancelled"
    assert urlsplit(answer["Location"]).path == f"/events/{concert.pk}"
    assert parse_qs(urlsplit(answer["Location"]).query)["quantity"] == ["2"]
    assert "Nothing was charged." in client.get(answer["Location"]).content.decode()


def test_a_hold_that_lapsed_says_what_next_wherever_it_is_opened(client_for, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    lapse(booking)
    client = client_for(ana)

    for step in ("tickets", "pay", "give-up", "done", "pay/return"):
        answer = client.get(f"/bookings/{booking.pk}/{step}", follow=True)

        assert urlsplit(answer.redirect_chain[-1][0]).path == f"/bookings/{booking.pk}", step
        html = answer.content.decode()
        assert "Your hold ended at" in html
        assert (
            f'href="/events/{concert.pk}?category={booking.category_id}&amp;quantity=2#tickets">Take them again' in html
        )


def test_a_booking_can_be_cancelled_after_being_asked(client_for, ana: User, concert: Event) -> None:
    booking = buy(ana, concert)
    client = client_for(ana)

    asked = client.get(f"/bookings/{booking.pk}/cancel").content.decode()
    assert Booking.objects.get().status == "confirmed"
    answer = client.post(f"/bookings/{booking.pk}/cancel", follow=True)

    assert "€98.00 goes back" in asked
    assert Booking.objects.get().status == "cancelled"
    assert set(Ticket.objects.values_list("status", flat=True)) == {"void"}
    assert "Your booking is cancelled" in answer.content.decode()


def test_it_is_too_late_to_cancel_a_day_before(client_for, ana: User, concert: Event) -> None:
    booking = buy(ana, concert)
    Event.objects.filter(pk=concert.pk).update(starts_at=timezone.now() + timedelta(hours=23))
    client = client_for(ana)

    assert "Cancel this booking" not in client.get(f"/bookings/{booking.pk}").content.decode()
    answer = client.post(f"/bookings/{booking.pk}/cancel", follow=True)

    assert Booking.objects.get().status == "confirmed"
    assert "You can cancel until 24 hours before the event, that was" in answer.content.decode()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("requested", "€98.00 is on its way back to you."),
        ("succeeded", "€98.00 went back to you."),
        ("failed", "A person is looking at it"),
    ],
)
def test_a_cancelled_booking_says_where_the_money_is(
    client_for, ana: User, concert: Event, status: str, words: str
) -> None:
    booking = buy(ana, concert)
    cancel_booking(booking_id=booking.pk, by="buyer")
    record_refund(booking_id=booking.pk, amount_minor=9800, status=status)

    assert words in client_for(ana).get(f"/bookings/{booking.pk}").content.decode()


def test_a_ticket_shows_its_code_and_leads_to_the_next(client_for, ana: User, concert: Event) -> None:
    booking = buy(ana, concert, name="Balcony")
    first, second = booking.tickets.order_by("number")

    html = client_for(ana).get(f"/tickets/{first.code.lower()}").content.decode()

    assert f"It holds the code {first.code}." in html
    assert f'href="/tickets/{second.code}">Next ticket (2 of 2)' in html
    assert str(first.seat.label) in html
    assert "Ana Silva" in html


def test_a_void_ticket_shows_no_code(client_for, ana: User, concert: Event) -> None:
    booking = buy(ana, concert)
    ticket = booking.tickets.first()
    cancel_booking(booking_id=booking.pk, by="buyer")

    html = client_for(ana).get(f"/tickets/{ticket.code}").content.decode()

    assert "<title>Not valid: Ticket 1 of 2, Night Swim – Fairseat</title>" in html
    assert "QR code" not in html


@pytest.mark.parametrize(
    ("path", "content_type", "begins"),
    [("tickets.pdf", "application/pdf", b"%PDF-"), ("event.ics", "text/calendar; charset=utf-8", b"BEGIN:VCALENDAR")],
)
def test_tickets_can_be_taken_along(
    client_for, ana: User, concert: Event, path: str, content_type: str, begins: bytes
) -> None:
    booking = buy(ana, concert)

    answer = client_for(ana).get(f"/bookings/{booking.pk}/{path}")

    assert answer["Content-Type"] == content_type
    assert answer.content.startswith(begins)
    assert answer["Cache-Control"] == "private, no-store"
    assert booking.reference in answer["Content-Disposition"]


def test_a_hold_has_no_tickets_to_take_along(client_for, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)

    assert client_for(ana).get(f"/bookings/{booking.pk}/tickets.pdf").status_code == 404


def test_tickets_to_come_and_past_ones_are_apart(client_for, ana: User, concert: Event) -> None:
    old = EventFactory(name="Last Summer")
    TicketCategoryFactory(event=old, name="Standing")
    buy(ana, concert)
    buy(ana, old)
    now = timezone.now()
    Event.objects.filter(pk=old.pk).update(starts_at=now - timedelta(days=9), ends_at=now - timedelta(days=8))
    client = client_for(ana)

    upcoming, past = client.get("/tickets").content.decode(), client.get("/tickets?show=past").content.decode()

    assert ("Night Swim" in upcoming, "Last Summer" in upcoming) == (True, False)
    assert ("Night Swim" in past, "Last Summer" in past) == (False, True)


def test_somebody_without_tickets_is_led_to_the_events(client_for, ana: User) -> None:
    client = client_for(ana)

    assert "No tickets yet" in client.get("/tickets").content.decode()
    assert "No bookings yet" in client.get("/bookings").content.decode()


@pytest.mark.parametrize("how_many", [1, 3])
@pytest.mark.parametrize(("address", "statements"), [("/tickets", 6), ("/bookings", 7)])
def test_lists_make_the_same_statements_for_any_number_of_rows(
    client_for, ana: User, how_many: int, address: str, statements: int
) -> None:
    for number in range(how_many):
        event = EventFactory(name=f"Event {number}")
        TicketCategoryFactory(event=event, name="Standing")
        buy(ana, event, quantity=2)
    client = client_for(ana)

    with CaptureQueriesContext(connection) as made:
        answer = client.get(address)

    assert answer.status_code == 200
    assert len(made) == statements


MEMBERS_ONLY = [
    "/tickets",
    "/bookings",
    "/bookings/{booking}",
    "/bookings/{booking}/tickets",
    "/bookings/{booking}/pay",
    "/bookings/{booking}/pay/return",
    "/bookings/{booking}/done",
    "/bookings/{booking}/cancel",
    "/bookings/{booking}/give-up",
    "/bookings/{booking}/tickets.pdf",
    "/bookings/{booking}/event.ics",
    "/tickets/{code}",
    "/tickets/{code}/ticket.pdf",
    "/profile",
    "/profile/password",
    "/profile/delete",
]


@pytest.mark.parametrize("address", MEMBERS_ONLY)
def test_nobody_is_sent_to_log_in_and_back(client: Client, ana: User, concert: Event, address: str) -> None:
    booking = buy(ana, concert)
    path = address.format(booking=booking.pk, code=booking.tickets.first().code)

    answer = client.get(path)

    assert answer.status_code == 302
    assert urlsplit(answer["Location"]).path == "/login"
    assert parse_qs(urlsplit(answer["Location"]).query) == {"next": [path]}


@pytest.mark.parametrize("address", [address for address in MEMBERS_ONLY if "{" in address])
def test_other_peoples_things_are_not_there(client_for, ana: User, concert: Event, address: str) -> None:
    booking = buy(ana, concert)
    path = address.format(booking=booking.pk, code=booking.tickets.first().code)
    stranger = client_for(UserFactory())

    assert stranger.get(path).status_code == 404
    assert client_for(ana).get(path).status_code in {200, 302}


@pytest.mark.parametrize("step", ["extend", "give-up", "cancel", "pay/checkout"])
def test_strangers_change_nothing(client_for, ana: User, concert: Event, step: str) -> None:
    booking = hold(ana, concert)

    assert client_for(UserFactory()).post(f"/bookings/{booking.pk}/{step}").status_code == 404
    booking.refresh_from_db()
    assert (booking.status, booking.extensions) == ("pending", 0)


def test_every_form_is_protected_against_forgery(ana: User, concert: Event) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)

    answer = client.post(f"/events/{concert.pk}/hold", choice(concert))

    assert answer.status_code == 403
    assert "This form was open too long" in answer.content.decode()
    assert Booking.objects.count() == 0


def test_somebody_who_pays_at_the_door_has_the_ticket_at_once(client_for, ana: User) -> None:
    event = EventFactory(payment_collection="at_door")
    general = TicketCategoryFactory(event=event, name="Standing")
    booking = hold_seats(user_id=ana.pk, category_id=general.pk, quantity=1)

    html = client_for(ana).get(f"/bookings/{booking.pk}/done").content.decode()

    assert "To pay at the door" in html


def test_a_booking_of_a_finished_event_stays_readable(client_for, ana: User, concert: Event) -> None:
    booking = confirm_booking(booking_id=hold(ana, concert).pk)
    now = timezone.now()
    Event.objects.filter(pk=concert.pk).update(
        status="completed", starts_at=now - timedelta(days=2), ends_at=now - timedelta(days=1)
    )

    assert client_for(ana).get(f"/bookings/{booking.pk}").status_code == 200
