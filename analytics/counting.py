"""
The SQL that counts. A day (or hour) with news is counted again as a whole, so counting twice changes nothing; what people did
around an event with news is counted again from its first day on, for people come again and their rows move with them.

News is what happened since a moment. No transaction that was open then is missed: the moment is the start of the oldest one
(`HORIZON`). `%(since)s` null means everything. Times become days of the event's place.
"""

# Everything that is written after this is asked carries a later time. Asked before the first look at the tables: what has not
# committed by that look is still open now, and began no earlier.
HORIZON = """
    SELECT least(now(), min(xact_start)) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

# Events whose place has another clock than when they were counted: every day of theirs is another one.
MOVED = """
    SELECT event.id FROM analytics_eventfigures figures JOIN events_event event ON event.id = figures.event_id
    WHERE figures.timezone <> event.timezone
"""

# Days on which something happened to bookings of which there is news, as (event, day); an hour is touched when its day is. A
# booking that stands and lost a ticket was sold smaller; one that lapsed and was paid late lapsed on no day any more.
TOUCHED_DAYS = """
    SELECT DISTINCT event.id, (moments.at AT TIME ZONE event.timezone)::date
    FROM (
        SELECT event_id, unnest(ARRAY[created_at, confirmed_at, ended_at]) AS at FROM bookings_booking
        WHERE (%(since)s::timestamptz IS NULL
            OR created_at > %(since)s OR confirmed_at > %(since)s OR ended_at > %(since)s)
        AND (%(only)s::uuid[] IS NULL OR event_id = ANY(%(only)s))
        UNION ALL
        SELECT booking.event_id, booking.confirmed_at FROM bookings_ticket ticket
        JOIN bookings_booking booking ON booking.id = ticket.booking_id
        WHERE ticket.void_at > %(since)s AND booking.status = 'confirmed'
        UNION ALL
        SELECT booking.event_id, step.at FROM bookings_bookingtransition step
        JOIN bookings_booking booking ON booking.id = step.booking_id
        WHERE booking.confirmed_at > %(since)s AND step.to_status = 'expired'
    ) moments JOIN events_event event ON event.id = moments.event_id
    WHERE moments.at IS NOT NULL
"""

# Events around which people did something. What happened in a line is written down later than it happened, so a line has news
# when its journal is longer than what was counted of it.
TOUCHED_EVENTS = """
    SELECT room.event_id FROM waitingroom_waitingroom room
    LEFT JOIN analytics_eventfigures figures ON figures.event_id = room.event_id
    WHERE %(since)s::timestamptz IS NULL OR room.journal_number <> coalesce(figures.line_counted, 0)
    UNION
    SELECT event_id FROM waitlist_waitlistentry
    WHERE %(since)s::timestamptz IS NULL OR joined_at > %(since)s OR offered_at > %(since)s OR ended_at > %(since)s
    UNION
    SELECT registration.event_id FROM registrations_verificationattempt attempt
    JOIN registrations_registration registration ON registration.id = attempt.registration_id
    WHERE %(since)s::timestamptz IS NULL OR attempt.reserved_at > %(since)s OR attempt.decided_at > %(since)s
    UNION
    SELECT event_id FROM registrations_registration
    WHERE %(since)s::timestamptz IS NULL OR created_at > %(since)s OR verified_at > %(since)s
        OR review_requested_at > %(since)s
    UNION
    SELECT registration.event_id FROM registrations_reviewdecision decision
    JOIN registrations_registration registration ON registration.id = decision.registration_id
    WHERE %(since)s::timestamptz IS NULL OR decision.at > %(since)s
    UNION
    SELECT booking.event_id FROM payments_refund refund
    JOIN payments_payment payment ON payment.id = refund.payment_id
    JOIN bookings_booking booking ON booking.id = payment.booking_id
    WHERE refund.finished_at IS NOT NULL AND (%(since)s::timestamptz IS NULL OR refund.finished_at > %(since)s)
"""

# What happened to bookings on the touched days. The days' bounds, a day wider than any clock makes them, are looked at first:
# they are cheaper than the place's clock, which is asked once for each fact.
FACTS = """
    WITH facts AS MATERIALIZED (
        SELECT booking.event_id, event.timezone, (fact.at AT TIME ZONE event.timezone)::date AS day, booking.category_id,
            fact.at, fact.what, booking.quantity, booking.amount_minor, booking.status
        FROM bookings_booking booking JOIN events_event event ON event.id = booking.event_id,
        LATERAL (VALUES (booking.created_at, 'begun'), (booking.confirmed_at, 'sold'), (
            CASE WHEN booking.status IN ('cancelled', 'expired') THEN booking.ended_at END,
            CASE WHEN booking.status = 'expired' THEN 'lapsed' WHEN booking.confirmed_at IS NULL THEN 'given_up'
                ELSE 'cancelled' END
        )) AS fact (at, what)
        WHERE booking.event_id = ANY(%(events)s)
        AND fact.at >= %(first)s::timestamptz - interval '1 day' AND fact.at < %(last)s::timestamptz + interval '2 days'
    )
"""
WANTED = "unnest(%(events)s::uuid[], %(days)s::date[]) AS wanted (event_id, day)"

COUNTS = """
    count(*) FILTER (WHERE what = 'begun'),
    count(*) FILTER (WHERE what = 'sold'),
    coalesce(sum(quantity) FILTER (WHERE what = 'sold'), 0),
    coalesce(sum(amount_minor) FILTER (WHERE what = 'sold'), 0),
    count(*) FILTER (WHERE what = 'cancelled'),
    coalesce(sum(quantity) FILTER (WHERE what = 'cancelled'), 0),
    coalesce(sum(amount_minor) FILTER (WHERE what = 'cancelled'), 0)
"""

DAYS = (
    FACTS
    + """
    INSERT INTO analytics_salesday (event_id, category_id, day, holds, sold_bookings, sold_tickets, sold_minor,
        cancelled_bookings, cancelled_tickets, cancelled_minor,
        standing_bookings, standing_tickets, standing_minor, given_up, lapsed)
    SELECT event_id, category_id, day,"""
    + COUNTS
    + """,
        count(*) FILTER (WHERE what = 'sold' AND status = 'confirmed'),
        coalesce(sum(quantity) FILTER (WHERE what = 'sold' AND status = 'confirmed'), 0),
        coalesce(sum(amount_minor) FILTER (WHERE what = 'sold' AND status = 'confirmed'), 0),
        count(*) FILTER (WHERE what = 'given_up'),
        count(*) FILTER (WHERE what = 'lapsed')
    FROM facts JOIN """
    + WANTED
    + """ USING (event_id, day)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """
)

HOURS = (
    FACTS
    + """
    INSERT INTO analytics_saleshour (event_id, category_id, hour, holds, sold_bookings, sold_tickets, sold_minor,
        cancelled_bookings, cancelled_tickets, cancelled_minor)
    SELECT event_id, category_id, date_trunc('hour', at, timezone),"""
    + COUNTS
    + """
    FROM facts JOIN """
    + WANTED
    + """ USING (event_id, day)
    WHERE at > now() - make_interval(days => %(hours_kept)s)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """
)

PEOPLE = """
    WITH facts AS (
        SELECT event_id, joined_at AS at, 'lined_up' AS what, 0 AS minor FROM waitingroom_place WHERE event_id = ANY(%(events)s)
        UNION ALL
        SELECT event_id, admitted_at, 'let_in', 0 FROM waitingroom_place WHERE event_id = ANY(%(events)s)
        UNION ALL
        SELECT event_id, joined_at, 'waitlisted', 0 FROM waitlist_waitlistentry WHERE event_id = ANY(%(events)s)
        UNION ALL
        SELECT event_id, offered_at, 'offered', 0 FROM waitlist_waitlistentry WHERE event_id = ANY(%(events)s)
        UNION ALL
        SELECT registration.event_id, attempt.reserved_at, attempt.status, 0 FROM registrations_verificationattempt attempt
        JOIN registrations_registration registration ON registration.id = attempt.registration_id
        WHERE registration.event_id = ANY(%(events)s)
        UNION ALL
        SELECT booking.event_id, refund.finished_at, 'refund', refund.amount_minor FROM payments_refund refund
        JOIN payments_payment payment ON payment.id = refund.payment_id
        JOIN bookings_booking booking ON booking.id = payment.booking_id
        WHERE booking.event_id = ANY(%(events)s) AND refund.status = 'succeeded'
    )
    INSERT INTO analytics_peopleday (event_id, day, lined_up, let_in, waitlisted, offered, checks_passed, checks_missed,
        checks_returned, refunds, refunded_minor)
    SELECT event.id, (facts.at AT TIME ZONE event.timezone)::date,
        count(*) FILTER (WHERE what = 'lined_up'), count(*) FILTER (WHERE what = 'let_in'),
        count(*) FILTER (WHERE what = 'waitlisted'), count(*) FILTER (WHERE what = 'offered'),
        count(*) FILTER (WHERE what = 'passed'), count(*) FILTER (WHERE what = 'mismatch'),
        count(*) FILTER (WHERE what = 'returned'),
        count(*) FILTER (WHERE what = 'refund'), coalesce(sum(minor), 0)
    FROM facts JOIN events_event event ON event.id = facts.event_id
    WHERE facts.at IS NOT NULL AND what <> 'reserved'
    GROUP BY 1, 2 ORDER BY 1, 2
"""

CLEAR_DAYS = f"""
    DELETE FROM analytics_salesday counted USING {WANTED} WHERE counted.event_id = wanted.event_id AND counted.day = wanted.day
"""
CLEAR_HOURS = f"""
    DELETE FROM analytics_saleshour counted USING {WANTED} JOIN events_event event ON event.id = wanted.event_id
    WHERE counted.event_id = wanted.event_id AND (counted.hour AT TIME ZONE event.timezone)::date = wanted.day
"""
CLEAR_PEOPLE = "DELETE FROM analytics_peopleday WHERE event_id = ANY(%(events)s)"

# Before people are counted: what a line's journal tells until then is in that count, or the line has news again.
FIGURES = """
    INSERT INTO analytics_eventfigures (event_id, timezone, line_counted, buyers, came_again, verification)
    SELECT event.id, event.timezone,
        coalesce((SELECT journal_number FROM waitingroom_waitingroom WHERE event_id = event.id), 0),
        (SELECT count(DISTINCT user_id) FROM bookings_booking WHERE event_id = event.id AND status = 'confirmed'), 0, '{}'
    FROM events_event event WHERE event.id = ANY(%(events)s) ORDER BY event.id
    ON CONFLICT (event_id) DO UPDATE SET timezone = excluded.timezone, line_counted = excluded.line_counted,
        buyers = excluded.buyers, counted_at = now()
"""

# Dearer than the rest (a look per buyer), so once in a while, for events that were counted since or come after such a one.
RETURNING = """
    UPDATE analytics_eventfigures figures SET people_counted_at = now(), came_again = (
        SELECT count(DISTINCT booking.user_id) FROM bookings_booking booking
        WHERE booking.event_id = figures.event_id AND booking.status = 'confirmed' AND EXISTS (
            SELECT 1 FROM bookings_booking other JOIN events_event earlier ON earlier.id = other.event_id
            WHERE other.user_id = booking.user_id AND other.status = 'confirmed'
            AND earlier.starts_at < event.starts_at)
    )
    FROM events_event event
    WHERE event.id = figures.event_id
    AND (figures.people_counted_at IS NULL OR EXISTS (
        SELECT 1 FROM analytics_eventfigures news JOIN events_event earlier ON earlier.id = news.event_id
        WHERE news.counted_at > figures.people_counted_at
        AND (earlier.id = event.id OR earlier.starts_at < event.starts_at)))
"""
