"""What must always be true of the waitlist, recounted from the rows."""

from collections.abc import Iterable

from common.invariants import invariant, rows


@invariant("waitlist.waiting")
def waiting_is_what_people_wait_for() -> Iterable[str]:
    """Yield every category whose counter is not what eligible people wait for."""
    return rows(
        """
        SELECT event.name, category.name, inventory.waiting, coalesce(sum(entry.quantity), 0)
        FROM events_seatinventory inventory
        JOIN events_ticketcategory category ON category.id = inventory.category_id
        JOIN events_event event ON event.id = category.event_id
        LEFT JOIN waitlist_waitlistentry entry ON entry.event_id = event.id AND entry.status = 'waiting' AND entry.eligible
            AND (entry.category_id IS NULL OR entry.category_id = category.id)
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
