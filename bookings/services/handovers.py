"""
A ticket's way to a new holder: named by mail address, invited, and once that person may have it, theirs.

An unassigned ticket goes to its first holder, a held one to the next: the same steps. Lock order: what the person holds
(`lock_holder`), the booking, the handover, the ticket. Every step is a guarded UPDATE, so of taking, recalling and
cancelling exactly one wins.
"""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.models import User
from accounts.notifications import notify
from accounts.services.rules import clean_email, fingerprint
from bookings.models import Booking, Ticket, TicketHandover
from bookings.references import new_ticket_code
from bookings.refusals import (
    HasTicket,
    InvitationNotFound,
    InvitationOver,
    NamedOneself,
    NothingToRecall,
    TicketNotGivable,
    TooLateToGive,
    TooManyInvitations,
    WrongAddressee,
    database_refusals,
)
from bookings.states import Status
from common import outbox
from common.errors import NotFound
from events.models import Event

log = structlog.get_logger(__name__)

Handover = TicketHandover
DOUBLE = timedelta(seconds=60)  # the same address named again within this is a double click
DAY = timedelta(days=1)
ALIVE = Q(status__in=Handover.WAITING, expires_at__gt=Now())


@transaction.atomic
def name_holder(*, ticket_id: UUID, user_id: UUID, email: str) -> TicketHandover:
    """
    Name the next holder of a ticket by mail address and invite them; whoever was named before is named no longer.

    An unassigned ticket is given by its buyer at any time before the event ends, a held one by its holder until
    TRANSFER_UNTIL_HOURS before the event. Until the invited person takes it, nothing about the ticket changes.

    :raises NotFound: if there is no such ticket, or it is not theirs to give
    :raises BadEmail: if it is no address
    :raises NamedOneself: if they hold the ticket themselves
    :raises TicketNotGivable: if it was used, or its event does not take place any more
    :raises TooLateToGive: if the time to pass tickets on is over
    :raises TooManyInvitations: if INVITATIONS_PER_TICKET were sent within a day
    """
    address = clean_email(email)
    ticket = lock_ticket(ticket_id)
    if giver_of(ticket) != user_id:
        raise NotFound("There is no such ticket, or it is not yours to give.")
    until = refuse_ungivable(ticket)
    giver = User.objects.get(pk=user_id)
    if ticket.holder_id == user_id and address == giver.email:
        raise NamedOneself
    waiting = ticket.handovers.filter(status__in=Handover.WAITING).first()
    if waiting is not None:
        if waiting.email == address and ticket.handovers.filter(ALIVE, created_at__gt=Now() - DOUBLE).exists():
            return waiting
        end_waiting(Q(pk=waiting.pk), Handover.Status.RECALLED)
    if ticket.handovers.filter(created_at__gt=Now() - DAY).count() >= settings.INVITATIONS_PER_TICKET:
        raise TooManyInvitations(retry_after=3600)
    handover = Handover.objects.create(
        ticket=ticket,
        named_by_id=user_id,
        from_holder_id=ticket.holder_id,
        email=address,
        expires_at=min(until, database_now() + timedelta(seconds=settings.INVITATION_SECONDS)),
    )
    outbox.put(topic="invitation_mail", dedupe_key=f"invitation:{handover.pk}", handover_id=str(handover.pk))
    log.info("bookings.holder_named", ticket=str(ticket_id), handover=str(handover.pk))
    return handover


@transaction.atomic
def recall_handover(*, ticket_id: UUID, user_id: UUID) -> None:
    """
    Take back the naming of a holder who has not taken the ticket yet.

    :raises NotFound: if there is no such ticket, or it is not theirs to give
    :raises NothingToRecall: if nobody is named, or they have taken it
    """
    waiting = Handover.objects.filter(ticket_id=ticket_id, named_by_id=user_id, status__in=Handover.WAITING)
    found = waiting.first()
    if found is None or not end_waiting(Q(pk=found.pk), Handover.Status.RECALLED):
        if Handover.objects.filter(ticket_id=ticket_id, named_by_id=user_id).exists():
            raise NothingToRecall
        if giver_of(get_ticket(ticket_id)) != user_id:
            raise NotFound("There is no such ticket, or it is not yours to give.")
        raise NothingToRecall
    log.info("bookings.handover_recalled", handover=str(found.pk))


@transaction.atomic
def accept_invitation(*, token: str, user_id: UUID) -> TicketHandover:
    """
    Bind an invitation to the account of the person it was mailed to; its link works once.

    The ticket is not theirs by that: `take_ticket` makes it so, when they may have it.

    :raises InvitationOver: if the link was used, has expired, or was recalled
    :raises WrongAddressee: if the account has another address than was invited
    :raises HasTicket: if they hold a ticket of an event that gives each person one, or are about to take one
    """
    person = User.objects.get(pk=user_id)
    found = get_invitation(token)
    if found.email != person.email:
        raise WrongAddressee
    if found.status == Handover.Status.ACCEPTED and found.invitee_id == user_id:
        return found
    ticket = get_ticket(found.ticket_id)
    lock_holder(user_id=user_id, event_id=ticket.event_id)
    if ticket.personal:
        others = accepted_by(user_id=user_id, event_id=ticket.event_id).exclude(pk=found.pk)
        if holds_ticket(user_id=user_id, event_id=ticket.event_id) or others.exists():
            raise HasTicket
    usable = Handover.objects.filter(pk=found.pk, status=Handover.Status.OPEN, expires_at__gt=Now())
    if not usable.update(
        status=Handover.Status.ACCEPTED, invitee_id=user_id, accepted_at=Now(), expires_at=give_until(ticket)
    ):
        raise InvitationOver
    found.refresh_from_db()
    return found


@transaction.atomic
def decline_invitation(*, token: str) -> None:
    """
    Say no to an invitation; whoever has its link may.

    :raises InvitationOver: if it is over already
    """
    found = get_invitation(token)
    if not end_waiting(Q(pk=found.pk), Handover.Status.DECLINED):
        raise InvitationOver
    tell_giver(found.pk, "invitation_declined")


@transaction.atomic
def take_ticket(*, handover_id: UUID) -> Ticket:
    """
    Make the ticket of an accepted invitation its invitee's: a new code, their name; the old code opens no door from now on.

    :raises InvitationOver: if it was recalled, has expired, or its booking ended
    :raises HasTicket: if they hold a ticket of this event already
    :raises VerificationRequired: if the event checks faces and they were not verified
    """
    handover = Handover.objects.select_related("invitee", "ticket").filter(pk=handover_id).first()
    if handover is None or handover.invitee is None:
        raise InvitationOver
    person = handover.invitee
    lock_holder(user_id=person.pk, event_id=handover.ticket.event_id)
    ticket = lock_ticket(handover.ticket_id)
    taken = Handover.objects.filter(pk=handover_id, status=Handover.Status.ACCEPTED, expires_at__gt=Now())
    if not taken.update(status=Handover.Status.TAKEN, ended_at=Now(), email="", token_hash=""):
        raise InvitationOver
    same_holder = Ticket.objects.filter(
        pk=ticket.pk, holder_id=handover.from_holder_id, status__in=(Ticket.Status.UNASSIGNED, Ticket.Status.ACTIVE)
    )
    with database_refusals():
        if not same_holder.update(
            holder=person, holder_name=person.display_name, status=Ticket.Status.ACTIVE, code=new_ticket_code()
        ):
            raise InvitationOver
    outbox.put(topic="ticket_yours_mail", dedupe_key=f"ticket_yours:{handover_id}", handover_id=str(handover_id))
    tell_giver(handover_id, "ticket_taken")
    ticket.refresh_from_db()
    log.info("bookings.ticket_taken", ticket=str(ticket.pk), handover=str(handover_id))
    return ticket


def expire_handovers(*, limit: int = 500) -> int:
    """End the invitations whose time has passed, tell who sent them, and return how many those were."""
    due = Q(status__in=Handover.WAITING, expires_at__lte=Now())
    count = 0
    for handover_id in Handover.objects.filter(due).order_by("expires_at").values_list("pk", flat=True)[:limit]:
        with transaction.atomic():
            if end_waiting(due & Q(pk=handover_id), Handover.Status.EXPIRED):
                tell_giver(handover_id, "invitation_expired")
                count += 1
    return count


@transaction.atomic
def forget_handovers(*, user_id: UUID) -> None:
    """
    Take a person who is erased out of every ticket's way: their invitations end, and tickets others bought go back to those.

    A ticket of an event that checks faces is nobody's again; any other is its buyer's.
    """
    person = User.objects.get(pk=user_id)
    end_waiting(Q(named_by=person), Handover.Status.RECALLED)
    end_waiting(Q(invitee=person) | Q(email=person.email), Handover.Status.DECLINED)
    given = Ticket.objects.filter(holder=person, status=Ticket.Status.ACTIVE).exclude(booking__user=person)
    coming = (
        given.filter(event__ends_at__gt=Now()).select_related("booking__user", "event").order_by("booking_id", "pk")
    )
    for ticket in coming:
        lock_booking(ticket.booking_id)
        buyer = ticket.booking.user
        changes = (
            {"holder": None, "holder_name": "", "status": Ticket.Status.UNASSIGNED}
            if ticket.personal
            else {"holder": buyer, "holder_name": buyer.display_name}
        )
        if Ticket.objects.filter(pk=ticket.pk, holder=person, status=Ticket.Status.ACTIVE).update(
            code=new_ticket_code(), **changes
        ):
            notify(
                user_id=buyer.pk,
                kind="ticket_returned",
                cause=f"{ticket.pk}:{uuid4()}",
                url=f"/bookings/{ticket.booking_id}",
                event=ticket.event.name,
                number=ticket.number,
            )


def tell_giver(handover_id: UUID, kind: str) -> None:
    """Tell who named a holder what became of it; of the holder their name only."""
    handover = Handover.objects.select_related("ticket__event", "invitee").get(pk=handover_id)
    ticket = handover.ticket
    notify(
        user_id=handover.named_by_id,
        kind=kind,
        cause=str(handover_id),
        url=f"/tickets/{ticket.pk}/holder" if kind != "ticket_taken" else "/tickets",
        event=ticket.event.name,
        number=ticket.number,
        holder=handover.invitee.display_name if kind == "ticket_taken" and handover.invitee else "",
    )


def end_waiting(which: Q, status: str) -> int:
    """End handovers that wait, in one guarded UPDATE, and return how many ended."""
    waiting = Handover.objects.filter(which, status__in=Handover.WAITING)
    return waiting.update(status=status, ended_at=Now(), email="", token_hash="")


def get_invitation(token: str) -> TicketHandover:
    """
    Load the invitation behind a mailed link.

    :raises InvitationNotFound: if there is no such link, or what it led to is over
    :raises InvitationOver: if its time has passed
    """
    found = Handover.objects.filter(token_hash=fingerprint(token)).exclude(token_hash="").first()
    if found is None:
        raise InvitationNotFound
    if not Handover.objects.filter(ALIVE, pk=found.pk).exists():
        raise InvitationOver
    return found


def accepted_by(*, user_id: UUID, event_id: UUID) -> QuerySet[TicketHandover]:
    """Return what a person has accepted of an event and not yet taken."""
    return Handover.objects.filter(
        invitee_id=user_id, ticket__event_id=event_id, status=Handover.Status.ACCEPTED, expires_at__gt=Now()
    )


def holds_ticket(*, user_id: UUID, event_id: UUID) -> bool:
    """Whether a person holds a ticket of an event that opens the door, or has."""
    return Ticket.objects.filter(holder_id=user_id, event_id=event_id, status__in=Ticket.OPENS).exists()


def giver_of(ticket: Ticket) -> UUID | None:
    """Return who may say whose a ticket is next: its holder, of an unassigned one its buyer."""
    if ticket.status == Ticket.Status.UNASSIGNED:
        return ticket.booking.user_id
    return ticket.holder_id if ticket.status == Ticket.Status.ACTIVE else None


def give_until(ticket: Ticket) -> datetime:
    """Return until when a ticket may find its next holder: its first until the event ends, the next until the lock date."""
    if ticket.status == Ticket.Status.UNASSIGNED:
        return ticket.event.ends_at
    return ticket.event.starts_at - timedelta(hours=settings.TRANSFER_UNTIL_HOURS)


def refuse_ungivable(ticket: Ticket) -> datetime:
    """
    Return until when a ticket may be given.

    :raises TicketNotGivable: if its booking or event is over
    :raises TooLateToGive: if that time is over
    """
    over = ticket.event.status != Event.Status.PUBLISHED or ticket.booking.status != Status.CONFIRMED
    until = give_until(ticket)
    now = database_now()
    if over or ticket.event.ends_at <= now:
        raise TicketNotGivable
    if until <= now:
        raise TooLateToGive
    return until


def database_now() -> datetime:
    """Return the time on the database's clock."""
    return Event.objects.annotate(at=Now()).values_list("at", flat=True)[:1].get()


def get_ticket(ticket_id: UUID) -> Ticket:
    """
    Load a ticket with its booking and event.

    :raises NotFound: if there is none
    """
    ticket = Ticket.objects.select_related("booking", "event").filter(pk=ticket_id).first()
    if ticket is None:
        raise NotFound("There is no such ticket, or it is not yours to give.")
    return ticket


def lock_holder(*, user_id: UUID, event_id: UUID) -> None:
    """Let one transaction at a time decide which tickets a person takes of an event."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))", [f"{user_id}{event_id}"])


def lock_booking(booking_id: UUID) -> Booking:
    """Lock a booking's row: whoever gives one of its tickets, or cancels it, holds this lock."""
    return Booking.objects.select_for_update(no_key=True).get(pk=booking_id)


def lock_ticket(ticket_id: UUID) -> Ticket:
    """
    Lock the booking of a ticket and load the ticket as it is then.

    :raises NotFound: if there is none
    """
    lock_booking(get_ticket(ticket_id).booking_id)
    return get_ticket(ticket_id)
