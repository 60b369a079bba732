"""
What happened, in order: to one booking, or to one person. Put together from the rows that each step left behind, so it can
not say anything that did not happen; faces, codes and scores are not in it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils.module_loading import import_string

from accounts.models import Notification, StaffAction
from bookings.models import Booking, BookingTransition, Ticket, TicketChange, TicketHandover
from bookings.references import spoken
from bookings.waitingroom.models import Place
from common.money import display as money
from payments.models import Attention, Payment, Refund
from registrations.models import Registration, ReviewDecision, VerificationAttempt
from waitlist.models import WaitlistEntry

MOST = 500


class Moment(NamedTuple):
    """One thing that happened: when, what in words, more of it, who did it (empty: the person or the system), where to look."""

    at: datetime
    what: str
    more: str = ""
    who: str = ""
    url: str = ""


def booking_timeline(*, booking: Booking) -> list[Moment]:
    """Return everything that happened to a booking, oldest first, in a fixed number of statements."""
    payments = list(Payment.objects.filter(booking=booking))
    refunds = list(Refund.objects.filter(payment__in=payments))
    tickets = list(Ticket.objects.filter(booking=booking).values_list("pk", flat=True))
    found = [
        Moment(booking.created_at, begun(booking), terms(booking)),
        *transitions(Q(booking=booking)),
        *payment_moments(payments),
        *refund_moments(refunds),
        *attention_moments(payments),
        *ticket_moments(Q(ticket__booking=booking)),
        *handover_moments(Q(ticket__booking=booking)),
        *further_moments(Q(booking=booking)),
        *staff_moments(
            {
                "booking": [booking.pk],
                "ticket": tickets,
                "payment": [payment.pk for payment in payments],
                "refund": [refund.pk for refund in refunds],
            }
        ),
    ]
    return in_order(found)


def person_timeline(*, user_id: UUID) -> list[Moment]:
    """Return what a person did and what was done for them, oldest first, the newest MOST of each kind."""
    bookings = list(Booking.objects.filter(user_id=user_id).select_related("event").order_by("-created_at")[:MOST])
    entries = list(WaitlistEntry.objects.filter(user_id=user_id).select_related("event").order_by("-joined_at")[:MOST])
    registrations = list(
        Registration.objects.filter(user_id=user_id).select_related("event").order_by("-created_at")[:MOST]
    )
    found = [
        *(
            Moment(
                booking.created_at,
                begun(booking),
                f"{terms(booking)}, {booking.event.name}",
                url=reverse("admin:bookings_booking_change", args=[booking.pk]),
            )
            for booking in bookings
        ),
        *transitions(Q(booking__user_id=user_id), named=True),
        *payment_moments(Payment.objects.filter(booking__user_id=user_id).order_by("-created_at")[:MOST]),
        *refund_moments(Refund.objects.filter(payment__booking__user_id=user_id).order_by("-created_at")[:MOST]),
        *ticket_moments(Q(to_holder_id=user_id) | Q(from_holder_id=user_id)),
        *further_moments(Q(holder_id=user_id) | Q(booking__user_id=user_id)),
        *line_moments(user_id),
        *waitlist_moments(entries),
        *check_moments(user_id, registrations),
        *(
            Moment(row.created_at, "Was told", row.kind.replace("_", " "))
            for row in Notification.objects.filter(user_id=user_id).order_by("-created_at")[:MOST]
        ),
        *staff_moments(
            {
                "user": [user_id],
                "booking": [booking.pk for booking in bookings],
                "registration": [one.pk for one in registrations],
                "waitlist_entry": [entry.pk for entry in entries],
            }
        ),
    ]
    return in_order(found)


def begun(booking: Booking) -> str:
    """Return how a booking began."""
    if booking.comp:
        return "Given for free"
    return "Offered" if booking.source == "waitlist" else "Held"


def terms(booking: Booking) -> str:
    """Return how many seats a booking is for, at which price."""
    seats = f"{booking.quantity} seat{'' if booking.quantity == 1 else 's'}"
    price = "" if booking.comp else f", {money(booking.amount_minor, booking.currency)}"
    less = f" ({money(booking.discount_minor, booking.currency)} less by a code)" if booking.discount_minor else ""
    return f"{seats}{price}{less}"


def in_order(moments: list[Moment]) -> list[Moment]:
    """Return the moments oldest first; of one instant, as they were found."""
    return sorted(moments, key=lambda moment: moment.at)


def transitions(which: Q, *, named: bool = False) -> Iterator[Moment]:
    """Yield the changes of bookings' status."""
    words = {"confirmed": "Sold", "cancelled": "Cancelled", "expired": "Lapsed", "pending": "Accepted"}
    rows = BookingTransition.objects.filter(which).select_related("booking__event").order_by("-id")[:MOST]
    for row in reversed(list(rows)):
        about = f"{spoken(row.booking.reference)}, {row.booking.event.name}" if named else ""
        more = ", ".join(filter(None, (about, row.reason.replace("_", " "))))
        yield Moment(row.at, words.get(row.to_status, row.to_status), more)


def payment_moments(payments: Iterable[Payment]) -> Iterator[Moment]:
    """Yield when payments were begun and what came of them."""
    for payment in payments:
        url = reverse("admin:payments_payment_change", args=[payment.pk])
        yield Moment(payment.created_at, "Payment begun", money(payment.amount_minor, payment.currency), url=url)
        if payment.settled_at:
            more = payment.last_error.replace("_", " ") if payment.status == "failed" else payment.use.replace("_", " ")
            yield Moment(payment.settled_at, f"Payment {payment.status}", more, url=url)


def refund_moments(refunds: Iterable[Refund]) -> Iterator[Moment]:
    """Yield when money was sent back and whether it arrived."""
    for refund in refunds:
        amount = money(refund.amount_minor, refund.currency)
        url = reverse("admin:payments_refund_change", args=[refund.pk])
        yield Moment(refund.created_at, "Refund asked for", f"{amount}, {refund.reason.replace('_', ' ')}", url=url)
        if refund.finished_at:
            yield Moment(refund.finished_at, f"Refund {refund.status}", amount, url=url)


def attention_moments(payments: Sequence[Payment]) -> Iterator[Moment]:
    """Yield what staff had to decide about these payments, and what they decided."""
    for row in Attention.objects.filter(payment__in=payments).order_by("-created_at")[:MOST]:
        yield Moment(row.created_at, "Money to look at", row.get_kind_display())
        if row.resolved_at:
            yield Moment(row.resolved_at, "Money looked at", row.resolution)


def further_moments(tickets: Q) -> Iterator[Moment]:
    """Yield what apps beside this one tell of tickets (settings.TIMELINE_SOURCES)."""
    for path in settings.TIMELINE_SOURCES:
        for row in import_string(path)(tickets=Ticket.objects.filter(tickets), most=MOST):
            yield Moment(*row)


def ticket_moments(which: Q) -> Iterator[Moment]:
    """Yield the changes of tickets and of whose they are."""
    rows = TicketChange.objects.filter(which).select_related("ticket", "to_holder").order_by("-id")[:MOST]
    for row in reversed(list(rows)):
        whose = row.to_holder.display_name if row.to_holder else "nobody yet"
        yield Moment(row.at, f"Ticket {row.ticket.number} {row.to_status}", f"holder: {whose}")


def handover_moments(which: Q) -> Iterator[Moment]:
    """Yield who was named as holder of a ticket, and what came of it."""
    rows = TicketHandover.objects.filter(which).select_related("ticket", "named_by").order_by("-created_at")[:MOST]
    for row in reversed(list(rows)):
        yield Moment(row.created_at, f"Holder named for ticket {row.ticket.number}", who=row.named_by.display_name)
        if row.ended_at:
            yield Moment(row.ended_at, f"Naming for ticket {row.ticket.number}: {row.status}")


def line_moments(user_id: UUID) -> Iterator[Moment]:
    """Yield a person's ways through lines."""
    for place in Place.objects.filter(user_id=user_id).select_related("event").order_by("-joined_at")[:MOST]:
        yield Moment(place.joined_at, "Joined the line", place.event.name)
        if place.admitted_at:
            yield Moment(place.admitted_at, "Was let in", place.event.name)
        if place.ended_at:
            yield Moment(place.ended_at, f"Line: {place.state.replace('_', ' ')}", place.event.name)


def waitlist_moments(entries: Sequence[WaitlistEntry]) -> Iterator[Moment]:
    """Yield a person's places on waitlists."""
    for entry in entries:
        url = reverse("admin:waitlist_waitlistentry_change", args=[entry.pk])
        yield Moment(entry.joined_at, "Joined the waitlist", f"{entry.quantity} × {entry.event.name}", url=url)
        if entry.offered_at:
            yield Moment(entry.offered_at, "Was offered seats", entry.event.name, url=url)
        if entry.ended_at:
            yield Moment(entry.ended_at, f"Waitlist: {entry.status}", entry.event.name, url=url)


def check_moments(user_id: UUID, registrations: Sequence[Registration]) -> Iterator[Moment]:
    """Yield a person's registrations, face checks and what staff decided about them."""
    for one in registrations:
        url = reverse("admin:registrations_registration_change", args=[one.pk])
        yield Moment(one.created_at, "Registered", one.event.name, url=url)
        if one.verified_at:
            yield Moment(one.verified_at, "Verified", f"{one.event.name}, by {one.passed_by or 'face'}", url=url)
    attempts = VerificationAttempt.objects.filter(registration__user_id=user_id).order_by("-reserved_at")[:MOST]
    for attempt in attempts:
        yield Moment(attempt.reserved_at, f"Face check: {attempt.status}", attempt.failure_code.replace("_", " "))
    decisions = (
        ReviewDecision.objects.filter(registration__user_id=user_id).select_related("staff").order_by("-at")[:MOST]
    )
    for decision in decisions:
        what = f"Decision: {decision.action.replace('_', ' ')}"
        yield Moment(decision.at, what, decision.reason, who=decision.staff.display_name)


def staff_moments(objects: Mapping[str, Sequence[object]]) -> Iterator[Moment]:
    """Yield what staff did to these objects, by their type, with their reason."""
    which = Q(pk__in=[])
    for kind, ids in objects.items():
        if ids:
            which |= Q(object_type=kind, object_id__in=[str(one) for one in ids])
    for row in StaffAction.objects.filter(which).select_related("actor").order_by("-at")[:MOST]:
        what = row.action.rpartition(".")[2].replace("_", " ").capitalize()
        yield Moment(row.at, what, row.reason, who=row.actor.display_name)
