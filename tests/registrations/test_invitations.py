"""A ticket that somebody else bought: the face check that leads to it, through the API and the real engine."""

import re

import pytest
from django.core import mail

from bookings import services as bookings
from bookings.models import Booking, Ticket
from common import outbox
from common.invariants import breaches
from registrations import services
from registrations.export import export_person
from registrations.models import Registration
from registrations.queries import journey_of
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from tests.registrations.scenes import OTHER, check, enrolled, face_category, registered
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


def verified(person, event):
    """Let staff approve somebody, before the sale so that nothing is bought for them."""
    registration = registered(person, event)
    type(event).objects.filter(pk=event.pk).update(sale_starts_at=event.starts_at)
    services.review_failure(actor=StaffFactory(), registration_id=registration.pk, action="approve", reason="ID seen")
    type(event).objects.filter(pk=event.pk).update(sale_starts_at=None)


def bought(*, quantity=2, **details):
    """Return a verified buyer's booking of an event that checks faces."""
    category, buyer = face_category(max_tickets_per_booking=4, **details), UserFactory(name="Bea Buyer")
    verified(buyer, category.event)
    return bookings.hold_seats(user_id=buyer.pk, category_id=category.pk, quantity=quantity)


def invite(booking, person, number=2):
    """Name somebody for a ticket and return the token of their mail."""
    ticket = booking.tickets.get(number=number)
    bookings.name_holder(ticket_id=ticket.pk, user_id=booking.user_id, email=person.email)
    outbox.deliver_due()
    newest = [sent for sent in mail.outbox if sent.to == [person.email] and "/invitations/" in sent.body][-1]
    return re.search(r"/invitations/(\S+)", newest.body).group(1)


def second(booking):
    return Ticket.objects.get(booking=booking, number=2)


def test_face_that_matches_gets_the_ticket_that_was_given_and_buys_none():
    booking, friend = bought(), enrolled(UserFactory(name="Fay"))
    accepted = services.accept_invitation(token=invite(booking, friend), user_id=friend.pk)
    assert accepted.ticket is None

    check(accepted.registration)

    ticket = second(booking)
    journey = journey_of(Registration.objects.get(user=friend))
    assert (ticket.status, ticket.holder_id, ticket.holder_name) == ("active", friend.pk, "Fay")
    assert (journey.next_step, journey.given) == ("TICKET_ISSUED", ticket)
    assert not Booking.objects.filter(user=friend).exists()
    assert [line for said in breaches().values() for line in said] == []


def test_face_that_does_not_match_leaves_the_ticket_where_it_is_and_joins_no_waitlist():
    booking, friend = bought(), enrolled()
    accepted = services.accept_invitation(token=invite(booking, friend), user_id=friend.pk)

    check(accepted.registration, drawn=OTHER)

    assert second(booking).status == "unassigned"
    assert not WaitlistEntry.objects.exists()
    assert journey_of(accepted.registration).next_step == "RETRY_VERIFICATION"


def test_a_person_instead_gives_the_ticket_by_approving_or_overriding():
    for decide in (
        lambda staff, registration: services.review_failure(
            actor=staff, registration_id=registration.pk, action="approve", reason="ID seen"
        ),
        lambda staff, registration: services.override_ticket(
            actor=staff, registration_id=registration.pk, reason="Known to the venue"
        ),
    ):
        booking, friend = bought(capacity=2), UserFactory()
        accepted = services.accept_invitation(token=invite(booking, friend), user_id=friend.pk)
        services.ask_a_person(registration=accepted.registration)

        decide(StaffFactory(), accepted.registration)

        assert second(booking).holder_id == friend.pk
        assert not Booking.objects.filter(user=friend).exists()


def test_who_is_checked_already_has_the_ticket_at_once():
    booking, friend = bought(), UserFactory()
    verified(friend, booking.event)

    accepted = services.accept_invitation(token=invite(booking, friend), user_id=friend.pk)

    assert accepted.ticket is not None
    assert second(booking).holder_id == friend.pk


def test_recalled_meanwhile_the_check_still_counts_and_nothing_is_bought():
    booking, friend = bought(), enrolled()
    accepted = services.accept_invitation(token=invite(booking, friend), user_id=friend.pk)
    bookings.recall_handover(ticket_id=second(booking).pk, user_id=booking.user_id)

    check(accepted.registration)

    assert second(booking).status == "unassigned"
    assert not Booking.objects.filter(user=friend).exists()
    assert journey_of(Registration.objects.get(user=friend)).next_step == "CHOOSE_TICKETS"


def test_event_without_face_check_gives_the_ticket_at_once():
    category, buyer, friend = TicketCategoryFactory(price_minor=0), UserFactory(), UserFactory()
    booking = bookings.hold_seats(user_id=buyer.pk, category_id=category.pk, quantity=2)

    accepted = services.accept_invitation(token=invite(booking, friend), user_id=friend.pk)

    assert (accepted.ticket.holder_id, accepted.registration) == (friend.pk, None)


def test_whole_way_over_the_api(api):
    booking, friend = bought(), enrolled(UserFactory(name="Fay"))
    buyer = api.as_user(booking.user)
    ticket = second(booking)
    shown = buyer.get(f"/api/v1/bookings/{booking.pk}").body["data"]["tickets"][1]
    assert (shown["status"], shown["code"], shown["ticketId"], shown["holder"]) == ("unassigned", "", "", None)
    assert buyer.get(f"/api/v1/tickets/{ticket.code}").status == 404
    assert buyer.get(f"/api/v1/tickets/{ticket.code}/qr.svg").status == 404

    named = buyer.post(f"/api/v1/tickets/{ticket.pk}/holder", {"email": friend.email})
    assert named.status == 201
    assert named.body["data"]["ticket"]["invitation"]["email"] == friend.email
    assert (
        api.as_user(UserFactory()).post(f"/api/v1/tickets/{ticket.pk}/holder", {"email": "x@example.test"}).status
        == 404
    )
    outbox.deliver_due()
    token = re.search(r"/invitations/(\S+)", mail.outbox[-1].body).group(1)

    seen = api.post("/api/v1/invitations", {"token": token})
    assert (seen.body["data"]["giver"], seen.body["data"]["needsFaceCheck"], seen.body["data"]["status"]) == (
        "Bea Buyer",
        True,
        "open",
    )
    assert api.post("/api/v1/invitations/accept", {"token": token}).status == 401
    stranger = api.as_user(UserFactory()).post("/api/v1/invitations/accept", {"token": token})
    assert (stranger.status, stranger.body["code"]) == (403, "wrong_addressee")
    mine = api.as_user(friend)
    said = mine.post("/api/v1/invitations/accept", {"token": token}).body["data"]
    assert (said["ticket"], said["registration"]["nextStep"]) == (None, "VERIFY_FACE")
    check(Registration.objects.get(user=friend))

    status = mine.get(f"/api/v1/registrations/{Registration.objects.get(user=friend).pk}/status").body["data"]
    code = status["ticket"]["code"]
    assert status["nextStep"] == "TICKET_ISSUED"
    assert [one["code"] for one in mine.get("/api/v1/tickets").body["data"]] == [code]
    assert mine.get(f"/api/v1/tickets/{code}/ticket.pdf").status == 200
    assert b"Booking" not in mine.get(f"/api/v1/tickets/{code}/event.ics").body
    assert mine.get(f"/api/v1/bookings/{booking.pk}").status == 404
    after = buyer.get(f"/api/v1/bookings/{booking.pk}").body["data"]["tickets"][1]
    assert after["holder"] == {"name": "Fay", "isYou": False}
    assert (after["code"], after["invitation"]) == ("", None)
    assert buyer.get(f"/api/v1/tickets/{code}").status == 404
    assert buyer.delete(f"/api/v1/tickets/{ticket.pk}/holder").status == 409
    history = buyer.get(f"/api/v1/tickets/{ticket.pk}/holder").body["data"]["history"]
    assert [(step["fromHolder"], step["toHolder"]) for step in history] == [("", "Fay")]
    assert api.post("/api/v1/invitations", {"token": token}).status == 410


def test_invitation_is_declined_with_the_link_alone(api):
    booking = bought()
    token = invite(booking, UserFactory.build(email="no@example.test"))

    assert api.post("/api/v1/invitations/decline", {"token": token}).status == 200
    assert api.post("/api/v1/invitations/decline", {"token": token}).status == 410
    assert (
        api.as_user(booking.user)
        .get(f"/api/v1/tickets/{second(booking).pk}/holder")
        .body["data"]["ticket"]["invitation"]
        is None
    )


def test_export_has_what_was_given_and_taken():
    booking, friend = bought(quantity=3), UserFactory()
    verified(friend, booking.event)
    services.accept_invitation(token=invite(booking, friend), user_id=friend.pk)
    invite(booking, UserFactory.build(email="third@example.test"), number=3)

    buyers, friends = export_person(user_id=booking.user_id), export_person(user_id=friend.pk)

    assert [bool(ticket["code"]) for ticket in buyers["bookings"][0]["tickets"]] == [True, False, False]
    assert [(one["status"], one["email"]) for one in buyers["holders_named"]] == [
        ("taken", ""),
        ("open", "third@example.test"),
    ]
    assert [ticket["number"] for ticket in friends["tickets_from_others"]] == [2]
    assert [one["status"] for one in friends["invitations"]] == ["taken"]
