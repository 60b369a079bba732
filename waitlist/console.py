"""What staff's console shows beside the list itself (`queries.console`): any status, a search, seats that came back by day."""

from datetime import date, timedelta
from uuid import UUID

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Now, TruncDate
from django.utils import timezone

from bookings.models import Booking, BookingTransition
from events.models import Event
from waitlist.models import WaitlistEntry
from waitlist.queries import ConsoleRows, console_entries

Status = WaitlistEntry.Status
DAYS = 7
RELEASED = (Booking.Status.CANCELLED, Booking.Status.EXPIRED)
LIVE = "live"


def released_by_day(event_id: UUID, days: int = DAYS) -> list[tuple[date, int]]:
    """Return how many seats came back on each of the last days (UTC), the oldest first: cancelled, given up or lapsed."""
    since = timezone.now().date() - timedelta(days=days - 1)
    ended = BookingTransition.objects.filter(booking__event_id=event_id, to_status__in=RELEASED, at__date__gte=since)
    by_day = ended.order_by().annotate(day=TruncDate("at")).values_list("day").annotate(seats=Sum("booking__quantity"))
    found: dict[date, int] = dict(by_day)
    return [(day, found.get(day, 0)) for day in (since + timedelta(days=number) for number in range(days))]


def rows_of(event_id: UUID, *, show: str = LIVE, search: str = "") -> ConsoleRows:
    """Return an event's entries in the order of the list: those that are live, of one status, or all."""
    entries = WaitlistEntry.objects.filter(event_id=event_id)
    if show == LIVE:
        entries = entries.filter(status__in=WaitlistEntry.LIVE)
    elif show in Status.values:
        entries = entries.filter(status=show)
    if search:
        entries = entries.filter(Q(user__email__icontains=search) | Q(user__name__icontains=search))
    return ConsoleRows(console_entries(entries))


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
