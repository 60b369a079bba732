"""What gates tell of tickets (a source of settings.TIMELINE_SOURCES)."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import QuerySet

from bookings.models import Ticket
from gate.models import Scan

Row = tuple[datetime, str, str, str]


def scans_of(*, tickets: QuerySet[Ticket], most: int) -> Iterator[Row]:
    """Yield when, what, more of it and by whom: the newest `most` scans of these tickets, and what became of them."""
    scans = Scan.objects.filter(ticket__in=tickets).select_related(
        "ticket", "device", "staff", "undone_by", "resolved_by"
    )
    for scan in scans.order_by("-at", "-id")[:most]:
        ticket = f"ticket {scan.ticket.number}"
        what = f"Let in with {ticket}" if scan.result == Scan.Result.ACCEPTED else f"Turned away with {ticket}"
        more = ", ".join(
            filter(
                None,
                (scan.get_reason_display(), scan.device.gate, "without network" if scan.offline else "", scan.note),
            )
        )
        yield scan.scanned_at, what, more, scan.staff.display_name
        if scan.undone_at and scan.undone_by:
            yield scan.undone_at, f"Entry with {ticket} undone", scan.undo_reason, scan.undone_by.display_name
        if scan.resolved_at and scan.resolved_by:
            yield scan.resolved_at, f"Case of {ticket} closed", scan.resolution, scan.resolved_by.display_name
