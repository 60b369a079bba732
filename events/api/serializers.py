"""What events look like on the wire, in and out."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.api import Input
from common.money import to_decimal, to_minor
from events.currencies import CURRENCIES
from events.models import Event, TicketCategory
from events.queries import ORDERINGS, EventFilters
from events.refusals import BadTimes
from events.services import NewCategory
from events.services.categories import MAX_CAPACITY, RULES
from events.services.events import FIELDS, timezones

YEARS = range(2000, 2200)
HALVES = ("date", "start_time", "end_time", "starts_at", "ends_at", "timezone")


def in_our_time(value: date | datetime) -> None:
    """Refuse years that no event is in and time zones can not compute with."""
    if value.year not in YEARS:
        raise serializers.ValidationError(f"Choose a year between {YEARS.start} and {YEARS.stop - 1}.")


def known_timezone(value: str) -> None:
    """Refuse what is no IANA time zone."""
    if value not in timezones():
        raise serializers.ValidationError("Write an IANA time zone, for example Europe/Berlin.")


def known_currency(value: str) -> None:
    """Refuse what is no currency."""
    if value not in CURRENCIES:
        raise serializers.ValidationError("Write an ISO 4217 currency in capitals, for example EUR.")


@extend_schema_field(
    {"type": ["string", "number"], "pattern": r"^\d{1,9}(\.\d{1,3})?$", "minimum": 0, "examples": ["49.00"]}
)
class PriceField(serializers.DecimalField):
    """A price in the event's currency, as a decimal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=12, decimal_places=3, min_value=0, **options)


class CategoryIn(serializers.Serializer):
    """A category of a new event: `capacity` tickets, or `rows` × `seatsPerRow` numbered seats."""

    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=300, allow_blank=True, required=False)
    price = PriceField()
    capacity = serializers.IntegerField(min_value=1, max_value=MAX_CAPACITY, required=False)
    rows = serializers.IntegerField(min_value=1, max_value=200, required=False, help_text="Rows of numbered seats.")
    seats_per_row = serializers.IntegerField(min_value=1, max_value=500, required=False)
    closed = serializers.BooleanField(required=False)
    sale_starts_at = serializers.DateTimeField(
        required=False, allow_null=True, validators=[in_our_time], help_text="Null: when the event's sale starts."
    )
    sale_ends_at = serializers.DateTimeField(
        required=False, allow_null=True, validators=[in_our_time], help_text="Null: when the event's sale ends."
    )
    max_per_person = serializers.IntegerField(min_value=1, max_value=30_000, required=False, allow_null=True)
    hidden = serializers.BooleanField(required=False, help_text="Only people with a presale code see and buy it.")

    def validate(self, category: dict[str, Any]) -> dict[str, Any]:
        numbered = {"rows", "seats_per_row"} & category.keys()
        if len(numbered) == 1 or bool(numbered) == ("capacity" in category):
            raise serializers.ValidationError("Give either `capacity`, or `rows` and `seatsPerRow` for numbered seats.")
        return category


class CategoryChangeIn(CategoryIn):
    """With `id` a category to change, without one to add."""

    id = serializers.UUIDField(required=False)
    name = serializers.CharField(max_length=100, required=False)
    price = PriceField(required=False)

    def validate(self, category: dict[str, Any]) -> dict[str, Any]:
        if "id" in category:
            if {"rows", "seats_per_row"} & category.keys():
                raise serializers.ValidationError("Rows belong to a new category; change `capacity` of this one.")
            return category
        for name in ("name", "price"):
            if name not in category:
                raise serializers.ValidationError({name: ["This field is required."]})
        return super().validate(category)


class EventFields(Input):
    """What POST, PUT and PATCH have in common."""

    protected = (
        "id",
        "created_by",
        "created_by_id",
        "available_tickets",
        "held",
        "sold",
        "offered",
        "waiting",
        "created_at",
        "updated_at",
        "cancelled_reason",
        "deleted_at",
    )

    name = serializers.CharField(max_length=200)
    description = serializers.CharField(max_length=20_000, allow_blank=True, required=False)
    location = serializers.CharField(max_length=200)
    date = serializers.DateField(required=False, validators=[in_our_time], help_text="Where it takes place.")
    start_time = serializers.TimeField(required=False, help_text="Where it takes place, for example 19:30.")
    end_time = serializers.TimeField(required=False, help_text="Not after the start: it ends the next day.")
    starts_at = serializers.DateTimeField(
        required=False, validators=[in_our_time], help_text="Instead of date and times."
    )
    ends_at = serializers.DateTimeField(required=False, validators=[in_our_time])
    timezone = serializers.CharField(max_length=64, required=False, validators=[known_timezone])
    currency = serializers.CharField(max_length=3, required=False, validators=[known_currency])
    total_tickets = serializers.IntegerField(min_value=1, max_value=MAX_CAPACITY, required=False)
    ticket_price = PriceField(required=False)
    sale_starts_at = serializers.DateTimeField(required=False, allow_null=True, validators=[in_our_time])
    sale_ends_at = serializers.DateTimeField(required=False, allow_null=True, validators=[in_our_time])
    queue_enabled = serializers.BooleanField(required=False)
    max_active_users = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False)
    requires_face_verification = serializers.BooleanField(required=False)
    face_necessity = serializers.CharField(max_length=2000, allow_blank=True, required=False)
    similarity_threshold = serializers.IntegerField(min_value=1, max_value=100, required=False)
    liveness = serializers.ChoiceField(
        choices=Event.Liveness.choices,
        required=False,
        help_text="`required`: the picture for the face check must come from a head-turn check or a Face Liveness session.",
    )
    payment_collection = serializers.ChoiceField(choices=Event.Collection.choices, required=False)
    max_tickets_per_booking = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    allow_hold_extension = serializers.BooleanField(required=False)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Short",
            {
                "name": "Tech Conference",
                "date": "2031-12-15",
                "startTime": "09:00",
                "endTime": "17:00",
                "location": "San Francisco",
                "totalTickets": 100,
                "ticketPrice": "99.99",
                "description": "Annual tech conference",
            },
        ),
        OpenApiExample(
            "With categories",
            {
                "name": "Tech Conference",
                "date": "2031-12-15",
                "startTime": "09:00",
                "endTime": "17:00",
                "timezone": "Europe/Berlin",
                "location": "Berlin",
                "status": "draft",
                "categories": [
                    {"name": "Floor", "price": "49.00", "capacity": 500},
                    {"name": "Gallery", "price": "79.00", "rows": 10, "seatsPerRow": 20},
                ],
            },
        ),
    ]
)
class EventIn(EventFields):
    """S0's short body (`date, startTime, endTime, totalTickets, ticketPrice`), or the full one with `categories`."""

    categories = CategoryIn(many=True, required=False, allow_empty=False)
    status = serializers.ChoiceField(choices=["draft", "published"], default="published")

    def validate(self, event: dict[str, Any]) -> dict[str, Any]:
        if "starts_at" not in event or "ends_at" not in event:
            for name in ("date", "start_time", "end_time"):
                if name not in event:
                    raise serializers.ValidationError({name: ["This field is required."]})
        if "categories" in event:
            for name in ("total_tickets", "ticket_price"):
                if name in event:
                    raise serializers.ValidationError({name: ["Leave this out when you send `categories`."]})
            return event
        for name in ("total_tickets", "ticket_price"):
            if name not in event:
                raise serializers.ValidationError({name: ["This field is required."]})
        return event


class EventChangesIn(EventFields):
    """What is sent changes, the rest stays. `status` publishes, cancels (with a `reason`) or completes the event."""

    name = serializers.CharField(max_length=200, required=False)
    location = serializers.CharField(max_length=200, required=False)
    categories = CategoryChangeIn(many=True, required=False)
    status = serializers.ChoiceField(choices=Event.Status.choices, required=False)
    reason = serializers.CharField(max_length=500, allow_blank=True, required=False)


class CategoryOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    price = serializers.CharField(help_text="A decimal, for example 49.00.")
    currency = serializers.CharField()
    capacity = serializers.IntegerField()
    available = serializers.IntegerField()
    numbered = serializers.BooleanField()
    sale_starts_at = serializers.DateTimeField(allow_null=True, help_text="Null: with the event's sale.")
    sale_ends_at = serializers.DateTimeField(allow_null=True)
    max_per_person = serializers.IntegerField(allow_null=True)
    hidden = serializers.BooleanField(help_text="Only its organiser and staff are shown hidden ones.")


class EventOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    date = serializers.DateField(help_text="In the event's time zone, like startTime and endTime.")
    start_time = serializers.CharField(help_text="HH:MM")
    end_time = serializers.CharField(help_text="HH:MM")
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    timezone = serializers.CharField()
    location = serializers.CharField()
    status = serializers.ChoiceField(choices=Event.Status.choices)
    sale_starts_at = serializers.DateTimeField(allow_null=True)
    sale_ends_at = serializers.DateTimeField(allow_null=True)
    total_tickets = serializers.IntegerField()
    available_tickets = serializers.IntegerField(help_text="What anybody may take now; 0 while a waitlist comes first.")
    ticket_price = serializers.CharField(help_text="The lowest price of the open categories.")
    currency = serializers.CharField()
    categories = CategoryOut(many=True)
    queue_enabled = serializers.BooleanField()
    max_active_users = serializers.IntegerField()
    requires_face_verification = serializers.BooleanField()
    face_necessity = serializers.CharField(allow_blank=True)
    similarity_threshold = serializers.IntegerField()
    liveness = serializers.ChoiceField(choices=Event.Liveness.choices)
    payment_collection = serializers.ChoiceField(choices=Event.Collection.choices)
    max_tickets_per_booking = serializers.IntegerField()
    created_by = serializers.UUIDField(allow_null=True)


class EventStatusOut(serializers.Serializer):
    id = serializers.UUIDField()
    event_name = serializers.CharField()
    status = serializers.ChoiceField(choices=Event.Status.choices)
    total_tickets = serializers.IntegerField()
    available_tickets = serializers.IntegerField()


class AvailableTicketsOut(serializers.Serializer):
    event_id = serializers.UUIDField()
    available_tickets = serializers.IntegerField()


class EventListIn(serializers.Serializer):
    """The query of the list, by its names in Python (`NAMES` has those on the wire)."""

    NAMES = {
        "from": "starts_from",
        "to": "starts_to",
        "minPrice": "min_price",
        "maxPrice": "max_price",
        "pageSize": "page_size",
        "page_size": "page_size",
        "min_price": "min_price",
        "max_price": "max_price",
    }

    search = serializers.CharField(max_length=200, required=False, allow_blank=True)
    status = serializers.CharField(max_length=100, required=False, allow_blank=True)
    starts_from = serializers.CharField(max_length=40, required=False, allow_blank=True)
    starts_to = serializers.CharField(max_length=40, required=False, allow_blank=True)
    location = serializers.CharField(max_length=200, required=False, allow_blank=True)
    min_price = PriceField(required=False)
    max_price = PriceField(required=False)
    available = serializers.BooleanField(required=False, allow_null=True, default=None)
    ordering = serializers.ChoiceField(choices=[name for name in ORDERINGS if name], required=False)
    page = serializers.IntegerField(min_value=1, max_value=1_000_000, default=1)
    page_size = serializers.IntegerField(min_value=1, default=20)

    def validate_status(self, text: str) -> tuple[str, ...]:
        statuses = tuple(part.strip() for part in text.split(",") if part.strip())
        if unknown := set(statuses) - set(Event.Status.values):
            raise serializers.ValidationError(f"{sorted(unknown)[0]} is no status of an event.")
        return statuses

    def validate_starts_from(self, text: str) -> datetime | None:
        return moment(text, end_of_day=False)

    def validate_starts_to(self, text: str) -> datetime | None:
        return moment(text, end_of_day=True)


def read_filters(query: dict[str, str]) -> EventFilters:
    """
    Read the list's query string.

    :raises rest_framework.exceptions.ValidationError: with an entry per wrong parameter
    """
    if not query:
        return EventFilters()
    form = EventListIn(data={EventListIn.NAMES.get(name, name): value for name, value in query.items()})
    if not form.is_valid():
        wire = {ours: theirs for theirs, ours in reversed(EventListIn.NAMES.items())}
        raise serializers.ValidationError({wire.get(name, name): errors for name, errors in form.errors.items()})
    wish = form.validated_data
    return EventFilters(
        search=wish.get("search", ""),
        statuses=wish.get("status", ()) or (),
        starts_from=wish.get("starts_from"),
        starts_before=wish.get("starts_to"),
        location=wish.get("location", ""),
        min_price=wish.get("min_price"),
        max_price=wish.get("max_price"),
        available=wish["available"],
        ordering=wish.get("ordering", ""),
        page=wish["page"],
        page_size=min(wish["page_size"], 100),
    )


def moment(text: str, *, end_of_day: bool) -> datetime | None:
    """Read a day or a time; a day means its begin, or as an upper limit the begin of the next."""
    if not text:
        return None
    try:
        if len(text) == 10:
            day = serializers.DateField().to_internal_value(text)
            in_our_time(day)
            start = datetime.combine(day, time(), UTC)
            return start + timedelta(days=1) if end_of_day else start
        value = serializers.DateTimeField(default_timezone=UTC).to_internal_value(text)
    except (serializers.ValidationError, OverflowError) as error:
        raise serializers.ValidationError("Write a day (2027-05-01) or a time (2027-05-01T19:30:00Z).") from error
    in_our_time(value)
    return value


def new_event(wish: dict[str, Any]) -> dict[str, Any]:
    """
    Turn a validated EventIn into the arguments of `create_event`.

    :raises BadTimes: if a time does not exist in the event's time zone
    :raises common.errors.Invalid: if a price does not fit the currency
    """
    currency = wish.get("currency", "EUR")
    if "categories" in wish:
        categories = [new_category(category, currency) for category in wish["categories"]]
    else:
        price = to_minor(wish["ticket_price"], currency)
        categories = [NewCategory("General admission", price, capacity=wish["total_tickets"])]
    details = {name: value for name, value in wish.items() if name in FIELDS}
    return {
        **details,
        **when(wish, ZoneInfo(wish.get("timezone", "UTC"))),
        "categories": categories,
        "publish": wish["status"] == "published",
    }


def changed_event(wish: dict[str, Any], event: Event) -> dict[str, Any]:
    """
    Turn a validated EventChangesIn into the arguments of `update_event`; times that are not sent stay on the clock.

    :raises BadTimes: if a time does not exist in the event's time zone
    :raises common.errors.Invalid: if a price does not fit the currency
    """
    currency = wish.get("currency", event.currency)
    changes = {name: value for name, value in wish.items() if name in FIELDS}
    if any(name in wish for name in HALVES):
        local = {
            "date": local_start(event).date(),
            "start_time": local_start(event).time(),
            "end_time": local_end(event).time(),
        }
        if not any(name in wish for name in ("date", "start_time", "end_time", "timezone")):
            local = {"starts_at": event.starts_at, "ends_at": event.ends_at}
        elif event.ends_at - event.starts_at > timedelta(days=1) and "end_time" not in wish:
            local["days"] = (local_end(event).date() - local_start(event).date()).days
        changes |= when(local | wish, ZoneInfo(wish.get("timezone", event.timezone)))
    if "total_tickets" in wish:
        changes["total_tickets"] = wish["total_tickets"]
    if "ticket_price" in wish:
        changes["price_minor"] = to_minor(wish["ticket_price"], currency)
    if "categories" in wish:
        changes["categories"] = [
            changed_category(category, currency) if "id" in category else new_category(category, currency)
            for category in wish["categories"]
        ]
    return changes | {name: wish[name] for name in ("status", "reason") if name in wish}


def new_category(wish: dict[str, Any], currency: str) -> NewCategory:
    """Turn a validated CategoryIn without id into the category it asks for."""
    return NewCategory(
        name=wish["name"],
        description=wish.get("description", ""),
        price_minor=to_minor(wish["price"], currency),
        capacity=wish.get("capacity", 0),
        rows=wish.get("rows", 0),
        seats_per_row=wish.get("seats_per_row", 0),
        **{name: wish[name] for name in RULES if name in wish},
    )


def changed_category(wish: dict[str, Any], currency: str) -> dict[str, Any]:
    """Turn a validated CategoryIn with an id into the arguments of `update_category`."""
    changes = {name: wish[name] for name in ("name", "description", "capacity", "closed", *RULES) if name in wish}
    if "price" in wish:
        changes["price_minor"] = to_minor(wish["price"], currency)
    return {"category_id": wish["id"], **changes}


def when(wish: dict[str, Any], zone: ZoneInfo) -> dict[str, datetime]:
    """Return when an event starts and ends, from two instants or from a day and two times on the clock of its place."""
    if "starts_at" in wish and "ends_at" in wish:
        return {"starts_at": wish["starts_at"], "ends_at": wish["ends_at"]}
    start = on_the_clock(wish["date"], wish["start_time"], zone)
    days = wish.get("days", 0 if wish["end_time"] > wish["start_time"] else 1)
    return {"starts_at": start, "ends_at": on_the_clock(wish["date"] + timedelta(days=days), wish["end_time"], zone)}


def on_the_clock(day: date, at: time, zone: ZoneInfo) -> datetime:
    """
    Return the instant when the clocks of `zone` show this day and time.

    :raises BadTimes: if they never do, because an hour is left out there
    """
    local = datetime.combine(day, at.replace(tzinfo=None), zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise BadTimes(f"The clocks skip {at:%H:%M} on {day} in {zone.key}. Choose another time.")
    return instant


def local_start(event: Event) -> datetime:
    """Return the start as the clocks at the place show it."""
    return event.starts_at.astimezone(ZoneInfo(event.timezone))


def local_end(event: Event) -> datetime:
    """Return the end as the clocks at the place show it."""
    return event.ends_at.astimezone(ZoneInfo(event.timezone))


def iso(value: datetime | None) -> str | None:
    """Write a time as the API does: ISO 8601 in UTC."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def price(amount_minor: int, currency: str) -> str:
    """Write a price as the API does: a decimal in a string."""
    return str(to_decimal(amount_minor, currency))


def render_category(category: TicketCategory, currency: str) -> dict[str, Any]:
    """Return a category as it is on the wire."""
    return {
        "id": str(category.pk),
        "name": category.name,
        "price": price(category.price_minor, currency),
        "currency": currency,
        "capacity": category.inventory.capacity,
        "available": category.available,
        "numbered": category.numbered,
        "saleStartsAt": iso(category.sale_starts_at),
        "saleEndsAt": iso(category.sale_ends_at),
        "maxPerPerson": category.max_per_person,
        "hidden": category.hidden,
    }


def render_event(event: Event, *, hidden: bool = False) -> dict[str, Any]:
    """Return an event, loaded with its categories, as it is on the wire; `hidden` categories are for who manages it."""
    start, end = local_start(event), local_end(event)
    return {
        "id": str(event.pk),
        "name": event.name,
        "description": event.description,
        "date": start.date().isoformat(),
        "startTime": f"{start:%H:%M}",
        "endTime": f"{end:%H:%M}",
        "startsAt": iso(event.starts_at),
        "endsAt": iso(event.ends_at),
        "timezone": event.timezone,
        "location": event.location,
        "status": event.status,
        "saleStartsAt": iso(event.sale_starts_at),
        "saleEndsAt": iso(event.sale_ends_at),
        "totalTickets": event.total_tickets,
        "availableTickets": event.available_tickets,
        "ticketPrice": price(event.from_price_minor, event.currency),
        "currency": event.currency,
        "categories": [
            render_category(category, event.currency)
            for category in event.categories.all()
            if hidden or not category.hidden
        ],
        "queueEnabled": event.queue_enabled,
        "maxActiveUsers": event.max_active_users,
        "requiresFaceVerification": event.requires_face_verification,
        "faceNecessity": event.face_necessity,
        "similarityThreshold": event.similarity_threshold,
        "liveness": event.liveness,
        "paymentCollection": event.payment_collection,
        "maxTicketsPerBooking": event.max_tickets_per_booking,
        "createdBy": str(event.created_by_id) if event.created_by_id else None,
    }
