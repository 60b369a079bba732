"""Reads of the waitlist; positions and estimates are computed, never stored."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import sqrt
from uuid import UUID

from django.db.models import Count, F, OuterRef, Prefetch, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from accounts.authentication import Principal
from accounts.models import User
from accounts.permissions import may
from bookings.models import Booking
from bookings.states import Source
from common.errors import NotFound
from events.models import TicketCategory
from waitlist.models import WaitlistEntry, WaitlistSkip

WAITING = WaitlistEntry.Status.WAITING
OFFERED = WaitlistEntry.Status.OFFERED
# How far back releases are measured, and how many there must be before anything is said.
MEASURED_DAYS = 7
FEWEST_RELEASES = 3
STATES = {
    "waiting": "Waits",
    "offered": "Has an offer",
    "accepted": "Accepted",
    "rejected": "Passed on",
    "expired": "Ended",
    "left": "Left",
}
# Why somebody was passed over, as staff read it; the numbers are of that moment.
SKIPPED = {
    "too_few_together": "wants {wanted} together, {free} free",
    "ticket_limit": "has as many tickets as one person may have",
    "account_inactive": "account is switched off",
    "has_a_claim": "has accepted tickets and not paid yet",
    "not_eligible": "has not been verified",
    "category_closed": "waits for a category that is closed",
    "staff_choice": "staff offered to somebody behind",
}


@dataclass(frozen=True)
class Released:
    """How many seats the list was given within the days that were measured."""

    seats: int
    days: float

    @property
    def per_day(self) -> float:
        """Seats a day."""
        return self.seats / self.days if self.days else 0.0


@dataclass(frozen=True)
class Standing:
    """Where an entry stands: its position, what is wanted before it, and how long that took so far (None: can not be said)."""

    position: int | None
    ahead_people: int
    ahead_seats: int
    estimate: str | None
    estimate_low: int | None
    estimate_high: int | None
    offer: Booking | None
    is_aside: bool
    is_open: bool


@dataclass(frozen=True)
class ConsoleRow:
    """One line of the staff's list; `place` is the position, None unless the entry waits."""

    entry: WaitlistEntry
    place: int | None
    wish: str
    state: str
    time_left: timedelta | None
    skip: WaitlistSkip | None

    @property
    def skipped(self) -> str:
        """Why they were passed over last, in words; empty when they never were, or stand otherwise now."""
        if self.skip is None or self.entry.status != WAITING:
            return ""
        return SKIPPED[self.skip.reason].format(wanted=self.skip.wanted, free=self.skip.free)


class ConsoleRows(Sequence[ConsoleRow]):
    """The rows of an event's list in its order, read page by page: a slice is two statements."""

    def __init__(self, entries: QuerySet[WaitlistEntry]) -> None:
        self.entries = entries

    def __len__(self) -> int:
        return self.entries.count()

    def __getitem__(self, which):  # type: ignore[no-untyped-def]
        if isinstance(which, slice):
            return [console_row(entry) for entry in self.entries[which]]
        return console_row(self.entries[which])


@dataclass(frozen=True)
class Console:
    """An event's list as staff see it."""

    rows: ConsoleRows
    people: int
    seats: int
    ineligible: int
    aside: int
    offers: int
    free: int
    categories: list[TicketCategory] = field(default_factory=list)
    released: Released = Released(0, 0)


def with_position(entries: QuerySet[WaitlistEntry]) -> QuerySet[WaitlistEntry]:
    """Give each entry that waits its `position`: 1 for the head of its event's list, by time and then id."""
    before = Q(joined_at__lt=OuterRef("joined_at")) | Q(joined_at=OuterRef("joined_at"), id__lt=OuterRef("id"))
    ahead = (
        WaitlistEntry.objects.filter(before, event_id=OuterRef("event_id"), status=WAITING)
        .order_by()
        .values("event_id")
        .annotate(count=Count("pk"))
        .values("count")
    )
    return entries.annotate(ahead=Coalesce(Subquery(ahead), 0)).annotate(position=F("ahead") + 1)


def position_of(entry: WaitlistEntry) -> int | None:
    """Return an entry's position, or None when it does not wait (any more)."""
    if entry.status != WAITING:
        return None
    found = with_position(WaitlistEntry.objects.filter(pk=entry.pk)).first()
    return getattr(found, "position", None)


def standing_of(entry: WaitlistEntry) -> Standing:
    """
    Return where an entry stands and an honest estimate of how long it waits on.

    The estimate is the seats wanted before it and by it, at the pace at which seats came to this list in the last days; twice
    the standard deviation of a count gives its two ends. Of fewer than three releases nothing can be said.
    """
    offer = None
    if entry.status == OFFERED:
        offer = (
            Booking.objects.filter(Q(pk=entry.booking_id), status=Booking.Status.OFFERED, expires_at__gt=Now())
            .select_related("event", "category")
            .first()
        )
    if entry.status != WAITING:
        return Standing(None, 0, 0, None, None, None, offer, False, offer is not None)
    before = Q(joined_at__lt=entry.joined_at) | Q(joined_at=entry.joined_at, id__lt=entry.pk)
    ahead = WaitlistEntry.objects.filter(before, event_id=entry.event_id, status=WAITING)
    people = ahead.count()
    rivals = ahead.filter(eligible=True)
    if entry.category_ids:
        rivals = rivals.filter(Q(category_ids=[]) | Q(category_ids__overlap=entry.category_ids))
    seats = rivals.aggregate(seats=Sum("quantity"))["seats"] or 0
    low, high = (None, None)
    if entry.eligible:
        low, high = estimate(seats + entry.quantity, released(entry.event_id, entry.category_ids))
    words = range_in_words(low, high)
    return Standing(people + 1, people, seats, words, low, high, None, entry.aside_since is not None, True)


def others_wait_for(booking: Booking) -> bool:
    """Whether somebody else has a claim to the seats of a booking: they wait for them, may have them, and are not aside."""
    claims = WaitlistEntry.objects.filter(event_id=booking.event_id, status=WAITING, eligible=True, aside_since=None)
    these = Q(category_ids=[]) | Q(category_ids__contains=[booking.category_id])
    return claims.filter(these).exclude(user_id=booking.user_id).exists()


def released(event_id: UUID, category_ids: Sequence[UUID] = ()) -> Released:
    """Return how many seats were offered to an event's list in the last days, or since it has one."""
    since = Now() - timedelta(days=MEASURED_DAYS)
    given = Booking.objects.filter(event_id=event_id, source=Source.WAITLIST, created_at__gt=since)
    if category_ids:
        given = given.filter(category_id__in=category_ids)
    seats = given.aggregate(seats=Sum("quantity"))["seats"] or 0
    began = WaitlistEntry.objects.filter(event_id=event_id).order_by("joined_at").values("joined_at")[:1]
    first = began.first()
    if not first:
        return Released(0, 0)
    days = min(timedelta(days=MEASURED_DAYS), timezone.now() - first["joined_at"]) / timedelta(days=1)
    return Released(seats, max(days, 1 / 24))


def estimate(seats: int, measured: Released) -> tuple[int | None, int | None]:
    """Return in how many seconds, at least and at most, that many seats come at the measured pace; None, None of too few."""
    if measured.seats < FEWEST_RELEASES:
        return None, None
    spread = 2 * sqrt(measured.seats)
    fastest = (measured.seats + spread) / (measured.days * 86_400)
    slowest = max(1.0, measured.seats - spread) / (measured.days * 86_400)
    return round(seats / fastest), round(seats / slowest)


def range_in_words(low: int | None, high: int | None) -> str | None:
    """Return a span of time as people say it: `2 to 9 days`; None when it can not be said."""
    if low is None or high is None:
        return None
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if high >= 2 * length or unit == "minute":
            first, last = max(1, low // length), max(1, -(-high // length))
            if first == last:
                return f"about {last} {unit}{'' if last == 1 else 's'}"
            return f"{first} to {last} {unit}s"
    return None


def list_entries(*, event_id: UUID | None = None, status: str = "") -> QuerySet[WaitlistEntry]:
    """Return the list of an event (or of all) in its order, for staff."""
    entries = WaitlistEntry.objects.select_related("user", "event")
    if event_id is not None:
        entries = entries.filter(event_id=event_id)
    if status:
        entries = entries.filter(status=status)
    return with_position(entries).order_by("joined_at", "id")


def get_live_entry(*, user_id: UUID, event_id: UUID) -> WaitlistEntry | None:
    """Return the entry with which a person waits or has an offer, or None."""
    entries = WaitlistEntry.objects.filter(user_id=user_id, event_id=event_id, status__in=WaitlistEntry.LIVE)
    return with_position(entries.select_related("event", "user")).first()


def get_live_entry_for(*, viewer: Principal | User, user_id: UUID, event_id: UUID) -> WaitlistEntry | None:
    """
    Return a person's live entry for themselves or for staff; None when they are not on the list.

    :raises NotFound: if the viewer may not ask about this person
    """
    if viewer.pk != user_id and not may(viewer, "waitlist.view_waitlistentry"):
        raise NotFound("There is no such person, or it is not you.")
    return get_live_entry(user_id=user_id, event_id=event_id)


def console(*, event_id: UUID) -> Console:
    """Return an event's list for staff: its live entries in order, what is free, and how fast seats come back."""
    live = WaitlistEntry.objects.filter(event_id=event_id, status__in=WaitlistEntry.LIVE)
    waiting = Q(status=WAITING, eligible=True)
    counts = live.aggregate(
        people=Count("pk", filter=Q(status=WAITING)),
        seats=Coalesce(Sum("quantity", filter=waiting), 0),
        ineligible=Count("pk", filter=Q(status=WAITING, eligible=False)),
        aside=Count("pk", filter=Q(aside_since__isnull=False)),
        offers=Count("pk", filter=Q(status=OFFERED)),
    )
    categories = list(TicketCategory.objects.filter(event_id=event_id).select_related("inventory"))
    free = sum(category.inventory.free for category in categories if not category.closed)
    return Console(
        rows=ConsoleRows(console_entries(live)),
        free=free,
        categories=categories,
        released=released(event_id),
        **counts,
    )


def console_entries(entries: QuerySet[WaitlistEntry]) -> QuerySet[WaitlistEntry]:
    """Load entries with what a line of the console shows."""
    skips = WaitlistSkip.objects.order_by("-at", "-pk")
    loaded = entries.select_related("user", "event", "booking__category").prefetch_related(
        Prefetch("skips", skips, to_attr="skips_newest_first"), "event__categories"
    )
    return with_position(loaded).order_by("joined_at", "id")


def console_row(entry: WaitlistEntry) -> ConsoleRow:
    """Return one line of the console of an entry loaded by `console_entries`."""
    left = None
    if entry.status == OFFERED and entry.offer_expires_at is not None:
        left = max(timedelta(), entry.offer_expires_at - timezone.now())
    skips: list[WaitlistSkip] = getattr(entry, "skips_newest_first", [])
    place: int | None = getattr(entry, "position", None) if entry.status == WAITING else None
    state = STATES[entry.status]
    if entry.status == WAITING:
        if not entry.eligible:
            state = "Waits, not verified yet"
        elif entry.unpaid:
            state = "Waits for the rest, accepted part not paid yet"
        elif entry.aside_since is not None:
            state = "Waits, keeps no seats from the public"
    return ConsoleRow(
        entry, place, wish_in_words(entry, entry.event.categories.all()), state, left, next(iter(skips), None)
    )


def wish_in_words(entry: WaitlistEntry, categories: Iterable[TicketCategory]) -> str:
    """Return what an entry waits for: `3 together, General or Balcony`."""
    names = [category.name for category in categories if category.pk in entry.category_ids]
    together = " together" if entry.all_together and entry.quantity > 1 else ""
    return f"{entry.quantity}{together}, {' or '.join(names) if names else 'any category'}"
