"""What a scanner app sends, and what it gets: as little about people as a door needs."""

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from rest_framework import serializers

from bookings.models import Ticket
from bookings.references import spoken
from common.api import Input
from events.models import Event
from gate.models import FaceCheck, Scan
from gate.queries import Counters, checks_faces, entry_of, opens_at
from gate.reasons import CHECKS, Reason
from gate.services.rules import MOST_LETTERS

MOST_AT_ONCE = 500


class StandingIn(Input):
    """Where the device stands."""

    gate = serializers.CharField(max_length=MOST_LETTERS, help_text="The gate's name, as staff call it.")
    device = serializers.CharField(
        max_length=MOST_LETTERS, required=False, allow_blank=True, default="", help_text="The device's own name."
    )


class ScanIn(StandingIn):
    """One scan: a code that was read, or a ticket that was found by searching."""

    protected = ("result", "reason", "scanned_at", "scannedAt")

    code = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    ticket_id = serializers.UUIDField(required=False, allow_null=True, default=None)
    client_id = serializers.UUIDField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Yours for this scan; sent again it gets the same answer.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs["code"].strip()) == bool(attrs["ticket_id"]):
            raise serializers.ValidationError({"code": ["Send either a code or a ticketId."]})
        return attrs


class OfflineIn(serializers.Serializer):
    """One scan that was made without network."""

    client_id = serializers.UUIDField()
    code = serializers.CharField(max_length=500)
    scanned_at = serializers.DateTimeField(help_text="By the device's clock.")
    accepted = serializers.BooleanField(help_text="Whether the device showed green.")
    method = serializers.ChoiceField(["code", "id"], required=False, default="code")
    reason = serializers.ChoiceField(Reason.choices, required=False, allow_blank=True, default="")
    note = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class SyncIn(StandingIn):
    """What a device scanned without network."""

    scans = serializers.ListField(child=OfflineIn(), max_length=MOST_AT_ONCE)
    sent_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        default=None,
        help_text="What the device's clock shows now; by how much it is wrong, the scans' times are put right.",
    )


class ReasonIn(Input):
    """Why."""

    reason = serializers.CharField(max_length=500)


class IdentityIn(StandingIn):
    """Staff looked at an ID."""

    reason = serializers.CharField(max_length=500, help_text="What was looked at, and why no face check.")
    client_id = serializers.UUIDField(required=False, allow_null=True, default=None)


class DecisionIn(StandingIn):
    """What a supervisor decides."""

    decision = serializers.ChoiceField(["let_in", "refuse"])
    reason = serializers.CharField(max_length=500)
    client_id = serializers.UUIDField(required=False, allow_null=True, default=None)


class FaceIn(StandingIn):
    """A photo of the person at the door (multipart)."""

    photo = serializers.ImageField()


class EntranceIn(Input):
    """The entrance's rules; what is left out stays."""

    opens_at = serializers.DateTimeField(required=False, allow_null=True)
    checks_faces = serializers.BooleanField(required=False)
    reason = serializers.CharField(max_length=500)


class GateOut(serializers.Serializer):
    """An event whose gate one may stand at."""

    event_id = serializers.UUIDField()
    name = serializers.CharField()
    location = serializers.CharField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    opens_at = serializers.DateTimeField()
    checks_faces = serializers.BooleanField()


class SeatOut(serializers.Serializer):
    """What a gate sees of a ticket: no code, no mail address."""

    ticket_id = serializers.UUIDField()
    status = serializers.ChoiceField(Ticket.Status.choices)
    holder_name = serializers.CharField()
    reference = serializers.CharField()
    category = serializers.CharField()
    seat = serializers.CharField()
    number = serializers.IntegerField()
    quantity = serializers.IntegerField()


class ScanOut(serializers.Serializer):
    """The answer to one scan."""

    id = serializers.UUIDField()
    result = serializers.ChoiceField(Scan.Result.choices)
    reason = serializers.ChoiceField(Reason.choices, allow_blank=True)
    words = serializers.CharField(help_text="What to say at the door.")
    gate = serializers.CharField()
    method = serializers.ChoiceField(Scan.Method.choices)
    offline = serializers.BooleanField()
    is_case = serializers.BooleanField(help_text="A supervisor has to look at it.")
    undone = serializers.BooleanField()
    seen_again = serializers.BooleanField(
        help_text="The device still has the code in sight that it asked about: this is the answer it got. Show it once."
    )
    note = serializers.CharField(allow_blank=True, help_text="Why staff let somebody in, or refused them.")
    client_id = serializers.UUIDField(allow_null=True)
    scanned_at = serializers.DateTimeField()
    at = serializers.DateTimeField()
    next = serializers.ListField(
        child=serializers.ChoiceField(["face", "identity", "review"]),
        help_text="What may still let this person in; `review` is a supervisor's.",
    )
    ticket = SeatOut(allow_null=True)
    inside_since = serializers.DateTimeField(allow_null=True)
    inside_by = serializers.CharField(allow_blank=True, help_text="The gate that let this ticket in.")


class GateCountersOut(serializers.Serializer):
    """One gate."""

    gate = serializers.CharField()
    inside = serializers.IntegerField()
    refused = serializers.IntegerField()


class CategoryCountersOut(serializers.Serializer):
    """One category."""

    category = serializers.CharField()
    inside = serializers.IntegerField()
    expected = serializers.IntegerField()


class CountersOut(serializers.Serializer):
    """How full the house is."""

    expected = serializers.IntegerField(help_text="Valid tickets.")
    inside = serializers.IntegerField()
    outside = serializers.IntegerField(help_text="Valid tickets that have not come in.")
    unassigned = serializers.IntegerField(help_text="Of those outside, the ones nobody holds yet.")
    refused = serializers.IntegerField(help_text="Red answers.")
    cases = serializers.IntegerField()
    reviews = serializers.IntegerField(help_text="Failed face checks nobody has decided yet.")
    categories = CategoryCountersOut(many=True)
    gates = GateCountersOut(many=True)


class ListOut(serializers.Serializer):
    """The signed list; docs/gate.md says how to verify it and what its letters mean."""

    list = serializers.CharField(help_text="JSON, signed exactly as it is here.")
    signature = serializers.CharField(help_text="ECDSA P-256 with SHA-256, r and s, URL-safe base64.")
    key = serializers.CharField(help_text="The public key: the uncompressed point, URL-safe base64.")


class FaceCheckOut(serializers.Serializer):
    """A comparison, decided or under way; no score and no picture."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(FaceCheck.Status.choices)
    failure_code = serializers.CharField(allow_blank=True)
    scan = ScanOut(allow_null=True)


def render_gate(event: Event) -> dict[str, Any]:
    """Return an event as its gate knows it."""
    names = ("name", "location", "starts_at", "ends_at")
    return {
        "event_id": event.pk,
        **{name: getattr(event, name) for name in names},
        "opens_at": opens_at(event),
        "checks_faces": checks_faces(event),
    }


def render_ticket(ticket: Ticket) -> dict[str, Any]:
    """Return what a gate sees of a ticket."""
    return {
        "ticket_id": ticket.pk,
        "status": ticket.status,
        "holder_name": ticket.holder_name,
        "reference": spoken(ticket.booking.reference),
        "category": ticket.booking.category.name,
        "seat": ticket.seat.label if ticket.seat else "",
        "number": ticket.number,
        "quantity": ticket.booking.quantity,
    }


def render_scan(scan: Scan, *, client_id: UUID | None = None) -> dict[str, Any]:
    """
    Return the answer to a scan, with where and when its ticket came in when that is why it is red.

    `client_id` is the device's name for what it asked, where that is another one than the scan's.
    """
    told = scan.reason in (Reason.ALREADY_USED, Reason.DOUBLE) and scan.ticket_id is not None
    entry = entry_of(scan.ticket_id) if told and scan.ticket_id else None
    return {
        "id": scan.pk,
        "result": scan.result,
        "reason": scan.reason,
        "words": words(scan),
        "gate": scan.device.gate,
        "method": scan.method,
        "offline": scan.offline,
        "is_case": scan.is_case,
        "undone": scan.undone_at is not None,
        "seen_again": scan.seen_again,
        "note": scan.note,
        "client_id": client_id or scan.client_id,
        "scanned_at": scan.scanned_at,
        "at": scan.at,
        "next": next_steps(scan),
        "ticket": render_ticket(scan.ticket) if scan.ticket else None,
        "inside_since": entry.scanned_at if entry else None,
        "inside_by": entry.device.gate if entry else "",
    }


def words(scan: Scan) -> str:
    """Return what to say at the door."""
    if scan.undone_at is not None:
        return "Taken back."
    if scan.reason == Reason.NOT_YET:
        return f"The gate opens {told_time(opens_at(scan.event), scan.event)}."
    if scan.reason == Reason.OVER:
        return f"The event was over {told_time(scan.event.ends_at, scan.event)}."
    return str(Reason(scan.reason).label) if scan.reason else "Welcome in."


def told_time(at: datetime, event: Event) -> str:
    """Return a moment as it is called at the event's place."""
    return f"{at.astimezone(ZoneInfo(event.timezone)):%a %d %b at %H:%M}"


def next_steps(scan: Scan) -> list[str]:
    """Return what may still let this person in."""
    if scan.reason == Reason.REFUSED:
        return ["review"]
    if scan.reason not in CHECKS:
        return []
    return [*(["face"] if scan.reason != Reason.ID_NEEDED else []), "identity", "review"]


def render_counters(found: Counters) -> dict[str, Any]:
    """Return an event's counters."""
    return asdict(found)


def render_check(check: FaceCheck) -> dict[str, Any]:
    """Return a comparison without its score."""
    return {
        "id": check.pk,
        "status": check.status,
        "failure_code": check.failure_code,
        "scan": render_scan(check.scan) if check.scan else None,
    }
