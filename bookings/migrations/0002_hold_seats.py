"""The two SQL functions behind a hold: one round trip for the rules, the row and the seats."""

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION allocate_seats(p_booking uuid, p_category uuid, p_quantity integer) RETURNS void
LANGUAGE plpgsql AS $body$
-- Gives a booking the best seats that are together, else the best that are free. The caller's transaction holds the lock of
-- the category's inventory row (the booking trigger took it), so two bookings never choose at the same time.
BEGIN
    INSERT INTO bookings_bookingseat (booking_id, seat_id, live)
    WITH free AS (
        SELECT seat.id, seat.rank, seat.number,
            seat.number - row_number() OVER (PARTITION BY seat.rank, seat.row ORDER BY seat.number) AS island,
            avg(seat.number) OVER (PARTITION BY seat.rank, seat.row) AS middle
        FROM events_seat seat
        WHERE seat.category_id = p_category
        AND NOT EXISTS (SELECT 1 FROM bookings_bookingseat taken WHERE taken.seat_id = seat.id AND taken.live)
    ), runs AS (
        SELECT id, rank, number,
            count(*) OVER run AS together,
            max(number) OVER run AS last_number,
            abs(avg(number) OVER run - middle) AS off_centre
        FROM free
        WINDOW run AS (PARTITION BY rank, island ORDER BY number ROWS BETWEEN CURRENT ROW AND p_quantity - 1 FOLLOWING)
    ), best AS (
        SELECT rank, number FROM runs WHERE together = p_quantity ORDER BY rank, off_centre, number LIMIT 1
    )
    SELECT p_booking, free.id, true
    FROM free LEFT JOIN best ON true
    WHERE best.rank IS NULL OR (free.rank = best.rank AND free.number BETWEEN best.number AND best.number + p_quantity - 1)
    ORDER BY free.rank, free.number
    LIMIT p_quantity;
END
$body$;

CREATE OR REPLACE FUNCTION hold_seats(
    p_reference text, p_user uuid, p_event uuid, p_category uuid, p_quantity integer, p_partial boolean, p_source text,
    p_seconds integer, p_holds_per_hour integer, p_passed text[], p_async boolean
) RETURNS TABLE (
    outcome text, available integer, booking_id uuid, reference text, event_id uuid, quantity integer, amount_minor integer,
    expires_at timestamptz, created_at timestamptz, currency text, category_name text, event_name text, event_starts_at timestamptz,
    event_ends_at timestamptz, event_timezone text, event_location text, at_door boolean
)
LANGUAGE plpgsql AS $body$
-- Takes a hold in one round trip: the rules of the sale, one INSERT, and the booking trigger that moves the seats.
-- Refusals are outcomes, not exceptions, except the race for the last seat, which the trigger decides (FS001).
#variable_conflict use_column
DECLARE
    sale record;
    own record;
    wanted integer := p_quantity;
BEGIN
    -- PL/pgSQL keeps a plan for the life of a connection: one made while a table was small must not scan it when it is large.
    PERFORM set_config('enable_seqscan', 'off', true);
    SELECT category.id, category.name, category.price_minor, category.numbered, category.closed,
        event.id AS event_id, event.name AS event_name, event.status, event.currency, event.location, event.timezone,
        event.starts_at, event.ends_at, event.sale_starts_at, coalesce(event.sale_ends_at, event.starts_at) AS sale_ends_at,
        event.queue_enabled, event.requires_face_verification, event.max_tickets_per_booking,
        event.payment_collection = 'at_door' AS at_door,
        EXISTS (SELECT 1 FROM accounts_user person WHERE person.id = p_user AND person.is_active) AS buyer_is_active,
        -- A plain read: when it says "sold out" that was true a moment ago, and no lock was needed to say so.
        CASE WHEN p_source = 'public' AND inventory.waiting > 0 THEN 0
            ELSE inventory.capacity - inventory.held - inventory.offered - inventory.sold END AS available
    INTO sale
    FROM events_ticketcategory category
    JOIN events_event event ON event.id = category.event_id
    JOIN events_seatinventory inventory ON inventory.category_id = category.id
    WHERE category.id = p_category AND (p_event IS NULL OR event.id = p_event);
    IF NOT FOUND OR sale.status = 'draft' THEN
        outcome := 'not_found'; RETURN NEXT; RETURN;
    END IF;
    event_starts_at := sale.starts_at; event_timezone := sale.timezone; expires_at := sale.sale_starts_at;
    available := sale.available;
    outcome := CASE
        WHEN sale.status = 'cancelled' THEN 'event_cancelled'
        WHEN p_source = 'public' AND sale.sale_starts_at > now() THEN 'sale_not_open'
        WHEN sale.status = 'completed' OR sale.ends_at <= now() THEN 'sale_closed'
        WHEN p_source = 'public' AND (sale.closed OR sale.sale_ends_at <= now()) THEN 'sale_closed'
        WHEN p_quantity > sale.max_tickets_per_booking THEN 'too_many_tickets'
        WHEN sale.queue_enabled AND p_source = 'public' AND NOT 'queue' = ANY (p_passed) THEN 'queue_required'
        WHEN sale.requires_face_verification AND NOT 'face' = ANY (p_passed) THEN 'verification_required'
        WHEN NOT sale.buyer_is_active THEN 'account_inactive'
    END;
    IF outcome IS NOT NULL THEN
        available := CASE outcome WHEN 'too_many_tickets' THEN sale.max_tickets_per_booking END;
        RETURN NEXT; RETURN;
    END IF;

    -- One person's tries on one event follow one another, so that a double click is one hold. Lock order everywhere: this
    -- lock, booking rows, inventory rows by category.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_user::text || sale.event_id::text, 0));
    SELECT count(*) FILTER (WHERE booking.source = 'public' AND booking.created_at > now() - interval '1 hour') AS recent,
        coalesce(bool_or(booking.status = 'pending' AND booking.expires_at <= now()), false) AS lapsed,
        coalesce(bool_or(booking.status = 'pending' AND booking.expires_at <= now() AND booking.category_id <> sale.id), false)
            AS lapsed_elsewhere,
        min(booking.id::text) FILTER (WHERE booking.source = p_source AND (booking.status = 'confirmed'
            OR (booking.status IN ('offered', 'pending') AND booking.expires_at > now())))::uuid AS live_id
    INTO own FROM bookings_booking booking
    WHERE booking.user_id = p_user AND booking.event_id = sale.event_id;
    IF own.live_id IS NOT NULL THEN
        SELECT CASE booking.status WHEN 'confirmed' THEN 'already_booked' ELSE 'hold_exists' END, booking.id, booking.expires_at
        INTO outcome, booking_id, expires_at FROM bookings_booking booking WHERE booking.id = own.live_id;
        RETURN NEXT; RETURN;
    END IF;
    IF p_source = 'public' AND own.recent >= p_holds_per_hour THEN
        outcome := 'too_many_holds'; RETURN NEXT; RETURN;
    END IF;
    IF own.lapsed_elsewhere THEN
        PERFORM 1 FROM events_seatinventory inventory JOIN events_ticketcategory category ON category.id = inventory.category_id
            WHERE category.event_id = sale.event_id ORDER BY inventory.category_id FOR NO KEY UPDATE OF inventory;
    END IF;
    IF own.lapsed THEN
        UPDATE bookings_booking SET status = 'expired', end_reason = 'lapsed'
            WHERE user_id = p_user AND event_id = sale.event_id AND status = 'pending' AND expires_at <= now();
    END IF;

    IF available < p_quantity THEN
        -- Holds that lapsed but were not swept yet count as free: end them now and look again.
        UPDATE bookings_booking SET status = 'expired', end_reason = 'lapsed' WHERE id IN (
            SELECT booking.id FROM bookings_booking booking
            WHERE booking.category_id = sale.id AND booking.status IN ('pending', 'offered') AND booking.expires_at <= now()
            ORDER BY booking.expires_at LIMIT 50 FOR NO KEY UPDATE SKIP LOCKED
        );
        SELECT CASE WHEN p_source = 'public' AND inventory.waiting > 0 THEN 0
            ELSE inventory.capacity - inventory.held - inventory.offered - inventory.sold END
        INTO available FROM events_seatinventory inventory WHERE inventory.category_id = sale.id;
    END IF;
    IF p_partial AND available >= 1 THEN
        SELECT least(p_quantity, inventory.capacity - inventory.held - inventory.offered - inventory.sold)
        INTO wanted FROM events_seatinventory inventory WHERE inventory.category_id = sale.id FOR NO KEY UPDATE;
        available := wanted;
    END IF;
    IF available < wanted OR wanted < 1 THEN
        outcome := CASE WHEN available > 0 THEN 'partial' ELSE 'sold_out' END;
        RETURN NEXT; RETURN;
    END IF;

    IF p_async THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    INSERT INTO bookings_booking (id, reference, user_id, event_id, category_id, quantity, amount_minor, currency, status,
        source, expires_at, extensions, created_at, end_reason)
    VALUES (gen_random_uuid(), p_reference, p_user, sale.event_id, sale.id, wanted, sale.price_minor * wanted, sale.currency,
        'pending', p_source, now() + make_interval(secs => p_seconds), 0, now(), '')
    RETURNING id, quantity, amount_minor, expires_at, created_at
    INTO booking_id, quantity, amount_minor, expires_at, created_at;
    IF sale.numbered THEN
        PERFORM allocate_seats(booking_id, sale.id, wanted);
    END IF;
    outcome := 'held'; reference := p_reference; event_id := sale.event_id; currency := sale.currency; category_name := sale.name; event_name := sale.event_name;
    event_ends_at := sale.ends_at; event_location := sale.location; at_door := sale.at_door;
    RETURN NEXT;
END
$body$;
"""

BACKWARD = """
DROP FUNCTION hold_seats(text, uuid, uuid, uuid, integer, boolean, text, integer, integer, text[], boolean);
DROP FUNCTION allocate_seats(uuid, uuid, integer);
"""


class Migration(migrations.Migration):
    dependencies = [("bookings", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
