"""
Reads of the catalogue; each one also answers "may this person see it?".

Everybody sees what was published; a draft is seen by its creator and by staff who have proved who they are. The list's first
statement is written in SQL because it is the hottest read there is: it finds one page of ids, each with a *version* that
changes with every committed change of the event, its categories or their counters (where those rows lie and which transaction
wrote them: `ctid` and `xmin`), whoever made it. Versions make the ETags and tell which rendered events are still good.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Prefetch, QuerySet

from accounts.permissions import may
from accounts.second_factor import ACTS_AS_STAFF, terms
from common.errors import NotFound
from common.money import THREE_DECIMAL, ZERO_DECIMAL
from events.models import Event, TicketCategory
from events.refusals import EventNotFound, NotYourEvent

ORDERINGS = {
    # What can still be attended first, soonest first; then what is over, latest first.
    "": "(event.status <> 'published' OR event.ends_at <= now()),"
    " CASE WHEN event.status = 'published' AND event.ends_at > now() THEN event.starts_at END, event.starts_at DESC",
    "startsAt": "event.starts_at",
    "-startsAt": "event.starts_at DESC",
    "date": "event.starts_at",
    "-date": "event.starts_at DESC",
    "name": "lower(event.name)",
    "-name": "lower(event.name) DESC",
    "createdAt": "event.created_at",
    "-createdAt": "event.created_at DESC",
    "price": "({price})",
    "-price": "({price}) DESC",
}
WHOLE = (
    "(price.price_minor * CASE WHEN event.currency = ANY (%(zero_decimal)s) THEN 1"
    " WHEN event.currency = ANY (%(three_decimal)s) THEN 0.001 ELSE 0.01 END)"
)
FROM_PRICE = (
    f"SELECT min({WHOLE}) FROM events_ticketcategory price"  # noqa: S608 - made of constants
    " WHERE price.event_id = event.id AND NOT price.closed AND NOT price.hidden"
)
VISIBLE = f"""event.deleted_at IS NULL AND (event.status <> 'draft' OR event.created_by_id = %(viewer)s OR EXISTS (
    SELECT 1 FROM accounts_user person WHERE person.id = %(viewer)s AND person.is_staff AND person.is_active
    AND {ACTS_AS_STAFF} AND (person.is_superuser OR EXISTS (
        SELECT 1 FROM accounts_user_groups member JOIN auth_group_permissions given USING (group_id)
        JOIN auth_permission permission ON permission.id = given.permission_id
        WHERE member.user_id = person.id AND permission.codename = 'every_event'))))"""  # noqa: S608 - made of constants
VERSION = """(
    SELECT string_agg(
        category.ctid::text || category.xmin || coalesce(inventory.ctid::text || inventory.xmin, ''), ' ' ORDER BY category.id)
    FROM events_ticketcategory category LEFT JOIN events_seatinventory inventory ON inventory.category_id = category.id
    WHERE category.event_id = {event}.id)"""
AVAILABLE = """event.status = 'published' AND EXISTS (
    SELECT 1 FROM events_ticketcategory category JOIN events_seatinventory inventory ON inventory.category_id = category.id
    WHERE category.event_id = event.id AND NOT category.closed AND NOT category.hidden AND inventory.waiting = 0
    AND coalesce(category.sale_ends_at, event.sale_ends_at, event.starts_at) > now()
    AND coalesce(category.sale_starts_at, event.sale_starts_at, now()) <= now()
    AND inventory.capacity > inventory.held + inventory.offered + inventory.sold)"""


@dataclass(frozen=True)
class EventFilters:
    """What to list. Empty fields do not filter; prices are in the event's currency, not minor units."""

    search: str = ""
    statuses: tuple[str, ...] = ()
    starts_from: datetime | None = None
    starts_before: datetime | None = None
    location: str = ""
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    available: bool | None = None
    created_by_id: UUID | None = None
    ordering: str = ""
    page: int = 1
    page_size: int = 20


@dataclass(frozen=True)
class Found:
    """One page of events as (id, version), and how many there are on all pages."""

    versions: dict[UUID, str]
    count: int
    page: int
    page_size: int

    @property
    def pages(self) -> int:
        """How many pages there are (at least one)."""
        return max(1, -(-self.count // self.page_size))

    @property
    def next_page(self) -> int | None:
        return self.page + 1 if self.page < self.pages else None

    @property
    def previous_page(self) -> int | None:
        return self.page - 1 if self.page > 1 else None


@dataclass(frozen=True)
class EventPage(Found):
    """One page of events with their categories and counters loaded."""

    events: Sequence[Event] = ()


def list_events(filters: EventFilters, *, viewer_id: UUID | None = None) -> EventPage:
    """
    Return one page of the events that this person may see, in three statements however many there are.

    :raises NotFound: if there is no such page
    """
    found = find_events(filters, viewer_id=viewer_id)
    loaded = {event.pk: event for event in with_categories(Event.objects.filter(pk__in=found.versions))}
    events = [loaded[event_id] for event_id in found.versions if event_id in loaded]
    return EventPage(found.versions, found.count, found.page, found.page_size, events)


def find_events(filters: EventFilters, *, viewer_id: UUID | None = None) -> Found:
    """
    Return the ids and versions of one page of events, in one statement.

    :raises NotFound: if there is no such page
    """
    where, values = conditions(filters)
    order = ORDERINGS[filters.ordering].format(price=FROM_PRICE)
    statement = f"""
        WITH page AS MATERIALIZED (
            SELECT event.id, event.ctid::text || event.xmin AS version, count(*) OVER () AS total,
                row_number() OVER (ORDER BY {order}, event.id) AS place
            FROM events_event event WHERE {VISIBLE} {"".join(f" AND {condition}" for condition in where)}
            ORDER BY place LIMIT %(limit)s OFFSET %(offset)s
        )
        SELECT page.id, page.version || ' ' || coalesce({VERSION.format(event="page")}, ''), page.total
        FROM page ORDER BY page.place
    """  # noqa: S608 - made of this module's own constants; every value is a parameter
    values |= terms() | {
        "viewer": viewer_id,
        "limit": filters.page_size,
        "offset": (filters.page - 1) * filters.page_size,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    if not rows and filters.page > 1:
        raise NotFound("There is no such page.")
    return Found({row[0]: row[1] for row in rows}, rows[0][2] if rows else 0, filters.page, filters.page_size)


def conditions(filters: EventFilters) -> tuple[list[str], dict[str, Any]]:
    """Return the WHERE conditions of the filters that are set, and every parameter a condition or order may use."""
    values: dict[str, Any] = {"zero_decimal": sorted(ZERO_DECIMAL), "three_decimal": sorted(THREE_DECIMAL)}
    where = []

    def add(condition: str, **parameters: Any) -> None:
        where.append(condition)
        values.update(parameters)

    for index, word in enumerate(filters.search.split()[:10]):
        add(
            f"concat_ws(' ', event.name, event.location, event.description) ILIKE %(word{index})s",
            **{f"word{index}": contains(word)},
        )
    if filters.location:
        add("event.location ILIKE %(location)s", location=contains(filters.location))
    if filters.statuses:
        add("event.status = ANY (%(statuses)s)", statuses=list(filters.statuses))
    if filters.starts_from:
        add("event.starts_at >= %(starts_from)s", starts_from=filters.starts_from)
    if filters.starts_before:
        add("event.starts_at < %(starts_before)s", starts_before=filters.starts_before)
    if filters.created_by_id:
        add("event.created_by_id = %(creator)s", creator=filters.created_by_id)
    if filters.min_price is not None or filters.max_price is not None:
        priced = (
            "EXISTS (SELECT 1 FROM events_ticketcategory price"
            " WHERE price.event_id = event.id AND NOT price.closed AND NOT price.hidden"
        )
        for name, sign in (("min_price", ">="), ("max_price", "<=")):
            if (limit := getattr(filters, name)) is not None:
                priced += f" AND {WHOLE} {sign} %({name})s"
                values[name] = limit
        add(priced + ")")
    if filters.available is not None:
        add(f"({AVAILABLE})" if filters.available else f"NOT ({AVAILABLE})")
    return where, values


def contains(text: str) -> str:
    """Return the LIKE pattern for "contains this text", whatever signs it has."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def find_event(*, event_id: UUID, viewer_id: UUID | None = None) -> str:
    """
    Return the version of one event that this person may see, in one statement.

    :raises EventNotFound: if there is none, or it is somebody else's draft
    """
    statement = f"""
        SELECT event.ctid::text || event.xmin || ' ' || coalesce({VERSION.format(event="event")}, '')
        FROM events_event event WHERE event.id = %(event)s AND {VISIBLE}
    """  # noqa: S608 - made of this module's own constants; every value is a parameter
    with connection.cursor() as cursor:
        cursor.execute(statement, {"event": event_id, "viewer": viewer_id, **terms()})
        row = cursor.fetchone()
    if row is None:
        raise EventNotFound
    return row[0]


def get_event(*, event_id: UUID, viewer_id: UUID | None = None) -> Event:
    """
    Load one event that this person may see, with its categories and counters: three statements.

    :raises EventNotFound: if there is none, or it is somebody else's draft
    """
    find_event(event_id=event_id, viewer_id=viewer_id)
    event = with_categories(Event.objects.filter(pk=event_id)).first()
    if event is None:
        raise EventNotFound
    return event


def get_event_to_change(*, event_id: UUID, viewer: Any) -> Event:
    """
    Load one event that this person may change: its creator, or staff who manage events.

    :raises EventNotFound: if there is none, or it is somebody else's draft
    :raises NotYourEvent: if they may only look at it
    """
    event = get_event(event_id=event_id, viewer_id=viewer.pk)
    if event.created_by_id != viewer.pk and not may(viewer, "events.change_event"):
        raise NotYourEvent
    return event


def with_categories(events: QuerySet[Event]) -> QuerySet[Event]:
    """Load the events' categories and counters too, in one more statement."""
    return events.prefetch_related(Prefetch("categories", TicketCategory.objects.select_related("inventory")))


def load_events(event_ids: Iterable[UUID]) -> list[Event]:
    """Load these events with their categories and counters, in two statements."""
    return list(with_categories(Event.objects.filter(pk__in=list(event_ids))))


def etag(*parts: str) -> str:
    """Return the ETag of an answer that is made of these parts only."""
    return f'"{hashlib.blake2b(" ".join(parts).encode(), digest_size=12).hexdigest()}"'
