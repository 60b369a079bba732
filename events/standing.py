"""How an event and its ticket categories stand for a buyer at one moment; what pages show, computed without a query."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.conf import settings

from events.models import Event, TicketCategory


class State(StrEnum):
    DRAFT = "draft"
    CANCELLED = "cancelled"
    ENDED = "ended"
    SALE_OVER = "sale_over"
    UPCOMING = "upcoming"
    SOLD_OUT = "sold_out"
    LAST = "last"
    ON_SALE = "on_sale"


OPEN = {State.ON_SALE, State.LAST}


@dataclass(frozen=True)
class Tier:
    """A ticket category as a row of the form."""

    category: TicketCategory
    available: int

    @property
    def is_free_of_charge(self) -> bool:
        return self.category.price_minor == 0

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

    @property
    def available(self) -> int:
        return sum(tier.available for tier in self.tiers)

    @property
    def is_open(self) -> bool:
        """Whether tickets can be taken now."""
        return self.state in OPEN

    @property
    def lines_up(self) -> bool:
        """Whether people stand in line for tickets, or will before the sale opens."""
        return self.event.queue_enabled and (self.is_open or self.state == State.UPCOMING)

    @property
    def is_over(self) -> bool:
        """Whether nobody can attend any more."""
        return self.state in {State.CANCELLED, State.ENDED}

    @property
    def cheapest(self) -> TicketCategory | None:
        """The cheapest category that can be had, or of all when none can."""
        choice = [tier for tier in self.tiers if tier.available] or list(self.tiers)
        return min((tier.category for tier in choice), key=lambda category: category.price_minor, default=None)

    @property
    def has_one_price(self) -> bool:
        return len({tier.category.price_minor for tier in self.tiers}) == 1

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


def standing_of(event: Event, *, now: datetime) -> Standing:
    """Return how an event stands; its categories and their counters must be loaded."""
    tiers = tuple(
        Tier(category, 0 if category.closed else category.inventory.available) for category in event.categories.all()
    )
    sale_ends_at = event.sale_ends_at or event.starts_at
    return Standing(event, state_of(event, tiers, sale_ends_at, now), tiers, sale_ends_at)


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
    if event.sale_starts_at and event.sale_starts_at > now:
        return State.UPCOMING
    free = sum(tier.available for tier in tiers)
    if not free:
        return State.SOLD_OUT
    capacity = sum(tier.category.inventory.capacity for tier in tiers)
    return State.LAST if free <= scarce_below(capacity) else State.ON_SALE
