"""What one app announces and another tells organisers' systems: siblings do not know each other, so it meets here."""

from typing import Any
from uuid import UUID

from gate.models import Scan
from webhooks.models import WebhookEndpoint
from webhooks.services import announce


def tell_of_scan(*, scan_id: UUID, **_: Any) -> None:
    """Tell an event's organiser that a ticket came in, in the transaction of the scan; red answers are nobody else's news."""
    scan = Scan.objects.select_related("event", "device").get(pk=scan_id)
    organiser_id = scan.event.created_by_id
    if scan.result != Scan.Result.ACCEPTED or organiser_id is None:
        return
    if not WebhookEndpoint.objects.filter(organiser_id=organiser_id, enabled=True).exists():
        return
    announce(
        organiser_id=organiser_id,
        kind="ticket.scanned",
        cause=f"scan:{scan.pk}",
        data={
            "scanId": str(scan.pk),
            "eventId": str(scan.event_id),
            "ticketId": str(scan.ticket_id),
            "gate": scan.device.gate,
            "method": scan.method,
            "offline": scan.offline,
            "scannedAt": scan.scanned_at.isoformat(),
        },
    )
