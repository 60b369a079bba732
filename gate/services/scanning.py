"""
Scans: the green or red answer, undoing it, and what devices bring that had no network.

Who comes in is decided by one guarded UPDATE of the ticket, behind the lock of its booking: of any number of gates at once one
is green. A constraint says the same once more: one standing entry per ticket. Every red answer is kept, with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.services import record_staff_action
from bookings.models import Ticket
from bookings.services.admission import give_back_ticket, lock_ticket_booking, use_ticket
from bookings.states import Status
from events.models import Event
from gate.codes import hash_code, normalise_code
from gate.models import GateDevice, RetiredCode, Scan
from gate.queries import check_wanted, get_scan, is_refused, opens_at, scans_with_all
from gate.reasons import CHECKS, Reason
from gate.refusals import NoCase, NoCheckNeeded, NothingToUndo, TicketNotFound
from gate.services.rules import tidy_reason, use_device
from gate.signals import ticket_scanned

log = structlog.get_logger(__name__)

Result, Method = Scan.Result, Scan.Method
AHEAD = timedelta(minutes=5)  # how far a device's clock may be ahead before ours is taken
SHOWN_GREEN = Q(let_in=True) | Q(offline=False, result=Result.ACCEPTED)


@dataclass(frozen=True)
class Offline:
    """What a device without network read, and what it showed: `accepted`, or the reason it was red for."""

    client_id: UUID
    code: str
    scanned_at: datetime
    accepted: bool
    method: str = Method.CODE
    reason: str = ""
    note: str = ""


@transaction.atomic
def scan_ticket(
    *,
    event_id: UUID,
    staff_id: UUID,
    gate: str,
    device: str = "",
    code: str = "",
    ticket_id: UUID | None = None,
    client_id: UUID | None = None,
) -> Scan:
    """
    Answer one scan: let the holder in, or say why not. The same `client_id` again gets the same answer.

    A code that a device keeps in sight is scanned once: whatever it asks within GATE_SIGHT_SECONDS of having seen the code last
    gets the same answer, marked `seen_again`. `ticket_id` instead of a code is a ticket found by name or reference.

    :raises NameOfGate: if the gate has no name
    :raises TicketNotFound: if `ticket_id` is no ticket of this event
    """
    where = use_device(event_id=event_id, staff_id=staff_id, gate=gate, device=device)
    if (known := known_scan(event_id, client_id)) is not None:
        return known
    read = normalise_code(code)
    ticket = Ticket.objects.filter(pk=ticket_id, event_id=event_id).first() if ticket_id else find_ticket(read)
    if ticket_id and ticket is None:
        raise TicketNotFound
    asked = Asked(
        where, read or (ticket.code if ticket else ""), Method.SEARCH if ticket_id else Method.CODE, client_id
    )
    if (answered := still_in_sight(asked)) is not None:
        return answered
    scan = decide(asked, ticket)
    GateDevice.objects.filter(pk=where.pk).update(last_scan=scan, sight_at=Now())
    return scan


@transaction.atomic
def accept_by_identity(
    *,
    event_id: UUID,
    scan_id: UUID,
    staff_id: UUID,
    gate: str,
    device: str = "",
    note: str,
    client_id: UUID | None = None,
) -> Scan:
    """
    Let the holder in whose ID staff has looked at, after a scan that asked for a face or an ID.

    :raises ScanNotFound: if there is no such scan at this event
    :raises NoCheckNeeded: if that scan did not ask for one
    :raises ReasonNeeded: if staff does not say what they looked at
    """
    why = tidy_reason(note)
    asking = get_scan(event_id=event_id, scan_id=scan_id)
    if asking.reason not in CHECKS or asking.ticket is None:
        raise NoCheckNeeded
    where = use_device(event_id=event_id, staff_id=staff_id, gate=gate, device=device)
    if (known := known_scan(event_id, client_id)) is not None:
        return known
    scan = decide(Asked(where, asking.ticket.code, Method.ID, client_id, note=why), asking.ticket)
    if scan.result == Result.ACCEPTED:
        record_staff_action(
            actor_id=staff_id, action="gate.id_checked", object_type="ticket", object_id=asking.ticket.pk, reason=why
        )
    return scan


def sync_scans(
    *,
    event_id: UUID,
    staff_id: UUID,
    gate: str,
    device: str = "",
    sent_at: datetime | None = None,
    scans: Sequence[Offline],
) -> list[tuple[Offline, Scan]]:
    """
    Take in what a device scanned without network, each in a transaction of its own; what came before is not counted again.

    Whom the device let in although the ticket is inside already (another gate without network) or lets nobody in is a case for
    a supervisor. `sent_at` is what the device's clock shows now: by how much it is wrong, its times are put right.

    :raises NameOfGate: if the gate has no name
    """
    wrong = timezone.now() - sent_at if sent_at else timedelta()
    return [
        (
            one,
            take_in(
                event_id=event_id,
                staff_id=staff_id,
                gate=gate,
                device=device,
                offline=replace(one, scanned_at=one.scanned_at + wrong),
            ),
        )
        for one in sorted(scans, key=lambda one: one.scanned_at)
    ]


@transaction.atomic
def take_in(*, event_id: UUID, staff_id: UUID, gate: str, device: str, offline: Offline) -> Scan:
    """
    Take in one scan that was made without network.

    :raises NameOfGate: if the gate has no name
    """
    where = use_device(event_id=event_id, staff_id=staff_id, gate=gate, device=device)
    name = offline.client_id
    known = known_scan(event_id, name)
    if known is not None and offline.accepted and known.result == Result.REJECTED and not known.let_in:
        # Our red answer was lost on its way, and the device showed green by its list: that is news, once.
        name = uuid5(name, "let in")
        known = known_scan(event_id, name)
    if known is not None:
        return known
    read = normalise_code(offline.code)
    asked = Asked(
        where,
        read,
        Method.ID if offline.method == Method.ID else Method.CODE,
        name,
        note=" ".join(offline.note.split())[:500],
        scanned_at=offline.scanned_at if offline.scanned_at < timezone.now() + AHEAD else None,
        offline=True,
        let_in=offline.accepted,
        said=offline.reason if offline.reason in Reason.values else "",
    )
    if (answered := seen_then(asked)) is not None:
        return answered
    scan = decide(asked, find_ticket(read))
    if scan.is_case:
        log.warning("gate.case", show=str(event_id), scan=str(scan.pk), reason=scan.reason)
    return scan


@transaction.atomic
def undo_scan(*, event_id: UUID, scan_id: UUID, staff_id: UUID, reason: str) -> Scan:
    """
    Take back a scan that let somebody in by mistake: the ticket is good for the door again.

    :raises ReasonNeeded: without a reason
    :raises ScanNotFound: if there is no such scan at this event
    :raises NothingToUndo: if it let nobody in, or was undone
    """
    why = tidy_reason(reason)
    scan = get_scan(event_id=event_id, scan_id=scan_id)
    if scan.ticket_id is None:
        raise NothingToUndo
    lock_ticket_booking(ticket_id=scan.ticket_id)
    standing = Scan.objects.filter(pk=scan.pk, result=Result.ACCEPTED, undone_at=None)
    if not standing.update(undone_at=Now(), undone_by_id=staff_id, undo_reason=why):
        raise NothingToUndo
    give_back_ticket(ticket_id=scan.ticket_id)
    record_staff_action(actor_id=staff_id, action="gate.scan_undone", object_type="scan", object_id=scan.pk, reason=why)
    return get_scan(event_id=event_id, scan_id=scan_id)


@transaction.atomic
def close_case(*, event_id: UUID, scan_id: UUID, staff_id: UUID, resolution: str) -> Scan:
    """
    Close the case of somebody who was let in without network on a ticket that should not have, and say how it ended.

    :raises ReasonNeeded: without words
    :raises ScanNotFound: if there is no such scan at this event
    :raises NoCase: if it is no open case
    """
    why = tidy_reason(resolution)
    scan = get_scan(event_id=event_id, scan_id=scan_id)
    open_case = Scan.objects.filter(pk=scan.pk, result=Result.REJECTED, let_in=True, resolved_at=None)
    if not open_case.update(resolved_at=Now(), resolved_by_id=staff_id, resolution=why):
        raise NoCase
    record_staff_action(actor_id=staff_id, action="gate.case_closed", object_type="scan", object_id=scan.pk, reason=why)
    return get_scan(event_id=event_id, scan_id=scan_id)


# -- The decision -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What a device wants to know."""

    device: GateDevice
    code: str
    method: str
    client_id: UUID | None
    note: str = ""
    scanned_at: datetime | None = None
    offline: bool = False
    let_in: bool = False
    said: str = ""

    @property
    def hash(self) -> str:
        """What is kept of the code."""
        return hash_code(self.device.event_id, self.code)


def decide(asked: Asked, found: Ticket | None) -> Scan:
    """Use the ticket if it opens this door now, and write down the answer; inside the transaction of its caller."""
    ticket = lock_ticket_booking(ticket_id=found.pk) if found is not None else None
    if ticket is not None and ticket.code != asked.code:
        ticket = None  # passed on between reading and locking: the old code is nobody's
    reason = refusal_for(asked, ticket)
    if not reason and (ticket is None or not use_ticket(ticket_id=ticket.pk, code=ticket.code)):
        reason = Reason.ALREADY_USED
    if ticket is not None and not reason:
        ticket.status = Ticket.Status.USED  # as the UPDATE left it, for the answer
    if reason == Reason.ALREADY_USED and asked.let_in:
        reason = Reason.DOUBLE
    here = ticket is not None and ticket.event_id == asked.device.event_id
    scan = Scan(
        event_id=asked.device.event_id,
        ticket=ticket if here else None,
        code_hash=asked.hash,
        device=asked.device,
        staff_id=asked.device.staff_id,
        method=asked.method,
        result=Result.REJECTED if reason else Result.ACCEPTED,
        reason=reason,
        note=asked.note,
        offline=asked.offline,
        let_in=asked.let_in,
        client_id=asked.client_id,
        scanned_at=asked.scanned_at or timezone.now(),
    )
    scan.save(force_insert=True)
    scan.refresh_from_db(fields=["at"])
    ticket_scanned.send(Scan, scan_id=scan.pk)
    log.info("gate.scanned", show=str(scan.event_id), gate=asked.device.gate, result=scan.result, reason=str(reason))
    return scan


def refusal_for(asked: Asked, ticket: Ticket | None) -> str:
    """Return why this ticket does not open this door now; empty: it does."""
    if ticket is None:
        retired = RetiredCode.objects.filter(event_id=asked.device.event_id, code_hash=asked.hash).exists()
        return Reason.PASSED_ON if retired else Reason.UNKNOWN
    if ticket.event_id != asked.device.event_id:
        return Reason.WRONG_EVENT
    if ticket.event.status == Event.Status.CANCELLED:
        return Reason.CANCELLED
    if ticket.status == Ticket.Status.VOID or ticket.booking.status != Status.CONFIRMED:
        return Reason.REFUNDED if ticket.booking.refund_minor else Reason.VOID
    if ticket.status == Ticket.Status.UNASSIGNED:
        return Reason.UNASSIGNED
    if ticket.status == Ticket.Status.USED:
        return Reason.ALREADY_USED
    if asked.offline:
        # What happened without network happened; a red answer stays the device's own.
        return "" if asked.let_in else asked.said or Reason.UNKNOWN
    times = clock(ticket.event)
    if times.before:
        return Reason.NOT_YET
    if times.after:
        return Reason.OVER
    if asked.method == Method.REVIEW:
        return asked.said
    if is_refused(ticket):
        return Reason.REFUSED
    if asked.method in (Method.FACE, Method.ID):
        return asked.said
    return check_wanted(ticket)


@dataclass(frozen=True)
class Times:
    """Where an event's gate stands by the database's clock."""

    before: bool
    after: bool


def clock(event: Event) -> Times:
    """Return whether an event's gate is not open yet, or closed."""
    now = Event.objects.annotate(now=Now()).values_list("now", flat=True).get(pk=event.pk)
    return Times(now < opens_at(event), now >= event.ends_at)


def known_scan(event_id: UUID, client_id: UUID | None) -> Scan | None:
    """Return the scan that a device sent under this name before; a rival with the same name waits here for the first."""
    if client_id is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 6))", [f"{event_id}{client_id}"])
    return scans_with_all().filter(event_id=event_id, client_id=client_id).first()


def find_ticket(code: str) -> Ticket | None:
    """Return the ticket of a code, of whatever event."""
    return Ticket.objects.filter(code=code).first() if code else None


def still_in_sight(asked: Asked) -> Scan | None:
    """
    Return the answer that a device got for the code it still has in sight, and remember that it does; None: it is news.

    A camera sees a code in every frame. What was taken back meanwhile, or an ID has settled, is news; so is any other device's
    sight of the code, at once.
    """
    seen = GateDevice.objects.filter(
        pk=asked.device.pk,
        last_scan__code_hash=asked.hash,
        last_scan__undone_at=None,
        sight_at__gt=Now() - timedelta(seconds=settings.GATE_SIGHT_SECONDS),
    ).exclude(last_scan__reason__in=CHECKS, last_scan__ticket__status=Ticket.Status.USED)
    scan_id = seen.values_list("last_scan_id", flat=True).first()
    if scan_id is None:
        return None
    GateDevice.objects.filter(pk=asked.device.pk).update(sight_at=Now())
    return again(get_scan(event_id=asked.device.event_id, scan_id=scan_id))


def seen_then(asked: Asked) -> Scan | None:
    """Return what a device without network had said of the same code a moment before or after; None: nothing."""
    if asked.scanned_at is None:
        return None
    moment = timedelta(seconds=settings.GATE_SIGHT_SECONDS)
    near = scans_with_all().filter(
        device=asked.device,
        code_hash=asked.hash,
        undone_at=None,
        scanned_at__gt=asked.scanned_at - moment,
        scanned_at__lt=asked.scanned_at + moment,
    )
    if asked.let_in:
        near = near.filter(SHOWN_GREEN)
    scan = near.order_by("-scanned_at", "-pk").first()
    return again(scan) if scan is not None else None


def again(scan: Scan) -> Scan:
    """Return an answer marked as one that was given before."""
    scan.seen_again = True
    return scan
