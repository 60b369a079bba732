"""Finding an event and the states of its page, without a browser."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from events import artwork
from events.models import Event, SeatInventory
from tests.factories import EventFactory, TicketCategoryFactory
from tests.pages.scenes import buy, category, hold

pytestmark = pytest.mark.django_db


def names(html: str) -> list[str]:
    """Return the names on the cards of a list, in order."""
    return re.findall(r'<h3><a href="/events/[^"]+">([^<]+)</a>', html)


def test_the_front_page_lists_what_can_be_attended_soonest_first(client: Client) -> None:
    now = timezone.now()
    for name, days in (("Late", 60), ("Soon", 5)):
        TicketCategoryFactory(event=EventFactory(name=name, starts_at=now + timedelta(days=days)))
    EventFactory(name="Draft", status="draft")
    EventFactory(name="Over", status="completed", starts_at=now - timedelta(days=5))

    answer = client.get("/")

    assert names(answer.content.decode()) == ["Soon", "Late"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=swim", ["Night Swim"]),
        ("location=vilnius", ["Cheap"]),
        ("max_price=20", ["Cheap"]),
        ("available=on", ["Night Swim"]),
        ("ordering=price", ["Cheap", "Night Swim"]),
        ("ordering=name", ["Cheap", "Night Swim"]),
        ("when=month", ["Night Swim"]),
        ("when=past", ["Over"]),
        ("search=nothing", []),
        ("page=1", ["Night Swim", "Cheap"]),
    ],
)
def test_the_filters_narrow_the_list(client: Client, concert: Event, query: str, found: list[str]) -> None:
    Event.objects.filter(pk=concert.pk).update(starts_at=timezone.now() + timedelta(days=29))
    cheap = EventFactory(name="Cheap", location="Vilnius", starts_at=timezone.now() + timedelta(days=50))
    sold_out = TicketCategoryFactory(event=cheap, price_minor=1500, capacity=1)
    SeatInventory.objects.filter(category=sold_out).update(capacity=0)
    EventFactory(name="Over", status="completed", starts_at=timezone.now() - timedelta(days=5))

    answer = client.get(f"/?{query}")

    assert names(answer.content.decode()) == found


def test_a_filter_that_can_not_be_read_is_named_and_left_out(client: Client, concert: Event) -> None:
    answer = client.get("/?max_price=abc&since=2027-05-01&until=2027-04-01&search=swim")

    html = answer.content.decode()
    assert answer.status_code == 200
    assert "<title>Error: " in html
    assert 'href="#id_max_price"' in html
    assert 'value="abc"' in html
    assert "Choose a day after the first one." in html


def test_pages_of_the_list_are_linked_and_keep_the_search(client: Client) -> None:
    for number in range(13):
        TicketCategoryFactory(event=EventFactory(name=f"Swim {number:02}"))

    first = client.get("/?search=swim").content.decode()
    second = client.get("/?search=swim&page=2").content.decode()

    assert (len(names(first)), len(names(second))) == (12, 1)
    assert 'href="?search=swim&amp;page=2#list"' in first
    assert client.get("/?page=3").status_code == 404


def test_the_old_address_of_the_list_leads_to_the_front_page(client: Client) -> None:
    answer = client.get("/events?search=swim")

    assert (answer.status_code, answer["Location"]) == (301, "/?search=swim")


@pytest.mark.parametrize("how_many", [1, 3])
def test_the_list_makes_the_same_statements_for_any_number_of_events(client: Client, how_many: int) -> None:
    for number in range(how_many):
        event = EventFactory(name=f"Event {number}")
        TicketCategoryFactory(event=event)
        TicketCategoryFactory(event=event)

    with CaptureQueriesContext(
        connection,
    ) as statements:
        client.get("/")

    assert len(statements) == 3  # the page's ids and versions, the events, their categories with the counters


def test_an_unchanged_page_costs_one_statement_and_is_not_sent_again(client: Client, concert: Event) -> None:
    for address in ("/", f"/events/{concert.pk}"):
        first = client.get(address)

        with CaptureQueriesContext(connection) as statements:
            again = client.get(address, headers={"If-None-Match": first["ETag"]})

        assert (first["Cache-Control"], again.status_code, len(statements)) == ("public, no-cache", 304, 1)


def test_a_crowd_shares_one_rendered_page_until_something_changes(client: Client, concert: Event, ana: User) -> None:
    address = f"/events/{concert.pk}"
    first = client.get(address)

    with CaptureQueriesContext(connection) as statements:
        second = Client().get(address)

    assert (len(statements), second.content == first.content) == (1, True)
    hold(ana, concert, name="Balcony", quantity=10)
    third = Client().get(address)

    assert 'data-free="6"' in third.content.decode()


def test_a_sold_ticket_changes_the_pages_etag(client: Client, concert: Event, ana: User) -> None:
    before = client.get(f"/events/{concert.pk}")
    hold(ana, concert)

    after = client.get(f"/events/{concert.pk}", headers={"If-None-Match": before["ETag"]})

    assert after.status_code == 200


def test_people_do_not_share_a_page(client: Client, client_for, concert: Event, ana: User) -> None:
    nobody = client.get(f"/events/{concert.pk}")
    member = client_for(ana).get(f"/events/{concert.pk}")

    assert nobody["ETag"] != member["ETag"]
    assert member["Cache-Control"] == "private, no-cache"
    assert "Cookie" in member["Vary"]
    assert "csrfmiddlewaretoken" not in nobody.content.decode()


def test_the_event_page_says_when_where_and_how_much_in_the_events_zone(client: Client, concert: Event) -> None:
    Event.objects.filter(pk=concert.pk).update(
        starts_at="2027-07-01T18:00:00Z", ends_at="2027-07-01T21:30:00Z", timezone="Europe/Warsaw"
    )

    html = client.get(f"/events/{concert.pk}").content.decode()

    for words in (">Thursday 1 July 2027<", ">20:00<", ">23:30 CEST<", "Harbour Hall, Gdańsk", "From €49.00", "€89.00"):
        assert words in html


@pytest.mark.parametrize(
    ("changes", "title", "words", "has_form"),
    [
        ({}, "Night Swim", "Choose your tickets", True),
        ({"sale_starts_at": timedelta(days=2)}, "Night Swim", "On sale in 2 days", False),
        ({"sale_ends_at": timedelta(days=-1)}, "Night Swim", "The sale is over", False),
        ({"starts_at": timedelta(hours=-5), "ends_at": timedelta(hours=-1)}, "Night Swim", "This event is over", False),
        ({"status": "cancelled"}, "Cancelled: Night Swim", "This event was cancelled", False),
        ({"status": "completed"}, "Night Swim", "This event is over", False),
        (
            {"requires_face_verification": True, "face_necessity": "Resold last year."},
            "Night Swim",
            "Resold last year.",
            False,
        ),
    ],
)
def test_every_state_of_an_event_has_its_words(
    client: Client, concert: Event, changes: dict, title: str, words: str, has_form: bool
) -> None:
    now = timezone.now()
    values = {name: now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    Event.objects.filter(pk=concert.pk).update(**values)

    html = client.get(f"/events/{concert.pk}").content.decode()

    assert f"<title>{title} – Fairseat</title>" in html
    assert words in html
    assert (f'action="/events/{concert.pk}/hold"' in html) is has_form


def test_a_sold_out_event_says_so_on_its_page_and_its_card(client: Client, concert: Event) -> None:
    SeatInventory.objects.filter(category__event=concert).update(waiting=1)

    page, front = client.get(f"/events/{concert.pk}").content.decode(), client.get("/").content.decode()

    assert "<title>Sold out: Night Swim – Fairseat</title>" in page
    assert "Every ticket is taken" in page
    assert ">Sold out<" in front


def test_the_last_seats_are_counted(client: Client, concert: Event) -> None:
    SeatInventory.objects.filter(category=category(concert)).update(capacity=7)
    SeatInventory.objects.filter(category=category(concert, "Balcony")).update(waiting=1)

    assert ">Last 7<" not in client.get(f"/events/{concert.pk}").content.decode()
    SeatInventory.objects.filter(category=category(concert)).update(capacity=4)
    assert ">Last 4<" in client.get("/").content.decode()


def test_somebody_who_has_tickets_is_shown_them_instead_of_the_form(client_for, concert: Event, ana: User) -> None:
    booking = buy(ana, concert)

    html = client_for(ana).get(f"/events/{concert.pk}").content.decode()

    assert "You’re going" in html
    assert f'href="/bookings/{booking.pk}"' in html
    assert f'action="/events/{concert.pk}/hold"' not in html


def test_a_hold_shows_its_bar_on_the_catalogues_pages(client_for, concert: Event, ana: User) -> None:
    booking = hold(ana, concert)

    for address in ("/", f"/events/{concert.pk}"):
        html = client_for(ana).get(address).content.decode()
        assert f'href="/bookings/{booking.pk}/pay">Pay now<' in html


def test_a_draft_is_there_for_its_maker_only(client: Client, client_for, ana: User) -> None:
    draft = EventFactory(status="draft", created_by=ana)

    assert client.get(f"/events/{draft.pk}").status_code == 404
    assert "This is a draft" in client_for(ana).get(f"/events/{draft.pk}").content.decode()


def test_names_are_shown_as_text_never_as_markup(client: Client) -> None:
    event = EventFactory(name="<script>alert(1)</script>", description="<b>bold</b> & more")
    TicketCategoryFactory(event=event, name='"><img src=x>')

    html = client.get(f"/events/{event.pk}").content.decode()

    assert "<script>alert" not in html
    assert "<b>bold" not in html
    assert "<img src=x>" not in html


def test_posters_are_the_same_every_time_and_kept_for_good(client: Client) -> None:
    event_id = UUID("98f56301-8eff-44f7-be72-66ef6c2ef4e2")

    with CaptureQueriesContext(connection) as statements:
        answer = client.get(f"/art/{artwork.VERSION}/{event_id}.svg")

    assert answer["Content-Type"] == "image/svg+xml"
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert len(statements) == 0
    artwork.poster.cache_clear()
    assert answer.content.decode() == artwork.poster(event_id)
    assert client.get(f"/art/{artwork.VERSION + 1}/{event_id}.svg").status_code == 404


def test_posters_are_small_well_formed_and_without_style_or_script() -> None:
    from xml.etree import ElementTree

    drawn = [artwork.poster(uuid4()) for _ in range(200)]

    for svg in drawn:
        elements = {element.tag.split("}")[1] for element in ElementTree.fromstring(svg).iter()}
        assert elements <= {"svg", "rect", "circle", "path"}
        assert " style=" not in svg
        assert len(svg) < 20_000
    assert len(set(drawn)) == 200


def test_pages_are_sent_under_the_strict_policy(client: Client, concert: Event) -> None:
    answer = client.get(f"/events/{concert.pk}")

    policy = answer["Content-Security-Policy"]
    html = answer.content.decode()
    assert "'unsafe-inline'" not in policy
    assert "default-src 'self'" in policy
    assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=|<style", html)
    assert settings.SANDBOX_URL in policy
