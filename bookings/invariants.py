"""
What must always be true of bookings, recounted from the rows; `manage.py check_invariants` names every breach.

The triggers of `bookings.triggers` keep these rules; the checks here trust none of them.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings
from django.db import connection

from bookings.states import BUCKETS, INITIAL, LIVE, TRANSITIONS
from bookings.triggers import quoted
from common.invariants import invariant, rows
from common.outbox import HANDLERS

LIVE_SQL = quoted(LIVE)
PAIRS_SQL = ", ".join(
    f"({quoted((source, step.target))})" for step in TRANSITIONS.values() for source in sorted(step.sources)
)
COUNTED_SQL = ", ".join(
    f"coalesce(sum(booking.quantity) FILTER (WHERE booking.status = '{status}'), 0) AS {bucket}"
    for status, bucket in sorted(BUCKETS.items())
)
RECOUNT = f"""
    SELECT event.id AS event_id, event.name AS event, category.id AS category_id, category.name AS category,
        inventory.capacity, inventory.waiting,
        inventory.held AS held_recorded, inventory.offered AS offered_recorded, inventory.sold AS sold_recorded,
        counted.held AS held_counted, counted.offered AS offered_counted, counted.sold AS sold_counted
    FROM events_ticketcategory category
    JOIN events_event event ON event.id = category.event_id
    LEFT JOIN events_seatinventory inventory ON inventory.category_id = category.id
    CROSS JOIN LATERAL (
        SELECT {COUNTED_SQL} FROM bookings_booking booking WHERE booking.category_id = category.id
    ) counted
    ORDER BY event.name, category.name, category.id
"""  # noqa: S608


def recount() -> Iterator[dict[str, Any]]:
    """Yield each category's counters beside what its bookings add up to, in one statement and so at one moment."""
    with connection.cursor() as cursor:
        cursor.execute(RECOUNT)
        names = [column.name for column in cursor.description or ()]
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))


def differences(count: dict[str, Any]) -> list[str]:
    """Return what is wrong with one category's counters, one sentence each."""
    where = f"{count['event']}, {count['category']}"
    if count["capacity"] is None:
        return [f"{where}: has no inventory row"]
    found = [
        f"{where}: {bucket} is recorded as {count[f'{bucket}_recorded']}, the bookings add up to {count[f'{bucket}_counted']}"
        for bucket in ("held", "offered", "sold")
        if count[f"{bucket}_recorded"] != count[f"{bucket}_counted"]
    ]
    taken = count["held_counted"] + count["offered_counted"] + count["sold_counted"]
    if taken > count["capacity"]:
        found.append(f"{where}: {taken} of {count['capacity']} seats are taken, that is oversold")
    return found


@invariant("bookings.capacity")
def capacity_is_kept() -> Iterable[str]:
    """I1: the counters say what the bookings add up to, and never more than there are seats."""
    return [difference for count in recount() for difference in differences(count)]


@invariant("bookings.tickets")
def tickets_match() -> Iterable[str]:
    """I3: a confirmed booking has exactly one valid ticket per seat, every other booking none."""
    return rows(
        """
        SELECT booking.reference, booking.status, booking.quantity, count(ticket.id)
        FROM bookings_booking booking
        LEFT JOIN bookings_ticket ticket ON ticket.booking_id = booking.id AND ticket.status <> 'void'
        GROUP BY booking.id
        HAVING count(ticket.id) <> CASE WHEN booking.status = 'confirmed' THEN booking.quantity ELSE 0 END
        """,
        "booking {0} is {1} for {2} seats and has {3} valid tickets",
    )


@invariant("bookings.one_live_booking")
def one_live_booking() -> Iterable[str]:
    """I5: one live booking per person, event and source (of the waitlist one claim), never more tickets than one may have."""
    yield from rows(
        f"""
        SELECT user_id, event_id, source, count(*) FROM bookings_booking
        WHERE status IN ({LIVE_SQL}) AND NOT (source = 'waitlist' AND status = 'confirmed')
        GROUP BY user_id, event_id, source HAVING count(*) > 1
        """,  # noqa: S608
        "person {0} has {3} live bookings from {2} for event {1}",
    )
    # An organiser may lower an event's limit after the sale began; nobody may ever have had more than this.
    yield from rows(
        f"""
        SELECT booking.user_id, booking.event_id, sum(booking.quantity)
        FROM bookings_booking booking JOIN events_event event ON event.id = booking.event_id
        WHERE booking.status IN ({LIVE_SQL}) AND booking.source <> 'staff'
        GROUP BY booking.user_id, booking.event_id, event.id
        HAVING sum(booking.quantity) > greatest(event.max_tickets_per_booking, {int(settings.MAX_TICKETS_PER_BOOKING)})
        """,  # noqa: S608
        "person {0} has {2} tickets for event {1}, more than one person may have",
    )


@invariant("bookings.history")
def history_is_a_path() -> Iterable[str]:
    """I6: the history of each booking is a path of legal steps to where it stands, leaving no status twice."""
    yield from rows(
        f"""
        WITH step AS (
            SELECT history.booking_id, history.from_status, history.to_status,
                lag(history.to_status) OVER walk AS before, lead(history.id) OVER walk IS NULL AS is_last
            FROM bookings_bookingtransition history
            WINDOW walk AS (PARTITION BY history.booking_id ORDER BY history.id)
        )
        SELECT booking.reference, step.from_status, step.to_status,
            CASE
                WHEN (step.from_status, step.to_status) NOT IN ({PAIRS_SQL}) THEN 'no such step exists'
                WHEN step.before IS NULL AND step.from_status NOT IN ({quoted(INITIAL)}) THEN 'no booking begins there'
                WHEN step.before <> step.from_status THEN 'the step before led to ' || step.before
                ELSE 'the booking is ' || booking.status
            END
        FROM step JOIN bookings_booking booking ON booking.id = step.booking_id
        WHERE (step.from_status, step.to_status) NOT IN ({PAIRS_SQL})
            OR (step.before IS NULL AND step.from_status NOT IN ({quoted(INITIAL)}))
            OR step.before <> step.from_status
            OR (step.is_last AND step.to_status <> booking.status)
        """,  # noqa: S608
        "booking {0} went from {1} to {2}, but {3}",
    )
    yield from rows(
        """
        SELECT booking.reference, history.from_status, count(*)
        FROM bookings_bookingtransition history JOIN bookings_booking booking ON booking.id = history.booking_id
        GROUP BY booking.id, history.from_status HAVING count(*) > 1
        """,
        "booking {0} left {1} {2} times",
    )
    yield from rows(
        f"""
        SELECT booking.reference, booking.status FROM bookings_booking booking
        WHERE booking.status NOT IN ({quoted(INITIAL)})
            AND NOT EXISTS (SELECT 1 FROM bookings_bookingtransition history WHERE history.booking_id = booking.id)
        """,  # noqa: S608
        "booking {0} is {1} and nothing says how it got there",
    )
    yield from rows(
        f"""
        SELECT reference, status FROM bookings_booking
        WHERE (status IN ({LIVE_SQL})) <> (ended_at IS NULL)
        """,  # noqa: S608
        "booking {0} is {1}, which does not fit the time it ended",
    )


@invariant("bookings.seats")
def numbered_seats_match() -> Iterable[str]:
    """A live booking of a numbered category has one seat per ticket, of its own category; every other booking none."""
    yield from rows(
        f"""
        SELECT booking.reference, booking.status, booking.quantity, count(taken.id)
        FROM bookings_booking booking
        JOIN events_ticketcategory category ON category.id = booking.category_id
        LEFT JOIN bookings_bookingseat taken ON taken.booking_id = booking.id AND taken.live
        GROUP BY booking.id, category.numbered
        HAVING count(taken.id)
            <> CASE WHEN category.numbered AND booking.status IN ({LIVE_SQL}) THEN booking.quantity ELSE 0 END
        """,  # noqa: S608
        "booking {0} is {1} for {2} and has {3} numbered seats",
    )
    yield from rows(
        """
        SELECT booking.reference, seat.row, seat.number
        FROM bookings_bookingseat taken
        JOIN bookings_booking booking ON booking.id = taken.booking_id
        JOIN events_seat seat ON seat.id = taken.seat_id
        WHERE taken.live AND seat.category_id <> booking.category_id
        """,
        "booking {0} has row {1} seat {2} of another category",
    )
    yield from rows(
        """
        SELECT seat.row, seat.number, count(*)
        FROM bookings_bookingseat taken JOIN events_seat seat ON seat.id = taken.seat_id
        WHERE taken.live GROUP BY seat.id HAVING count(*) > 1
        """,
        "row {0} seat {1} belongs to {2} bookings",
    )
    yield from rows(
        """
        SELECT booking.reference, ticket.number
        FROM bookings_ticket ticket
        JOIN bookings_booking booking ON booking.id = ticket.booking_id
        JOIN events_ticketcategory category ON category.id = booking.category_id
        LEFT JOIN bookings_bookingseat taken
            ON taken.booking_id = booking.id AND taken.live AND taken.seat_id = ticket.seat_id
        WHERE ticket.status <> 'void' AND (category.numbered OR ticket.seat_id IS NOT NULL) AND taken.id IS NULL
        """,
        "ticket {1} of booking {0} names a seat that the booking does not have",
    )
    yield from rows(
        """
        SELECT category.name, inventory.capacity, count(seat.id)
        FROM events_ticketcategory category
        JOIN events_seatinventory inventory ON inventory.category_id = category.id
        LEFT JOIN events_seat seat ON seat.category_id = category.id
        WHERE category.numbered GROUP BY category.id, inventory.capacity HAVING count(seat.id) < inventory.capacity
        """,
        "category {0} sells {1} numbered seats and has {2}",
    )


@invariant("bookings.holders")
def tickets_have_their_holders() -> Iterable[str]:
    """A ticket that opens a door has a holder, of an event that checks faces one each; and only what is valid is on its way."""
    yield from rows(
        """
        SELECT booking.reference, ticket.number, ticket.status
        FROM bookings_ticket ticket JOIN bookings_booking booking ON booking.id = ticket.booking_id
        WHERE (ticket.status IN ('active', 'used') AND ticket.holder_id IS NULL)
            OR (ticket.status = 'unassigned' AND (ticket.holder_id IS NOT NULL OR NOT ticket.personal))
            OR ticket.event_id <> booking.event_id
        """,
        "ticket {1} of booking {0} is {2}, which does not fit its holder or event",
    )
    yield from rows(
        """
        SELECT ticket.holder_id, ticket.event_id, count(*) FROM bookings_ticket ticket
        WHERE ticket.personal AND ticket.status IN ('active', 'used') GROUP BY 1, 2 HAVING count(*) > 1
        """,
        "person {0} holds {2} tickets of event {1}, which gives each person one",
    )
    yield from rows(
        """
        SELECT handover.id, handover.status, ticket.status
        FROM bookings_tickethandover handover JOIN bookings_ticket ticket ON ticket.id = handover.ticket_id
        WHERE handover.status IN ('open', 'accepted')
            AND (ticket.status IN ('used', 'void') OR handover.from_holder_id IS DISTINCT FROM ticket.holder_id)
        """,
        "handover {0} is {1}, and its ticket is {2} or somebody else's by now",
    )
    yield from rows(
        """
        SELECT ticket.id, last.to_status, ticket.status FROM bookings_ticket ticket
        CROSS JOIN LATERAL (
            SELECT change.to_status, change.to_holder_id FROM bookings_ticketchange change
            WHERE change.ticket_id = ticket.id ORDER BY change.id DESC LIMIT 1
        ) last
        WHERE (last.to_status, last.to_holder_id) IS DISTINCT FROM (ticket.status, ticket.holder_id)
        """,
        "the history of ticket {0} ends with {1}, and it is {2}",
    )


@invariant("bookings.codes")
def codes_are_counted() -> Iterable[str]:
    """A code's counter says in how many tickets of live bookings it is, never more than its limit; and nobody paid twice."""
    yield from rows(
        f"""
        SELECT code.id, counter.uses, counted.uses, coalesce(counter.max_uses::text, 'any')
        FROM bookings_salecode code
        LEFT JOIN bookings_salecodecounter counter ON counter.code_id = code.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(booking.quantity), 0) AS uses FROM bookings_booking booking
            WHERE booking.code_id = code.id AND booking.status IN ({LIVE_SQL})
        ) counted
        WHERE counter.uses IS DISTINCT FROM counted.uses OR counted.uses > counter.max_uses
        """,  # noqa: S608
        "code {0} counts {1} uses of at most {3}, and is in {2} tickets of live bookings",
    )
    yield from rows(
        """
        SELECT booking.reference FROM bookings_booking booking JOIN bookings_salecode code ON code.id = booking.code_id
        WHERE code.event_id <> booking.event_id
        """,
        "booking {0} has a code of another event",
    )
    yield from rows(
        """
        SELECT reference, discount_minor FROM bookings_booking
        WHERE discount_minor > 0 AND code_id IS NULL AND NOT comp
        """,
        "booking {0} is {1} cheaper, and neither a code nor a gift says why",
    )


@invariant("bookings.notices")
def buyers_are_told() -> Iterable[str]:
    """I13: every sale has the message that mails its tickets."""
    return rows(
        """
        SELECT booking.reference FROM bookings_booking booking
        WHERE booking.confirmed_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM common_outboxmessage message WHERE message.dedupe_key = 'tickets_mail:' || booking.id
        )
        """,
        "booking {0} was confirmed and no message says so to its buyer",
    )


@invariant("outbox")
def outbox_can_leave() -> Iterable[str]:
    """Every message that waits has somebody who can deliver it, and none was given up without a person looking."""
    yield from rows(
        f"""
        SELECT topic, count(*) FROM common_outboxmessage
        WHERE done_at IS NULL AND failed_at IS NULL AND topic NOT IN ({quoted(sorted(HANDLERS))})
        GROUP BY topic
        """,  # noqa: S608
        "{1} messages of topic {0} wait and nothing handles them",
    )
    yield from rows(
        """
        SELECT topic, dedupe_key, attempts, left(last_error, 200) FROM common_outboxmessage
        WHERE failed_at IS NOT NULL ORDER BY failed_at LIMIT 100
        """,
        "message {1} was given up after {2} tries: {3}",
    )
