"""
The offer's function reads the list in its order, and writes one row about each unverified person, not one at every offer.

A long list may begin with hundreds of people who have not been verified; every offer walks past them.
"""

from importlib import import_module

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION waitlist_offer(
    p_event uuid, p_reference text, p_offer_seconds integer, p_together_seconds integer, p_entry uuid, p_quantity integer
) RETURNS TABLE (
    outcome text, entry_id uuid, booking_id uuid, user_id uuid, category_id uuid, quantity integer, expires_at timestamptz
)
LANGUAGE plpgsql AS $body$
-- Offers free seats of one category to the first person on an event's list who can have them: the entry, the booking, the
-- record of those passed over and the message that tells the person, in one statement and so in one short transaction.
-- With p_entry it is that person or nobody. Outcomes: offered, nobody (can have what is free), closed, or for p_entry why not.
-- Lock order: the event's line, the person, the entry, inventory rows by category.
#variable_conflict use_column
DECLARE
    moment timestamptz;
    show record;
    place record;
    person record;
    open_ids uuid[];
    open_free integer[];
    closed_ids uuid[];
    best integer;
    wanted integer;
    together boolean;
    seats integer;
    still_free integer;
    obstacle text;
    passed_ids uuid[] := '{}';
    passed_for text[] := '{}';
    passed_free integer[] := '{}';
    passed_category uuid[] := '{}';
    short_ids uuid[] := '{}';
    barred_ids uuid[] := '{}';
    barred_for text[] := '{}';
BEGIN
    -- PL/pgSQL keeps a plan for the life of a connection: one made while a table was small must not scan it when it is large.
    PERFORM set_config('enable_seqscan', 'off', true);
    -- And it must walk the list in its order, instead of sorting all of it to look at the first.
    PERFORM set_config('enable_sort', 'off', true);
    PERFORM pg_advisory_xact_lock(hashtextextended('waitlist' || p_event::text, 0));
    moment := clock_timestamp();
    SELECT event.max_tickets_per_booking, event.currency, coalesce(event.sale_ends_at, event.starts_at) AS sale_ends_at INTO show
        FROM events_event event
        WHERE event.id = p_event AND event.status = 'published' AND event.deleted_at IS NULL AND event.ends_at > moment
        AND coalesce(event.sale_starts_at, moment) <= moment AND coalesce(event.sale_ends_at, event.starts_at) > moment;
    IF NOT FOUND THEN
        outcome := 'closed'; RETURN NEXT; RETURN;
    END IF;
    SELECT array_agg(category.id ORDER BY category.position, category.created_at, category.id)
            FILTER (WHERE NOT category.closed AND free.seats > 0),
        array_agg(free.seats ORDER BY category.position, category.created_at, category.id)
            FILTER (WHERE NOT category.closed AND free.seats > 0),
        array_agg(category.id) FILTER (WHERE category.closed)
    INTO open_ids, open_free, closed_ids
    FROM events_ticketcategory category JOIN events_seatinventory inventory ON inventory.category_id = category.id
    CROSS JOIN LATERAL (SELECT inventory.capacity - inventory.held - inventory.offered - inventory.sold AS seats) free
    WHERE category.event_id = p_event;

    FOR place IN
        SELECT entry.* FROM waitlist_waitlistentry entry
        WHERE entry.event_id = p_event AND entry.status = 'waiting' AND open_ids IS NOT NULL
        AND (p_entry IS NULL AND entry.eligible OR entry.id = p_entry)
        ORDER BY entry.joined_at, entry.id
    LOOP
        wanted := coalesce(p_quantity, place.quantity);
        together := place.all_together AND p_quantity IS NULL;
        best := NULL;
        FOR i IN 1 .. cardinality(open_ids) LOOP
            IF cardinality(place.category_ids) = 0 OR open_ids[i] = ANY (place.category_ids) THEN
                -- The first category that has enough; else the one with the most.
                IF best IS NULL OR open_free[best] < wanted AND open_free[i] > open_free[best] THEN
                    best := i;
                END IF;
            END IF;
        END LOOP;
        IF best IS NULL THEN
            IF cardinality(place.category_ids) > 0 AND place.category_ids <@ coalesce(closed_ids, '{}') THEN
                passed_ids := passed_ids || place.id; passed_for := passed_for || 'category_closed'::text;
                passed_free := passed_free || 0; passed_category := passed_category || place.category_ids[1];
            END IF;
            CONTINUE;
        END IF;
        obstacle := NULL;
        IF NOT place.eligible THEN
            obstacle := 'not_eligible';
        ELSIF together AND open_free[best] < wanted THEN
            obstacle := 'too_few_together';
        ELSE
            PERFORM pg_advisory_xact_lock(hashtextextended(place.user_id::text || p_event::text, 0));
            SELECT account.is_active,
                show.max_tickets_per_booking - coalesce(sum(booking.quantity), 0) AS room,
                coalesce(bool_or(booking.source = 'waitlist' AND booking.status IN ('offered', 'pending')), false) AS has_claim
            INTO person
            FROM accounts_user account
            LEFT JOIN bookings_booking booking ON booking.user_id = account.id AND booking.event_id = p_event
                AND booking.status IN ('offered', 'pending', 'confirmed')
            WHERE account.id = place.user_id GROUP BY account.id;
            seats := least(wanted, open_free[best], person.room);
            obstacle := CASE
                WHEN NOT person.is_active THEN 'account_inactive'
                WHEN person.has_claim OR place.unpaid THEN 'has_a_claim'
                WHEN seats < 1 OR together AND seats < wanted THEN 'ticket_limit'
            END;
        END IF;
        IF obstacle IS NOT NULL THEN
            passed_ids := passed_ids || place.id; passed_for := passed_for || obstacle;
            passed_free := passed_free || open_free[best]; passed_category := passed_category || open_ids[best];
            IF obstacle = 'too_few_together' THEN
                short_ids := short_ids || place.id;
            ELSIF obstacle IN ('ticket_limit', 'account_inactive') AND place.aside_since IS NULL THEN
                barred_ids := barred_ids || place.id; barred_for := barred_for || obstacle;
            END IF;
            CONTINUE;
        END IF;

        -- Whoever leaves, or is served another way, has locked the row before; they are looked at again then.
        PERFORM 1 FROM waitlist_waitlistentry entry
            WHERE entry.id = place.id AND entry.status = 'waiting' AND entry.eligible AND entry.quantity = place.quantity
            AND entry.category_ids = place.category_ids AND entry.all_together = place.all_together
            FOR NO KEY UPDATE;
        IF NOT FOUND THEN
            CONTINUE;
        END IF;
        PERFORM 1 FROM events_seatinventory inventory JOIN events_ticketcategory category ON category.id = inventory.category_id
            WHERE category.event_id = p_event
            AND (cardinality(place.category_ids) = 0 OR category.id = ANY (place.category_ids))
            ORDER BY inventory.category_id FOR NO KEY UPDATE OF inventory;
        SELECT inventory.capacity - inventory.held - inventory.offered - inventory.sold INTO still_free
            FROM events_seatinventory inventory JOIN events_ticketcategory category ON category.id = inventory.category_id
            WHERE category.id = open_ids[best] AND NOT category.closed;
        IF still_free IS NULL OR still_free < seats THEN
            outcome := 'again'; RETURN NEXT; RETURN;
        END IF;

        booking_id := gen_random_uuid();
        outcome := 'offered'; entry_id := place.id; user_id := place.user_id; category_id := open_ids[best]; quantity := seats;
        expires_at := least(moment + make_interval(secs => p_offer_seconds), show.sale_ends_at);
        UPDATE waitlist_waitlistentry entry SET status = 'offered', offered_at = moment, offer_expires_at = expires_at,
            offers = entry.offers + 1, booking_id = waitlist_offer.booking_id, unpaid = false, went_back_for = NULL
            WHERE entry.id = place.id;
        INSERT INTO bookings_booking (id, reference, user_id, event_id, category_id, quantity, amount_minor, currency, status,
            source, expires_at, extensions, created_at, end_reason)
        SELECT booking_id, p_reference, place.user_id, p_event, category.id, seats, category.price_minor * seats, show.currency,
            'offered', 'waitlist', expires_at, 0, moment, ''
            FROM events_ticketcategory category WHERE category.id = open_ids[best];
        PERFORM allocate_seats(booking_id, category.id, seats)
            FROM events_ticketcategory category WHERE category.id = open_ids[best] AND category.numbered;
        IF p_entry IS NOT NULL THEN
            SELECT array_agg(entry.id), array_agg('staff_choice'::text), array_agg(still_free), array_agg(open_ids[best])
            INTO passed_ids, passed_for, passed_free, passed_category
            FROM waitlist_waitlistentry entry
            WHERE entry.event_id = p_event AND entry.status = 'waiting' AND entry.eligible
            AND (entry.joined_at, entry.id) < (place.joined_at, place.id)
            AND (cardinality(entry.category_ids) = 0 OR open_ids[best] = ANY (entry.category_ids));
        END IF;
        INSERT INTO waitlist_waitlistskip (entry_id, category_id, reason, wanted, free, times, first_at, at)
        SELECT entry.id, passed.category, passed.reason, entry.quantity, passed.free, 1, moment, moment
            FROM unnest(passed_ids, passed_for, passed_free, passed_category) AS passed (id, reason, free, category)
            JOIN waitlist_waitlistentry entry ON entry.id = passed.id
        ON CONFLICT (entry_id, reason) DO UPDATE SET category_id = excluded.category_id, wanted = excluded.wanted,
            free = excluded.free, times = waitlist_waitlistskip.times + 1, at = excluded.at;
        -- The unverified ahead are noted once: nothing about them changes from offer to offer. One look into the index for each,
        -- whatever the planner believes about how many there are.
        INSERT INTO waitlist_waitlistskip (entry_id, category_id, reason, wanted, free, times, first_at, at)
        SELECT entry.id, open_ids[best], 'not_eligible', entry.quantity, still_free, 1, moment, moment
            FROM waitlist_waitlistentry entry
            WHERE entry.event_id = p_event AND entry.status = 'waiting' AND NOT entry.eligible
            AND (entry.joined_at, entry.id) < (place.joined_at, place.id)
            AND (cardinality(entry.category_ids) = 0 OR open_ids[best] = ANY (entry.category_ids))
            AND (SELECT known.id FROM waitlist_waitlistskip known
                WHERE known.entry_id = entry.id AND known.reason = 'not_eligible') IS NULL
        ON CONFLICT (entry_id, reason) DO NOTHING;
        INSERT INTO common_outboxmessage (topic, dedupe_key, payload)
            VALUES ('waitlist_offered', 'waitlist_offered:' || booking_id,
                jsonb_build_object('entry_id', entry_id, 'booking_id', booking_id))
            ON CONFLICT (dedupe_key) DO NOTHING;
        RETURN NEXT; RETURN;
    END LOOP;

    IF p_entry IS NOT NULL THEN
        outcome := coalesce(passed_for[1], CASE WHEN open_ids IS NULL THEN 'nobody' ELSE 'no_seat' END);
        RETURN NEXT; RETURN;
    END IF;
    -- Nobody can have what is free. Who wants more seats together than there are keeps these few for a bounded time; who may
    -- not have any keeps none. Entries before inventories, and those that somebody changes just now at the next look.
    UPDATE waitlist_waitlistentry SET kept_since = NULL WHERE id IN (
        SELECT entry.id FROM waitlist_waitlistentry entry WHERE entry.event_id = p_event AND entry.status = 'waiting'
        AND entry.kept_since IS NOT NULL AND entry.aside_since IS NULL AND NOT entry.id = ANY (short_ids)
        FOR NO KEY UPDATE SKIP LOCKED
    );
    UPDATE waitlist_waitlistentry SET kept_since = moment WHERE id IN (
        SELECT entry.id FROM waitlist_waitlistentry entry WHERE entry.id = ANY (short_ids) AND entry.status = 'waiting'
        AND entry.kept_since IS NULL AND entry.aside_since IS NULL FOR NO KEY UPDATE SKIP LOCKED
    );
    SELECT array_agg(entry.id) INTO short_ids FROM (
        SELECT entry.id FROM waitlist_waitlistentry entry
        WHERE entry.id = ANY (short_ids) AND entry.status = 'waiting' AND entry.aside_since IS NULL
        AND entry.kept_since <= moment - make_interval(secs => p_together_seconds)
        FOR NO KEY UPDATE SKIP LOCKED
    ) entry;
    SELECT array_agg(entry.id) INTO passed_ids FROM (
        SELECT entry.id FROM waitlist_waitlistentry entry
        WHERE entry.id = ANY (barred_ids) AND entry.status = 'waiting' AND entry.aside_since IS NULL
        FOR NO KEY UPDATE SKIP LOCKED
    ) entry;
    IF short_ids IS NOT NULL OR passed_ids IS NOT NULL THEN
        PERFORM 1 FROM events_seatinventory inventory JOIN events_ticketcategory category ON category.id = inventory.category_id
            WHERE category.event_id = p_event ORDER BY inventory.category_id FOR NO KEY UPDATE OF inventory;
        UPDATE waitlist_waitlistentry SET aside_since = moment, aside_for = 'too_few_together' WHERE id = ANY (short_ids);
        UPDATE waitlist_waitlistentry entry SET aside_since = moment, aside_for = barred.reason
            FROM unnest(barred_ids, barred_for) AS barred (id, reason)
            WHERE entry.id = barred.id AND entry.id = ANY (passed_ids);
    END IF;
    outcome := 'nobody'; RETURN NEXT;
END
$body$;
"""

BACKWARD = import_module("waitlist.migrations.0005_offers").FORWARD.partition("CREATE OR REPLACE FUNCTION waitlist_greets")[0]


class Migration(migrations.Migration):

    dependencies = [('waitlist', '0005_offers')]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
