"""
The SQL that counts. A day (or hour) with news is counted again as a whole, so counting twice changes nothing and a late
transaction is found by the next run: each looks two minutes further back than the last one ended.

`%(since)s` null means everything. Times become days of the event's place.
"""

# Days of events with something new, as (event, day); an hour is touched when its day is.
TOUCHED = """
    WITH place AS (SELECT id, timezone FROM events_event),
    moments AS (
        SELECT event_id, unnest(ARRAY[created_at, confirmed_at, ended_at]) AS at FROM bookings_booking
        WHERE %(since)s::timestamptz IS NULL
            OR created_at > %(since)s OR confirmed_at > %(since)s OR ended_at > %(since)s
        UNION ALL
        SELECT event_id, unnest(ARRAY[joined_at, offered_at]) FROM waitlist_waitlistentry
        WHERE %(since)s::timestamptz IS NULL OR joined_at > %(since)s OR offered_at > %(since)s OR ended_at > %(since)s
        UNION ALL
        SELECT event_id, unnest(ARRAY[joined_at, admitted_at]) FROM waitingroom_place
        WHERE %(since)s::timestamptz IS NULL OR joined_at > %(since)s OR admitted_at > %(since)s
        UNION ALL
        SELECT registration.event_id, attempt.reserved_at FROM registrations_verificationattempt attempt
        JOIN registrations_registration registration ON registration.id = attempt.registration_id
        WHERE %(since)s::timestamptz IS NULL OR attempt.reserved_at > %(since)s OR attempt.decided_at > %(since)s
        UNION ALL
        SELECT event_id, unnest(ARRAY[created_at, verified_at]) FROM registrations_registration
        WHERE %(since)s::timestamptz IS NULL OR created_at > %(since)s OR verified_at > %(since)s
        UNION ALL
        SELECT registration.event_id, decision.at FROM registrations_reviewdecision decision
        JOIN registrations_registration registration ON registration.id = decision.registration_id
        WHERE %(since)s::timestamptz IS NULL OR decision.at > %(since)s
        UNION ALL
        SELECT booking.event_id, refund.finished_at FROM payments_refund refund
        JOIN payments_payment payment ON payment.id = refund.payment_id
        JOIN bookings_booking booking ON booking.id = payment.booking_id
        WHERE refund.finished_at IS NOT NULL AND (%(since)s::timestamptz IS NULL OR refund.finished_at > %(since)s)
    )
    SELECT DISTINCT place.id, (moments.at AT TIME ZONE place.timezone)::date
    FROM moments JOIN place ON place.id = moments.event_id WHERE moments.at IS NOT NULL
"""

# The touched days as rows, with where they begin and end.
SPAN = """
    WITH span AS (
        SELECT event.id AS event_id, given.day, event.timezone,
            given.day::timestamp AT TIME ZONE event.timezone AS begins,
            (given.day + 1)::timestamp AT TIME ZONE event.timezone AS ends
        FROM unnest(%(events)s::uuid[], %(days)s::date[]) AS given (event_id, day)
        JOIN events_event event ON event.id = given.event_id
    )
"""

FACTS = """
    , facts AS (
        SELECT span.event_id, span.timezone, booking.category_id, booking.created_at AS at, 'begun' AS what,
            booking.quantity, booking.amount_minor, booking.status
        FROM span JOIN bookings_booking booking ON booking.event_id = span.event_id
            AND booking.created_at >= span.begins AND booking.created_at < span.ends
        UNION ALL
        SELECT span.event_id, span.timezone, booking.category_id, booking.confirmed_at, 'sold',
            booking.quantity, booking.amount_minor, booking.status
        FROM span JOIN bookings_booking booking ON booking.event_id = span.event_id
            AND booking.confirmed_at >= span.begins AND booking.confirmed_at < span.ends
        UNION ALL
        SELECT span.event_id, span.timezone, booking.category_id, booking.ended_at,
            CASE WHEN booking.status = 'expired' THEN 'lapsed' WHEN booking.confirmed_at IS NULL THEN 'given_up'
                ELSE 'cancelled' END,
            booking.quantity, booking.amount_minor, booking.status
        FROM span JOIN bookings_booking booking ON booking.event_id = span.event_id
            AND booking.ended_at >= span.begins AND booking.ended_at < span.ends
            AND booking.status IN ('cancelled', 'expired')
    )
"""

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
    SPAN
    + FACTS
    + """
    INSERT INTO analytics_salesday (event_id, category_id, day, holds, sold_bookings, sold_tickets, sold_minor,
        cancelled_bookings, cancelled_tickets, cancelled_minor,
        standing_bookings, standing_tickets, standing_minor, given_up, lapsed)
    SELECT event_id, category_id, (at AT TIME ZONE timezone)::date,"""
    + COUNTS
    + """,
        count(*) FILTER (WHERE what = 'sold' AND status = 'confirmed'),
        coalesce(sum(quantity) FILTER (WHERE what = 'sold' AND status = 'confirmed'), 0),
        coalesce(sum(amount_minor) FILTER (WHERE what = 'sold' AND status = 'confirmed'), 0),
        count(*) FILTER (WHERE what = 'given_up'),
        count(*) FILTER (WHERE what = 'lapsed')
    FROM facts GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """
)

HOURS = (
    SPAN
    + FACTS
    + """
    INSERT INTO analytics_saleshour (event_id, category_id, hour, holds, sold_bookings, sold_tickets, sold_minor,
        cancelled_bookings, cancelled_tickets, cancelled_minor)
    SELECT event_id, category_id, date_trunc('hour', at),"""
    + COUNTS
    + """
    FROM facts WHERE at > now() - make_interval(days => %(hours_kept)s)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    """
)

PEOPLE = (
    SPAN
    + """
    INSERT INTO analytics_peopleday (event_id, day, lined_up, let_in, waitlisted, offered, checks_passed, checks_missed,
        checks_returned, refunds, refunded_minor)
    SELECT span.event_id, span.day, line.joined, line.admitted, waiting.joined, waiting.offered, checks.passed,
        checks.missed, checks.returned, back.refunds, back.minor
    FROM span,
    LATERAL (SELECT count(*) FILTER (WHERE joined_at >= span.begins AND joined_at < span.ends) AS joined,
        count(*) FILTER (WHERE admitted_at >= span.begins AND admitted_at < span.ends) AS admitted
        FROM waitingroom_place WHERE event_id = span.event_id) line,
    LATERAL (SELECT count(*) FILTER (WHERE joined_at >= span.begins AND joined_at < span.ends) AS joined,
        count(*) FILTER (WHERE offered_at >= span.begins AND offered_at < span.ends) AS offered
        FROM waitlist_waitlistentry WHERE event_id = span.event_id) waiting,
    LATERAL (SELECT count(*) FILTER (WHERE attempt.status = 'passed') AS passed,
        count(*) FILTER (WHERE attempt.status = 'mismatch') AS missed,
        count(*) FILTER (WHERE attempt.status = 'returned') AS returned
        FROM registrations_verificationattempt attempt
        JOIN registrations_registration registration ON registration.id = attempt.registration_id
        WHERE registration.event_id = span.event_id
        AND attempt.reserved_at >= span.begins AND attempt.reserved_at < span.ends) checks,
    LATERAL (SELECT count(*) AS refunds, coalesce(sum(refund.amount_minor), 0) AS minor FROM payments_refund refund
        JOIN payments_payment payment ON payment.id = refund.payment_id
        JOIN bookings_booking booking ON booking.id = payment.booking_id
        WHERE booking.event_id = span.event_id AND refund.status = 'succeeded'
        AND refund.finished_at >= span.begins AND refund.finished_at < span.ends) back
    ORDER BY 1, 2
    """
)

CLEAR_DAYS = SPAN + " DELETE FROM analytics_salesday c USING span WHERE c.event_id = span.event_id AND c.day = span.day"
CLEAR_PEOPLE = (
    SPAN + " DELETE FROM analytics_peopleday c USING span WHERE c.event_id = span.event_id AND c.day = span.day"
)
CLEAR_HOURS = (
    SPAN
    + " DELETE FROM analytics_saleshour c USING span"
    + " WHERE c.event_id = span.event_id AND c.hour >= span.begins AND c.hour < span.ends"
)

FIGURES = """
    INSERT INTO analytics_eventfigures (event_id, buyers, came_again, verification)
    SELECT event.id, (
        SELECT count(DISTINCT user_id) FROM bookings_booking WHERE event_id = event.id AND status = 'confirmed'
    ), 0, '{}'
    FROM events_event event WHERE event.id = ANY(%(all_events)s) ORDER BY event.id
    ON CONFLICT (event_id) DO UPDATE SET buyers = excluded.buyers, counted_at = now()
"""

# Dearer than the rest (a look per buyer), so once in a while, for the events that were counted since.
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
    AND (figures.people_counted_at IS NULL OR figures.people_counted_at < figures.counted_at)
"""
