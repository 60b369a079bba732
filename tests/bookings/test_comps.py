"""Tickets that staff give away: seats and checks as for everybody, no price, a reason."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import StaffAction, User
from bookings import refusals, services
from bookings.models import Booking, Ticket, TicketHandover
from bookings.services.comps import CompExists
from bookings.services.staff import ReasonRequired
from common import outbox
from common.invariants import breaches
from common.models import OutboxMessage
from events.models import SeatInventory
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db


def give(category, email="ana@example.test", **options):
    wish = {"quantity": 1, "reason": "plays in the support act"} | options
    return services.give_comp(category_id=category.pk, email=email, actor_id=StaffFactory().pk, **wish)


def test_gift_to_somebody_known_is_a_booking_that_costs_nothing():
    category, person = TicketCategoryFactory(capacity=5), UserFactory(email="ana@example.test")

    booking = give(category, " Ana@Example.test ", quantity=2)

    assert (booking.user_id, booking.status, booking.source, booking.comp) == (person.pk, "confirmed", "staff", True)
    assert (booking.amount_minor, booking.discount_minor) == (0, 9800)
    assert Ticket.objects.filter(booking=booking, holder=person, status="active").count() == 2
    assert SeatInventory.objects.get(category=category).sold == 2
    row = StaffAction.objects.get(action="give_comp")
    assert (row.reason, row.after["worth_minor"], row.after["new_account"]) == ("plays in the support act", 9800, False)
    assert "ana@" not in str(row.after)
    assert OutboxMessage.objects.filter(dedupe_key=f"tickets_mail:{booking.pk}").exists()


def test_gift_to_somebody_new_opens_an_account_without_a_password():
    booking = give(TicketCategoryFactory(), name="Ana")

    person = User.objects.get(email="ana@example.test")
    assert (booking.user_id, person.name, person.has_usable_password()) == (person.pk, "Ana", False)
    assert OutboxMessage.objects.filter(dedupe_key=f"mail:comp_account:{booking.pk}").exists()


def test_gift_needs_no_open_sale_no_line_and_no_code():
    later = timezone.now() + timedelta(days=2)
    category = TicketCategoryFactory(event__sale_starts_at=later, event__queue_enabled=True, hidden=True)

    assert give(category).status == "confirmed"


def test_gift_takes_seats_that_are_there_and_names_its_reason():
    category = TicketCategoryFactory(capacity=1)

    with pytest.raises(ReasonRequired):
        give(category, reason=" ")
    with pytest.raises(refusals.PartlyAvailable):
        give(category, quantity=2)
    give(category)
    with pytest.raises(refusals.SoldOut):
        give(category, "somebody.else@example.test")
    assert not User.objects.filter(email="somebody.else@example.test").exists()


def test_second_gift_to_the_same_person_is_refused_until_the_first_is_cancelled():
    category = TicketCategoryFactory()
    first = give(category)

    with pytest.raises(CompExists):
        give(category)
    services.cancel_booking_by_staff(booking_id=first.pk, actor_id=StaffFactory().pk, reason="wrong category")
    assert give(category).status == "confirmed"


def test_gift_of_numbered_seats_has_its_seats():
    booking = give(TicketCategoryFactory(rows={"A": 4}), quantity=2)

    assert [ticket.seat.row for ticket in booking.tickets.all()] == ["A", "A"]


def test_gift_where_faces_are_checked_waits_for_its_holder_to_be_verified():
    category = TicketCategoryFactory(event__requires_face_verification=True, event__face_necessity="Few seats.")

    booking = give(category)

    ticket = booking.tickets.get()
    assert (booking.status, ticket.status, ticket.holder_id) == ("confirmed", "unassigned", None)
    assert TicketHandover.objects.get(ticket=ticket).email == "ana@example.test"
    assert Booking.objects.get(pk=booking.pk).amount_minor == 0


def test_gifts_break_no_invariant():
    give(TicketCategoryFactory())
    give(TicketCategoryFactory(event__requires_face_verification=True, event__face_necessity="Few seats."))

    assert not [found for found in breaches().values() if found]


def test_mail_of_a_gift_says_what_it_is(mailoutbox):
    give(TicketCategoryFactory(event__name="Long Night"))

    outbox.deliver_due()

    subjects = sorted(mail.subject for mail in mailoutbox if mail.to == ["ana@example.test"])
    assert len(subjects) == 2
    assert "A ticket for Long Night, as a gift" in subjects


def test_mail_to_somebody_known_says_that_it_is_a_gift_and_comes_once(mailoutbox):
    UserFactory(email="ana@example.test")
    give(TicketCategoryFactory(event__name="Long Night"), quantity=2)

    outbox.deliver_due()
    outbox.deliver_due()

    (message,) = [mail for mail in mailoutbox if mail.to == ["ana@example.test"]]
    assert "the organiser of Long Night gives you 2 tickets. There is nothing to pay." in message.body
    assert "because you booked" not in str(message.alternatives[0])
