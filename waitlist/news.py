"""What people on a waitlist are told, each once per cause: on the list, an offer, a reminder, an offer that ended, the end."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.dateformat import format as format_date

from accounts.notifications import Kind, notify, register
from bookings.documents import event_day, event_hours
from bookings.models import Booking
from common import outbox
from common.money import display
from events.models import Event, TicketCategory
from waitlist.models import WaitlistEntry

GROUP = "waitlist"

JOINED = register(
    Kind(
        name="waitlist_joined",
        title="You are on the waitlist for {event}",
        body="You wait for {wish}. As soon as seats come back to you we write, and they are kept for you {offer_time}."
        "{until_verified}",
        group=GROUP,
        template="notice",
    )
)
OFFER = register(
    Kind(
        name="waitlist_offer",
        title="{seats} for {event}: yours until {until}",
        body="{seats} in {category} came back and you are next. {answers} until {until}.",
        essential=True,
        sms=True,
        group=GROUP,
    )
)
REMINDER = register(
    Kind(
        name="waitlist_offer_reminder",
        title="{seats} for {event}: only until {until}",
        body="{seats} in {category} are still kept for you. After {until} they go to the next person.",
        essential=True,
        sms=True,
        group=GROUP,
        template="waitlist_offer",
    )
)
LAPSED = register(
    Kind(
        name="waitlist_offer_lapsed",
        title="{what} for {event} went to the next person",
        body="{why} {next}",
        group=GROUP,
        template="notice",
    )
)
CLOSED = register(
    Kind(
        name="waitlist_closed",
        title="The waitlist for {event} is closed",
        body="{why} Nothing was charged for waiting.",
        group=GROUP,
        template="notice",
    )
)


def page_of(entry: WaitlistEntry) -> str:
    """Return the path of the page that shows an entry and answers its offer."""
    return f"/waitlist/{entry.pk}"


def joined(entry: WaitlistEntry) -> None:
    """Confirm to somebody that they are on the list."""
    event = Event.objects.get(pk=entry.event_id)
    notify(
        user_id=entry.user_id,
        kind=JOINED.name,
        cause=str(entry.pk),
        url=page_of(entry),
        event=event.name,
        wish=wish(entry),
        offer_time=duration(settings.OFFER_SECONDS),
        until_verified=""
        if entry.eligible
        else " Get verified first: until then you keep your place, and nothing is offered.",
    )


@outbox.handler("waitlist_offered")
def offered(dedupe_key: str, payload: dict[str, Any]) -> None:
    """Tell somebody of an offer, unless they have answered it meanwhile."""
    entry = WaitlistEntry.objects.filter(pk=UUID(payload["entry_id"])).first()
    booking = open_offer(UUID(payload["booking_id"]))
    if entry is not None and booking is not None:
        tell_of_offer(entry, booking, OFFER, str(booking.pk))


def remind(seconds: int) -> int:
    """Remind those whose offer ends within `seconds` and was made before that; return how many had not been reminded."""
    soon = WaitlistEntry.objects.filter(
        status=WaitlistEntry.Status.OFFERED,
        offer_expires_at__gt=Now(),
        offer_expires_at__lte=Now() + timedelta(seconds=seconds),
        offered_at__lte=Now() - timedelta(seconds=min(seconds, settings.OFFER_SECONDS // 2)),
    )
    count = 0
    for entry in soon.order_by("offer_expires_at", "id"):
        with transaction.atomic():
            booking = open_offer(entry.booking_id)
            if booking is not None:
                count += tell_of_offer(entry, booking, REMINDER, f"{booking.pk}:{seconds}")
    return count


def open_offer(booking_id: UUID | None) -> Booking | None:
    """Load a booking that is still offered, with its event and category."""
    offers = Booking.objects.filter(Q(pk=booking_id), status=Booking.Status.OFFERED, expires_at__gt=Now())
    return offers.select_related("event", "category").first()


def tell_of_offer(entry: WaitlistEntry, booking: Booking, kind: Kind, cause: str) -> bool:
    """Tell somebody what is offered to them and until when; whether they had not been told before."""
    event = booking.event
    assert booking.expires_at is not None
    pays_online = booking.amount_minor and event.payment_collection == Event.Collection.ONLINE
    return notify(
        user_id=entry.user_id,
        kind=kind.name,
        cause=cause,
        url=page_of(entry),
        event=event.name,
        day=event_day(event),
        hours=event_hours(event),
        location=event.location,
        seats=counted(booking.quantity),
        answers="Take it or turn it down" if booking.quantity == 1 else "Take them, take fewer or turn them down",
        category=booking.category.name,
        amount=display(booking.amount_minor, booking.currency),
        pays_online=bool(pays_online),
        until=moment(booking.expires_at, event),
        reminder=kind is REMINDER,
        rest=max(0, entry.quantity - booking.quantity),
    )


def lapsed(entry: WaitlistEntry, *, paid_late: bool, over: bool) -> None:
    """Tell somebody that what was kept for them went on, and where they are now."""
    event = Event.objects.get(pk=entry.event_id)
    why = "They were not paid for in time." if paid_late else "You did not answer in time."
    back = "You are on the waitlist again, behind everybody who waits now."
    left = settings.WAITLIST_MAX_LAPSES - entry.lapses
    if not over:
        back += " Next time you do not answer, your place ends." if left <= 0 else ""
    notify(
        user_id=entry.user_id,
        kind=LAPSED.name,
        cause=str(entry.booking_id),
        url=page_of(entry),
        event=event.name,
        what="What you accepted" if paid_late else "Your offer",
        why=why,
        next="Your place on the waitlist has ended. You can join again." if over else back,
    )


def closed(entry: WaitlistEntry) -> None:
    """Tell somebody that nothing comes any more."""
    event = Event.objects.get(pk=entry.event_id)
    cancelled = event.status == Event.Status.CANCELLED
    notify(
        user_id=entry.user_id,
        kind=CLOSED.name,
        cause=str(entry.pk),
        url=page_of(entry),
        event=event.name,
        why="The event was cancelled." if cancelled else "The sale is over, so no more seats will be offered.",
    )


def wish(entry: WaitlistEntry) -> str:
    """Return what an entry waits for, in words: `4 tickets together, General admission or Balcony`."""
    names = TicketCategory.objects.filter(pk__in=entry.category_ids).values_list("name", flat=True)
    together = " together" if entry.all_together and entry.quantity > 1 else ""
    kinds = f", {' or '.join(names)}" if names else ""
    return f"{counted(entry.quantity)}{together}{kinds}"


def counted(quantity: int) -> str:
    """Return a number of tickets in words."""
    return "1 ticket" if quantity == 1 else f"{quantity} tickets"


def moment(at: datetime, event: Event) -> str:
    """Return a moment on the clocks where the event takes place."""
    return format_date(at.astimezone(ZoneInfo(event.timezone)), "j F, H:i T")


def duration(seconds: int) -> str:
    """Return for how long something is kept, in words."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = round(seconds / length)
            return f"for {count} {unit}{'' if count == 1 else 's'}"
    return f"for {seconds} seconds"
