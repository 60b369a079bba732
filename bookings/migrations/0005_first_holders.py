"""Tickets from before: the buyer's; of an event that checks faces one each is, the others wait for a holder of their own."""

from django.db import migrations

FORWARD = """
UPDATE bookings_ticket ticket SET
    event_id = ranked.event_id,
    personal = ranked.personal,
    holder_id = CASE WHEN ranked.is_own THEN ranked.buyer END,
    holder_name = CASE WHEN ranked.is_own THEN ticket.holder_name ELSE '' END,
    status = CASE WHEN ranked.is_own OR ticket.status = 'void' THEN ticket.status ELSE 'unassigned' END
FROM (
    SELECT ticket.id, booking.event_id, booking.user_id AS buyer, event.requires_face_verification AS personal,
        NOT event.requires_face_verification OR ticket.status IN ('void', 'used') OR row_number() OVER (
            PARTITION BY booking.user_id, booking.event_id, ticket.status = 'void'
            ORDER BY ticket.status DESC, booking.confirmed_at, ticket.number
        ) = 1 AS is_own
    FROM bookings_ticket ticket
    JOIN bookings_booking booking ON booking.id = ticket.booking_id
    JOIN events_event event ON event.id = booking.event_id
) ranked
WHERE ranked.id = ticket.id;
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""

# Back then every ticket was the buyer's.
BACKWARD = "UPDATE bookings_ticket SET status = 'active' WHERE status = 'unassigned'"


class Migration(migrations.Migration):
    dependencies = [("bookings", "0004_ticket_holders")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
