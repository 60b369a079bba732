"""Tickets with holders on the pages: named without a script, seen by the invited person, clean for every reader."""

import re
from collections.abc import Callable

import pytest
from django.core import mail
from django.test import Client
from playwright.sync_api import Page

from accounts.models import User
from accounts.services.rules import fingerprint
from bookings import services as bookings
from bookings.models import Ticket
from common import outbox
from tests.factories import PASSWORD, UserFactory
from tests.pages.test_accessibility import check as clean
from tests.registrations.scenes import check, enrolled
from tests.registrations.test_invitations import bought, second, verified

pytestmark = pytest.mark.django_db


def text(response) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def invited(client: Client, booking, email: str) -> str:
    """Name a holder with the form of the booking's page and return the address in the mail."""
    client.post(f"/tickets/{second(booking).pk}/holder", {"email": email})
    outbox.deliver_due()
    return re.search(r"http://[^/]+(/invitations/\S+)", mail.outbox[-1].body).group(1)


def test_booking_page_asks_for_the_holder_and_takes_the_answer(client_for):
    booking = bought()
    buyer = client_for(booking.user)
    ticket = second(booking)

    page = buyer.get(f"/bookings/{booking.pk}")
    assert "No holder yet" in text(page)
    assert ticket.code not in page.content.decode()
    assert buyer.get(f"/tickets/{ticket.code}").status_code == 404
    assert ticket.code not in buyer.get("/tickets").content.decode()
    wrong = buyer.post(f"/tickets/{ticket.pk}/holder", {"email": "nope"})
    assert (wrong.status_code, "Enter an email address" in text(wrong)) == (400, True)

    invited(buyer, booking, "friend@example.test")

    assert "friend@example.test has a mail with a link" in text(buyer.get(f"/bookings/{booking.pk}"))
    buyer.post(f"/tickets/{ticket.pk}/holder/recall", {"back": f"/bookings/{booking.pk}"})
    assert "friend@example.test" not in text(buyer.get(f"/tickets/{ticket.pk}/holder"))
    assert client_for(UserFactory()).get(f"/tickets/{ticket.pk}/holder").status_code == 404


def test_invited_person_comes_from_the_mail_to_the_ticket(client_for, client):
    booking, friend = bought(), enrolled(UserFactory(name="Fay Friend"))
    link = invited(client_for(booking.user), booking, friend.email)

    assert "Bea Buyer has a ticket for you" in text(client.get(link))
    assert "/login?next=" in client.post(link).url
    assert "mailed to another address" in text(client_for(UserFactory()).get(link))
    me = client_for(friend)
    journey = me.post(link).url
    assert me.get(link).url == journey
    check(friend.registrations.get())
    ticket = second(booking)

    assert me.get(f"{journey}/checking").url == f"/tickets/{ticket.code}"
    assert "Fay Friend" in text(me.get(f"/tickets/{ticket.code}"))
    assert me.get(f"/tickets/{ticket.code}/ticket.pdf").status_code == 200
    assert me.get(f"/tickets/{ticket.code}/event.ics").status_code == 200
    assert "You hold a ticket for this event" in text(me.get(f"/events/{booking.event_id}"))
    assert me.get(f"/bookings/{booking.pk}").status_code == 404
    seen = text(client_for(booking.user).get(f"/bookings/{booking.pk}"))
    assert "Fay Friend’s" in seen
    assert friend.email not in seen
    assert "those that Fay Friend holds included" in text(
        client_for(booking.user).get(f"/bookings/{booking.pk}/cancel")
    )
    assert client.get(link).status_code == 410


def test_who_says_no_needs_no_account(client_for, client):
    booking = bought()
    link = invited(client_for(booking.user), booking, "no@example.test")

    assert "Thank you for telling us" in text(client.post(f"{link}/decline"))
    assert client.post(f"{link}/decline").status_code == 410


def test_staff_see_holders_and_history(client_for):
    booking, friend = bought(), UserFactory(name="Fay Friend")
    verified(friend, booking.event)
    link = invited(client_for(booking.user), booking, friend.email)
    client_for(friend).post(link)
    staff = client_for(User.objects.create_superuser("root@example.test", "correct-horse-battery"))

    shown = text(staff.get(f"/admin/bookings/ticket/{second(booking).pk}/change/"))
    assert shown.count(friend.email) >= 2
    assert second(booking).code in shown
    assert staff.get("/admin/bookings/tickethandover/").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_pages_of_holders_are_clean(browse: Callable[..., Page], log_in: Callable) -> None:
    booking, friend = bought(quantity=3), UserFactory()
    tickets = list(Ticket.objects.filter(booking=booking).order_by("number"))
    verified(friend, booking.event)
    bookings.name_holder(ticket_id=tickets[1].pk, user_id=booking.user_id, email="somebody@example.test")
    handover = bookings.name_holder(ticket_id=tickets[2].pk, user_id=booking.user_id, email=friend.email)
    type(handover).objects.filter(pk=handover.pk).update(token_hash=fingerprint("token"))
    booking.user.set_password(PASSWORD)
    booking.user.save(update_fields=["password"])
    page = browse()
    found = clean(page, "/invitations/token") + clean(page, "/invitations/none")
    log_in(page, booking.user)
    for address in (
        f"/bookings/{booking.pk}",
        f"/bookings/{booking.pk}/done",
        "/tickets",
        f"/tickets/{tickets[1].pk}/holder",
    ):
        found += clean(page, address)

    assert found == []
