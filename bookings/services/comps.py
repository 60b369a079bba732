"""Tickets that staff give away: no price, no line and no opening of the sale, but seats, limits and face checks as for all."""

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import User
from accounts.services import record_staff_action
from accounts.services.rules import clean_email, lock_address
from bookings.gates import passed_gates
from bookings.models import Booking
from bookings.refusals import AlreadyBooked, HoldExists
from bookings.services.handovers import name_holder
from bookings.services.holds import hold
from bookings.services.sales import announce_sale, issue_tickets, load, make_tickets, seats_of
from bookings.services.staff import ReasonRequired
from bookings.states import Source, Status
from common import mail
from common.errors import Conflict


class CompExists(Conflict):
    code = "comp_exists"
    message = "This person has tickets from staff for this event already. Cancel those first to give others."


@transaction.atomic
def give_comp(
    *, category_id: UUID, email: str, quantity: int = 1, actor_id: UUID, reason: str, name: str = ""
) -> Booking:
    """
    Give tickets of a category to the person with this address; who has no account gets one, and a mail that says so.

    The seats are taken like any others. Where faces are checked, tickets for somebody who was not verified have no holder
    yet: they are invited by mail, verify themselves, and take theirs (`services.handovers`).

    :raises ReasonRequired: if there is no reason
    :raises BadEmail: if it is no address
    :raises CompExists: if staff gave the person tickets for this event before
    :raises SoldOut, PartlyAvailable: if there are not that many free
    :raises TooManyTickets: if it is more than one booking may have
    :raises CategoryNotFound, SaleClosed, EventCancelled, AccountInactive: if nothing can be given
    """
    if not reason.strip():
        raise ReasonRequired
    address = clean_email(email)
    person, invited = person_of(address, name)
    passed = passed_gates(user_id=person.pk, category_id=category_id)
    terms = (None, True, None)
    try:
        held, _ = hold(person.pk, None, category_id, quantity, False, Source.STAFF, ["queue", "face"], terms)
    except (AlreadyBooked, HoldExists) as error:
        raise CompExists(**error.extra) from error
    Booking.objects.filter(pk=held.pk, status=Status.PENDING).update(
        status=Status.CONFIRMED, confirmed_at=Now(), expires_at=None
    )
    booking = load(held.pk)
    if booking.event.requires_face_verification and "face" not in passed:
        make_tickets(booking, seats_of(booking), own=0)
        announce_sale(booking)
        first = booking.tickets.order_by("number").values_list("pk", flat=True)[0]
        name_holder(ticket_id=first, user_id=person.pk, email=address)
    else:
        issue_tickets(booking)
    if invited:
        mail.send(
            to=address,
            template="comp_account",
            dedupe_key=f"comp_account:{booking.pk}",
            event=booking.event.name,
            quantity=quantity,
        )
    record_staff_action(
        actor_id=actor_id,
        action="give_comp",
        object_type="booking",
        object_id=booking.pk,
        after={
            "category": str(category_id),
            "quantity": quantity,
            "worth_minor": booking.discount_minor,
            "new_account": invited,
        },
        reason=reason.strip(),
    )
    return booking


def person_of(address: str, name: str) -> tuple[User, bool]:
    """
    Return the account of an address, and whether it was made just now.

    A new one has no password: its owner chooses one with the link that "Forgot your password?" mails to this address, which
    proves that it is theirs.
    """
    lock_address(address)
    known = User.objects.filter(email=address).first()
    if known is not None:
        return known, False
    return User.objects.create_user(address, None, name=name.strip()), True
