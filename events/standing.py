"""How an event and its ticket categories stand for a buyer at one moment; what pages show, computed without a query."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from django.conf import settings

from events.models import Event, TicketCategory


class State(StrEnum):
    DRAFT = "draft"
    CANCELLED = "cancelled"
    ENDED = "ended"
    SALE_OVER = "sale_over"
    WITH_CODE = "with_code"  # nothing here is for everybody
    UPCOMING = "upcoming"
    SOLD_OUT = "sold_out"
    LAST = "last"
    ON_SALE = "on_sale"


OPEN = {State.ON_SALE, State.LAST}
BEFORE_THE_END = {State.UPCOMING, State.SALE_OVER, State.SOLD_OUT}  # of nothing: how no category at all stands


@dataclass(frozen=True)
class Tier:
    """A ticket category as a row of the form: what one costs here and now, and when it can be had."""

    category: TicketCategory
    available: int
    price_minor: int
    opens_at: datetime | None = None  # while it can not be had yet
    is_over: bool = False
    is_early: bool = False  # open already, for who has this code
    limit: int | None = None  # tickets of it that one person may have

    @property
    def most(self) -> int:
        """How many of it one booking may have now, as far as the event allows."""
        return self.available if self.limit is None else min(self.available, self.limit)

    @property
    def is_free_of_charge(self) -> bool:
        return self.price_minor == 0

    @property
    def is_cheaper(self) -> bool:
        """Whether a code makes it cheaper than it is for everybody."""
        return self.price_minor < self.category.price_minor

    @property
    def is_scarce(self) -> bool:
        """Whether so few are left that the number is worth saying."""
        return 0 < self.available <= scarce_below(self.category.inventory.capacity)


@dataclass(frozen=True)
class Standing:
    """An event at one moment: its state, its categories, and the numbers a card shows."""

    event: Event
    state: State
    tiers: tuple[Tier, ...]
    sale_ends_at: datetime
    opens_at: datetime | None = None  # while nothing can be had yet

    @property
    def available(self) -> int:
        return sum(tier.available for tier in self.tiers)

    @property
    def is_open(self) -> bool:
        """Whether tickets can be taken now."""
        return self.state in OPEN

    @property
    def lines_up(self) -> bool:
        """Whether people stand in line for tickets, or will before the sale opens; a presale has no line."""
        return self.event.queue_enabled and (self.is_open or self.state == State.UPCOMING) and not self.is_presale

    @property
    def next_opening(self) -> datetime | None:
        """When the next tickets can be had that can not be had yet."""
        return min((tier.opens_at for tier in self.tiers if tier.opens_at), default=None)

    @property
    def opens_together(self) -> bool:
        """Whether everything that can not be had yet opens at the same moment."""
        return len({tier.opens_at for tier in self.tiers if tier.opens_at}) < 2

    @property
    def is_presale(self) -> bool:
        """Whether what can be had is there for those with a code, before it is there for everybody."""
        return any(tier.available and tier.is_early for tier in self.tiers)

    @property
    def is_over(self) -> bool:
        """Whether nobody can attend any more."""
        return self.state in {State.CANCELLED, State.ENDED}

    @property
    def cheapest(self) -> TicketCategory | None:
        """The cheapest category that can be had, or of all when none can."""
        tier = self.cheapest_tier
        return tier.category if tier else None

    @property
    def cheapest_tier(self) -> Tier | None:
        """The row of the cheapest category that can be had, or of all when none can."""
        choice = [tier for tier in self.tiers if tier.available] or list(self.tiers)
        return min(choice, key=lambda tier: tier.price_minor, default=None)

    @property
    def has_one_price(self) -> bool:
        return len({tier.price_minor for tier in self.tiers}) == 1

    @property
    def is_numbered(self) -> bool:
        return any(tier.category.numbered for tier in self.tiers)

    @property
    def most(self) -> int:
        """How many tickets one booking may have."""
        return min(self.event.max_tickets_per_booking, settings.MAX_TICKETS_PER_BOOKING)


def scarce_below(capacity: int) -> int:
    """Return how many tickets count as the last ones: a tenth of the house, at least 5 and at most 20."""
    return max(5, min(20, capacity // 10))


class Opener(Protocol):
    """What a code does to an event's categories, as far as a page shows it (`bookings.queries.Word`)."""

    def opens(self, category_id: UUID) -> bool: ...

    def price(self, category: TicketCategory) -> int: ...

    def limit(self, category: TicketCategory) -> int | None: ...


def standing_of(event: Event, *, now: datetime, code: Opener | None = None) -> Standing:
    """Return how an event stands, for who has this `code`; its categories and their counters must be loaded."""
    tiers = tuple(
        tier_of(category, event, now, code)
        for category in event.categories.all()
        if not category.hidden or (code is not None and code.opens(category.pk))
    )
    sale_ends_at = max(
        [tier.category.closes_at(event) for tier in tiers], default=event.sale_ends_at or event.starts_at
    )
    state = state_of(event, tiers, sale_ends_at, now)
    if (
        not tiers
        and state in BEFORE_THE_END
        and any(is_kept_for_codes(one, event, now) for one in event.categories.all())
    ):
        state = State.WITH_CODE
    waits = [tier.opens_at for tier in tiers if tier.opens_at]
    opens_at = min(waits) if state == State.UPCOMING and waits else event.sale_starts_at
    return Standing(event, state, tiers, sale_ends_at, opens_at)


def is_kept_for_codes(category: TicketCategory, event: Event, now: datetime) -> bool:
    """Whether a category is sold to people with a code, now or later, and to nobody else."""
    return category.hidden and not category.closed and category.closes_at(event) > now


def tier_of(category: TicketCategory, event: Event, now: datetime, code: Opener | None) -> Tier:
    """Return one category as it is for a buyer with this code, or none."""
    starts, over = category.opens_at(event), category.closes_at(event) <= now
    opened = code is not None and code.opens(category.pk)
    early = starts is not None and starts > now
    seats = category.inventory.free if opened and (early or category.hidden) else category.inventory.available
    waits = early and not opened
    return Tier(
        category,
        0 if category.closed or over or waits else seats,
        code.price(category) if code else category.price_minor,
        starts if waits else None,
        over,
        early and opened,
        code.limit(category) if code else category.max_per_person,
    )


def state_of(event: Event, tiers: tuple[Tier, ...], sale_ends_at: datetime, now: datetime) -> State:
    """Return the one word for where an event is in its life."""
    if event.status == Event.Status.DRAFT:
        return State.DRAFT
    if event.status == Event.Status.CANCELLED:
        return State.CANCELLED
    if event.status == Event.Status.COMPLETED or event.ends_at <= now:
        return State.ENDED
    if sale_ends_at <= now:
        return State.SALE_OVER
    selling = [tier for tier in tiers if not tier.is_over]
    if not selling and event.sale_starts_at and event.sale_starts_at > now:
        return State.UPCOMING  # only with a code so far
    if selling and all(tier.opens_at or tier.category.closed for tier in selling) and any(t.opens_at for t in selling):
        return State.UPCOMING
    free = sum(tier.available for tier in tiers)
    if not free:
        return State.SOLD_OUT
    capacity = sum(tier.category.inventory.capacity for tier in tiers if not tier.opens_at)
    return State.LAST if free <= scarce_below(capacity) else State.ON_SALE
