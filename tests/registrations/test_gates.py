"""No ticket of an event that checks faces without a pass or a decision of staff, whichever way one tries."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from bookings.models import Booking, Ticket
from bookings.refusals import SeatsGone, TooManyTickets, VerificationRequired
from bookings.services import confirm_booking, hold_seats, settle_paid_booking
from common.invariants import INVARIANTS
from events.models import Event, SeatInventory
from events.refusals import FaceCheckTooLate
from events.services import update_event
from registrations.gates import face_verified
from registrations.services import review_failure
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from tests.registrations.scenes import OTHER, check, enrolled, face_category, registered
from waitlist import services as waitlist

pytestmark = pytest.mark.django_db


def hold(category, person, **wish):
    return hold_seats(user_id=person.pk, category_id=category.pk, quantity=1, **wish)


def switch_on(category):
    Event.objects.filter(pk=category.event_id).update(requires_face_verification=True, face_necessity="Now needed.")


@pytest.mark.parametrize("source", Booking.Source.values)
def test_booking_directly_is_refused_from_every_source(source):
    category, person = face_category(), UserFactory()
    registered(person, category.event)

    with pytest.raises(VerificationRequired):
        hold(category, person, source=source)
    assert not Booking.objects.exists()


def test_verified_person_books_and_only_for_this_event():
    category, other = face_category(sale_starts_at=Now() + timedelta(days=1)), face_category()
    person = enrolled()
    check(registered(person, category.event))
    Event.objects.filter(pk=category.event_id).update(sale_starts_at=None)

    assert hold(category, person).status == "confirmed"
    assert face_verified(person.pk, category.pk) == "face"
    assert face_verified(person.pk, other.pk) is None
    with pytest.raises(VerificationRequired):
        hold(other, person)


def test_event_without_face_check_does_not_pay_for_the_gate(django_assert_num_queries):
    category, person = TicketCategoryFactory(), UserFactory()

    with django_assert_num_queries(1):
        hold(category, person)


def test_failing_and_waiting_gains_nothing():
    category = face_category(capacity=1)
    registration = registered(enrolled(), category.event)
    check(registration, drawn=OTHER)

    assert SeatInventory.objects.get(category=category).waiting == 0
    with pytest.raises(VerificationRequired):
        hold(category, registration.user, source="waitlist")
    waitlist.leave(user_id=registration.user_id, event_id=category.event_id)
    assert not Ticket.objects.exists()


def test_rejected_person_is_not_let_through():
    category = face_category()
    registration = registered(UserFactory(), category.event)
    review_failure(actor=StaffFactory(), registration_id=registration.pk, action="reject", reason="Not them")

    with pytest.raises(VerificationRequired):
        hold(category, registration.user)


def test_hold_from_before_the_face_check_is_no_way_around_it():
    category, person = TicketCategoryFactory(), UserFactory()
    booking = hold(category, person)
    switch_on(category)

    with pytest.raises(VerificationRequired):
        confirm_booking(booking_id=booking.pk)
    with pytest.raises(SeatsGone):
        settle_paid_booking(booking_id=booking.pk)
    assert not Ticket.objects.exists()


def test_paying_an_old_intent_of_a_lapsed_hold_returns_the_money_instead():
    category, person = TicketCategoryFactory(), UserFactory()
    booking = hold(category, person)
    Booking.objects.filter(pk=booking.pk).update(expires_at=Now() - timedelta(seconds=1))
    switch_on(category)

    with pytest.raises(SeatsGone):
        settle_paid_booking(booking_id=booking.pk)

    booking.refresh_from_db()
    assert booking.status != "confirmed"
    assert not Ticket.objects.exists()


def test_face_check_is_announced_before_the_first_ticket_is_taken():
    category = TicketCategoryFactory()
    hold(category, UserFactory())

    with pytest.raises(FaceCheckTooLate):
        update_event(event_id=category.event_id, requires_face_verification=True, face_necessity="Now needed.")

    untouched = TicketCategoryFactory()
    changed = update_event(event_id=untouched.event_id, requires_face_verification=True, face_necessity="Resale.")
    assert changed.requires_face_verification


def test_one_ticket_a_person_unless_the_organiser_allows_more():
    one = face_category(sale_starts_at=Now() + timedelta(days=1))
    more = face_category(sale_starts_at=Now() + timedelta(days=1), max_tickets_per_booking=3)
    person = enrolled()
    for variant, category in enumerate((one, more), start=1):
        check(registered(person, category.event), variant=variant)
        Event.objects.filter(pk=category.event_id).update(sale_starts_at=None)

    with pytest.raises(TooManyTickets):
        hold_seats(user_id=person.pk, category_id=one.pk, quantity=2)
    assert hold_seats(user_id=person.pk, category_id=more.pk, quantity=2).quantity == 2


def test_invariants_name_a_ticket_without_a_pass():
    category = face_category()
    registration = registered(enrolled(), category.event)
    check(registration)
    assert list(INVARIANTS["registrations.gate"]()) == []
    registration.attempts.update(status="mismatch")
    assert len(list(INVARIANTS["registrations.gate"]())) == 1

    type(registration).objects.filter(pk=registration.pk).update(status="pending", passed_by="", verified_at=None)

    assert len(list(INVARIANTS["registrations.gate"]())) == 2  # its booking, and the ticket


def test_invariants_name_miscounted_tries_and_missing_audits():
    registration = registered(enrolled(), face_category().event)
    check(registration, drawn=OTHER)
    type(registration).objects.filter(pk=registration.pk).update(verification_attempts=0)
    assert len(list(INVARIANTS["registrations.attempts"]())) == 1

    registration.decisions.create(staff=StaffFactory(), action="approve", reason="on the side")

    assert len(list(INVARIANTS["registrations.audit"]())) == 1
