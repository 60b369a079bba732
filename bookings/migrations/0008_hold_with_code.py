"""
Holds with a code, as gifts, and at the price that was shown; the windows, limits and secrets of categories.

A new overload of the function behind a hold. The old signature stays, for processes that still run the code before: it calls
the new one, so what it sells keeps the same rules, and codes are the only thing it does not know. It goes in a later release,
when none of them runs any more (`DROP FUNCTION hold_seats` with eleven arguments).
"""

from importlib import import_module

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION sale_code_off(p_price integer, p_percent smallint, p_off integer) RETURNS integer
LANGUAGE sql IMMUTABLE AS $body$
-- What a code takes off one ticket: a half of the minor unit is rounded up, and never more than the price.
SELECT least(p_price, CASE WHEN p_percent IS NOT NULL THEN ((p_price::bigint * p_percent + 50) / 100)::integer
    ELSE coalesce(p_off, 0) END);
$body$;

CREATE OR REPLACE FUNCTION hold_seats(
    p_reference text, p_user uuid, p_event uuid, p_category uuid, p_quantity integer, p_partial boolean, p_source text,
    p_seconds integer, p_holds_per_hour integer, p_passed text[], p_async boolean,
    p_code text, p_comp boolean, p_price integer
) RETURNS TABLE (
    outcome text, available integer, booking_id uuid, reference text, event_id uuid, quantity integer, amount_minor integer,
    expires_at timestamptz, created_at timestamptz, currency text, category_name text, event_name text,
    event_starts_at timestamptz, event_ends_at timestamptz, event_timezone text, event_location text, at_door boolean, discount_minor integer, code_id uuid
)
LANGUAGE plpgsql AS $body$
-- Takes a hold in one round trip: the rules of the sale, one INSERT, and the booking trigger that moves the seats.
-- Refusals are outcomes, not exceptions, except the races for the last seat and the last use of a code, which the trigger
-- decides (FS001, FS008). p_code: a code as it is stored, or NULL. p_comp: staff give the tickets away. p_price: what one
-- ticket costs as the buyer was shown it, or NULL; nobody pays another price than they saw.
#variable_conflict use_column
DECLARE
    sale record;
    own record;
    sesame record;
    opened_early boolean := false;
    used_up boolean := false;
    uses_left integer;
    off_each integer := 0;
    wanted integer := p_quantity;
BEGIN
    -- PL/pgSQL keeps a plan for the life of a connection: one made while a table was small must not scan it when it is large.
    PERFORM set_config('enable_seqscan', 'off', true);
    SELECT category.id, category.name, category.price_minor, category.numbered, category.closed,
        category.hidden, category.max_per_person,
        event.id AS event_id, event.name AS event_name, event.status, event.currency, event.location, event.timezone,
        event.starts_at, event.ends_at, coalesce(category.sale_starts_at, event.sale_starts_at) AS sale_starts_at,
        coalesce(category.sale_ends_at, event.sale_ends_at, event.starts_at) AS sale_ends_at,
        event.queue_enabled, event.requires_face_verification, event.max_tickets_per_booking,
        event.payment_collection = 'at_door' AS at_door,
        EXISTS (SELECT 1 FROM accounts_user person WHERE person.id = p_user AND person.is_active) AS buyer_is_active,
        -- A plain read: when it says "sold out" that was true a moment ago, and no lock was needed to say so.
        inventory.waiting, inventory.capacity - inventory.held - inventory.offered - inventory.sold AS free,
        -- The waitlist is offered nothing of what is hidden or not open yet, so nobody on it has a claim there.
        p_source = 'public' AND NOT category.hidden
            AND (category.sale_starts_at IS NULL OR category.sale_starts_at <= now()) AS waiting_counts
    INTO sale
    FROM events_ticketcategory category
    JOIN events_event event ON event.id = category.event_id
    JOIN events_seatinventory inventory ON inventory.category_id = category.id
    WHERE category.id = p_category AND (p_event IS NULL OR event.id = p_event);
    IF NOT FOUND OR sale.status = 'draft' THEN
        outcome := 'not_found'; RETURN NEXT; RETURN;
    END IF;
    event_starts_at := sale.starts_at; event_timezone := sale.timezone; expires_at := sale.sale_starts_at;
    available := CASE WHEN sale.waiting_counts AND sale.waiting > 0 THEN 0 ELSE sale.free END;
    IF p_code IS NOT NULL THEN
        SELECT code.id, code.presale, code.per_person, counter.max_uses, counter.uses, code.valid_from,
            sale_code_off(sale.price_minor, code.percent, code.off_minor) AS off_each,
            CASE
                WHEN NOT code.active OR code.valid_until <= now() THEN 'code_over'
                WHEN code.valid_from > now() THEN 'code_not_yet'
                WHEN cardinality(code.category_ids) > 0 AND NOT sale.id = ANY (code.category_ids) THEN 'code_not_for_these'
            END AS obstacle
        INTO sesame
        FROM bookings_salecode code JOIN bookings_salecodecounter counter ON counter.code_id = code.id
        WHERE code.event_id = sale.event_id AND code.code = p_code;
        IF NOT FOUND OR sesame.obstacle IS NOT NULL THEN
            outcome := CASE
                WHEN NOT FOUND THEN 'code_unknown'
                -- What is hidden stays so for a code that does not open it.
                WHEN sale.hidden AND sesame.obstacle = 'code_not_for_these' THEN 'not_found'
                ELSE sesame.obstacle END;
            expires_at := CASE WHEN FOUND THEN sesame.valid_from END;
            available := NULL;
            RETURN NEXT; RETURN;
        END IF;
        code_id := sesame.id;
        opened_early := sesame.presale;
        off_each := sesame.off_each;
        IF p_quantity > sesame.per_person THEN
            outcome := 'code_limit'; available := sesame.per_person; RETURN NEXT; RETURN;
        END IF;
    END IF;
    IF p_comp THEN
        off_each := sale.price_minor;
    END IF;
    IF sale.hidden AND p_source = 'public' AND NOT opened_early THEN
        outcome := 'not_found'; RETURN NEXT; RETURN;
    END IF;
    opened_early := coalesce(opened_early AND sale.sale_starts_at > now(), false);
    outcome := CASE
        WHEN sale.status = 'cancelled' THEN 'event_cancelled'
        WHEN p_source = 'public' AND sale.sale_starts_at > now() AND NOT opened_early THEN 'sale_not_open'
        WHEN sale.status = 'completed' OR sale.ends_at <= now() THEN 'sale_closed'
        WHEN p_source = 'public' AND (sale.closed OR sale.sale_ends_at <= now()) THEN 'sale_closed'
        WHEN p_quantity > least(sale.max_tickets_per_booking, CASE WHEN p_source = 'public' THEN sale.max_per_person END)
            THEN 'too_many_tickets'
        -- A presale has no line: before the sale opens, how many codes there are is what limits the crowd.
        WHEN sale.queue_enabled AND p_source = 'public' AND NOT opened_early AND NOT 'queue' = ANY (p_passed)
            THEN 'queue_required'
        WHEN sale.requires_face_verification AND NOT 'face' = ANY (p_passed) THEN 'verification_required'
        WHEN NOT sale.buyer_is_active THEN 'account_inactive'
        WHEN p_price <> sale.price_minor - off_each THEN 'price_changed'
    END;
    IF outcome IS NOT NULL THEN
        available := CASE outcome 
            WHEN 'too_many_tickets' THEN
                least(sale.max_tickets_per_booking, CASE WHEN p_source = 'public' THEN sale.max_per_person END)
            WHEN 'price_changed' THEN sale.price_minor - off_each END;
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
    IF code_id IS NOT NULL THEN
        used_up := coalesce(sesame.uses + p_quantity > sesame.max_uses, false);
    END IF;
    IF own.lapsed AND code_id IS NOT NULL OR available < p_quantity OR used_up THEN
        -- Ending what lapsed may give several codes back. Whoever does that is alone in it, so that no two of them wait for
        -- each other's counters; and before any seat is locked.
        PERFORM pg_advisory_xact_lock(hashtextextended('codes' || sale.event_id::text, 0))
            WHERE EXISTS (SELECT 1 FROM bookings_salecode code WHERE code.event_id = sale.event_id);
    END IF;
    IF own.lapsed_elsewhere THEN
        PERFORM 1 FROM events_seatinventory inventory JOIN events_ticketcategory category ON category.id = inventory.category_id
            WHERE category.event_id = sale.event_id ORDER BY inventory.category_id FOR NO KEY UPDATE OF inventory;
    END IF;
    IF own.lapsed THEN
        UPDATE bookings_booking SET status = 'expired', end_reason = 'lapsed'
            WHERE user_id = p_user AND event_id = sale.event_id AND status = 'pending' AND expires_at <= now();
    END IF;

    IF available < p_quantity OR used_up THEN
        -- Holds that lapsed but were not swept yet count as free: end them now and look again.
        UPDATE bookings_booking SET status = 'expired', end_reason = 'lapsed' WHERE id IN (
            SELECT booking.id FROM bookings_booking booking
            WHERE booking.category_id = sale.id AND booking.status IN ('pending', 'offered') AND booking.expires_at <= now()
            ORDER BY booking.expires_at LIMIT 50 FOR NO KEY UPDATE SKIP LOCKED
        );
        SELECT CASE WHEN sale.waiting_counts AND inventory.waiting > 0 THEN 0
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
    IF used_up THEN
        SELECT counter.max_uses - counter.uses INTO uses_left
            FROM bookings_salecodecounter counter WHERE counter.code_id = sesame.id;
        IF uses_left < wanted THEN
            outcome := 'code_used_up'; available := uses_left; RETURN NEXT; RETURN;
        END IF;
    END IF;

    IF p_async THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    INSERT INTO bookings_booking (id, reference, user_id, event_id, category_id, quantity, amount_minor,
        discount_minor, currency, code_id, comp, status, source, expires_at, extensions, created_at, end_reason)
    VALUES (gen_random_uuid(), p_reference, p_user, sale.event_id, sale.id, wanted, (sale.price_minor - off_each) * wanted,
        off_each * wanted, sale.currency, code_id, p_comp, 'pending', p_source, now() + make_interval(secs => p_seconds), 0,
        now(), '')
    RETURNING id, quantity, amount_minor, discount_minor, expires_at, created_at
    INTO booking_id, quantity, amount_minor, discount_minor, expires_at, created_at;
    IF sale.numbered THEN
        PERFORM allocate_seats(booking_id, sale.id, wanted);
    END IF;
    outcome := 'held'; reference := p_reference; event_id := sale.event_id; currency := sale.currency;
    category_name := sale.name; event_name := sale.event_name;
    event_ends_at := sale.ends_at; event_location := sale.location; at_door := sale.at_door;
    RETURN NEXT;
END
$body$;

CREATE OR REPLACE FUNCTION hold_seats(
    p_reference text, p_user uuid, p_event uuid, p_category uuid, p_quantity integer, p_partial boolean, p_source text,
    p_seconds integer, p_holds_per_hour integer, p_passed text[], p_async boolean
) RETURNS TABLE (
    outcome text, available integer, booking_id uuid, reference text, event_id uuid, quantity integer, amount_minor integer,
    expires_at timestamptz, created_at timestamptz, currency text, category_name text, event_name text,
    event_starts_at timestamptz, event_ends_at timestamptz, event_timezone text, event_location text, at_door boolean
)
LANGUAGE sql AS $body$
SELECT outcome, available, booking_id, reference, event_id, quantity, amount_minor, expires_at, created_at, currency,
    category_name, event_name, event_starts_at, event_ends_at, event_timezone, event_location, at_door
FROM hold_seats(p_reference, p_user, p_event, p_category, p_quantity, p_partial, p_source, p_seconds, p_holds_per_hour,
    p_passed, p_async, NULL, false, NULL);
$body$;
"""

BACKWARD = """
DROP FUNCTION hold_seats(
    text, uuid, uuid, uuid, integer, boolean, text, integer, integer, text[], boolean, text, boolean, integer);
DROP FUNCTION hold_seats(text, uuid, uuid, uuid, integer, boolean, text, integer, integer, text[], boolean);
DROP FUNCTION sale_code_off(integer, smallint, integer);
"""
BEFORE = import_module("bookings.migrations.0002_hold_seats").FORWARD


class Migration(migrations.Migration):
    dependencies = [("bookings", "0007_codes")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD + BEFORE)]
