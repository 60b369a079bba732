"""The code of a sale and its opening times on the event's page: words for each code, a way on, and what is kept on the way."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from bookings.models import Booking, SaleCodeCounter
from bookings.services import Terms, create_code, hold_seats
from bookings.waitingroom import services as line
from events.models import Event
from tests.factories import PASSWORD, EventFactory, OrganiserFactory, TicketCategoryFactory, UserFactory
from tests.pages.scenes import buy

pytestmark = pytest.mark.django_db
LATER = timedelta(days=3)


@pytest.fixture
def event() -> Event:
    return TicketCategoryFactory(name="Standing", event=EventFactory(name="Night Swim", timezone="Europe/Warsaw")).event


@pytest.fixture
def member(client_for: Any, ana: User) -> Client:
    return client_for(ana)


def make(event: Event, code: str = "SUMMER", **terms: Any) -> Any:
    return create_code(
        event_id=event.pk, actor_id=OrganiserFactory().pk, terms=Terms(**terms or {"percent": 20}), code=code
    )


def look(client: Client, event: Event, query: str = "") -> str:
    """Return an event's page as text, without its tags."""
    return text_of(client.get(f"/events/{event.pk}{query}"))


def text_of(answer: Any) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def take(client: Client, event: Event, code: str = "", **form: Any) -> Any:
    """Press the button that holds tickets, with the prices of the page as it is now."""
    page = client.get(f"/events/{event.pk}").content.decode()
    category = str(event.categories.order_by("position", "created_at")[0].pk)
    shown = dict(re.findall(r'name="(price-[^"]+|priced-with)" value="([^"]*)"', page))
    return client.post(
        f"/events/{event.pk}/hold", {"category": category, "quantity": "2", "code": code, **shown, **form}
    )


def test_link_with_a_code_shows_what_it_does_and_the_new_price(client: Client, event: Event) -> None:
    make(event, percent=20, per_person=4)

    page = look(client, event, "?code=summer")

    assert "20 % off, for at most 4 tickets." in page
    assert "instead of €49.00" in page
    assert "€39.20" in page
    assert "Take the code away" in page


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (None, "This event has no such code. Check how it is written, and that it is for this event."),
        ({"percent": 10, "active": False}, "This code can not be used any more."),
        (
            {"percent": 10, "valid_until": timezone.now() - LATER},
            "This code can not be used any more. It was good until",
        ),
        ({"percent": 10, "valid_from": timezone.now() + LATER}, "This code can not be used yet. It works from"),
        ({"percent": 10, "max_uses": 1}, "This code is used up. If somebody lets go of their tickets, it works again."),
    ],
    ids=["unknown", "switched-off", "over", "not-yet", "used-up"],
)
def test_code_that_does_not_work_says_why_and_leads_on(client: Client, event: Event, terms: Any, words: str) -> None:
    make(TicketCategoryFactory().event)  # SUMMER is another event's
    if terms:
        code = make(event, **terms)
        if code.counter.max_uses:
            hold_seats(user_id=UserFactory().pk, category_id=event.categories.get().pk, quantity=1, code="SUMMER")

    answer = client.get(f"/events/{event.pk}?code=SUMMER")
    page = answer.content.decode()

    assert words in text_of(answer)
    assert f'href="/events/{event.pk}?code=#tickets">Go on without a code' in page
    assert "<title>Error: " in page
    assert 'aria-invalid="true" aria-describedby="code_error"' in page
    assert "€49.00" in page
    assert "Go on without" not in look(client, event, "?code=")


@pytest.mark.parametrize(
    ("price", "currency", "terms", "each", "two"),
    [
        (4900, "EUR", {"percent": 33}, "€32.83", "€65.66"),
        (4900, "JPY", {"percent": 33}, "¥3,283", "¥6,566"),
        (333, "JPY", {"percent": 50}, "¥166", "¥332"),
        (5000, "KWD", {"percent": 33}, "KWD 3.350", "KWD 6.700"),
        (4990, "KWD", {"percent": 33}, "KWD 3.340", "KWD 6.680"),
        (5000, "KWD", {"off_minor": 750}, "KWD 4.250", "KWD 8.500"),
    ],
)
def test_total_is_right_before_paying_in_currencies_of_any_unit(
    member: Client, price: int, currency: str, terms: dict, each: str, two: str
) -> None:
    event = TicketCategoryFactory(price_minor=price, event__currency=currency).event
    make(event, **terms)

    shown = look(member, event, "?code=SUMMER")
    held = take(member, event, code="SUMMER")
    before_paying = text_of(member.get(held.headers["Location"]))

    assert each in shown.replace("\xa0", " ")
    assert f"Total {two}" in before_paying.replace("\xa0", " ")
    assert f"Go to payment · {two}" in before_paying.replace("\xa0", " ")
    assert "Code SUMMER" in before_paying


def test_code_for_everything_is_a_ticket_at_once(member: Client, event: Event) -> None:
    make(event, percent=100)

    answer = take(member, event, code="SUMMER")
    done = text_of(member.get(answer.headers["Location"]))

    booking = Booking.objects.get()
    assert answer.headers["Location"] == f"/bookings/{booking.pk}/done"
    assert (booking.status, booking.amount_minor) == ("confirmed", 0)
    assert "You’re going to Night Swim" in done


def test_code_that_was_typed_and_not_looked_at_counts(member: Client, event: Event) -> None:
    make(event)

    answer = take(member, event, code="sum-mer")

    assert answer.status_code == 302
    assert Booking.objects.get().amount_minor == 7840


def test_code_that_was_taken_out_again_is_not_charged_unseen(member: Client, event: Event) -> None:
    make(event)
    look(member, event, "?code=SUMMER")

    answer = take(member, event, code="")

    assert answer.status_code == 409
    assert "The price has changed since you looked." in text_of(answer)
    assert not Booking.objects.exists()


def test_nobody_pays_more_with_a_code_than_the_page_said_without(member: Client, event: Event) -> None:
    make(event, off_minor=100)
    page = member.get(f"/events/{event.pk}").content.decode()
    shown = dict(re.findall(r'name="(price-[^"]+)" value="([^"]*)"', page))
    category = event.categories.get()
    type(category).objects.filter(pk=category.pk).update(price_minor=9900)

    answer = member.post(
        f"/events/{event.pk}/hold", {"category": str(category.pk), "quantity": "1", "code": "SUMMER", **shown}
    )

    assert answer.status_code == 409
    assert not Booking.objects.exists()


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"percent": 10, "per_person": 1}, "One person may have at most 1 tickets with this code."),
        ({"percent": 10, "max_uses": 1}, "This code is good for 1 more."),
    ],
)
def test_code_for_fewer_offers_to_take_fewer(member: Client, event: Event, terms: dict, words: str) -> None:
    make(event, **terms)

    refused = take(member, event, code="SUMMER")
    form = dict(
        re.findall(r'<input type="hidden" name="(category|quantity|code)" value="([^"]+)"', refused.content.decode())
    )
    taken = member.post(f"/events/{event.pk}/hold", form)

    assert refused.status_code == 409
    assert words in text_of(refused)
    assert "Take 1 instead" in text_of(refused)
    assert taken.status_code == 302
    booking = Booking.objects.get()
    assert (booking.quantity, booking.amount_minor) == (1, 4410)


def test_code_for_other_tickets_says_so(member: Client, event: Event) -> None:
    balcony = TicketCategoryFactory(event=event, name="Balcony", position=5)
    make(event, percent=10, category_ids=(balcony.pk,))

    answer = take(member, event, code="SUMMER")

    assert answer.status_code == 409
    assert "This code is for other tickets of this event." in text_of(answer)
    assert 'href="#code"' in answer.content.decode()


def test_wrong_code_is_told_at_its_field_and_the_choice_stays(member: Client, event: Event) -> None:
    answer = take(member, event, code="NONSENSE")
    page = answer.content.decode()

    assert answer.status_code == 400
    assert 'href="#code"' in page
    assert 'value="NONSENSE"' in page
    assert 'name="quantity" value="2" checked' in page


def test_look_keeps_the_choice_for_who_is_not_logged_in(client: Client, event: Event) -> None:
    make(event)
    category = event.categories.get()

    answer = client.get(
        f"/events/{event.pk}/hold", {"category": category.pk, "quantity": 3, "code": "SUMMER", "look": "1"}
    )

    assert answer.headers["Location"] == f"/events/{event.pk}?category={category.pk}&quantity=3&code=SUMMER#tickets"


def test_code_is_kept_through_the_log_in_and_taken_away_when_asked(client: Client, ana: User, event: Event) -> None:
    make(event)
    look(client, event, "?code=SUMMER")

    client.post("/login", {"email": ana.email, "password": PASSWORD})
    kept = look(client, event)
    look(client, event, "?code=")

    assert "20 % off." in kept
    assert "20 % off." not in look(client, event)
    assert "20 % off." not in look(client, EventFactory())


def test_kept_code_that_the_organiser_deleted_is_forgotten(client: Client, event: Event) -> None:
    code = make(event)
    look(client, event, "?code=SUMMER")
    SaleCodeCounter.objects.all().delete()
    code.delete()

    assert "Go on without a code" not in look(client, event)
    assert client.session["sale_codes"] == {}


def test_wrong_codes_are_kept_by_nobody(client: Client, event: Event) -> None:
    look(client, event, "?code=NONSENSE")

    assert "Go on without a code" not in look(client, event)
    assert not client.cookies


def test_browser_keeps_the_codes_of_the_last_events_only(client: Client) -> None:
    session = client.session
    session["sale_codes"] = {str(number): "OLD" for number in range(20)}
    session.save()
    client.cookies["sessionid"] = session.session_key
    event = TicketCategoryFactory().event
    make(event)

    look(client, event, "?code=SUMMER")

    kept = client.session["sale_codes"]
    assert (len(kept), "0" in kept, kept[str(event.pk)]) == (20, False, "SUMMER")


def test_pages_with_a_code_are_nobody_elses(event: Event) -> None:
    make(event, "AAAA")
    make(event, "BBBB")
    pages = []
    for code in ("AAAA", "BBBB"):
        client = Client()
        look(client, event, f"?code={code}")
        pages.append(client.get(f"/events/{event.pk}"))

    assert [code in page.content.decode() for page, code in zip(pages, ("AAAA", "BBBB"), strict=True)] == [True, True]
    assert pages[0].headers["ETag"] != pages[1].headers["ETag"]
    assert pages[0].headers["Cache-Control"] == "private, no-cache"


def test_guessing_is_stopped_per_person_and_for_a_whole_address(
    settings: Any, client_for: Any, client: Client, event: Event
) -> None:
    settings.CODE_TRIES, settings.CODE_TRIES_PER_ADDRESS = 2, 3
    make(event)
    first, second = client_for(UserFactory()), client_for(UserFactory())

    for word in ("AAAA", "BBBB"):
        assert "no such code" in look(first, event, f"?code={word}")
    assert "You tried many codes that do not exist." in look(first, event, "?code=SUMMER")
    assert take(first, event, code="SUMMER").status_code == 429
    assert "no such code" in look(second, event, "?code=CCCC")

    answer = take(second, event, code="SUMMER")

    assert answer.status_code == 429
    assert "buy without one" in text_of(answer)
    assert take(second, event).status_code == 302
    assert "You tried many codes" in look(client, event, "?code=SUMMER")


def test_event_only_for_codes_says_that_it_needs_one(client: Client, member: Client) -> None:
    event = TicketCategoryFactory(hidden=True, name="Friends").event
    make(event, "FRIENDS", presale=True)
    make(event, "CHEAPER", percent=10)

    page = look(client, event)

    assert "These tickets need a code" in page
    assert "Every ticket is taken" not in page
    assert "Friends" not in page
    assert "With a code" in look(client, event)
    assert "Friends" in look(client, event, "?code=friends")
    assert "Your code opens no tickets here." in look(client, event, "?code=cheaper")
    assert "With a code" in text_of(client.get("/"))


def test_sold_out_event_still_has_the_field_for_a_code(client: Client, ana: User) -> None:
    event = TicketCategoryFactory(capacity=2, name="Standing").event
    TicketCategoryFactory(event=event, hidden=True, name="Friends")
    make(event, "FRIENDS", presale=True)
    buy(ana, event)

    assert "Have a code?" in look(client, event)
    assert "Friends" in look(client, event, "?code=FRIENDS")


def test_category_says_when_it_opens_and_the_others_can_be_had(client: Client, event: Event) -> None:
    opens = (timezone.now() + LATER).replace(hour=9, minute=0, second=0, microsecond=0)
    TicketCategoryFactory(event=event, name="Balcony", sale_starts_at=opens, position=5)

    answer = client.get(f"/events/{event.pk}")

    local = opens.astimezone(ZoneInfo("Europe/Warsaw"))
    assert f"Opens {local:%a} {local.day} {local:%b %Y, %H:%M}" in text_of(answer)
    assert f'data-opens-at="{opens:%Y-%m-%dT%H:%M:%S}' in answer.content.decode()
    assert "Choose your tickets" in text_of(answer)


def test_when_all_open_tickets_are_taken_the_next_opening_is_told(client: Client, ana: User) -> None:
    event = TicketCategoryFactory(name="Standing", capacity=2).event
    TicketCategoryFactory(event=event, name="Balcony", sale_starts_at=timezone.now() + timedelta(days=3, hours=1))
    buy(ana, event)

    page = look(client, event)

    assert "More tickets in 3 days" in page
    assert "Every ticket is taken" not in page
    assert "Not yet" in page
    assert "Join the waitlist" in page


def test_category_that_closed_while_the_page_was_open_is_refused_with_words(member: Client, event: Event) -> None:
    other = TicketCategoryFactory(event=event, name="Balcony", position=5)
    shown = {"category": str(other.pk), "quantity": "1", "code": ""}
    type(other).objects.filter(pk=other.pk).update(sale_ends_at=timezone.now() - LATER)

    answer = member.post(f"/events/{event.pk}/hold", shown)

    assert answer.status_code == 409
    assert "The sale is over." in text_of(answer)


def test_presale_code_opens_the_form_before_the_sale_and_stands_in_no_line(member: Client) -> None:
    event = EventFactory(sale_starts_at=timezone.now() + LATER, queue_enabled=True)
    TicketCategoryFactory(event=event)
    make(event, "MEMBERS", presale=True)

    assert "To the lobby" in look(member, event)
    assert "Hold these tickets" in look(member, event, "?code=MEMBERS")
    assert take(member, event, code="MEMBERS").status_code == 302
    assert Booking.objects.get().amount_minor == 9800


@pytest.mark.django_db(transaction=True)
def test_code_is_kept_through_the_line_and_its_price_is_there_at_ones_turn(client_for: Any, ana: User) -> None:
    event = TicketCategoryFactory(name="Standing", event__queue_enabled=True, event__max_active_users=1).event
    line.ensure_room(event.pk)
    make(event)
    client = client_for(ana)
    look(client, event, "?code=SUMMER")

    client.post(f"/events/{event.pk}/line/join")
    turn = client.get(f"/events/{event.pk}/line").content.decode()
    shown = dict(re.findall(r'name="(price-[^"]+|priced-with)" value="([^"]*)"', turn))
    form = {"category": str(event.categories.get().pk), "quantity": "2", "code": "SUMMER", **shown}
    client.post(f"/events/{event.pk}/hold", form)

    assert "€39.20" in turn
    assert Booking.objects.get().amount_minor == 7840
