"""Reads behind the pages and the API: a person's own places, and the offers that were made, with where people stood."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Case, IntegerField, OuterRef, Prefetch, QuerySet, Subquery, Value, When

from bookings.models import Booking
from bookings.queries import bookings_with_all
from bookings.states import Source
from common.errors import NotFound
from waitlist.models import WaitlistEntry
from waitlist.queries import with_position
from waitlist.services.offers import Offer

Status = WaitlistEntry.Status
# What became of an offer, as everybody on the list may read it.
OUTCOMES = {
    Booking.Status.OFFERED: "Open",
    Booking.Status.PENDING: "Accepted",
    Booking.Status.CONFIRMED: "Accepted",
    Booking.Status.EXPIRED: "Not taken in time",
    Booking.Status.CANCELLED: "Passed on",
}


class Ranked(NamedTuple):
    """An offer and the position at which its person stood when it was made."""

    offer: Offer
    position: int


@dataclass(frozen=True)
class Made:
    """One offer as everybody on the list may see it."""

    offered_at: datetime
    joined_at: datetime | None
    quantity: int
    category: str
    outcome: str
    is_own: bool


def with_all(entries: QuerySet[WaitlistEntry]) -> QuerySet[WaitlistEntry]:
    """Load entries with their position, event, categories and booking."""
    loaded = entries.select_related("event", "user").prefetch_related(
        "event__categories", Prefetch("booking", bookings_with_all())
    )
    return with_position(loaded)


def list_own(*, user_id: UUID) -> QuerySet[WaitlistEntry]:
    """Return a person's places: what is offered first, then where they wait, then what is over, newest first."""
    order = Case(
        When(status=Status.OFFERED, then=Value(0)),
        When(status=Status.WAITING, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return with_all(WaitlistEntry.objects.filter(user_id=user_id)).order_by(order, "-joined_at", "id")


def get_entry_for(*, user_id: UUID, entry_id: UUID) -> WaitlistEntry:
    """
    Load a person's own place.

    :raises NotFound: if there is none, or it is somebody else's
    """
    entry = with_all(WaitlistEntry.objects.filter(pk=entry_id, user_id=user_id)).first()
    if entry is None:
        raise NotFound("There is no such place on a waitlist, or it is not yours.")
    return entry


def ranked(offers: Sequence[Offer]) -> list[Ranked]:
    """Return offers that were just made with where their people stood before: those offered before them, those passed over."""
    entries = with_position(WaitlistEntry.objects.filter(pk__in=[offer.entry_id for offer in offers]))
    stood = {entry.pk: getattr(entry, "position", 0) for entry in entries}
    times = {entry.pk: (entry.joined_at, entry.pk) for entry in entries}
    return [
        Ranked(
            offer,
            stood[offer.entry_id] + sum(times[other.entry_id] < times[offer.entry_id] for other in offers),
        )
        for offer in offers
        if offer.entry_id in stood
    ]


def list_offers(*, event_id: UUID) -> QuerySet[Booking]:
    """Return every offer that was made for an event, newest first, with when its person had joined the list."""
    place = WaitlistEntry.objects.filter(user_id=OuterRef("user_id"), event_id=OuterRef("event_id"))
    since = place.filter(joined_at__lte=OuterRef("created_at")).order_by("-joined_at").values("joined_at")[:1]
    made = Booking.objects.filter(event_id=event_id, source=Source.WAITLIST).select_related("category")
    return made.annotate(joined_at=Subquery(since)).order_by("-created_at", "id")


def as_made(booking: Booking, viewer_id: UUID) -> Made:
    """Return an offer without its person."""
    return Made(
        offered_at=booking.created_at,
        joined_at=getattr(booking, "joined_at", None),
        quantity=booking.quantity,
        category=booking.category.name,
        outcome=OUTCOMES[Booking.Status(booking.status)],
        is_own=booking.user_id == viewer_id,
    )
