"""How an event's entrance works, and which devices stand there."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from accounts.services import record_staff_action
from gate.models import Entrance, GateDevice
from gate.refusals import NameOfGate, ReasonNeeded

MOST_LETTERS = 40
UNSET: Any = object()


@transaction.atomic
def change_entrance(
    *,
    event_id: UUID,
    staff_id: UUID,
    reason: str,
    opens_at: datetime | None = UNSET,
    checks_faces: bool | None = None,
) -> Entrance:
    """
    Change when an entrance opens, or whether faces are compared there; what is not given stays.

    :raises ReasonNeeded: without a reason
    """
    why = tidy_reason(reason)
    Entrance.objects.bulk_create([Entrance(event_id=event_id)], ignore_conflicts=True)
    entrance = Entrance.objects.select_for_update(no_key=True).get(pk=event_id)
    before = shown(entrance)
    if opens_at is not UNSET:
        entrance.opens_at = opens_at
    if checks_faces is not None:
        entrance.checks_faces = checks_faces
    entrance.save(update_fields=["opens_at", "checks_faces", "changed_at"])
    record_staff_action(
        actor_id=staff_id,
        action="gate.entrance_changed",
        object_type="event",
        object_id=event_id,
        before=before,
        after=shown(entrance),
        reason=why,
    )
    return entrance


def shown(entrance: Entrance) -> dict[str, Any]:
    """Return an entrance's rules as the record of staff actions keeps them."""
    opens_at = entrance.opens_at.isoformat() if entrance.opens_at else None
    return {"opens_at": opens_at, "checks_faces": entrance.checks_faces}


def use_device(*, event_id: UUID, staff_id: UUID, gate: str, device: str = "") -> GateDevice:
    """
    Return the row of a person's device at a gate, made when it is new there; inside a transaction it is held to its end.

    :raises NameOfGate: if the gate has no name, or a long one
    """
    name, own = " ".join(gate.split()), device.strip()[:MOST_LETTERS]
    if not 1 <= len(name) <= MOST_LETTERS:
        raise NameOfGate
    named = GateDevice.objects.filter(event_id=event_id, staff_id=staff_id, gate=name, device=own)
    if not named.update(seen_at=Now()):
        GateDevice.objects.bulk_create(
            [GateDevice(event_id=event_id, staff_id=staff_id, gate=name, device=own)], ignore_conflicts=True
        )
        named.update(seen_at=Now())  # where a rival made it, this waits until it has answered
    return named.get()


def open_list(*, event_id: UUID, staff_id: UUID, gate: str, device: str = "") -> GateDevice:
    """
    Write down that a device takes the list that works without network.

    :raises NameOfGate: if the gate has no name, or a long one
    """
    found = use_device(event_id=event_id, staff_id=staff_id, gate=gate, device=device)
    GateDevice.objects.filter(pk=found.pk).update(list_at=Now())
    return found


def tidy_reason(text: str) -> str:
    """
    Return a reason as it is kept.

    :raises ReasonNeeded: if there is none
    """
    tidy = " ".join(text.split())[:500]
    if not tidy:
        raise ReasonNeeded
    return tidy
