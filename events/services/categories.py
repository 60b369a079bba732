"""Ticket categories: their prices, capacities and numbered seats."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, ManyToOneRel, Max, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from common.money import step_of
from events.models import Event, Seat, SeatInventory, TicketCategory
from events.refusals import (
    BadCategory,
    CapacityBelowTaken,
    CategoryNameTaken,
    CategoryNotFound,
    EventIsOver,
    SeatsInUse,
)
from events.signals import seats_freed

MAX_CAPACITY = 1_000_000
MAX_SEATS = 20_000  # numbered seats are rows
MAX_CHARGE_MINOR = 99_999_999  # the most that one card charge can be
RULES = ("sale_starts_at", "sale_ends_at", "max_per_person", "hidden")  # what `update_category` may also set to nothing
CHANGEABLE = (Event.Status.DRAFT, Event.Status.PUBLISHED)


@dataclass(frozen=True)
class NewCategory:
    """A category to be: `capacity` seats, or `rows` × `seats_per_row` numbered ones."""

    name: str
    price_minor: int
    capacity: int = 0
    rows: int = 0
    seats_per_row: int = 0
    description: str = ""
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None
    max_per_person: int | None = None
    hidden: bool = False

    @property
    def numbered(self) -> bool:
        """Whether each ticket gets a seat of its own."""
        return self.rows > 0

    @property
    def seats(self) -> int:
        """How many seats it has."""
        return self.rows * self.seats_per_row if self.numbered else self.capacity


@transaction.atomic
def add_category(*, event_id: UUID, new: NewCategory) -> TicketCategory:
    """
    Add a category, with its inventory and its numbered seats, to an event that can still be changed.

    :raises EventIsOver: if the event is completed, cancelled or gone
    :raises BadCategory: if it has no seats, too many, or a price no card can pay
    :raises CategoryNameTaken: if the event has one of that name
    """
    event = touch(event_id)
    check_seats(new.seats, numbered=new.numbered)
    check_price(new.price_minor, event)
    rules = {name: getattr(new, name) for name in RULES}
    check_rules(rules, event)
    position = event.categories.aggregate(last=Max("position"))["last"]
    try:
        with transaction.atomic():
            category = TicketCategory.objects.create(
                event=event,
                name=new.name,
                description=new.description,
                price_minor=new.price_minor,
                numbered=new.numbered,
                position=0 if position is None else position + 1,
                **rules,
            )
    except IntegrityError as error:
        raise taken_name(error, new.name) from error
    category.inventory = SeatInventory.objects.create(category=category, capacity=new.seats)
    if new.numbered:
        Seat.objects.bulk_create(
            Seat(category=category, row=row_label(rank), number=number, rank=rank)
            for rank in range(new.rows)
            for number in range(1, new.seats_per_row + 1)
        )
    return category


@transaction.atomic
def update_category(
    *,
    category_id: UUID,
    name: str | None = None,
    description: str | None = None,
    price_minor: int | None = None,
    capacity: int | None = None,
    closed: bool | None = None,
    **rules: Any,
) -> TicketCategory:
    """
    Change what is given. A new price is for new bookings: those that exist keep the amount they were made with.

    `rules` are when, how many a person and to whom it sells (RULES); None there takes a rule away.

    :raises BadCategory: if its sale would end before it starts
    :raises CategoryNotFound: if there is no such category
    :raises EventIsOver: if its event is completed, cancelled or gone
    :raises CategoryNameTaken: if the event has another one of that name
    :raises CapacityBelowTaken: if more seats than `capacity` are taken
    """
    category = TicketCategory.objects.filter(pk=category_id).first()
    if category is None:
        raise CategoryNotFound
    event = touch(category.event_id)
    changes: dict[str, Any] = {
        field: value
        for field, value in {
            "name": name,
            "description": description,
            "price_minor": price_minor,
            "closed": closed,
        }.items()
        if value is not None
    }
    if unknown := rules.keys() - set(RULES):
        raise TypeError(f"a category has no {', '.join(sorted(unknown))}")
    if price_minor is not None:
        check_price(price_minor, event)
    if rules:
        check_rules({name: getattr(category, name) for name in RULES} | rules, event)
    changes |= rules
    if changes:
        try:
            with transaction.atomic():
                TicketCategory.objects.filter(pk=category_id).update(**changes)
        except IntegrityError as error:
            raise taken_name(error, name or "") from error
    if capacity is not None:
        change_capacity(category, capacity)
    return TicketCategory.objects.select_related("inventory").get(pk=category_id)


def close_category(*, category_id: UUID) -> TicketCategory:
    """Close a category to new buyers; whoever holds or has tickets keeps them."""
    return update_category(category_id=category_id, closed=True)


def reopen_category(*, category_id: UUID) -> TicketCategory:
    """Open a closed category again."""
    return update_category(category_id=category_id, closed=False)


@transaction.atomic
def set_capacity(*, category_id: UUID, capacity: int) -> TicketCategory:
    """
    Raise or lower a category's capacity, at any time during a sale.

    :raises CapacityBelowTaken: if more seats than that are taken; it names the least that is possible
    :raises SeatsInUse: if numbered seats that were booked before would have to go
    :raises EventIsOver: if the event is completed, cancelled or gone
    """
    return update_category(category_id=category_id, capacity=capacity)


def change_capacity(category: TicketCategory, capacity: int) -> None:
    """
    Set the capacity in one guarded UPDATE, then add or remove numbered seats under its row lock.

    The lock is the one every booking's trigger takes, so no seat is given out while the hall changes.
    """
    check_seats(capacity, numbered=category.numbered)
    before = SeatInventory.objects.get(pk=category.pk).capacity
    if not try_capacity(category.pk, capacity):
        taken = SeatInventory.objects.get(pk=category.pk).taken
        raise CapacityBelowTaken(
            f"{taken} of these tickets are taken, so {taken} is the lowest capacity.", minimum=taken
        )
    if category.numbered:
        surplus = category.seats.count() - capacity
        if surplus > 0:
            remove_seats(category, surplus)
        elif surplus < 0:
            add_seats(category, -surplus)
    if capacity > before:
        seats_freed.send(TicketCategory, category_id=category.pk)


def try_capacity(category_id: UUID, capacity: int) -> bool:
    """Set the capacity unless more is taken, decided on the row as it is when its lock is ours."""
    room = Q(pk=category_id, held__lte=capacity - F("offered") - F("sold"))
    return bool(SeatInventory.objects.filter(room).update(capacity=capacity))


def add_seats(category: TicketCategory, count: int) -> None:
    """Put `count` more seats behind the last row, in rows as long as the longest there is."""
    known = category.seats.aggregate(last=Max("rank"), longest=Max("number"))
    longest = known["longest"] or 20
    first = -1 if known["last"] is None else known["last"]
    Seat.objects.bulk_create(
        Seat(
            category=category,
            row=row_label(first + 1 + index // longest),
            number=index % longest + 1,
            rank=first + 1 + index // longest,
        )
        for index in range(count)
    )


def remove_seats(category: TicketCategory, count: int) -> None:
    """
    Take the `count` worst seats that nobody ever booked out of the hall.

    :raises SeatsInUse: if there are not that many
    """
    going = list(never_booked(category).order_by("-rank", "-number").values_list("pk", flat=True)[:count])
    if len(going) < count:
        lowest = category.seats.count() - len(going)
        raise SeatsInUse(
            f"Only {len(going)} seats were never booked, so {lowest} is the lowest capacity. "
            "Close the category to sell no more of it.",
            minimum=lowest,
        )
    Seat.objects.filter(pk__in=going).delete()


def never_booked(category: TicketCategory) -> QuerySet[Seat]:
    """Return the category's seats that no row of any table refers to."""
    seats = category.seats.all()
    for relation in Seat._meta.get_fields(include_hidden=True):
        if isinstance(relation, ManyToOneRel):
            rows = relation.related_model._base_manager.filter(**{relation.field.name: OuterRef("pk")})
            seats = seats.filter(~Exists(rows))
    return seats


def touch(event_id: UUID) -> Event:
    """
    Lock an event that can still be changed, mark it changed and return it.

    :raises EventIsOver: if it is completed, cancelled or gone
    """
    open_for_change = Event.objects.filter(pk=event_id, status__in=CHANGEABLE, deleted_at=None)
    if not open_for_change.update(updated_at=Now()):
        raise EventIsOver
    return Event.objects.get(pk=event_id)


def check_seats(seats: int, *, numbered: bool) -> None:
    """
    Check a capacity.

    :raises BadCategory: if it is less than one or more than can be
    """
    most = MAX_SEATS if numbered else MAX_CAPACITY
    if not 1 <= seats <= most:
        raise BadCategory(f"A category has 1 to {most} tickets{' with numbered seats' if numbered else ''}.")


def check_rules(rules: dict[str, Any], event: Event) -> None:
    """
    Check when a category sells, where it says nothing by its event's times, and how many of it a person may have.

    :raises BadCategory: if that is never, or none
    """
    starts, ends = rules["sale_starts_at"], rules["sale_ends_at"]
    if starts is not None and ends is not None and ends <= starts:
        raise BadCategory("The sale of a category must end after it starts.")
    until = event.sale_ends_at or event.starts_at
    if starts is not None and ends is None and until <= starts:
        raise BadCategory(
            f"The event's sale ends before that, on {until:%d %B %Y at %H:%M} UTC. Say when this one ends."
        )
    if ends is not None and starts is None and event.sale_starts_at is not None and ends <= event.sale_starts_at:
        since = event.sale_starts_at
        raise BadCategory(
            f"The event's sale begins after that, on {since:%d %B %Y at %H:%M} UTC. Say when this one begins."
        )
    if rules["max_per_person"] is not None and not 1 <= rules["max_per_person"] <= 30_000:
        raise BadCategory("One person may have at least one ticket of a category.")


def check_price(price_minor: int, event: Event) -> None:
    """
    Check that one booking of the dearest kind can be paid with one charge.

    :raises BadCategory: if it can not
    """
    if not 0 <= price_minor * event.max_tickets_per_booking <= MAX_CHARGE_MINOR:
        raise BadCategory("That price is higher than a card payment can be.")
    if price_minor % step_of(event.currency):
        raise BadCategory(f"A price in {event.currency} has two decimals here: cards can be charged no smaller part.")


def taken_name(error: IntegrityError, name: str) -> Exception:
    """Return the refusal that an integrity error stands for."""
    if "category_name_is_unique_in_its_event" in str(error):
        return CategoryNameTaken(f"This event has a ticket category “{name}” already.")
    return error


def row_label(rank: int) -> str:
    """Name a row by its rank: A, B … Z, AA, AB …"""
    label = ""
    rank += 1
    while rank:
        rank, letter = divmod(rank - 1, 26)
        label = chr(ord("A") + letter) + label
    return label
