"""
The mails about bookings, each sent once: the tickets themselves, a cancellation, money that came too late.

Their causes are outbox rows with a booking's id; the words and the documents are made when the mail leaves, so they say what
is true then.
"""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.utils import timezone
from django.utils.dateformat import format as format_date

from bookings import news
from bookings.documents import event_day, event_hours, event_ics, tickets_pdf
from bookings.models import Booking, Ticket
from bookings.queries import bookings_with_all
from bookings.references import spoken
from bookings.states import NOTHING_BACK
from bookings.typeset import clean
from common import mail, outbox
from common.money import display
from events.models import Event

log = structlog.get_logger(__name__)

# What payments calls a refund that has arrived, and one that a person must look at.
REFUND_DONE = {"succeeded"}
REFUND_STUCK = {"failed"}


@outbox.handler("tickets_mail")
def send_tickets(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Mail the tickets of a confirmed booking as PDF, with the calendar entry."""
    booking = load(payload)
    if booking.status != Booking.Status.CONFIRMED or booking.user.erased_at:
        log.info("mail.not_sent", template="tickets", booking=booking.reference, status=booking.status)
        return
    news.tickets_issued(booking)
    message = mail.compose(to=booking.user.email, template="tickets", dedupe_key=dedupe_key, context=words(booking))
    name = f"tickets-{spoken(booking.reference)}"
    if any(ticket.holder_id == booking.user_id for ticket in booking.tickets.all()):
        message.attach(f"{name}.pdf", tickets_pdf(booking), "application/pdf")
    message.attach(f"{name}.ics", event_ics(booking).decode(), "text/calendar")
    message.send()


@outbox.handler("booking_cancelled_mail")
def send_cancellation(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Tell a buyer that the booking they had is cancelled: by them, by staff, or with its event."""
    booking = load(payload)
    facts = words(booking)
    news.booking_cancelled(booking, by_staff=facts["by_staff"], refund=facts["refund"], amount=facts["refund_amount"])
    template = "event_cancelled" if booking.end_reason == "event_cancelled" else "booking_cancelled"
    send(booking, template, dedupe_key)


@outbox.handler("late_payment_refunded_mail")
def send_seats_gone(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Tell a buyer that their payment found no seats any more and goes back."""
    booking = load(payload)
    facts = words(booking)
    cause = dedupe_key.rpartition(":")[2]
    news.seats_gone(booking, cause=cause, refund=facts["refund"], amount=facts["refund_amount"])
    send(booking, "seats_gone", dedupe_key)


def load(payload: dict[str, Any]) -> Booking:
    """Load the booking of a message with all that its mail shows."""
    return bookings_with_all().select_related("user").get(pk=payload["booking_id"])


def send(booking: Booking, template: str, dedupe_key: str) -> None:
    """Send a mail about a booking, unless its buyer has erased their account."""
    if booking.user.erased_at:
        log.info("mail.not_sent", template=template, booking=booking.reference, status="erased")
        return
    mail.compose(to=booking.user.email, template=template, dedupe_key=dedupe_key, context=words(booking)).send()


def words(booking: Booking) -> dict[str, Any]:
    """Return what every mail about a booking may say."""
    event = booking.event
    at_door = event.payment_collection == Event.Collection.AT_DOOR
    amount = display(booking.amount_minor, booking.currency)
    return {
        "name": clean(booking.user.display_name),
        "event": clean(event.name),
        "event_id": str(event.pk),
        "day": event_day(event),
        "hours": event_hours(event),
        "location": clean(event.location),
        "category": clean(booking.category.name),
        "quantity": booking.quantity,
        "own": sum(ticket.holder_id == booking.user_id for ticket in booking.tickets.all()),
        "unassigned": sum(ticket.status == Ticket.Status.UNASSIGNED for ticket in booking.tickets.all()),
        "booking_url": f"{settings.SITE_URL}/bookings/{booking.pk}",
        "seats": [ticket.seat.label for ticket in booking.tickets.all() if ticket.seat],
        "amount_label": "At door" if at_door and booking.amount_minor else "Price",
        "amount": amount,
        "reference": spoken(booking.reference),
        "cancel_until": cancel_until(event),
        "gift": booking.comp,
        "cancelled_reason": clean(event.cancelled_reason),
        "by_staff": booking.end_reason != "cancelled_by_buyer",
        "refund": refund_state(booking),
        "refund_amount": display(booking.refund_minor or booking.amount_minor, booking.currency),
    }


def cancel_until(event: Event) -> str:
    """Return until when a buyer may cancel, on the event's clocks; empty when that is past."""
    until = event.starts_at - timedelta(hours=settings.CANCEL_UNTIL_HOURS)
    local = until.astimezone(ZoneInfo(event.timezone))
    return format_date(local, "j F Y, H:i T") if until > timezone.now() else ""


def refund_state(booking: Booking) -> str:
    """Return how far the buyer's money is on its way back: `none`, `kept`, `coming`, `done` or `stuck`."""
    if booking.end_reason == NOTHING_BACK:
        return "kept"
    if not booking.refund_minor:
        paid_online = booking.amount_minor and booking.event.payment_collection == Event.Collection.ONLINE
        return "coming" if paid_online else "none"
    if booking.refund_status in REFUND_DONE:
        return "done"
    return "stuck" if booking.refund_status in REFUND_STUCK else "coming"
