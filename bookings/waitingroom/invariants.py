"""
What must always be true of the lines, from their rows; `manage.py check_invariants` names every breach.

The rows follow Redis within a second or two, so what is younger than a minute is not looked at.
"""

from collections.abc import Iterable

from common.invariants import invariant, rows


@invariant("waitingroom.turnstile")
def turnstile_holds() -> Iterable[str]:
    """I10: no more people are active than the event allows, but for those whom staff let in, or a limit that was lowered."""
    return rows(
        """
        SELECT event.name, front.active, event.max_active_users
        FROM waitingroom_waitingroom room
        JOIN events_event event ON event.id = room.event_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS active FROM waitingroom_place place
            WHERE place.event_id = event.id AND place.state = 'active' AND place.slot_expires_at > now()
                AND place.admitted_at < now() - interval '1 minute'
        ) front
        CROSS JOIN LATERAL (
            SELECT count(*) AS admitted FROM accounts_staffaction action
            WHERE action.action = 'admit_from_line' AND action.object_id = event.id::text
        ) staff
        WHERE front.active > event.max_active_users + staff.admitted AND event.updated_at < now() - interval '1 hour'
        """,
        "{0}: {1} people are active, {2} may be",
    )


@invariant("waitingroom.slots")
def bookings_had_a_slot() -> Iterable[str]:
    """I10: whoever booked while there was a line had their turn in it."""
    return rows(
        """
        SELECT booking.reference FROM bookings_booking booking
        JOIN waitingroom_waitingroom room ON room.event_id = booking.event_id
        JOIN events_event event ON event.id = booking.event_id AND event.queue_enabled
        JOIN events_ticketcategory category ON category.id = booking.category_id
        WHERE booking.source = 'public' AND booking.created_at BETWEEN room.created_at AND now() - interval '1 minute'
            AND room.state IN ('open', 'paused') AND event.updated_at < booking.created_at
            AND NOT (booking.code_id IS NOT NULL
                AND booking.created_at < coalesce(category.sale_starts_at, event.sale_starts_at))
            AND NOT EXISTS (
                SELECT 1 FROM waitingroom_place place
                WHERE place.event_id = booking.event_id AND place.user_id = booking.user_id AND (
                    place.booking_id = booking.id OR place.called_at <= booking.created_at + interval '2 seconds'
                    OR place.joined_at > booking.created_at
                )
            )
        """,
        "booking {0} was made without a turn in the line",
    )


@invariant("waitingroom.order")
def nobody_shares_a_place() -> Iterable[str]:
    """I10: everybody who waits has a place of their own, and the list has as many people as were drawn."""
    yield from rows(
        """
        SELECT event_id, order_key, count(*) FROM waitingroom_place
        WHERE state IN ('waiting', 'called', 'active', 'parked') AND order_key IS NOT NULL
        GROUP BY event_id, order_key HAVING count(*) > 1
        """,
        "event {0}: {2} people share the place with key {1}",
    )
    yield from rows(
        """
        SELECT room.event_id, room.list_size, count(place.id)
        FROM waitingroom_waitingroom room
        LEFT JOIN waitingroom_place place ON place.event_id = room.event_id AND place.arrival IS NOT NULL
        WHERE room.merkle_root <> '' GROUP BY room.event_id HAVING count(place.id) <> room.list_size
        """,
        "event {0}: {1} people were drawn and {2} are on the list",
    )
