"""What must always be true at the gate, recounted from the rows."""

from collections.abc import Iterable

from common.invariants import invariant, rows


@invariant("gate.entries")
def used_means_inside() -> Iterable[str]:
    """A used ticket has exactly one accepted scan that stands, and a ticket that can still be used has none."""
    return rows(
        """
        SELECT ticket.id, ticket.status, count(scan.id)
        FROM bookings_ticket ticket LEFT JOIN gate_scan scan
            ON scan.ticket_id = ticket.id AND scan.result = 'accepted' AND scan.undone_at IS NULL
        WHERE ticket.status <> 'void'
        GROUP BY ticket.id HAVING count(scan.id) <> CASE WHEN ticket.status = 'used' THEN 1 ELSE 0 END
        """,
        "ticket {0} is {1} and has {2} standing entries",
    )


@invariant("gate.own_event")
def scans_are_of_their_event() -> Iterable[str]:
    """A scan is of a ticket and a device of its own event."""
    return rows(
        """
        SELECT scan.id FROM gate_scan scan JOIN gate_gatedevice device ON device.id = scan.device_id
        LEFT JOIN bookings_ticket ticket ON ticket.id = scan.ticket_id
        WHERE device.event_id <> scan.event_id OR ticket.event_id <> scan.event_id
        """,
        "scan {0} belongs to another event than its ticket or device",
    )


@invariant("gate.faces")
def faces_at_the_door_are_gone() -> Iterable[str]:
    """A comparison that is decided keeps no picture, and of a ticket no more are counted than may be."""
    yield from rows(
        """
        SELECT face.id FROM gate_facecheck face JOIN faceverify_faceimage image ON image.id = face.image_id
        WHERE face.status <> 'reserved' AND image.deleted_at IS NULL
        """,
        "face check {0} is decided and still has its picture",
    )
