"""What the waitlist looks like on the wire."""

from typing import Any
from zoneinfo import ZoneInfo

from rest_framework import serializers

from events.models import Event
from waitlist.models import WaitlistEntry


class WaitlistQueryIn(serializers.Serializer):
    status = serializers.ChoiceField(choices=WaitlistEntry.Status.choices, required=False)


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
    joined_at = serializers.DateTimeField()
    offer_expires_at = serializers.DateTimeField(allow_null=True)
    user_id = serializers.UUIDField()
    event_id = serializers.UUIDField()


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


class LeftOut(serializers.Serializer):
    success = serializers.BooleanField()
    message = serializers.CharField()


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
        "joined_at": entry.joined_at,
        "offer_expires_at": entry.offer_expires_at,
        "user_id": entry.user_id,
        "event_id": entry.event_id,
    }


def position_in(entry: WaitlistEntry) -> int | None:
    """Return the position a query computed with the entry, or None when it does not wait."""
    return entry.position if entry.status == WaitlistEntry.Status.WAITING else None


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
