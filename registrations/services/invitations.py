"""Taking a ticket that somebody else bought: the same check as before a purchase, its outcome is that ticket."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from django.db import transaction

from bookings import services as bookings
from bookings.models import Ticket, TicketHandover
from bookings.refusals import VerificationRequired
from bookings.services.handovers import accepted_by
from common.errors import FairseatError
from registrations.models import Registration
from registrations.refusals import AlreadyRegistered
from registrations.services.registering import create_registration, refuse_if_over

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Accepted:
    """What came of an accepted invitation: the ticket, or the registration in which the face check is made first."""

    handover: TicketHandover
    ticket: Ticket | None
    registration: Registration | None


@transaction.atomic
def accept_invitation(*, token: str, user_id: UUID) -> Accepted:
    """
    Accept an invitation to a ticket. Who need not be checked, or was, has the ticket at once; others are registered for it.

    :raises InvitationOver: if the link was used, has expired, or was recalled
    :raises WrongAddressee: if the account has another address than was invited
    :raises HasTicket: if they hold a ticket of this event already
    :raises EventCancelled, SaleClosed: if the event does not take place, or is over
    """
    handover = bookings.accept_invitation(token=token, user_id=user_id)
    ticket = Ticket.objects.get(pk=handover.ticket_id)
    event = refuse_if_over(ticket.event_id)
    if not ticket.personal:
        return Accepted(handover, bookings.take_ticket(handover_id=handover.pk), None)
    registration = registered(user_id=user_id, event_id=event.pk)
    if registration.status != Registration.Status.VERIFIED:
        return Accepted(handover, None, registration)
    return Accepted(handover, bookings.take_ticket(handover_id=handover.pk), registration)


def registered(*, user_id: UUID, event_id: UUID) -> Registration:
    """Return a person's registration for an event, made if there is none."""
    try:
        return create_registration(user_id=user_id, event_id=event_id)
    except AlreadyRegistered as known:
        return Registration.objects.get(pk=known.extra["registration_id"])


@transaction.atomic
def take_given_ticket(registration: Registration) -> Ticket | None:
    """
    Give somebody who was just verified the ticket they accepted; None if it can not be theirs any more.

    :raises VerificationRequired: if they were not verified
    """
    waiting = accepted_by(user_id=registration.user_id, event_id=registration.event_id).order_by("accepted_at")
    for handover_id in waiting.values_list("pk", flat=True):
        try:
            with transaction.atomic():
                return bookings.take_ticket(handover_id=handover_id)
        except VerificationRequired:
            raise
        except FairseatError as refusal:  # recalled in this moment, or they hold another one
            log.info("registrations.given_ticket_gone", handover=str(handover_id), why=refusal.code)
    return None


def was_invited(registration: Registration) -> bool:
    """Whether the person came for a ticket of somebody else's: then nothing is bought for them unasked."""
    return TicketHandover.objects.filter(
        invitee_id=registration.user_id, ticket__event_id=registration.event_id
    ).exists()
