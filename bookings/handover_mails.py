"""
The two mails on a ticket's way to a new holder: the invitation with its link, and the ticket itself.

The link's token is made when the mail leaves: it exists there and as a hash, nowhere else.
"""

from typing import Any

import structlog
from django.conf import settings
from django.db.models.functions import Now
from django.utils.dateformat import format as format_date

from accounts.services.rules import fingerprint, new_token
from bookings.documents import event_day, event_hours, ticket_ics, ticket_pdf
from bookings.models import Ticket, TicketHandover
from bookings.queries import tickets_with_all
from bookings.references import spoken
from bookings.typeset import clean
from common import mail, outbox

log = structlog.get_logger(__name__)


@outbox.handler("invitation_mail")
def send_invitation(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Mail the link to a ticket; tried again it is a new link, since nobody knows whether the first mail arrived."""
    open_one = TicketHandover.objects.filter(pk=payload["handover_id"], status=TicketHandover.Status.OPEN)
    handover = open_one.select_related("named_by", "ticket__event").first()
    if handover is None:
        log.info("mail.not_sent", template="invitation", handover=payload["handover_id"])
        return
    token = new_token()
    if not open_one.update(token_hash=fingerprint(token), sent_at=Now()):
        return
    event = handover.ticket.event
    context = {
        "giver": clean(handover.named_by.display_name),
        "event": clean(event.name),
        "day": event_day(event),
        "hours": event_hours(event),
        "location": clean(event.location),
        "needs_face": handover.ticket.personal,
        "link": f"{settings.SITE_URL}/invitations/{token}",
        "until": format_date(handover.expires_at, "j F Y, H:i") + " UTC",
    }
    key = f"{dedupe_key}:{token[:8]}"
    mail.compose(to=handover.email, template="invitation", dedupe_key=key, context=context).send()


@outbox.handler("ticket_yours_mail")
def send_ticket(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Mail a ticket to who has just taken it."""
    handover = TicketHandover.objects.select_related("invitee", "named_by").get(pk=payload["handover_id"])
    person = handover.invitee
    held = tickets_with_all().filter(pk=handover.ticket_id, holder=person, status=Ticket.Status.ACTIVE)
    ticket = held.first()
    if ticket is None or person is None or person.erased_at:
        log.info("mail.not_sent", template="ticket_yours", handover=payload["handover_id"])
        return
    event = ticket.booking.event
    context = {
        "name": clean(person.display_name),
        "giver": clean(handover.named_by.display_name),
        "event": clean(event.name),
        "day": event_day(event),
        "hours": event_hours(event),
        "location": clean(event.location),
        "category": clean(ticket.booking.category.name),
        "seat": ticket.seat.label if ticket.seat else "",
    }
    message = mail.compose(to=person.email, template="ticket_yours", dedupe_key=dedupe_key, context=context)
    name = f"ticket-{spoken(ticket.booking.reference)}-{ticket.number}"
    message.attach(f"{name}.pdf", ticket_pdf(ticket), "application/pdf")
    message.attach(f"{name}.ics", ticket_ics(ticket).decode(), "text/calendar")
    message.send()
