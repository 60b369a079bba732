"""What bookings look like on the wire."""

from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rest_framework import serializers

from bookings.codes import spoken_code
from bookings.models import Booking, Ticket, TicketHandover
from bookings.references import spoken
from bookings.states import Source, Status
from common.api import Input
from common.money import to_decimal
from events.models import Event


class BookingIn(Input):
    protected = ("user_id", "price", "amount_minor", "amount", "status", "source", "expires_at", "reference")

    event_id = serializers.UUIDField(required=False)
    category_id = serializers.UUIDField(
        required=False, help_text="May be left out when the event sells one kind of ticket; then `eventId` is needed."
    )
    quantity = serializers.IntegerField(min_value=1, max_value=1000, default=1)
    allow_partial = serializers.BooleanField(
        default=False, help_text="Hold what is left when that is fewer, and put the rest on the waitlist."
    )
    code = serializers.CharField(
        max_length=64,
        required=False,
        allow_blank=True,
        help_text="A discount or presale code; case and spaces do not matter.",
    )
    shown_price_minor = serializers.IntegerField(
        min_value=0,
        required=False,
        help_text="What one ticket costs as you showed it: 409 `price_changed` if that is not what it costs.",
    )

    def to_internal_value(self, data: Any) -> Any:
        quantity = data.get("quantity", 1)
        if not isinstance(quantity, int) or isinstance(quantity, bool):
            raise serializers.ValidationError({"quantity": ["Write a whole number."]})
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "category_id" not in attrs and "event_id" not in attrs:
            raise serializers.ValidationError({"category_id": ["Say which tickets you want."]})
        return attrs


class CancelIn(Input):
    booking_id = serializers.UUIDField(required=False)
    reference = serializers.CharField(required=False, max_length=20)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"booking_id": ["Name one booking, by `bookingId` or by `reference`."]})
        return attrs


class EventBriefOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    date = serializers.DateField()
    location = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    timezone = serializers.CharField()


class CategoryBriefOut(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()


class HolderOut(serializers.Serializer):
    name = serializers.CharField()
    is_you = serializers.BooleanField()


class InvitationOut(serializers.Serializer):
    email = serializers.EmailField(help_text="As you wrote it; forgotten when the invitation is over.")
    status = serializers.ChoiceField(
        choices=TicketHandover.Status.choices, help_text="`accepted`: their face check is under way."
    )
    expires_at = serializers.DateTimeField()


class TicketOut(serializers.Serializer):
    id = serializers.UUIDField()
    code = serializers.CharField(help_text="Empty unless you hold the ticket: `unassigned` ones open no door.")
    ticket_id = serializers.CharField(help_text="The same as `code`.")
    status = serializers.ChoiceField(choices=Ticket.Status.choices)
    seat_number = serializers.CharField(allow_null=True)
    price = serializers.DecimalField(max_digits=12, decimal_places=3, coerce_to_string=True)
    holder_name = serializers.CharField()
    holder = HolderOut(allow_null=True, help_text="Null while `unassigned`.")
    invitation = InvitationOut(allow_null=True, help_text="Who you invited to take it, until they have.")
    purchase_date = serializers.DateTimeField()
    event_id = serializers.UUIDField()


class RefundOut(serializers.Serializer):
    amount_minor = serializers.IntegerField()
    currency = serializers.CharField()
    status = serializers.CharField()


class BookingOut(serializers.Serializer):
    id = serializers.UUIDField()
    reference = serializers.CharField()
    status = serializers.ChoiceField(choices=Status.choices)
    event_id = serializers.UUIDField()
    event = EventBriefOut()
    category_id = serializers.UUIDField()
    category = CategoryBriefOut()
    quantity = serializers.IntegerField()
    amount_minor = serializers.IntegerField()
    discount_minor = serializers.IntegerField(help_text="What a code took off; not part of `amountMinor`.")
    code = serializers.CharField(allow_null=True)
    comp = serializers.BooleanField(help_text="Whether it is a gift of the organiser.")
    currency = serializers.CharField()
    expires_at = serializers.DateTimeField(allow_null=True)
    source = serializers.ChoiceField(choices=Source.choices)
    created_at = serializers.DateTimeField()
    seats = serializers.ListField(child=serializers.CharField())
    tickets = TicketOut(many=True)
    refund = RefundOut(allow_null=True)


class HeldOut(serializers.Serializer):
    booking = BookingOut(allow_null=True)
    waitlist = serializers.DictField(allow_null=True, help_text="The place on the waitlist, as `GET /waitlist` has it.")


def render_event(event: Event) -> dict[str, Any]:
    """Return the short form of an event that goes with bookings and tickets."""
    return {
        "id": event.pk,
        "name": event.name,
        "date": local_date(event),
        "location": event.location,
        "starts_at": event.starts_at,
        "ends_at": event.ends_at,
        "timezone": event.timezone,
    }


def local_date(event: Event) -> str:
    """Return the day the event starts on, where it takes place."""
    return event.starts_at.astimezone(ZoneInfo(event.timezone)).date().isoformat()


def render_ticket(ticket: Ticket, booking: Booking, *, viewer_id: UUID | None = None) -> dict[str, Any]:
    """Return a ticket's form on the wire, for its buyer or for `viewer_id`; its code is only there for who holds it."""
    viewer_id = viewer_id or booking.user_id
    code = ticket.code if ticket.holder_id == viewer_id else ""
    return {
        "id": ticket.pk,
        "code": code,
        "ticket_id": code,
        "status": ticket.status,
        "seat_number": ticket.seat.label if ticket.seat else None,
        "price": str(to_decimal(booking.amount_minor // booking.quantity, booking.currency)),
        "holder_name": ticket.holder_name,
        "holder": {"name": ticket.holder_name, "is_you": ticket.holder_id == viewer_id} if ticket.holder_id else None,
        "invitation": render_invitation(ticket, viewer_id),
        "purchase_date": ticket.issued_at,
        "event_id": booking.event_id,
    }


def render_invitation(ticket: Ticket, viewer_id: UUID) -> dict[str, Any] | None:
    """Return who is invited to take a ticket, for who invited them."""
    waiting = ticket.invitation
    if waiting is None or waiting.named_by_id != viewer_id:
        return None
    return {"email": waiting.email, "status": waiting.status, "expires_at": waiting.expires_at}


def render_booking(booking: Booking, *, new: bool = False) -> dict[str, Any]:
    """Return a booking's form on the wire; a `new` hold has no tickets, seats or refund to look for."""
    return {
        "id": booking.pk,
        "reference": spoken(booking.reference),
        "status": booking.status,
        "event_id": booking.event_id,
        "event": render_event(booking.event),
        "category_id": booking.category_id,
        "category": {"id": booking.category_id, "name": booking.category.name},
        "quantity": booking.quantity,
        "amount_minor": booking.amount_minor,
        "discount_minor": booking.discount_minor,
        "code": spoken_code(booking.code.code) if booking.code else None,
        "comp": booking.comp,
        "currency": booking.currency,
        "expires_at": booking.expires_at,
        "source": booking.source,
        "created_at": booking.created_at,
        "seats": [] if new else [taken.seat.label for taken in booking.booking_seats.all()],
        "tickets": [] if new else [render_ticket(ticket, booking) for ticket in booking.tickets.all()],
        "refund": render_refund(booking),
    }


def render_refund(booking: Booking) -> dict[str, Any] | None:
    """Return what is going back to the buyer, or None."""
    if not booking.refund_minor:
        return None
    return {"amount_minor": booking.refund_minor, "currency": booking.currency, "status": booking.refund_status}
