"""What the waitlist looks like on the wire."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rest_framework import serializers

from bookings.api.serializers import BookingOut, render_booking
from bookings.models import Booking
from common.api import Input
from events.models import Event
from waitlist.models import WaitlistEntry
from waitlist.places import Ranked
from waitlist.queries import with_position

MOST_SLOTS = 1_000


class WaitlistQueryIn(serializers.Serializer):
    status = serializers.ChoiceField(choices=WaitlistEntry.Status.choices, required=False)
    event_id = serializers.UUIDField(required=False)


class JoinWaitlistIn(Input):
    protected = ("user_id", "position", "status", "eligible", "reason", "joined_at")

    event_id = serializers.UUIDField()
    quantity = serializers.IntegerField(min_value=1, max_value=1000, default=1)
    category_id = serializers.UUIDField(required=False, help_text="Short for `categoryIds` with one.")
    category_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=100, help_text="Any of these will do; empty: any."
    )
    all_together = serializers.BooleanField(default=False, help_text="All seats at once, or none.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        one = attrs.pop("category_id", None)
        attrs["category_ids"] = attrs.get("category_ids") or ([one] if one else [])
        return attrs


class AcceptOfferIn(Input):
    protected = ("user_id", "amount_minor", "price", "booking_id")

    quantity = serializers.IntegerField(min_value=1, max_value=1000, required=False, help_text="Take fewer.")


class ProcessIn(Input):
    slots_available = serializers.IntegerField(
        min_value=1,
        max_value=MOST_SLOTS,
        default=MOST_SLOTS,
        help_text="To how many people at most; never more than there are free seats.",
    )


class WaitingPersonOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    email = serializers.EmailField()


class WaitedEventOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    date = serializers.DateField()
    location = serializers.CharField()


class WaitlistEntryOut(serializers.Serializer):
    id = serializers.UUIDField()
    position = serializers.IntegerField(allow_null=True, help_text="Null unless waiting.")
    status = serializers.ChoiceField(choices=WaitlistEntry.Status.choices)
    reason = serializers.ChoiceField(choices=WaitlistEntry.Reason.choices)
    eligible = serializers.BooleanField(
        help_text="False until the person is verified: the time is kept, nothing is offered."
    )
    quantity = serializers.IntegerField()
    all_together = serializers.BooleanField()
    category_ids = serializers.ListField(child=serializers.UUIDField(), help_text="Empty: any.")
    joined_at = serializers.DateTimeField()
    offer_expires_at = serializers.DateTimeField(allow_null=True)
    user_id = serializers.UUIDField()
    event_id = serializers.UUIDField()


class OwnEntryOut(WaitlistEntryOut):
    event = WaitedEventOut()
    booking = BookingOut(allow_null=True, help_text="What is offered, or what became of it.")


class JoinedOut(serializers.Serializer):
    waitlist = OwnEntryOut()


class WaitlistRowOut(WaitlistEntryOut):
    user = WaitingPersonOut()
    event = WaitedEventOut()


class EventWaitlistOut(serializers.Serializer):
    waitlist = WaitlistRowOut(many=True)


class PlaceOut(serializers.Serializer):
    id = serializers.UUIDField()
    position = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(choices=WaitlistEntry.Status.choices)
    joined_at = serializers.DateTimeField()
    reason = serializers.ChoiceField(choices=WaitlistEntry.Reason.choices)
    eligible = serializers.BooleanField()
    quantity = serializers.IntegerField()
    offer_expires_at = serializers.DateTimeField(allow_null=True)
    event = WaitedEventOut()


class OwnPlaceOut(serializers.Serializer):
    on_waitlist = serializers.BooleanField()
    message = serializers.CharField(required=False)
    position = PlaceOut(required=False)


class DoneOut(serializers.Serializer):
    success = serializers.BooleanField()
    message = serializers.CharField()


class OfferAcceptedOut(DoneOut):
    action = serializers.ChoiceField(choices=["TICKET_ISSUED", "PAYMENT_REQUIRED"])
    booking = BookingOut()


class IssuedOut(serializers.Serializer):
    user_id = serializers.UUIDField()
    event_id = serializers.UUIDField()
    position = serializers.IntegerField(help_text="Where they stood when the offer was made.")
    expires_at = serializers.DateTimeField()
    waitlist_id = serializers.UUIDField()
    booking_id = serializers.UUIDField()
    quantity = serializers.IntegerField()


class ProcessedOut(DoneOut):
    issued = IssuedOut(many=True)


def render_waited_event(event: Event) -> dict[str, Any]:
    """Return the short form of an event that goes with an entry."""
    day = event.starts_at.astimezone(ZoneInfo(event.timezone)).date()
    return {"id": event.pk, "name": event.name, "date": day.isoformat(), "location": event.location}


def render_entry(entry: WaitlistEntry, position: int | None) -> dict[str, Any]:
    """Return an entry's form on the wire."""
    return {
        "id": entry.pk,
        "position": position,
        "status": entry.status,
        "reason": entry.reason,
        "eligible": entry.eligible,
        "quantity": entry.quantity,
        "all_together": entry.all_together,
        "category_ids": entry.category_ids,
        "joined_at": entry.joined_at,
        "offer_expires_at": entry.offer_expires_at,
        "user_id": entry.user_id,
        "event_id": entry.event_id,
    }


def position_in(entry: WaitlistEntry) -> int | None:
    """Return the position a query computed with the entry, or None when it does not wait."""
    return entry.position if entry.status == WaitlistEntry.Status.WAITING else None


def render_own(entry: WaitlistEntry) -> dict[str, Any]:
    """Return an entry with its event and booking, for its person."""
    booking = render_booking(entry.booking) if entry.booking is not None else None
    return render_entry(entry, position_in(entry)) | {"event": render_waited_event(entry.event), "booking": booking}


def show_entry(entry_id: UUID) -> dict[str, Any]:
    """Return an entry's form on the wire by its id (settings.WAITLIST_SHOW): the rest of a partial booking."""
    entry = with_position(WaitlistEntry.objects.filter(pk=entry_id)).get()
    return render_entry(entry, position_in(entry))


def render_row(entry: WaitlistEntry) -> dict[str, Any]:
    """Return an entry with its person, for staff."""
    person = {"id": entry.user_id, "name": entry.user.name, "email": entry.user.email}
    return render_entry(entry, position_in(entry)) | {"user": person, "event": render_waited_event(entry.event)}


def render_place(entry: WaitlistEntry | None) -> dict[str, Any]:
    """Return whether and where a person waits."""
    if entry is None:
        return {"on_waitlist": False, "message": "User is not on the waitlist"}
    place = render_entry(entry, position_in(entry)) | {"event": render_waited_event(entry.event)}
    return {"on_waitlist": True, "position": {name: place[name] for name in PlaceOut().fields}}


def render_accepted(booking: Booking) -> dict[str, Any]:
    """Return what accepting an offer led to, in S1's words where it is a ticket."""
    issued = booking.status == Booking.Status.CONFIRMED
    message = "Offer accepted. Ticket issued!" if issued else "Offer accepted. Pay for it before the hold ends."
    action = "TICKET_ISSUED" if issued else "PAYMENT_REQUIRED"
    return {"success": True, "message": message, "action": action, "booking": render_booking(booking)}


def render_processed(event_id: UUID, ranked: Sequence[Ranked]) -> dict[str, Any]:
    """Return the offers that staff had made."""
    issued = [
        {
            "user_id": offer.user_id,
            "event_id": event_id,
            "position": position,
            "expires_at": offer.expires_at,
            "waitlist_id": offer.entry_id,
            "booking_id": offer.booking_id,
            "quantity": offer.quantity,
        }
        for offer, position in ranked
    ]
    tickets = sum(offer.quantity for offer, _ in ranked)
    return {"success": True, "message": f"Offered {tickets} ticket(s) from waitlist", "issued": issued}
