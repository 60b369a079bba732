"""Joining a waitlist, changing one's wish, leaving, and getting a seat another way."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Now

from bookings import services as bookings
from bookings.gates import passed_gates
from bookings.locks import lock_person
from bookings.models import Booking
from bookings.refusals import CategoryNotFound
from bookings.states import LIVE
from events.models import Event, SeatInventory, TicketCategory
from events.refusals import EventNotFound
from waitlist import news
from waitlist.clock import Clock, open_for_offers
from waitlist.lines import stand_where_they_stood
from waitlist.locks import forbid_outside_transaction, lock_inventories
from waitlist.models import WaitlistEntry
from waitlist.nudges import nudge
from waitlist.refusals import (
    AlreadyWaiting,
    BadWish,
    EventCancelled,
    NotOnWaitlist,
    SaleClosed,
    SaleNotOpen,
    TicketLimit,
    TicketsAvailable,
    TooManyTickets,
)

Status = WaitlistEntry.Status
Reason = WaitlistEntry.Reason


@transaction.atomic
def join(
    *,
    user_id: UUID,
    event_id: UUID,
    category_ids: Sequence[UUID] | None = None,
    quantity: int | None = None,
    all_together: bool | None = None,
    reason: str = Reason.TICKETS_SOLD_OUT,
    eligible: bool = True,
    registration_id: UUID | None = None,
) -> WaitlistEntry:
    """
    Put a person on an event's list; who is on it already keeps their time. Who stood in a line that sold out stands where
    they stood in it.

    What is None of the wish is left as it is, or is one seat of any category, any number. Reason, eligibility and wish of an
    entry that waits follow the newest call. An entry with an offer is left as it is.
    """
    lock_person(user_id, event_id)
    said: dict[str, Any] = {"reason": reason, "eligible": eligible, "registration_id": registration_id}
    wish = {"category_ids": category_ids, "quantity": quantity, "all_together": all_together}
    said |= {name: value for name, value in wish.items() if value is not None}
    if category_ids is not None:
        said["category_ids"] = sorted(set(category_ids))
    entry = live_entry(user_id, event_id)
    if entry is None:
        entry = WaitlistEntry.objects.create(user_id=user_id, event_id=event_id, **said)
        stand_where_they_stood(entry)
        news.joined(entry)
    else:
        stand_where_they_stood(entry)
        different = {name: value for name, value in said.items() if getattr(entry, name) != value}
        if entry.status != Status.WAITING or not different:
            return entry
        WaitlistEntry.objects.filter(pk=entry.pk, status=Status.WAITING).update(**different)
        entry.refresh_from_db()
    nudge(event_id)
    return entry


@transaction.atomic
def join_as_buyer(
    *,
    user_id: UUID,
    event_id: UUID,
    category_ids: Sequence[UUID] = (),
    quantity: int = 1,
    all_together: bool = False,
) -> WaitlistEntry:
    """
    Put somebody on a list because they ask for it: when the public can not buy what they want now.

    Who has to be verified and is not keeps their time from now on, and is offered nothing until they are.

    :raises TicketsAvailable: if it is on sale now (`extra["available"]` says how many, `extra["category_id"]` of which)
    :raises AlreadyWaiting: if they are on the list (`extra["entry"]`)
    :raises TicketLimit, TooManyTickets: if it is more than one person may have
    :raises SaleNotOpen, SaleClosed, EventCancelled: if there is nothing to wait for
    :raises EventNotFound, CategoryNotFound, BadWish: if there is no such thing to wait for
    """
    lock_person(user_id, event_id)
    event = event_to_wait_for(event_id)
    check_wish(event, category_ids, quantity)
    if entry := live_entry(user_id, event_id):
        raise AlreadyWaiting(entry=str(entry.pk))
    check_limit(event, user_id, quantity)
    aside = refuse_if_on_sale(event, category_ids, quantity, all_together)
    entry = join(
        user_id=user_id,
        event_id=event_id,
        category_ids=category_ids,
        quantity=quantity,
        all_together=all_together,
        eligible=may_have_tickets(event, user_id),
    )
    if aside:
        # They may wait for more together than there are, and not keep those few from everybody else meanwhile.
        WaitlistEntry.objects.filter(pk=entry.pk).update(aside_since=Now(), aside_for="too_few_together")
        entry.refresh_from_db()
    return entry


@transaction.atomic
def join_rest(*, user_id: UUID, event_id: UUID, category_id: UUID, quantity: int) -> UUID:
    """
    Put the rest of a booking on the list, in the booking's transaction (settings.WAITLIST_JOIN); return the entry's id.

    Who waits already keeps that entry as it is.

    :raises TicketLimit: if it is more than one person may have
    """
    lock_person(user_id, event_id)
    if entry := live_entry(user_id, event_id):
        return entry.pk
    event = event_to_wait_for(event_id)
    check_limit(event, user_id, quantity)
    return join(
        user_id=user_id,
        event_id=event_id,
        category_ids=[category_id],
        quantity=quantity,
        all_together=False,
        eligible=may_have_tickets(event, user_id),
    ).pk


@transaction.atomic
def change_wish(
    *,
    user_id: UUID,
    event_id: UUID,
    category_ids: Sequence[UUID] | None = None,
    quantity: int | None = None,
    all_together: bool | None = None,
) -> WaitlistEntry:
    """
    Change what a person waits for. Fewer seats or other categories keep their place; more seats begin at the end.

    :raises NotOnWaitlist: if they do not wait, or have an offer to answer first
    :raises TicketLimit, TooManyTickets, CategoryNotFound, BadWish: as for joining
    :raises SaleClosed, EventCancelled: if there is nothing to wait for any more
    """
    entry = waiting_entry(user_id, event_id)
    if entry is None:
        raise NotOnWaitlist
    event = event_to_wait_for(event_id)
    wish: dict[str, Any] = {
        "category_ids": entry.category_ids if category_ids is None else sorted(set(category_ids)),
        "quantity": entry.quantity if quantity is None else quantity,
        "all_together": entry.all_together if all_together is None else all_together,
    }
    check_wish(event, wish["category_ids"], wish["quantity"])
    check_limit(event, user_id, wish["quantity"])
    later: dict[str, Any] = {"joined_at": Clock()} if wish["quantity"] > entry.quantity else {}
    WaitlistEntry.objects.filter(pk=entry.pk, status=Status.WAITING).update(**wish, **later)
    entry.refresh_from_db()
    nudge(event_id)
    return entry


@transaction.atomic
def leave(*, user_id: UUID, event_id: UUID) -> WaitlistEntry:
    """
    Take a person off an event's list; an offer they have not answered is turned down with it.

    :raises NotOnWaitlist: if they are not on it
    """
    lock_person(user_id, event_id)
    entry = live_entry(user_id, event_id)
    if entry is None:
        raise NotOnWaitlist
    if entry.status == Status.OFFERED:
        entry.transition("reject", ended_at=Now())
        give_back(entry)
    else:
        entry.transition("leave", ended_at=Now(), unpaid=False)
    nudge(event_id)
    return entry


@transaction.atomic
def serve(*, user_id: UUID, event_id: UUID, booking_id: UUID | None = None) -> WaitlistEntry | None:
    """Close the entry of somebody who has a seat now, and the offer they had; None when they are not on the list."""
    lock_person(user_id, event_id)
    entry = live_entry(user_id, event_id)
    if entry is None:
        return None
    offered = entry.status == Status.OFFERED
    if offered:
        lock_inventories(event_id)
    entry.transition("serve", ended_at=Now(), unpaid=False)
    if offered:
        give_back(entry)
    WaitlistEntry.objects.filter(pk=entry.pk).update(booking_id=booking_id)
    entry.booking_id = booking_id
    nudge(event_id)
    return entry


def give_back(entry: WaitlistEntry) -> None:
    """End the offer of an entry, if it has not ended yet; its seats are released."""
    for booking in Booking.objects.filter(Q(pk=entry.booking_id), status=Booking.Status.OFFERED):
        bookings.give_up_hold(booking_id=booking.pk)


def live_entry(user_id: UUID, event_id: UUID) -> WaitlistEntry | None:
    """Load and lock the entry with which a person waits or has an offer; the person must be locked."""
    forbid_outside_transaction()
    return (
        WaitlistEntry.objects.select_for_update(no_key=True)
        .filter(user_id=user_id, event_id=event_id, status__in=WaitlistEntry.LIVE)
        .first()
    )


def waiting_entry(user_id: UUID, event_id: UUID) -> WaitlistEntry | None:
    """
    Load and lock the entry with which a person waits for an event, before seats are taken for them another way.

    With it the counters of all its categories are locked in their order, because closing it will touch them.
    """
    lock_person(user_id, event_id)
    entry = live_entry(user_id, event_id)
    if entry is None:
        return None
    lock_inventories(event_id)
    return entry if entry.status == Status.WAITING else None


def event_to_wait_for(event_id: UUID) -> Event:
    """
    Load an event that people may wait for, by the database's clock.

    :raises EventNotFound, EventCancelled, SaleNotOpen, SaleClosed: otherwise
    """
    event = Event.objects.filter(pk=event_id, deleted_at=None).exclude(status=Event.Status.DRAFT).first()
    if event is None:
        raise EventNotFound
    if event.status == Event.Status.CANCELLED:
        raise EventCancelled
    if Event.objects.filter(pk=event_id, sale_starts_at__gt=Now()).exists():
        opens = event.sale_starts_at
        assert opens is not None
        raise SaleNotOpen(opens_at=opens.isoformat().replace("+00:00", "Z"))
    if not Event.objects.filter(open_for_offers(), pk=event_id).exists():
        raise SaleClosed
    return event


def check_wish(event: Event, category_ids: Sequence[UUID], quantity: int) -> None:
    """
    Check what somebody wants to wait for.

    :raises BadWish: if it is nothing
    :raises TooManyTickets: if it is more than one booking may have
    :raises CategoryNotFound: if the event has no such category, or it is for those with a code
    :raises SaleNotOpen: if a category they name is not on sale yet
    """
    if quantity < 1:
        raise BadWish
    if quantity > event.max_tickets_per_booking:
        most = event.max_tickets_per_booking
        raise TooManyTickets(f"One booking may have at most {most} tickets.", limit=most)
    wished = list(event.categories.filter(pk__in=category_ids, hidden=False))
    if len(wished) != len(set(category_ids)):
        raise CategoryNotFound
    most = min((category.max_per_person for category in wished if category.max_per_person), default=quantity)
    if not wished:  # any will do: one that a person may have so many of must be among them
        limits = event.categories.filter(hidden=False).values_list("max_per_person", flat=True)
        most = max((limit or quantity for limit in limits), default=quantity)
    if quantity > most:
        raise TooManyTickets(f"One person may have at most {most} of these tickets.", limit=most)
    if early := event.categories.filter(pk__in=category_ids, sale_starts_at__gt=Now()).first():
        assert early.sale_starts_at is not None
        raise SaleNotOpen(opens_at=early.sale_starts_at.isoformat().replace("+00:00", "Z"))


def check_limits_of_categories(entry: WaitlistEntry) -> None:
    """
    Check that a person may still have what they wait for of a category that would do and has seats now, if there is any.

    :raises TicketLimit: if not
    """
    taken_seats = F("inventory__held") + F("inventory__offered") + F("inventory__sold")
    kinds = entry.event.categories.filter(TicketCategory.for_everybody(), inventory__capacity__gt=taken_seats)
    if entry.category_ids:
        kinds = kinds.filter(pk__in=entry.category_ids)
    live = Booking.objects.filter(user_id=entry.user_id, event_id=entry.event_id, status__in=LIVE)
    taken = dict(live.values_list("category_id").annotate(Sum("quantity")).order_by())
    limits = kinds.values_list("pk", "max_per_person")
    room = max((most - taken.get(pk, 0) if most else entry.quantity for pk, most in limits), default=entry.quantity)
    if room < (entry.quantity if entry.all_together else 1):
        raise TicketLimit(room=max(0, room))


def check_limit(event: Event, user_id: UUID, quantity: int) -> None:
    """
    Check that a person may have that many more tickets.

    :raises TicketLimit: if not
    """
    mine = Booking.objects.filter(user_id=user_id, event_id=event.pk, status__in=LIVE)
    room = event.max_tickets_per_booking - (mine.aggregate(seats=Sum("quantity"))["seats"] or 0)
    if quantity > room:
        raise TicketLimit(limit=event.max_tickets_per_booking, room=max(0, room))


def refuse_if_on_sale(event: Event, category_ids: Sequence[UUID], quantity: int, all_together: bool) -> bool:
    """
    Refuse to let somebody wait for what they can buy; return whether some are on sale, but too few for them together.

    :raises TicketsAvailable: if what they want is on sale
    """
    inventories = SeatInventory.objects.filter(TicketCategory.for_everybody("category__"), category__event=event)
    if category_ids:
        inventories = inventories.filter(category_id__in=category_ids)
    best = max(inventories, key=lambda inventory: inventory.available, default=None)
    available = best.available if best else 0
    if best and available >= (quantity if all_together else 1):
        text = (
            "" if available >= quantity else f"{available} are on sale now. Take them, and the rest can wait for you."
        )
        raise TicketsAvailable(text, available=available, category_id=str(best.pk))
    return available > 0


def may_have_tickets(event: Event, user_id: UUID) -> bool:
    """Whether what is offered to this person could be accepted: an event that checks faces wants them verified."""
    if not event.requires_face_verification:
        return True
    category = event.categories.first()
    return category is not None and "face" in passed_gates(user_id=user_id, category_id=category.pk)
