"""Events: making, changing, publishing, cancelling, completing and deleting them."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.db.models.functions import Now
from django.utils import timezone as clock

from common.errors import IllegalTransition, Invalid
from common.money import to_decimal, to_minor
from events.currencies import CURRENCIES
from events.models import Event, SeatInventory, TicketCategory
from events.refusals import (
    BadCategory,
    BadTimes,
    CategoryNotFound,
    CurrencyIsFixed,
    EventHasBookings,
    EventInThePast,
    EventIsOver,
    EventNotFound,
    EventNotOver,
    FaceCheckTooLate,
    FaceReasonMissing,
    LivenessNeedsFaceCheck,
    ManyCategories,
)
from events.services.categories import CHANGEABLE, NewCategory, add_category, check_price, update_category
from events.services.changes import known, watch_change
from events.signals import event_cancelled

FIELDS = frozenset(
    {
        "name",
        "description",
        "location",
        "timezone",
        "starts_at",
        "ends_at",
        "currency",
        "sale_starts_at",
        "sale_ends_at",
        "queue_enabled",
        "max_active_users",
        "requires_face_verification",
        "face_necessity",
        "similarity_threshold",
        "liveness",
        "payment_collection",
        "max_tickets_per_booking",
        "allow_hold_extension",
    }
)
MAX_CATEGORIES = 50


@transaction.atomic
def create_event(
    *,
    created_by_id: UUID | None,
    name: str,
    location: str,
    starts_at: datetime,
    ends_at: datetime,
    categories: Sequence[NewCategory],
    publish: bool = True,
    **details: Any,
) -> Event:
    """
    Create an event with its categories, published (so on sale from `sale_starts_at`, or at once) unless told otherwise.

    `details` are further columns of the event (FIELDS). An event that checks faces sells one ticket a person unless told
    otherwise.

    :raises BadTimes: if it ends before it starts, or its sale does
    :raises EventInThePast: if it would be over already
    :raises FaceReasonMissing: if faces are to be checked for no stated reason
    :raises LivenessNeedsFaceCheck: if liveness is asked for and no face check
    :raises BadCategory: if the categories are none, too many or unusable
    """
    if unknown := details.keys() - FIELDS:
        raise TypeError(f"an event has no {', '.join(sorted(unknown))}")
    limit = settings.MAX_TICKETS_PER_BOOKING
    details.setdefault("max_tickets_per_booking", 1 if details.get("requires_face_verification") else limit)
    event = Event(
        created_by_id=created_by_id, name=name, location=location, starts_at=starts_at, ends_at=ends_at, **details
    )
    check(event)
    if not 1 <= len(categories) <= MAX_CATEGORIES:
        raise BadCategory(f"An event has 1 to {MAX_CATEGORIES} ticket categories.")
    event.save(force_insert=True)
    for category in categories:
        add_category(event_id=event.pk, new=category)
    if publish:
        event.transition("publish", updated_at=Now())
    return event


@transaction.atomic
def update_event(
    *,
    event_id: UUID,
    total_tickets: int | None = None,
    price_minor: int | None = None,
    categories: Sequence[NewCategory | dict[str, Any]] = (),
    status: str | None = None,
    reason: str = "",
    **changes: Any,
) -> Event:
    """
    Change the columns given in `changes`, and of an event with one category its capacity and price.

    `categories` are new ones to add, or arguments of `update_category`. `status` then publishes, cancels or completes the
    event. What was booked stays as it was booked: a new price is for new bookings. All of it happens, or nothing.
    With faces to be checked from now on, one ticket is sold to a person unless `changes` says how many.

    :raises EventIsOver: if the event is completed, cancelled or gone
    :raises ManyCategories: if a capacity or price is given and the event has several categories
    :raises CapacityBelowTaken: if more seats than `total_tickets` are taken
    :raises BadTimes, EventInThePast, FaceReasonMissing, CurrencyIsFixed: if the event would make no sense
    :raises LivenessNeedsFaceCheck: if liveness is asked for and no face check
    :raises FaceCheckTooLate: if faces are to be checked and tickets are taken already
    """
    if unknown := changes.keys() - FIELDS:
        raise TypeError(f"an event has no {', '.join(sorted(unknown))}")
    event = lock(event_id)
    if status == event.status and not (changes or categories or total_tickets or price_minor is not None):
        return event
    if event.status not in CHANGEABLE:
        raise EventIsOver
    if changes.get("currency", event.currency) != event.currency:
        change_currency(event, changes["currency"])
    moved = any(name in changes and changes[name] != getattr(event, name) for name in ("starts_at", "ends_at"))
    if changes.get("requires_face_verification") and not event.requires_face_verification:
        refuse_late_face_check(event)
        changes.setdefault("max_tickets_per_booking", 1)
    before = known(event)
    for name, value in changes.items():
        setattr(event, name, value)
    check(event, moved=moved)
    if "max_tickets_per_booking" in changes:
        for category in event.categories.all():
            check_price(category.price_minor, event)
    event.save(update_fields=[*changes, "updated_at"])
    watch_change(event, before)
    if total_tickets is not None or price_minor is not None:
        only = list(TicketCategory.objects.filter(event=event)[:2])
        if len(only) != 1:
            raise ManyCategories
        update_category(category_id=only[0].pk, capacity=total_tickets, price_minor=price_minor)
    for wish in categories:
        if isinstance(wish, NewCategory):
            add_category(event_id=event_id, new=wish)
        else:
            own_category(event, wish["category_id"])
            update_category(**wish)
    if status is not None and status != event.status:
        event = change_status(event_id, status, reason)
    return event


def refuse_late_face_check(event: Event) -> None:
    """
    Check that nobody took a ticket without knowing of the face check. Who holds one in this very moment can not buy it then.

    :raises FaceCheckTooLate: if somebody did
    """
    inventories = SeatInventory.objects.filter(category__event=event)
    if any(inventory.taken for inventory in inventories):
        raise FaceCheckTooLate


def own_category(event: Event, category_id: UUID) -> None:
    """
    Check that a category is this event's.

    :raises CategoryNotFound: if it is not
    """
    if not event.categories.filter(pk=category_id).exists():
        raise CategoryNotFound


def change_status(event_id: UUID, status: str, reason: str) -> Event:
    """
    Take the step that leads to `status`.

    :raises IllegalTransition: if no step does
    """
    match status:
        case Event.Status.PUBLISHED:
            return publish_event(event_id=event_id)
        case Event.Status.CANCELLED:
            return cancel_event(event_id=event_id, reason=reason)
        case Event.Status.COMPLETED:
            return complete_event(event_id=event_id)
        case _:
            raise IllegalTransition("What was published can not be a draft again.")


@transaction.atomic
def publish_event(*, event_id: UUID) -> Event:
    """
    Put a draft on show, and on sale from its `sale_starts_at`.

    :raises EventInThePast: if it would be over already
    :raises IllegalTransition: if it is no draft
    """
    event = lock(event_id)
    if event.status == Event.Status.DRAFT and not event.categories.exists():
        raise BadCategory("Add a ticket category before you publish the event.")
    if event.status == Event.Status.DRAFT and event.ends_at <= clock.now():
        raise EventInThePast
    return event.transition("publish", updated_at=Now())


@transaction.atomic
def cancel_event(*, event_id: UUID, reason: str = "") -> Event:
    """
    Cancel an event: no new hold from this commit on; its bookings are cancelled and refunded by bookings, in batches.

    Cancelling it again changes nothing.

    :raises IllegalTransition: if it is completed
    """
    event = lock(event_id)
    if event.status == Event.Status.CANCELLED:
        return event
    event.transition("cancel", cancelled_reason=reason[:500], updated_at=Now())
    event_cancelled.send(Event, event_id=event.pk)
    return event


@transaction.atomic
def complete_event(*, event_id: UUID) -> Event:
    """
    Complete one event that has ended.

    :raises EventNotOver: if it has not
    :raises IllegalTransition: if it was never published, or is cancelled
    """
    event = lock(event_id)
    if event.status == Event.Status.PUBLISHED and event.ends_at > clock.now():
        raise EventNotOver
    return event.transition("complete", updated_at=Now())


def complete_due_events(*, limit: int = 500) -> int:
    """Complete every published event that has ended, one guarded UPDATE each, and return how many there were."""
    done = 0
    over = Event.objects.filter(status=Event.Status.PUBLISHED, ends_at__lte=Now())
    for event in over.order_by("ends_at")[:limit]:
        try:
            event.transition("complete", when=Event.ended(), updated_at=Now())
        except IllegalTransition:
            continue
        done += 1
    return done


@transaction.atomic
def delete_event(*, event_id: UUID) -> None:
    """
    Delete an event that nobody has tickets for.

    Bookings that came to nothing are kept for the books; an event they refer to is cancelled and hidden instead of removed.

    :raises EventHasBookings: if somebody has tickets
    """
    event = lock(event_id)
    # The rows every booking moves its seats through: while they are ours no hold becomes a sale.
    stock = SeatInventory.objects.select_for_update(no_key=True).filter(category__event=event).order_by("pk")
    if sold := sum(inventory.sold for inventory in stock):
        raise EventHasBookings(
            f"{sold} tickets of this event are sold. Cancel it instead: everyone is refunded and told.", confirmed=sold
        )
    try:
        with transaction.atomic():
            Event.objects.get(pk=event_id).delete()
            connection.check_constraints()
    except (ProtectedError, IntegrityError):
        if event.status in CHANGEABLE:
            cancel_event(event_id=event_id, reason="The event was withdrawn.")
        Event.objects.filter(pk=event_id).update(deleted_at=Now(), updated_at=Now())


def lock(event_id: UUID) -> Event:
    """
    Load an event for a change, one change at a time. Bookings refer to the row and are not held up by it.

    :raises EventNotFound: if there is none
    """
    event = Event.objects.select_for_update(no_key=True).filter(pk=event_id, deleted_at=None).first()
    if event is None:
        raise EventNotFound
    return event


def change_currency(event: Event, currency: str) -> None:
    """
    Write the prices of a draft in another currency: 49.00 stays 49.00.

    :raises CurrencyIsFixed: if it is no draft
    """
    if event.status != Event.Status.DRAFT:
        raise CurrencyIsFixed
    for category in event.categories.all():
        category.price_minor = to_minor(to_decimal(category.price_minor, event.currency), currency)
        category.save(update_fields=["price_minor"])


@cache
def timezones() -> frozenset[str]:
    """Return the IANA time zones an event may be in; reading them takes a moment, so it is done once."""
    return frozenset(available_timezones())


def check(event: Event, *, moved: bool = True) -> None:
    """
    Check that an event makes sense before the database does, with a reason a person understands.

    :raises Invalid: one of its kinds
    """
    if event.timezone not in timezones():
        text = "Write an IANA time zone, for example Europe/Berlin."
        raise Invalid(text, errors={"timezone": [text]})
    if event.currency not in CURRENCIES:
        text = "Write an ISO 4217 currency in capitals, for example EUR."
        raise Invalid(text, errors={"currency": [text]})
    if event.ends_at <= event.starts_at:
        raise BadTimes(errors={"endTime": ["The event must end after it starts."]})
    if moved and event.ends_at <= clock.now():
        raise EventInThePast(errors={"date": [EventInThePast.message]})
    if event.sale_starts_at and event.sale_starts_at >= (event.sale_ends_at or event.ends_at):
        raise BadTimes(
            "The sale must start before it ends.", errors={"saleStartsAt": ["The sale must start before it ends."]}
        )
    if event.requires_face_verification and not event.face_necessity.strip():
        raise FaceReasonMissing(errors={"faceNecessity": [FaceReasonMissing.message]})
    if event.liveness == Event.Liveness.REQUIRED and not event.requires_face_verification:
        raise LivenessNeedsFaceCheck(errors={"liveness": [LivenessNeedsFaceCheck.message]})
    limit = settings.MAX_TICKETS_PER_BOOKING
    if not 1 <= event.max_tickets_per_booking <= limit:
        raise Invalid(
            f"A booking may have 1 to {limit} tickets.", errors={"maxTicketsPerBooking": [f"Choose 1 to {limit}."]}
        )
