"""The waitlist's pages without a browser: joining, one's place, an offer and its answers, other people's things."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from bookings.models import Booking
from bookings.services import confirm_booking, hold_seats
from events.models import Event, SeatInventory, TicketCategory
from events.services import cancel_event
from registrations.models import Registration
from registrations.services import create_registration
from tests.factories import OrganiserFactory, TicketCategoryFactory, UserFactory
from tests.pages.scenes import hold
from tests.waitlist.scenes import full_house, offered, overdue, release, sell_out, wait
from waitlist import services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def house() -> tuple[TicketCategory, list[Booking]]:
    """A sold-out event with one category of four seats."""
    return full_house(capacity=4, event__name="Night Swim")


def text(answer) -> str:
    return answer.content.decode()


# -- Joining ----------------------------------------------------------------------------------------------------------


def test_sold_out_event_leads_to_its_waitlist_and_back_after_logging_in(client: Client, house) -> None:
    category, _ = house
    address = f"/events/{category.event_id}/waitlist"

    assert f'href="{address}"' in text(client.get(f"/events/{category.event_id}"))
    answer = client.get(f"{address}?category={category.pk}")

    target = urlsplit(answer["Location"])
    assert (answer.status_code, target.path) == (302, "/login")
    assert parse_qs(target.query)["next"] == [f"{address}?category={category.pk}"]


def test_joining_says_what_happens_next_and_ends_on_ones_place(client_for, ana: User, house) -> None:
    category, _ = house
    client, address = client_for(ana), f"/events/{category.event_id}/waitlist"

    shown = text(client.get(address))
    assert "Nobody is ahead of you" in shown
    assert "24 hours" in shown
    assert "10 minutes to pay" in shown
    answer = client.post(address, {"quantity": "3", "together": "together"})

    entry = WaitlistEntry.objects.get(user=ana)
    assert (answer.status_code, answer["Location"]) == (302, f"/waitlist/{entry.pk}")
    assert (entry.quantity, entry.all_together, entry.category_ids) == (3, True, [])
    html = text(client.get(answer["Location"]))
    assert "You’re on the waitlist. We mail you a confirmation." in html
    assert "<title>Number 1 on the waitlist: Night Swim" in html
    assert "You’re next" in html
    assert "Too early to say when" in html
    assert "3 tickets, all or none" in html
    assert client.get(address)["Location"] == f"/waitlist/{entry.pk}"


def test_of_several_kinds_those_ticked_are_waited_for(client_for, ana: User, house) -> None:
    category, _ = house
    balcony = TicketCategoryFactory(event=category.event, name="Balcony", capacity=1, position=1)
    sell_out(balcony)
    client, address = client_for(ana), f"/events/{category.event_id}/waitlist"

    named = text(client.get(f"{address}?category={balcony.pk}&quantity=4"))
    assert f'value="{balcony.pk}" checked' in named
    assert f'value="{category.pk}" id="id_category" checked' not in named
    assert 'name="quantity" value="4" checked' in named
    none = client.post(address, {"quantity": "1", "together": "any"})
    assert (none.status_code, "Tick at least one kind" in text(none)) == (400, True)
    client.post(address, {"quantity": "1", "together": "any", "category": str(balcony.pk)})

    entry = WaitlistEntry.objects.get(user=ana)
    assert entry.category_ids == [balcony.pk]
    assert "Balcony" in text(client.get(f"/waitlist/{entry.pk}"))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({}, "Choose how many."),
        ({"quantity": "0"}, "Choose how many."),
        ({"quantity": "x"}, "Choose how many."),
        ({"quantity": "11"}, "at most 10"),
        ({"quantity": "1", "category": "x"}, "Choose from the tickets of this event."),
    ],
)
def test_a_wish_that_can_not_be_comes_back_with_the_reason(client_for, ana: User, house, sent, words) -> None:
    category, _ = house

    answer = client_for(ana).post(f"/events/{category.event_id}/waitlist", sent)

    assert answer.status_code == 400
    assert words in text(answer)
    assert 'role="alert"' in text(answer)
    assert not WaitlistEntry.objects.exists()


def test_what_is_on_sale_is_not_waited_for(client_for, ana: User) -> None:
    category = TicketCategoryFactory(capacity=5)
    client = client_for(ana)

    answer = client.post(f"/events/{category.event_id}/waitlist", {"quantity": "1"})

    assert answer["Location"] == f"/events/{category.event_id}#tickets"
    assert "nobody has to wait" in text(client.get(f"/events/{category.event_id}"))


def test_who_may_have_no_more_is_told_so(client_for, ana: User) -> None:
    category = TicketCategoryFactory(capacity=1, event__max_tickets_per_booking=1)
    confirm_booking(booking_id=hold_seats(user_id=ana.pk, category_id=category.pk, quantity=1).pk)

    answer = client_for(ana).post(f"/events/{category.event_id}/waitlist", {"quantity": "1"})

    assert answer.status_code == 409
    assert "more than one person may have" in text(answer)


def test_an_event_that_checks_faces_checks_first(client_for, ana: User) -> None:
    category, _ = full_house(capacity=1)
    faces(category.event)
    client = client_for(ana)

    answer = client.get(f"/events/{category.event_id}/waitlist")

    assert answer["Location"] == f"/events/{category.event_id}#tickets"
    assert "Get checked for the waitlist" in text(client.get(f"/events/{category.event_id}"))
    verified(ana, category.event)
    assert client.post(f"/events/{category.event_id}/waitlist", {"quantity": "1"}).status_code == 302
    assert WaitlistEntry.objects.get(user=ana).eligible


def faces(event: Event) -> None:
    """Let an event check faces from now on."""
    Event.objects.filter(pk=event.pk).update(
        requires_face_verification=True, face_necessity="Resale.", max_tickets_per_booking=1
    )
    event.refresh_from_db()


def verified(person: User, event: Event) -> Registration:
    """Give somebody the pass of an event."""
    registration = create_registration(user_id=person.pk, event_id=event.pk)
    Registration.objects.filter(pk=registration.pk).update(
        status="verified", verified_at=timezone.now(), passed_by="staff", admin_override_reason="Saw the ID"
    )
    return registration


# -- One's place ------------------------------------------------------------------------------------------------------


def test_place_says_how_many_are_before_one(client_for, ana: User, house) -> None:
    category, _ = house
    wait(UserFactory(), category, quantity=2)
    entry = wait(ana, category)

    html = text(client_for(ana).get(f"/waitlist/{entry.pk}"))

    assert '<p class="big" data-live="position">2</p>' in html
    assert "People before you wait for 2 tickets." in html
    assert 'http-equiv="refresh" content="60"' in html
    event = text(client_for(ana).get(f"/events/{category.event_id}"))
    assert "You’re number 2 on the waitlist" in event


def test_place_of_who_was_not_checked_is_kept_and_leads_to_the_check(client_for, ana: User, house) -> None:
    category, _ = house
    faces(category.event)
    registration = create_registration(user_id=ana.pk, event_id=category.event_id)
    entry = services.join(user_id=ana.pk, event_id=category.event_id, eligible=False, reason="face_verification_failed")

    html = text(client_for(ana).get(f"/waitlist/{entry.pk}"))

    assert "Your place is kept" in html
    assert f'href="/registrations/{registration.pk}"' in html


def test_place_from_the_api_of_who_was_never_checked_leads_to_the_check(client_for, ana: User, house) -> None:
    category, _ = house
    faces(category.event)
    entry = wait(ana, category)

    html = text(client_for(ana).get(f"/waitlist/{entry.pk}"))

    assert not entry.eligible
    assert f'action="/events/{category.event_id}/register"' in html


def test_changing_keeps_the_place_unless_more_is_wanted(client_for, ana: User, house) -> None:
    category, _ = house
    entry, since = wait(ana, category, quantity=2), WaitlistEntry.objects.get(user=ana).joined_at
    client, address = client_for(ana), f"/waitlist/{entry.pk}/change"
    assert 'name="quantity" value="2" checked' in text(client.get(address))

    assert client.post(address, {"quantity": "99"}).status_code == 400
    client.post(address, {"quantity": "1", "together": "any"})
    entry.refresh_from_db()
    assert (entry.quantity, entry.joined_at) == (1, since)
    client.post(address, {"quantity": "3", "together": "together"})
    entry.refresh_from_db()
    assert (entry.quantity, entry.all_together) == (3, True)
    assert entry.joined_at > since


def test_leaving_asks_first(client_for, ana: User, house) -> None:
    category, _ = house
    entry = wait(ana, category)
    client = client_for(ana)

    assert "Leave the waitlist?" in text(client.get(f"/waitlist/{entry.pk}/leave"))
    assert WaitlistEntry.objects.get().status == "waiting"
    left = client.post(f"/waitlist/{entry.pk}/leave", follow=True)

    assert WaitlistEntry.objects.get().status == "left"
    assert "You left the waitlist" in text(left)
    assert f'href="/events/{category.event_id}/waitlist"' in text(left)
    assert client.get(f"/waitlist/{entry.pk}/leave")["Location"] == f"/waitlist/{entry.pk}"


def test_list_shows_offers_first_and_costs_the_same(client_for, ana: User) -> None:
    houses = [full_house(capacity=1) for _ in range(3)]
    client = client_for(ana)
    assert "You wait for nothing" in text(client.get("/waitlist"))
    wait(ana, houses[0][0])
    with CaptureQueriesContext(connection) as first:
        client.get("/waitlist")
    wait(ana, houses[1][0])
    mine = offered(ana, houses[2][0], *houses[2][1])
    with CaptureQueriesContext(connection) as then:
        html = text(client.get("/waitlist"))

    assert len(then) <= len(first) + 3  # the bookings of offers, with what they hold
    assert html.index(str(mine.pk)) < html.index("Number 1 in line")
    assert "Yours until" in html


# -- An offer ---------------------------------------------------------------------------------------------------------


def test_the_link_of_a_mail_works_signed_out(client: Client, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0])

    answer = client.get(f"/waitlist/{entry.pk}")

    assert answer["Location"] == f"/login?next=%2Fwaitlist%2F{entry.pk}"


def test_offer_shows_its_time_what_it_costs_and_leads_to_paying(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, *sold[:2], quantity=3)
    client = client_for(ana)

    html = text(client.get(f"/waitlist/{entry.pk}"))
    assert "2 tickets are yours if you want them" in html
    assert "you asked for 3; the other stays on the waitlist" in html
    assert "Accept and pay €98.00" in html
    assert "hours and minutes left" in html
    assert "Wait until 3 are free" in html
    assert "Tickets are offered to you" in text(client.get(f"/events/{category.event_id}"))
    answer = client.post(f"/waitlist/{entry.pk}/accept", {"quantity": "2"})

    booking = Booking.objects.get(source="waitlist")
    assert (booking.status, answer["Location"]) == ("pending", f"/bookings/{booking.pk}/tickets")
    waiting = text(client.get(f"/waitlist/{entry.pk}"))
    assert "2 × Standing are held for you" in waiting
    confirm_booking(booking_id=booking.pk)
    services.follow_bookings()
    assert "You wait for 1 more." in text(client.get(f"/events/{category.event_id}"))


def test_booking_that_is_an_offer_leads_to_where_it_is_answered(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0])

    assert client_for(ana).get(f"/bookings/{entry.booking_id}")["Location"] == "/waitlist"


def test_free_offer_is_a_ticket_at_once(client_for, ana: User) -> None:
    category, sold = full_house(capacity=1, price_minor=0)
    entry = offered(ana, category, *sold)
    client = client_for(ana)

    assert "Accept, it’s free" in text(client.get(f"/waitlist/{entry.pk}"))
    answer = client.post(f"/waitlist/{entry.pk}/accept")

    booking = Booking.objects.get(source="waitlist")
    assert (booking.status, answer["Location"]) == ("confirmed", f"/bookings/{booking.pk}/done")
    assert client.get(f"/waitlist/{entry.pk}")["Location"] == f"/bookings/{booking.pk}/done"


def test_taking_fewer_gives_the_others_to_the_next(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, *sold[:3], quantity=3)
    client = client_for(ana)
    assert "Take fewer" in text(client.get(f"/waitlist/{entry.pk}"))

    client.post(f"/waitlist/{entry.pk}/accept", {"quantity": "1"})

    assert Booking.objects.get(source="waitlist").quantity == 1
    assert SeatInventory.objects.get(category=category).free == 2
    refused = client.post(f"/waitlist/{entry.pk}/accept", {"quantity": "900"})
    assert refused.status_code == 302


def test_more_than_was_offered_can_not_be_taken(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0], quantity=1)

    answer = client_for(ana).post(f"/waitlist/{entry.pk}/accept", {"quantity": "2"})

    assert answer.status_code == 400
    assert "You can take 1 to 1" in text(answer)


def test_waiting_for_all_keeps_the_place_and_passes_the_seats_on(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0], quantity=2)
    since = entry.joined_at

    answer = client_for(ana).post(f"/waitlist/{entry.pk}/wait", follow=True)

    entry.refresh_from_db()
    assert (entry.status, entry.all_together, entry.joined_at, entry.lapses) == ("waiting", True, since, 0)
    assert "You keep your place" in text(answer)
    assert SeatInventory.objects.get(category=category).free == 1
    again = client_for(ana).post(f"/waitlist/{entry.pk}/wait")
    assert again.status_code == 302


def test_passing_on_asks_first_and_the_next_is_asked(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0])
    after = wait(UserFactory(), category)
    client = client_for(ana)

    assert "There is no way back" in text(client.get(f"/waitlist/{entry.pk}/decline"))
    assert Booking.objects.filter(status="offered").count() == 1
    told = client.post(f"/waitlist/{entry.pk}/decline", follow=True)
    services.offer_next(event_id=category.event_id)

    assert "You passed it on" in text(told)
    after.refresh_from_db()
    assert after.status == "offered"
    assert client.get(f"/waitlist/{entry.pk}/decline")["Location"] == f"/waitlist/{entry.pk}"


def test_offer_that_is_over_says_so_and_nothing_can_be_answered(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0])
    overdue(entry)
    client = client_for(ana)

    for deed in ("accept", "decline", "wait"):
        assert client.post(f"/waitlist/{entry.pk}/{deed}")["Location"] == f"/waitlist/{entry.pk}"
    html = text(client.get(f"/waitlist/{entry.pk}"))

    assert "Your offer ended" in html
    assert "Nothing was charged" in html
    services.clean_up()
    assert "You’re on the waitlist" in text(client.get(f"/waitlist/{entry.pk}"))


def test_place_that_lapsed_too_often_has_ended(client_for, ana: User, house, settings) -> None:
    category, sold = house
    settings.WAITLIST_MAX_LAPSES = 0
    entry = offered(ana, category, sold[0])
    overdue(entry)
    services.clean_up()

    html = text(client_for(ana).get(f"/waitlist/{entry.pk}"))

    assert "Your place has ended" in html
    assert "Join the waitlist again" in html


def test_cancelled_event_ends_its_offers(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0])
    client = client_for(ana)
    cancel_event(event_id=category.event_id, reason="Storm.")

    client.post(f"/waitlist/{entry.pk}/accept")
    html = text(client.get(f"/waitlist/{entry.pk}"))

    assert "This event was cancelled" in html
    assert "Storm." in html
    assert not Booking.objects.filter(source="waitlist", status="pending").exists()


def test_offer_of_an_event_that_checks_faces_shows_the_way_to_the_check(client_for, ana: User) -> None:
    category, sold = full_house(capacity=1)
    entry = offered(ana, category, *sold)
    faces(category.event)
    client = client_for(ana)

    html = text(client.get(f"/waitlist/{entry.pk}"))
    assert "Get checked first" in html
    assert f'action="/events/{category.event_id}/register"' in html
    assert "Accept and pay" not in html
    told = client.post(f"/waitlist/{entry.pk}/accept", follow=True)
    assert "Get checked first; the offer stays yours" in text(told)
    registration = verified(ana, category.event)
    assert "Accept and pay" in text(client.get(f"/waitlist/{entry.pk}"))
    page = text(client.get(f"/registrations/{registration.pk}"))
    assert "A ticket is offered to you" in page
    assert f'href="/waitlist/{entry.pk}"' in page


def test_registration_of_who_waits_leads_to_the_place(client_for, ana: User) -> None:
    category, _ = full_house(capacity=1)
    faces(category.event)
    registration = verified(ana, category.event)
    entry = wait(ana, category)
    client = client_for(ana)

    assert f'href="/waitlist/{entry.pk}"' in text(client.get(f"/registrations/{registration.pk}"))
    assert f'href="/waitlist/{entry.pk}"' in text(client.get(f"/events/{category.event_id}"))


# -- Everybody's offers, and other people's things --------------------------------------------------------------------


def test_every_offer_is_listed_without_names(client_for, ana: User, house) -> None:
    category, sold = house
    ben = UserFactory(name="Ben Secret")
    offered(ben, category, sold[0])
    client, address = client_for(ana), f"/events/{category.event_id}/waitlist/offers"
    offered(ana, category, sold[1])

    html = text(client.get(address))

    assert html.count("1 × Standing") == 2
    assert html.count(">You<") == 1
    assert "Ben" not in html
    assert ben.email not in html
    assert "None yet" in text(client.get(f"/events/{TicketCategoryFactory().event_id}/waitlist/offers"))


def test_other_peoples_places_are_not_there(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0])
    stranger = client_for(UserFactory())

    for path in ("", "/decline", "/change", "/leave"):
        assert stranger.get(f"/waitlist/{entry.pk}{path}").status_code == 404
        assert stranger.get(f"/waitlist/{uuid4()}{path}").status_code == 404
    for path in ("/accept", "/decline", "/wait", "/change", "/leave"):
        assert stranger.post(f"/waitlist/{entry.pk}{path}").status_code == 404
        assert Client().post(f"/waitlist/{entry.pk}{path}").status_code == 302
    entry.refresh_from_db()
    assert entry.status == "offered"


def test_deeds_are_posts(client_for, ana: User, house) -> None:
    category, sold = house
    entry = offered(ana, category, sold[0], quantity=2)
    client = client_for(ana)

    for path in ("/accept", "/wait"):
        assert client.get(f"/waitlist/{entry.pk}{path}").status_code == 405


def test_overview_is_for_the_organiser_of_the_event(client_for, ana: User, house) -> None:
    category, _ = house
    organiser = OrganiserFactory()
    Event.objects.filter(pk=category.event_id).update(created_by=organiser)
    wait(ana, category, quantity=2)

    html = text(client_for(organiser).get(f"/events/{category.event_id}/waitlist/overview"))

    assert "Ana" not in html
    assert "people wait" in html
    assert client_for(ana).get(f"/events/{category.event_id}/waitlist/overview").status_code == 404


# -- The order page ---------------------------------------------------------------------------------------------------


def test_too_few_left_offers_to_take_them_and_wait_for_the_rest(client_for, ana: User, concert: Event) -> None:
    category = TicketCategory.objects.get(event=concert, name="Standing")
    SeatInventory.objects.filter(category=category).update(capacity=3)
    client, wanted = client_for(ana), {"category": str(category.pk), "quantity": "5"}

    shown = text(client.post(f"/events/{concert.pk}/hold", wanted))
    assert "Take 3 and wait for 2" in shown
    answer = client.post(f"/events/{concert.pk}/hold", wanted | {"partial": "1"})

    booking, entry = Booking.objects.get(user=ana), WaitlistEntry.objects.get(user=ana)
    assert (booking.quantity, entry.quantity, entry.category_ids) == (3, 2, [category.pk])
    assert answer["Location"] == f"/bookings/{booking.pk}/tickets"
    assert "You’re on the waitlist for the other 2." in text(client.get(answer["Location"]))


def test_who_wants_more_than_are_left_says_so_at_once(client_for, ana: User, concert: Event) -> None:
    category = TicketCategory.objects.get(event=concert, name="Standing")
    assert "Do you want more than" not in text(client_for(ana).get(f"/events/{concert.pk}"))
    TicketCategory.objects.filter(event=concert, name="Balcony").update(closed=True)
    SeatInventory.objects.filter(category=category).update(capacity=3)

    html = text(client_for(ana).get(f"/events/{concert.pk}"))

    assert "Do you want more than 3?" in html
    assert "<option>4</option>" in html
    assert "<option>3</option>" not in html
    assert 'name="partial" value="1"' in html


def test_nothing_left_meanwhile_is_the_waitlist_alone(client_for, ana: User, concert: Event) -> None:
    category = TicketCategory.objects.get(event=concert, name="Standing")
    SeatInventory.objects.filter(category=category).update(capacity=1)
    hold(UserFactory(), concert, quantity=1)

    answer = client_for(ana).post(
        f"/events/{concert.pk}/hold", {"category": str(category.pk), "quantity": "2", "partial": "1"}
    )

    entry = WaitlistEntry.objects.get(user=ana)
    assert answer["Location"] == f"/waitlist/{entry.pk}"
    assert not Booking.objects.filter(user=ana).exists()


def test_one_kind_of_several_sold_out_has_its_own_way_to_the_list(client_for, ana: User, concert: Event) -> None:
    category = TicketCategory.objects.get(event=concert, name="Standing")
    SeatInventory.objects.filter(category=category).update(capacity=1)
    hold(UserFactory(), concert, quantity=1)

    html = text(client_for(ana).get(f"/events/{concert.pk}"))

    assert f'href="/events/{concert.pk}/waitlist?category={category.pk}"' in html


def test_released_seats_are_not_on_sale_while_somebody_waits(client_for, ana: User, house) -> None:
    category, sold = house
    wait(UserFactory(), category)
    release(sold[0])

    answer = client_for(ana).post(f"/events/{category.event_id}/hold", {"category": str(category.pk), "quantity": "1"})

    assert answer.status_code == 409
    assert "join the waitlist" in text(answer)


def test_times_left_are_said_in_the_unit_that_counts() -> None:
    from waitlist.pages import time_left

    now = timezone.now()
    gaps = [timedelta(hours=23, minutes=41), timedelta(minutes=59, seconds=5), timedelta(seconds=-3)]

    assert [time_left(now + gap, now)["clock"] for gap in gaps] == ["23:41", "59:05", "0:00"]
