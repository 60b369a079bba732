from datetime import timedelta

import pytest
from django.db.models.functions import Now

from analytics.timeline import booking_timeline, person_timeline
from bookings.models import Booking
from bookings.services import cancel_booking_by_staff, hold_seats
from gate import services as gate
from payments.models import Attention, Payment
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from waitlist import services as waitlist

pytestmark = pytest.mark.django_db


@pytest.fixture
def story():
    """A sale at the door that staff cancelled."""
    category = TicketCategoryFactory(event__payment_collection="at_door", event__name="Night Swim", capacity=5)
    booking = hold_seats(user_id=UserFactory(name="Ana").pk, category_id=category.pk, quantity=2)
    cancel_booking_by_staff(booking_id=booking.pk, actor_id=StaffFactory(name="Sam").pk, reason="Asked by phone")
    return Booking.objects.get(pk=booking.pk)


def test_booking_in_order_with_who_and_why(story):
    moments = booking_timeline(booking=story)

    told = [moment.what for moment in moments]
    assert told[0] == "Held"
    assert told.index("Sold") < told.index("Cancelled")
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
    (by_staff,) = [moment for moment in moments if moment.who == "Sam"]
    assert (by_staff.what, by_staff.more) == ("Cancel booking", "Asked by phone")


def test_person_with_everything_around_them(story):
    other = TicketCategoryFactory(event__name="Sold out", capacity=1)
    hold_seats(user_id=UserFactory().pk, category_id=other.pk, quantity=1)
    waitlist.join(user_id=story.user_id, event_id=other.event_id)

    moments = person_timeline(user_id=story.user_id)

    told = [(moment.what, moment.more) for moment in moments]
    assert ("Held", "2 seats, €98.00, Night Swim") in told
    assert ("Joined the waitlist", "1 × Sold out") in told
    assert [(moment.what, moment.more) for moment in moments if moment.who == "Sam"] == [
        ("Cancel booking", "Asked by phone")
    ]


def test_gate_tells_who_was_let_in_and_undone():
    category = TicketCategoryFactory(event__payment_collection="at_door", event__starts_at=Now() + timedelta(minutes=5))
    booking = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)
    keeper = StaffFactory(name="Gil", role="gate")
    boss = StaffFactory(name="Mara")
    ticket = booking.tickets.get()
    for door in ("North", "South"):
        gate.scan_ticket(event_id=category.event_id, staff_id=keeper.pk, gate=door, code=ticket.code)
    entry = ticket.scans.get(result="accepted")
    gate.undo_scan(event_id=category.event_id, scan_id=entry.pk, staff_id=boss.pk, reason="Went home")

    for moments in (booking_timeline(booking=booking), person_timeline(user_id=booking.user_id)):
        told = {(moment.what, moment.who) for moment in moments}
        assert {("Let in with ticket 1", "Gil"), ("Turned away with ticket 1", "Gil")} <= told
        assert ("Entry with ticket 1 undone", "Mara") in told
        assert ticket.code not in str(moments)


def test_what_came_of_money_that_staff_looked_at(story):
    payment = Payment.objects.create(booking=story, amount_minor=9800, currency="EUR", attempt=1)
    Attention.objects.create(
        kind="disputed", intent_id="pi_1", payment=payment, resolved_at=Now(), resolution="The buyer took it back."
    )

    told = [(moment.what, moment.more) for moment in booking_timeline(booking=story)]

    assert ("Money to look at", "disputed by the card holder") in told
    assert ("Money looked at", "The buyer took it back.") in told


def test_codes_are_in_no_timeline(story):
    code = story.tickets.first().code

    assert code not in str(booking_timeline(booking=story)) + str(person_timeline(user_id=story.user_id))


def test_number_of_statements_does_not_grow(story, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        booking_timeline(booking=story)
    with django_assert_max_num_queries(16):
        person_timeline(user_id=story.user_id)


def test_pages_are_for_staff_and_link_to_each_other(client_for, story):
    staff = client_for(StaffFactory(is_superuser=True))
    address = f"/admin/history/booking/{story.pk}/"

    assert address in staff.get(f"/admin/bookings/booking/{story.pk}/change/").content.decode()
    page = staff.get(address).content.decode()
    assert "Asked by phone" in page
    person = f"/admin/history/person/{story.user_id}/"
    assert person in page
    assert "2 seats, €98.00, Night Swim" in staff.get(person).content.decode()
    for path in (address, person):
        assert client_for(UserFactory()).get(path).status_code == 404
    assert staff.get("/admin/history/booking/7b0cba5d-1f0e-4d2f-9a64-5d7f0f3d9f11/").status_code == 404
