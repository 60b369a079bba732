"""What must always be true of the waitlist, recounted from the rows; the checks trust no trigger."""

from collections.abc import Iterable

from common.invariants import invariant, rows


@invariant("waitlist.waiting")
def waiting_is_what_people_wait_for() -> Iterable[str]:
    """Yield every category whose counter is not what people wait for who are eligible and not aside."""
    return rows(
        """
        SELECT event.name, category.name, inventory.waiting, coalesce(sum(entry.quantity), 0)
        FROM events_seatinventory inventory
        JOIN events_ticketcategory category ON category.id = inventory.category_id
        JOIN events_event event ON event.id = category.event_id
        LEFT JOIN waitlist_waitlistentry entry ON entry.event_id = event.id AND entry.status = 'waiting' AND entry.eligible
            AND entry.aside_since IS NULL
            AND (cardinality(entry.category_ids) = 0 OR category.id = ANY (entry.category_ids))
        GROUP BY event.name, category.name, inventory.category_id, inventory.waiting
        HAVING inventory.waiting <> coalesce(sum(entry.quantity), 0)
        """,
        "{0}, {1}: waiting is recorded as {2}, the entries add up to {3}",
    )


@invariant("waitlist.one_live_entry")
def one_live_entry() -> Iterable[str]:
    """I5: at most one live entry per person and event."""
    return rows(
        """
        SELECT user_id, event_id, count(*) FROM waitlist_waitlistentry WHERE status IN ('waiting', 'offered')
        GROUP BY user_id, event_id HAVING count(*) > 1
        """,
        "person {0} has {2} live entries for event {1}",
    )


@invariant("waitlist.offers")
def offers_have_bookings() -> Iterable[str]:
    """
    An open offer is a booking of the same person that keeps the seats; each such booking belongs to an entry.

    An offered entry whose booking has just lapsed is no breach: the sweep ends it.
    """
    yield from rows(
        """
        SELECT entry.id, coalesce(booking.status, 'gone') FROM waitlist_waitlistentry entry
        LEFT JOIN bookings_booking booking ON booking.id = entry.booking_id
        WHERE entry.status = 'offered' AND (
            booking.id IS NULL OR booking.status IN ('pending', 'confirmed')
            OR (booking.user_id, booking.event_id, booking.source) <> (entry.user_id, entry.event_id, 'waitlist')
            OR booking.quantity > entry.quantity
        )
        """,
        "the offer of entry {0} has no booking that fits (it is {1})",
    )
    yield from rows(
        """
        SELECT booking.reference FROM bookings_booking booking
        WHERE booking.status = 'offered' AND NOT EXISTS (
            SELECT 1 FROM waitlist_waitlistentry entry WHERE entry.booking_id = booking.id AND entry.status = 'offered'
        )
        """,
        "booking {0} is offered and no entry says to whom",
    )


@invariant("waitlist.order")
def nobody_was_passed_over_silently() -> Iterable[str]:
    """
    I4: whoever waited when a later entry was offered seats they would have taken has a recorded reason for it.

    Looked at for the offers that are open, because only then it is certain from the rows how both of them stood.
    """
    return rows(
        """
        SELECT earlier.id, later.id
        FROM waitlist_waitlistentry later
        JOIN bookings_booking booking ON booking.id = later.booking_id
        JOIN waitlist_waitlistentry earlier ON earlier.event_id = later.event_id AND earlier.status = 'waiting'
            AND earlier.eligible AND (earlier.joined_at, earlier.id) < (later.joined_at, later.id)
            AND earlier.waiting_since < later.offered_at
            AND (cardinality(earlier.category_ids) = 0 OR booking.category_id = ANY (earlier.category_ids))
        WHERE later.status = 'offered' AND NOT EXISTS (
            SELECT 1 FROM waitlist_waitlistskip skip
            WHERE skip.entry_id = earlier.id AND later.offered_at BETWEEN skip.first_at AND skip.at
        )
        """,
        "entry {0} waited and entry {1} behind it was offered seats, for no recorded reason",
    )


@invariant("waitlist.notices")
def offers_are_told() -> Iterable[str]:
    """I13: every offer has the message that tells its person."""
    return rows(
        """
        SELECT entry.id FROM waitlist_waitlistentry entry
        WHERE entry.status = 'offered' AND NOT EXISTS (
            SELECT 1 FROM common_outboxmessage message WHERE message.dedupe_key = 'waitlist_offered:' || entry.booking_id
        )
        """,
        "entry {0} has an offer and no message says so",
    )
