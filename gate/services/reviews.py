"""What a supervisor decides at the door when a face was not the holder's, or could not be compared."""

from uuid import UUID

from django.db import transaction

from accounts.services import record_staff_action
from bookings.models import Ticket
from bookings.services.admission import lock_ticket_booking
from gate.models import Scan
from gate.queries import get_scan
from gate.reasons import CHECKS, Reason
from gate.refusals import NothingToReview
from gate.services.rules import tidy_reason, use_device
from gate.services.scanning import Asked, decide, known_scan

REVIEWED = (*CHECKS, Reason.REFUSED)


@transaction.atomic
def review_scan(
    *,
    event_id: UUID,
    scan_id: UUID,
    staff_id: UUID,
    gate: str,
    device: str = "",
    let_in: bool,
    reason: str,
    client_id: UUID | None = None,
) -> Scan:
    """
    Let the person in after a scan that asked for a face or an ID, or refuse them; either way it is a scan of its own, with why.

    A refusal holds for every gate, and against an ID, until a supervisor lets the person in after all.

    :raises ScanNotFound: if there is no such scan at this event
    :raises ReasonNeeded: without a reason
    :raises NothingToReview: if that scan asked for no face and no ID, or the ticket is inside by now
    """
    why = tidy_reason(reason)
    asking = get_scan(event_id=event_id, scan_id=scan_id)
    if asking.reason not in REVIEWED or asking.ticket is None:
        raise NothingToReview
    where = use_device(event_id=event_id, staff_id=staff_id, gate=gate, device=device)
    if (known := known_scan(event_id, client_id)) is not None:
        return known
    ticket = lock_ticket_booking(ticket_id=asking.ticket.pk)
    said = "" if let_in else Reason.REFUSED
    asked = Asked(where, ticket.code, Scan.Method.REVIEW, client_id, note=why, said=said)
    if ticket.status != Ticket.Status.ACTIVE or asked.hash != asking.code_hash:
        raise NothingToReview
    scan = decide(asked, ticket)
    record_staff_action(
        actor_id=staff_id,
        action="gate.let_in" if let_in else "gate.refused",
        object_type="ticket",
        object_id=ticket.pk,
        after={"scan": str(scan.pk), "result": scan.result},
        reason=why,
    )
    return scan
