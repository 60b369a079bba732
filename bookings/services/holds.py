"""Holds: taking seats, asking for more time, the grace of a payment under way."""

from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connection, transaction
from django.db.models import F, Model
from django.db.models.base import ModelState
from django.db.models.functions import Greatest, Now

from bookings.codes import Guessers, guessing, normalise_code
from bookings.gates import passed_gates
from bookings.models import Booking
from bookings.references import new_reference
from bookings.refusals import BY_OUTCOME, CodeUnknown, ExtensionRefused, HoldExpired, SaleNotOpen, database_refusals
from bookings.services.sales import confirm_booking
from bookings.states import Source, Status
from bookings.waitingroom import slots
from common.errors import FairseatError
from events.models import Event, TicketCategory

HOLD_SQL = "SELECT * FROM hold_seats(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
GATED = {"queue_required", "verification_required"}
M = TypeVar("M", bound=Model)
Terms = tuple[str | None, bool, int | None]  # the code, whether it is a gift, the price that was shown


class HoldRow(NamedTuple):
    """The row that the SQL function returns; what an outcome does not need is None."""

    outcome: str
    available: int | None
    booking_id: UUID
    reference: str
    event_id: UUID
    quantity: int
    amount_minor: int
    expires_at: datetime
    created_at: datetime
    currency: str
    category_name: str
    event_name: str
    event_starts_at: datetime
    event_ends_at: datetime
    event_timezone: str
    event_location: str
    at_door: bool
    discount_minor: int
    code_id: UUID | None


def hold_seats(
    *,
    user_id: UUID,
    category_id: UUID,
    quantity: int,
    event_id: UUID | None = None,
    allow_partial: bool = False,
    source: str = Source.PUBLIC,
    code: str = "",
    price_minor: int | None = None,
    address: str = "",
) -> Booking:
    """
    Hold `quantity` seats of a category for HOLD_SECONDS, in one statement; what costs nothing now is confirmed at once.

    The rules of the sale, the row and the seats are one SQL function (`hold_seats` in the migrations), because the row of
    counters is the one thing every buyer waits for. With `allow_partial` fewer seats are held when fewer are free. A `code`
    is looked up, counted and taken off the price in that same statement. With `price_minor`, what one ticket costs as the
    buyer was shown it, nobody gets them at another price. `address` is the digest of where they come from (`codes.Guessers`).

    :raises SoldOut: if no seat is free, or somebody on the waitlist has a claim to those that are
    :raises PartlyAvailable: if only some are (`extra["available"]` says how many)
    :raises AlreadyBooked, HoldExists, TicketLimit, TooManyTickets, TooManyHolds: if the person has enough
    :raises SaleNotOpen, SaleClosed, EventCancelled, CategoryNotFound: if nothing is on sale
    :raises QueueRequired, VerificationRequired: if a gate has not let the person through
    :raises CodeUnknown, CodeNotYet, CodeOver, CodeUsedUp, CodeNotForThese, CodeLimit: if the code does not do it
    :raises TooManyCodes: if the person, or those at their address, tried too many codes that do not exist
    :raises PriceChanged: if it is not what they were shown
    """
    passed = [] if source == Source.PUBLIC else ["queue"]
    word = normalise_code(code) if code else ""
    if code and not word:
        raise CodeUnknown
    with guessing(Guessers(user_id, address)) if word else nullcontext():
        booking, at_door = hold(
            user_id, event_id, category_id, quantity, allow_partial, source, passed, (word or None, False, price_minor)
        )
    if booking.amount_minor == 0 or at_door:
        return confirm_booking(booking_id=booking.pk)
    return booking


def hold(
    user_id: UUID,
    event_id: UUID | None,
    category_id: UUID,
    quantity: int,
    allow_partial: bool,
    source: str,
    passed: list[str],
    terms: Terms,
) -> tuple[Booking, bool]:
    """Take the hold, asking the gates if there is one; return it, and whether it is paid for at the door."""
    row = take_hold(user_id, event_id, category_id, quantity, allow_partial, source, passed, terms)
    if row.outcome in GATED and (let_through := passed_gates(user_id=user_id, category_id=category_id)):
        # Only an event that has a gate pays for asking; a refusal took no lock and wrote nothing.
        with slots.reserved() as slot:
            row = take_hold(
                user_id, event_id, category_id, quantity, allow_partial, source, passed + let_through, terms
            )
            if row.outcome == "held" and slot.is_taken:
                slot.use(booking_id=row.booking_id, expires_at=row.expires_at, quantity=row.quantity)
    if row.outcome != "held":
        raise refusal(row, quantity)
    return booking_from(row, user_id=user_id, category_id=category_id, source=source), row.at_door


def take_hold(
    user_id: UUID,
    event_id: UUID | None,
    category_id: UUID,
    quantity: int,
    allow_partial: bool,
    source: str,
    passed: list[str],
    terms: Terms = (None, False, None),
) -> HoldRow:
    """Call the SQL function and return its row."""
    asynchronous = settings.HOLDS_COMMIT_ASYNC and not connection.in_atomic_block
    with database_refusals(), connection.cursor() as cursor:
        cursor.execute(
            HOLD_SQL,
            [
                new_reference(),
                user_id,
                event_id,
                category_id,
                quantity,
                allow_partial,
                source,
                settings.HOLD_SECONDS,
                settings.HOLDS_PER_HOUR,
                passed,
                asynchronous,
                *terms,
            ],
        )
        return HoldRow(*cursor.fetchone())


def refusal(row: HoldRow, quantity: int) -> FairseatError:
    """Return the error for an outcome, with the words and numbers that help the person go on."""
    outcome, available = row.outcome, row.available
    kind = BY_OUTCOME[outcome]
    if outcome == "partial":
        text = f"Only {available} of {quantity} are left. Take {available}, or choose other tickets."
        return kind(text, available=available)
    if outcome == "sold_out":
        return kind(available=0)
    if outcome == "too_many_tickets":
        return kind(f"One booking may have at most {available} tickets.", limit=available)
    if outcome == "sale_not_open":
        return SaleNotOpen(opens_at=row.expires_at.isoformat().replace("+00:00", "Z"))
    if outcome == "code_not_yet":
        return kind(opens_at=row.expires_at.isoformat().replace("+00:00", "Z"))
    if outcome == "code_used_up" and available:
        return kind(f"This code is good for {available} more. Take {available}, or use another code.", left=available)
    if outcome == "code_limit":
        return kind(f"One person may have at most {available} tickets with this code.", limit=available)
    if outcome == "price_changed":
        return kind(price_minor=available)
    if outcome in {"hold_exists", "already_booked"}:
        return kind(booking_id=str(row.booking_id))
    if outcome == "too_many_holds":
        return kind(retry_after=3600)
    return kind()


def booking_from(row: HoldRow, *, user_id: UUID, category_id: UUID, source: str) -> Booking:
    """Build the booking with its event and category from the function's row, without reading anything again."""
    event = loaded(
        Event,
        id=row.event_id,
        name=row.event_name,
        starts_at=row.event_starts_at,
        ends_at=row.event_ends_at,
        timezone=row.event_timezone,
        location=row.event_location,
        currency=row.currency,
    )
    category = loaded(TicketCategory, id=category_id, name=row.category_name, event_id=row.event_id)
    booking = loaded(
        Booking,
        id=row.booking_id,
        reference=row.reference,
        user_id=user_id,
        event_id=row.event_id,
        category_id=category_id,
        quantity=row.quantity,
        amount_minor=row.amount_minor,
        discount_minor=row.discount_minor,
        code_id=row.code_id,
        comp=False,
        currency=row.currency,
        status=Status.PENDING.value,
        source=source,
        expires_at=row.expires_at,
        extensions=0,
        created_at=row.created_at,
        refund_minor=0,
    )
    booking._state.fields_cache = {"event": event, "category": category}
    return booking


def loaded(model: type[M], **fields: Any) -> M:
    """
    Return an instance as if some of its columns had been loaded; the others are fetched when somebody asks for them.

    `Model.__init__` with its signals costs 30 µs a row, and this is the hottest path there is.
    """
    instance = model.__new__(model)
    state = ModelState()
    state.adding, state.db = False, DEFAULT_DB_ALIAS
    instance.__dict__.update(fields, _state=state)
    return instance


@transaction.atomic
def extend_hold(*, booking_id: UUID, user_id: UUID) -> Booking:
    """
    Give a hold HOLD_EXTENSION_SECONDS more, at most HOLD_MAX_EXTENSIONS times (WCAG 2.2.1: at least ten).

    :raises HoldExpired: if it has lapsed
    :raises ExtensionRefused: if it was extended as often as allowed, or the event does not allow it
    """
    booking = Booking.objects.select_related("event", "category").get(pk=booking_id, user_id=user_id)
    extended = Booking.objects.filter(
        pk=booking_id,
        status=Status.PENDING,
        expires_at__gt=Now(),
        extensions__lt=settings.HOLD_MAX_EXTENSIONS,
    )
    more = timedelta(seconds=settings.HOLD_EXTENSION_SECONDS)
    if not booking.event.allow_hold_extension:
        raise ExtensionRefused("The organiser does not allow more time for this event.")
    if not extended.update(expires_at=F("expires_at") + more, extensions=F("extensions") + 1):
        booking.refresh_from_db(fields=["status", "extensions"])
        if booking.status == Status.PENDING and booking.extensions >= settings.HOLD_MAX_EXTENSIONS:
            raise ExtensionRefused
        raise HoldExpired
    booking.refresh_from_db(fields=["expires_at", "extensions", "status"])
    slots.hold_extended(booking)
    return booking


@transaction.atomic
def grant_payment_grace(*, booking_id: UUID) -> bool:
    """
    Keep a hold for up to PAYMENT_GRACE_SECONDS from now because its payment is already under way at the bank.

    The grace is given once and never shortens a hold. Returns whether the hold is still there.
    """
    deadline = Now() + timedelta(seconds=settings.PAYMENT_GRACE_SECONDS)
    pending = Booking.objects.filter(pk=booking_id, status=Status.PENDING, expires_at__gt=Now())
    granted = pending.filter(grace_given=False).update(expires_at=Greatest(F("expires_at"), deadline), grace_given=True)
    if granted:
        slots.hold_extended(Booking.objects.select_related("event").get(pk=booking_id))
    return bool(granted) or pending.exists()
