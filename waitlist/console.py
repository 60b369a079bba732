"""One event's waitlist as staff and its organiser see it: the order, offers with time left, who was passed over and why."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, F, Max, Prefetch, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Now, TruncDate
from django.utils import timezone

from bookings.models import Booking, BookingTransition
from events.models import Event, SeatInventory
from waitlist.models import WaitlistEntry, WaitlistSkip
from waitlist.queries import with_position

Status = WaitlistEntry.Status
DAYS = 7
RELEASED = (Booking.Status.CANCELLED, Booking.Status.EXPIRED)
WHY = {
    "too_few_together": "wanted {wanted} together, {free} were free",
    "ticket_limit": "has as many tickets as one person may have",
    "account_inactive": "the account is switched off",
    "has_a_claim": "has accepted seats and not paid for them yet",
    "not_eligible": "is not verified yet",
    "category_closed": "waits for categories that are closed",
    "staff_choice": "staff offered to somebody behind first",
}


@dataclass(frozen=True)
class Tallies:
    """The numbers on top of a console."""

    people: int
    waiting: int
    free: int
    offered: int
    not_eligible: int


@dataclass(frozen=True)
class Row:
    """One line of a console."""

    entry: WaitlistEntry
    place: str
    wish: str
    kinds: str
    state: str
    skipped: str
    left: str
    offered_seats: int | None = field(default=None)


def tallies_of(event_id: UUID) -> Tallies:
    """Count who waits, and the seats of an event that are waited for, free and offered."""
    entries = WaitlistEntry.objects.filter(event_id=event_id, status=Status.WAITING).aggregate(
        people=Count("pk"),
        waiting=Coalesce(Sum("quantity", filter=Q(eligible=True)), 0),
        not_eligible=Count("pk", filter=Q(eligible=False)),
    )
    seats = SeatInventory.objects.filter(category__event_id=event_id).aggregate(
        offered=Coalesce(Sum("offered"), 0),
        free=Coalesce(Sum(F("capacity") - F("held") - F("offered") - F("sold"), filter=Q(category__closed=False)), 0),
    )
    return Tallies(**entries, **seats)


def released_by_day(event_id: UUID, days: int = DAYS) -> list[tuple[datetime, int]]:
    """Return how many seats came back on each of the last days (UTC), the oldest first: cancelled, given up or lapsed."""
    today = timezone.now().date()
    since = today - timedelta(days=days - 1)
    ended = BookingTransition.objects.filter(booking__event_id=event_id, to_status__in=RELEASED, at__date__gte=since)
    found = dict(ended.annotate(day=TruncDate("at")).values_list("day").annotate(seats=Sum("booking__quantity")))
    return [(day, found.get(day, 0)) for day in (since + timedelta(days=number) for number in range(days))]


def entries_of(event_id: UUID, *, show: str = "live", search: str = "") -> QuerySet[WaitlistEntry]:
    """Return an event's entries in the order of the list: those that are live, of one status, or all."""
    entries = WaitlistEntry.objects.filter(event_id=event_id)
    if show == "live":
        entries = entries.filter(status__in=WaitlistEntry.LIVE)
    elif show in Status.values:
        entries = entries.filter(status=show)
    if search:
        entries = entries.filter(Q(user__email__icontains=search) | Q(user__name__icontains=search))
    loaded = entries.select_related("user", "booking__category").prefetch_related(
        Prefetch("skips", WaitlistSkip.objects.order_by("-at", "-id"))
    )
    return with_position(loaded).order_by("joined_at", "id")


def row_of(entry: WaitlistEntry, names: dict[UUID, str], now: datetime) -> Row:
    """Return an entry as a line of the console; what it shows is loaded."""
    skip = next(iter(entry.skips.all()), None)
    offered = entry.booking if entry.status == Status.OFFERED else None
    left = ""
    if offered is not None and entry.offer_expires_at:
        left = in_words(entry.offer_expires_at - now)
    return Row(
        entry=entry,
        place=str(entry.position) if entry.status == Status.WAITING else "–",
        wish=f"{entry.quantity}{' together' if entry.all_together and entry.quantity > 1 else ''}",
        kinds=", ".join(names[pk] for pk in entry.category_ids if pk in names) or "any",
        state=state_of(entry, left),
        skipped=WHY[skip.reason].format(wanted=skip.wanted, free=skip.free) if skip else "",
        left=left,
        offered_seats=offered.quantity if offered else None,
    )


def rows_of(event: Event, entries: list[WaitlistEntry]) -> list[Row]:
    """Return entries as lines of the console."""
    names = {category.pk: category.name for category in event.categories.all()}
    now = timezone.now()
    return [row_of(entry, names, now) for entry in entries]


def state_of(entry: WaitlistEntry, left: str) -> str:
    """Say where an entry stands."""
    if entry.status == Status.OFFERED:
        return f"offered, {left}"
    if entry.status != Status.WAITING:
        return str(entry.status)
    if not entry.eligible:
        return "waiting, not verified"
    return "waiting, put aside" if entry.aside_since else "waiting"


def in_words(gap: timedelta) -> str:
    """Say what is left of an offer."""
    minutes = int(gap.total_seconds() // 60)
    if minutes < 0:
        return "time is over"
    return f"{minutes // 60} h {minutes % 60:02d} min left" if minutes >= 60 else f"{minutes} min left"


def events_with_lists() -> QuerySet[Event]:
    """Return the events that have a list, those where most people wait first."""
    waiting = Q(waitlist__status=Status.WAITING)
    listed = Event.objects.filter(waitlist__isnull=False, deleted_at=None).annotate(
        people=Count("waitlist", filter=waiting),
        seats=Coalesce(Sum("waitlist__quantity", filter=waiting & Q(waitlist__eligible=True)), 0),
        open_offers=Count("waitlist", filter=Q(waitlist__status=Status.OFFERED)),
        newest=Max("waitlist__joined_at"),
        is_over=Q(ends_at__lte=Now()),
    )
    return listed.order_by("is_over", "-people", "-newest")
