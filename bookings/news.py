"""
What people are told about their bookings and their events, each once per cause.

The words about a booking go into the list when its mail leaves, in the outbox, so that selling costs nothing more. Those about
an event that changed wait EVENT_CHANGE_SECONDS, so that a correction of a correction is one notice.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from accounts.notifications import Kind, notify, notify_many, register
from bookings.documents import event_day, event_hours
from bookings.models import Booking, Ticket
from bookings.states import LIVE, Status
from bookings.typeset import clean
from common import outbox
from events.models import Event
from events.services import TELL_TOPIC, WATCH_TOPIC, told_key

AT_ONCE = 500  # people told in one transaction

TICKETS = register(
    Kind(
        name="tickets_issued",
        title="{seats} for {event}",
        body="{verb} yours: {day}, {hours}, {location}.",
        mail=False,  # the tickets' own, with the documents
        essential=True,
    )
)
CANCELLED = register(
    Kind(
        name="booking_cancelled",
        title="Your booking for {event} is cancelled",
        body="{by} {refund}",
        mail=False,  # the booking's own, with its facts
        essential=True,
    )
)
SEATS_GONE = register(
    Kind(
        name="payment_late",
        title="Your payment for {event} came too late",
        body="The hold had ended and no seats were left. {refund}",
        mail=False,  # the booking's own, with its facts
        essential=True,
    )
)
EVENT_CANCELLED = register(
    Kind(
        name="event_cancelled",
        title="{event} is cancelled",
        body="{reason} {refund}",
        mail=False,  # each booking's own, with its facts
        essential=True,
        sms=True,
        group="events",
    )
)
EVENT_CHANGED = register(
    Kind(
        name="event_changed",
        title="{event}: {what} changed",
        body="{changes}",
        sms=True,
        group="events",
    )
)
REFUNDS = {
    "none": "You paid nothing, so nothing goes back.",
    "kept": "What you paid does not go back. Ask the organiser if you do not know why.",
    "coming": "{amount} goes back to the card you paid with.",
    "done": "{amount} went back to the card you paid with. Banks show it within 5 to 10 days.",
    "stuck": "Sending your {amount} back did not work at once. A person is taking care of it.",
}


def tickets_issued(booking: Booking) -> None:
    """Tell somebody that their tickets are there."""
    event = booking.event
    notify(
        user_id=booking.user_id,
        kind=TICKETS.name,
        cause=str(booking.pk),
        url=page_of(booking.pk),
        event=clean(event.name),
        seats="Your ticket" if booking.quantity == 1 else f"Your {booking.quantity} tickets",
        verb="It is" if booking.quantity == 1 else "They are",
        day=event_day(event),
        hours=event_hours(event),
        location=clean(event.location),
    )


def booking_cancelled(booking: Booking, *, by_staff: bool, refund: str, amount: str) -> None:
    """Tell somebody that a booking they had has ended: by them, by staff, or with its event."""
    event = clean(booking.event.name)
    money = REFUNDS[refund].format(amount=amount)
    if booking.end_reason == "event_cancelled":
        notify(
            user_id=booking.user_id,
            kind=EVENT_CANCELLED.name,
            cause=str(booking.event_id),
            url=page_of(booking.pk),
            event=event,
            reason=clean(booking.event.cancelled_reason),
            refund=money,
        )
        return
    notify(
        user_id=booking.user_id,
        kind=CANCELLED.name,
        cause=str(booking.pk),
        url=page_of(booking.pk),
        event=event,
        by="Our staff cancelled it." if by_staff else "As you asked.",
        refund=money,
    )


def seats_gone(booking: Booking, *, cause: str, refund: str, amount: str) -> None:
    """Tell somebody that their payment found no seats any more and goes back."""
    notify(
        user_id=booking.user_id,
        kind=SEATS_GONE.name,
        cause=cause,
        url=page_of(booking.pk),
        event=clean(booking.event.name),
        refund=REFUNDS[refund].format(amount=amount),
    )


def tell_holders_of_cancellation(*, event_id: UUID) -> int:
    """Tell those who held seats of a cancelled event and had not bought them: nothing was charged."""
    event = Event.objects.get(pk=event_id)
    holds = Booking.objects.filter(event_id=event_id, status=Status.PENDING)
    return notify_many(
        user_ids=list(holds.values_list("user_id", flat=True)),
        kind=EVENT_CANCELLED.name,
        cause=str(event_id),
        url=f"/events/{event_id}",
        event=clean(event.name),
        reason=clean(event.cancelled_reason),
        refund="Your hold has ended. If a payment of yours was under way, it goes back.",
    )


def page_of(booking_id: UUID) -> str:
    """Return the path of a booking's page."""
    return f"/bookings/{booking_id}"


@outbox.handler(WATCH_TOPIC)
@transaction.atomic
def settle_change(dedupe_key: str, payload: dict[str, Any]) -> None:
    """
    Write down what is to be told about an event's change, now that nobody corrected it for a while.

    Under the event's lock, like every change of it: a later change finds this one settled and begins a new one.
    """
    event = Event.objects.select_for_update(no_key=True).filter(pk=UUID(payload["event_id"])).first()
    if event is None:
        return
    old = Event(
        name=event.name,
        location=payload["location"],
        timezone=payload["timezone"],
        starts_at=datetime.fromisoformat(payload["starts_at"]),
        ends_at=datetime.fromisoformat(payload["ends_at"]),
    )
    live = event.status == Event.Status.PUBLISHED and event.deleted_at is None
    found = differences(old, event) if live else []
    outbox.put(
        topic=TELL_TOPIC,
        dedupe_key=told_key(dedupe_key),
        event_id=str(event.pk),
        event=clean(event.name),
        what=listed([name for name, _, _ in found]),
        changes=" ".join(f"{name.capitalize()}: {after} (was: {before})." for name, before, after in found),
        rows=[{"name": name.capitalize(), "before": before, "after": after} for name, before, after in found],
        day=event_day(event),
        hours=event_hours(event),
        location=clean(event.location),
    )


def differences(old: Event, new: Event) -> list[tuple[str, str, str]]:
    """Return what is different for somebody who goes there: name, before, after."""
    pairs = [
        ("date", event_day(old), event_day(new)),
        ("time", event_hours(old), event_hours(new)),
        ("place", clean(old.location), clean(new.location)),
    ]
    return [(name, before, after) for name, before, after in pairs if before != after]


def listed(names: list[str]) -> str:
    """Return names as one says them: `date, time and place`."""
    *most, last = names or [""]
    return f"{', '.join(most)} and {last}" if most else last


@outbox.handler(TELL_TOPIC)
def tell_of_change(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Tell everybody whom an event's change concerns. Killed half-way it begins again, and nobody is told twice."""
    if not payload["rows"]:
        return
    words = {name: payload[name] for name in ("event", "what", "changes", "rows", "day", "hours", "location")}
    event_id = UUID(payload["event_id"])
    people = sorted(set(concerned_by(event_id)))
    for start in range(0, len(people), AT_ONCE):
        notify_many(
            user_ids=people[start : start + AT_ONCE],
            kind=EVENT_CHANGED.name,
            cause=dedupe_key.removeprefix(f"{TELL_TOPIC}:"),
            url=f"/events/{event_id}",
            **words,
        )


def concerned_by(event_id: UUID) -> Iterable[UUID]:
    """Yield whom a change of an event concerns: every app above knows some of them (settings.EVENT_AUDIENCES)."""
    for path in settings.EVENT_AUDIENCES:
        yield from import_string(path)(event_id)


def people_with_bookings(event_id: UUID) -> Iterable[UUID]:
    """Yield who has or holds seats of an event: buyers, and the holders of the tickets they passed on."""
    yield from Booking.objects.filter(event_id=event_id, status__in=LIVE).values_list("user_id", flat=True)
    holders = Ticket.objects.filter(event_id=event_id, status=Ticket.Status.ACTIVE, holder__isnull=False)
    yield from holders.values_list("holder_id", flat=True)
