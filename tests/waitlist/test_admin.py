"""The console: the list in its order with what staff may do, each deed with a reason and a row of its own in the audit."""

import pytest

from accounts.models import StaffAction, User
from bookings.models import Booking
from bookings.services import cancel_booking, confirm_booking, hold_seats
from events.models import SeatInventory
from tests.factories import OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory
from waitlist import services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db
LIST = "/admin/waitlist/waitlistentry/"


@pytest.fixture
def boss():
    return User.objects.create_superuser("boss@example.test")


@pytest.fixture
def category():
    return TicketCategoryFactory(name="Standing", capacity=10)


@pytest.fixture
def sold(category):
    """Two bookings of five seats: the house is full."""
    return [
        confirm_booking(booking_id=hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=5).pk)
        for _ in range(2)
    ]


def waits(category, name="", **wish):
    person = UserFactory(name=name) if name else UserFactory()
    return services.join(user_id=person.pk, event_id=category.event_id, **wish)


def console(category):
    return f"{LIST}console/{category.event_id}/"


def release(booking):
    """Let seats come back, without anybody offering them yet."""
    cancel_booking(booking_id=booking.pk, by="staff")


def audit():
    return list(StaffAction.objects.order_by("id").values_list("action", "reason"))


def test_list_and_page_show_the_place_and_offer_no_change(client_for, boss, category):
    entry = waits(category)
    browser = client_for(boss)

    listed = browser.get(LIST)
    shown = browser.get(f"{LIST}{entry.pk}/change/")

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert entry.user.email in listed.content.decode()
    assert 'name="_save"' not in shown.content.decode()


def test_console_shows_the_order_the_wishes_and_the_numbers(client_for, boss, category, sold):
    waits(category, "Ana", quantity=3, all_together=True)
    waits(category, "Ben", eligible=False, reason="face_verification_failed")
    browser = client_for(boss)

    html = browser.get(console(category)).content.decode()

    assert html.index("Ana") < html.index("Ben")
    assert "3 together" in html
    assert "not verified" in html
    assert "face check" in html
    assert category.event.name in browser.get(f"{LIST}console/").content.decode()
    assert "Ben" not in browser.get(f"{console(category)}?search=ana").content.decode()
    assert "Nobody is on this list" in browser.get(f"{console(category)}?show=expired").content.decode()
    assert browser.get(f"/admin/events/event/{category.event_id}/waitlist/").headers["Location"] == console(category)


def test_console_costs_the_same_for_one_and_for_three(client_for, boss, category, django_assert_max_num_queries):
    browser = client_for(boss)
    waits(category)
    browser.get(console(category))
    with django_assert_max_num_queries(40) as first:
        browser.get(console(category))
    for _ in range(2):
        waits(category)
    with django_assert_max_num_queries(len(first)):
        browser.get(console(category))


def test_offering_to_the_next_keeps_the_order_and_gives_no_more_than_is_free(client_for, boss, category, sold):
    entries = [waits(category, quantity=2) for _ in range(4)]
    release(sold[0])
    browser = client_for(boss)

    told = browser.post(console(category), {"do": "next", "people": "2"}, follow=True).content.decode()
    assert "4 seats offered to 2 people" in told
    assert [WaitlistEntry.objects.get(pk=entry.pk).status for entry in entries] == [
        "offered",
        "offered",
        "waiting",
        "waiting",
    ]
    browser.post(console(category), {"do": "next", "people": "50"})
    assert SeatInventory.objects.get(category=category).offered == 5
    told = browser.post(console(category), {"do": "next", "people": "5"}, follow=True).content.decode()
    assert "Nothing is free" in told
    assert "1 to 1000" in browser.post(console(category), {"do": "next", "people": "0"}, follow=True).content.decode()
    assert audit() == [("waitlist_process", ""), ("waitlist_process", "")]


def test_offering_past_others_needs_a_reason_and_shows_who_was_passed_over(client_for, boss, category, sold):
    first, second = waits(category, "Ana"), waits(category, "Ben")
    release(sold[0])
    browser, address = client_for(boss), f"{LIST}{second.pk}/offer/"

    browser.post(address, {"_form_submitted": "on", "reason": ""})
    assert not Booking.objects.filter(status="offered").exists()
    browser.post(address, {"_form_submitted": "on", "reason": "Wheelchair place", "quantity": "1"})

    second.refresh_from_db()
    assert second.status == "offered"
    assert audit() == [("waitlist_offer", "Wheelchair place")]
    assert first.skips.get().reason == "staff_choice"
    assert "staff offered to somebody behind" in browser.get(console(category)).content.decode()
    assert "Wheelchair place" in browser.get(f"{LIST}{second.pk}/change/").content.decode()


def test_ending_an_offer_sends_its_person_behind_the_others(client_for, boss, category, sold):
    entry = waits(category)
    release(sold[0])
    services.offer_next(event_id=category.event_id, limit=1)
    browser = client_for(boss)
    shown = browser.get(console(category)).content.decode()
    assert "1 × Standing" in shown

    browser.post(f"{LIST}{entry.pk}/expire/", {"_form_submitted": "on", "reason": "They phoned"})

    entry.refresh_from_db()
    assert (entry.status, entry.lapses) == ("waiting", 1)
    assert audit() == [("waitlist_expire_offer", "They phoned")]


def test_many_at_once_leave_one_row_each_and_tell_what_did_not_work(client_for, boss, category, sold):
    entries = [waits(category) for _ in range(3)]
    browser = client_for(boss)
    chosen = {"do": "many", "chosen": [str(entry.pk) for entry in entries]}

    told = browser.post(console(category), chosen | {"what": "ineligible", "reason": ""}, follow=True).content.decode()
    assert "Write a reason" in told
    browser.post(console(category), chosen | {"what": "ineligible", "reason": "Bots"})
    assert WaitlistEntry.objects.filter(eligible=False).count() == 3
    assert audit() == [("waitlist_eligible", "Bots")] * 3
    release(sold[0])
    told = browser.post(console(category), chosen | {"what": "offer", "reason": "Try"}, follow=True).content.decode()
    assert "not been verified" in told
    browser.post(console(category), chosen | {"what": "eligible", "reason": "People after all"})
    told = browser.post(console(category), chosen | {"what": "expire", "reason": "None there"}, follow=True)
    assert "no open offer" in told.content.decode()
    told = browser.post(console(category), {"do": "many", "what": "offer", "reason": "x"}, follow=True).content.decode()
    assert "Choose at least one person" in told
    assert StaffAction.objects.count() == 6


def test_an_entry_of_another_event_is_not_reached_through_a_console(client_for, boss, category):
    other = waits(TicketCategoryFactory())
    answer = client_for(boss).post(
        console(category),
        {"do": "many", "what": "ineligible", "reason": "x", "chosen": [str(other.pk), "nonsense"]},
        follow=True,
    )

    other.refresh_from_db()
    assert other.eligible
    assert "Choose from the list" in answer.content.decode()


def test_cleaning_up_ends_what_is_over(client_for, boss, category, sold):
    entry = waits(category)
    release(sold[0])
    services.offer_next(event_id=category.event_id, limit=1)
    Booking.objects.filter(status="offered").update(expires_at="2020-01-01T00:00:00Z")
    WaitlistEntry.objects.update(offer_expires_at="2020-01-01T00:00:00Z")

    told = client_for(boss).post(console(category), {"do": "clean_up"}, follow=True).content.decode()

    entry.refresh_from_db()
    assert "1 offer that was over" in told
    assert entry.status == "waiting"
    assert audit() == [("waitlist_clean_up", "")]


def test_console_is_for_staff_and_nobody_else(client_for, category):
    waits(category)
    for person in (UserFactory(), OrganiserFactory()):
        browser = client_for(person)
        for address in (LIST, f"{LIST}console/", console(category)):
            assert browser.get(address).status_code == 404
        assert browser.post(console(category), {"do": "next", "people": "1"}).status_code == 404
    assert client_for(StaffFactory()).get(console(category)).status_code == 200
    nowhere = f"{LIST}console/{category.pk}/"
    assert client_for(StaffFactory()).get(nowhere).status_code == 404
    assert not StaffAction.objects.exists()


def test_organiser_sees_the_list_of_their_own_event_without_names(client_for, category):
    organiser, rival = OrganiserFactory(), OrganiserFactory()
    category.event.created_by = organiser
    category.event.save()
    entry = waits(category, "Ana Secret")
    address = f"/events/{category.event_id}/waitlist/overview"

    html = client_for(organiser).get(address).content.decode()

    assert address in client_for(organiser).get(f"/events/{category.event_id}").content.decode()
    assert address not in client_for(rival).get(f"/events/{category.event_id}").content.decode()
    assert "people wait" in html
    assert "Ana Secret" not in html
    assert entry.user.email not in html
    assert client_for(rival).get(address).status_code == 404
    assert client_for(entry.user).get(address).status_code == 404
    assert client_for(StaffFactory()).get(address).status_code == 200
