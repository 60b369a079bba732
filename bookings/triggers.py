"""
What the database itself guarantees about bookings: legal steps, seats that add up, tickets that match.

Declared with django-pgtrigger, so migrations carry it. The SQL is generated from the tables of
`bookings.states`; no Python code adds or subtracts a seat. Refusals use SQLSTATEs of a class of our own, which
`bookings.refusals` turns into errors:

FS001  not enough free seats      FS002  illegal change of status     FS003  more tickets than one person may have
FS004  a field that never changes FS005  tickets do not match  FS006  a holder who was not verified (`registrations`)
FS008  a code that is used up
"""

from collections.abc import Iterable

import pgtrigger

from bookings.states import BUCKETS, INITIAL, LIVE, TRANSITIONS


def quoted(values: Iterable[str]) -> str:
    """Return the values as an SQL list: `'a', 'b'`."""
    return ", ".join(f"'{value}'" for value in values)


def generated(body: str) -> str:
    """Fill a trigger's body from the tables of `bookings.states`."""
    pairs = sorted({(str(source), str(step.target)) for step in TRANSITIONS.values() for source in step.sources})
    moves = (
        f"{bucket} = {bucket} + (CASE WHEN new_status = '{status}' THEN new_quantity ELSE 0 END)"
        f" - (CASE WHEN old_status = '{status}' THEN old_quantity ELSE 0 END)"
        for status, bucket in BUCKETS.items()
    )
    return (
        body.replace("{pairs}", ", ".join(f"({quoted(pair)})" for pair in pairs))
        .replace("{moves}", ", ".join(moves))
        .replace("{live}", quoted(LIVE))
        .replace("{initial}", quoted(INITIAL))
    )


GUARD = """
    -- PL/pgSQL keeps a plan for the life of a connection: one made while a table was small must not scan it when it is large.
    PERFORM set_config('enable_seqscan', 'off', true);
    IF TG_OP = 'INSERT' THEN
        IF NEW.status NOT IN ({initial}) THEN
            RAISE EXCEPTION 'a booking can not begin as %', NEW.status USING ERRCODE = 'FS002';
        END IF;
    ELSE
        IF (NEW.category_id, NEW.event_id, NEW.user_id, NEW.source, NEW.code_id, NEW.comp)
            IS DISTINCT FROM (OLD.category_id, OLD.event_id, OLD.user_id, OLD.source, OLD.code_id, OLD.comp) THEN
            RAISE EXCEPTION 'what a booking is for never changes' USING ERRCODE = 'FS004';
        END IF;
        IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN ({pairs}) THEN
            RAISE EXCEPTION 'a booking can not go from % to %', OLD.status, NEW.status USING ERRCODE = 'FS002';
        END IF;
        IF NEW.quantity > OLD.quantity THEN
            RAISE EXCEPTION 'a booking can not grow' USING ERRCODE = 'FS004';
        END IF;
    END IF;
    IF NEW.status IN ({live}) AND (TG_OP = 'INSERT' OR OLD.status NOT IN ({live})) THEN
        -- One person's claims on one event are counted one after the other, whatever category or source they come from.
        PERFORM pg_advisory_xact_lock(hashtextextended(NEW.user_id::text || NEW.event_id::text, 0));
        SELECT event.max_tickets_per_booking, category.max_per_person, own.taken, own.taken_of_these
            INTO allowed, allowed_of_these, taken, taken_of_these
            FROM events_event event, events_ticketcategory category, (
                SELECT coalesce(sum(quantity), 0) AS taken,
                    coalesce(sum(quantity) FILTER (WHERE category_id = NEW.category_id), 0) AS taken_of_these
                FROM bookings_booking
                WHERE user_id = NEW.user_id AND event_id = NEW.event_id AND status IN ({live}) AND id <> NEW.id
            ) own
            WHERE event.id = NEW.event_id AND category.id = NEW.category_id;
        IF taken + NEW.quantity > allowed AND NEW.source <> 'staff' THEN
            RAISE EXCEPTION 'at most % tickets a person', allowed USING ERRCODE = 'FS003', DETAIL = (allowed - taken)::text;
        END IF;
        IF taken_of_these + NEW.quantity > allowed_of_these AND NEW.source <> 'staff' THEN
            RAISE EXCEPTION 'at most % of these tickets a person', allowed_of_these
                USING ERRCODE = 'FS003', DETAIL = (allowed_of_these - taken_of_these)::text;
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.status <> OLD.status AND NEW.status NOT IN ({live}) THEN
        NEW.ended_at = coalesce(NEW.ended_at, now());
    END IF;
    RETURN NEW;
"""

# The statement that a sold-out sale is decided by. It runs last and locks one row, so the lock is held for the commit only.
MOVE_SEATS = """
    IF TG_OP <> 'INSERT' THEN
        old_status = OLD.status; old_quantity = OLD.quantity; category = OLD.category_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_status = NEW.status; new_quantity = NEW.quantity; category = NEW.category_id;
        more = (CASE WHEN NEW.status IN ({live}) THEN NEW.quantity ELSE 0 END)
            - (CASE WHEN old_status IN ({live}) THEN old_quantity ELSE 0 END);
        closed_to_public = NEW.source = 'public' AND more > 0;
        used_code = NEW.code_id;
    ELSE
        used_code = OLD.code_id;
        more = CASE WHEN OLD.status IN ({live}) THEN -OLD.quantity ELSE 0 END;
    END IF;
    IF old_status IS NOT DISTINCT FROM new_status AND old_quantity IS NOT DISTINCT FROM new_quantity THEN
        RETURN NULL;
    END IF;
    IF coalesce(old_status, '') NOT IN ({live}) AND coalesce(new_status, '') NOT IN ({live}) THEN
        RETURN NULL;
    END IF;
    UPDATE events_seatinventory SET {moves}
        WHERE category_id = category AND capacity - held - offered - sold >= more
        AND NOT (closed_to_public AND waiting > 0);
    IF NOT FOUND AND closed_to_public AND EXISTS (SELECT 1 FROM events_ticketcategory tier WHERE tier.id = category
        AND (tier.hidden OR (tier.sale_starts_at IS NOT NULL AND tier.sale_starts_at > now()))) THEN
        -- Who has a code takes these; the waitlist is offered none of them, so nobody who waits has a claim.
        UPDATE events_seatinventory SET {moves}
            WHERE category_id = category AND capacity - held - offered - sold >= more;
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'not enough free seats' USING ERRCODE = 'FS001';
    END IF;
    IF used_code IS NOT NULL AND more <> 0 THEN
        -- After the seats, as everywhere: a code's counter is the last row that a booking locks.
        UPDATE bookings_salecodecounter SET uses = uses + more
            WHERE code_id = used_code AND (more < 0 OR max_uses IS NULL OR uses + more <= max_uses);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'this code is used up' USING ERRCODE = 'FS008';
        END IF;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF new_status NOT IN ({live}) AND old_status IN ({live}) THEN
            UPDATE bookings_bookingseat SET live = false WHERE booking_id = NEW.id AND live;
        END IF;
        IF old_status = 'confirmed' AND new_status <> 'confirmed' THEN
            UPDATE bookings_ticket SET status = 'void', void_at = now() WHERE booking_id = NEW.id AND status <> 'void';
        END IF;
    END IF;
    RETURN NULL;
"""

REMEMBER = """
    INSERT INTO bookings_bookingtransition (booking_id, from_status, to_status, reason, at)
        VALUES (NEW.id, OLD.status, NEW.status, CASE WHEN NEW.status IN ({live}) THEN '' ELSE NEW.end_reason END, now());
    RETURN NULL;
"""

TICKETS_MATCH = """
    SELECT status, quantity INTO now_status, now_quantity FROM bookings_booking WHERE id = NEW.id;
    SELECT count(*) INTO valid FROM bookings_ticket WHERE booking_id = NEW.id AND status <> 'void';
    IF valid <> (CASE WHEN now_status = 'confirmed' THEN now_quantity ELSE 0 END) THEN
        RAISE EXCEPTION 'booking % is % for % seats and has % valid tickets', NEW.id, now_status, now_quantity, valid
            USING ERRCODE = 'FS005';
    END IF;
    RETURN NULL;
"""

# Whose a ticket may be follows from what it is for, so that no code can leave the question open.
TICKET_GUARD = """
    IF TG_OP = 'INSERT' THEN
        SELECT booking.event_id, event.requires_face_verification, booking.user_id INTO NEW.event_id, NEW.personal, buyer
            FROM bookings_booking booking JOIN events_event event ON event.id = booking.event_id
            WHERE booking.id = NEW.booking_id;
        IF NOT NEW.personal AND NEW.holder_id IS NULL THEN
            NEW.holder_id = buyer;
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.booking_id, NEW.event_id, NEW.personal, NEW.number)
        IS DISTINCT FROM (OLD.booking_id, OLD.event_id, OLD.personal, OLD.number) THEN
        RAISE EXCEPTION 'what a ticket is for never changes' USING ERRCODE = 'FS004';
    END IF;
    IF NEW.holder_id IS DISTINCT FROM OLD.holder_id AND (OLD.status IN ('used', 'void') OR NEW.code = OLD.code) THEN
        RAISE EXCEPTION 'a ticket that was used or is void keeps its holder, and a new holder gets a new code'
            USING ERRCODE = 'FS004';
    END IF;
    IF OLD.status = 'void' AND NEW.status <> 'void' THEN
        RAISE EXCEPTION 'a void ticket stays void' USING ERRCODE = 'FS002';
    END IF;
    RETURN NEW;
"""

TICKET_REMEMBERS = """
    INSERT INTO bookings_ticketchange (ticket_id, from_holder_id, to_holder_id, from_status, to_status, at)
        VALUES (NEW.id, OLD.holder_id, NEW.holder_id, OLD.status, NEW.status, now());
    IF NEW.status IN ('used', 'void') THEN
        UPDATE bookings_tickethandover SET status = 'ended', ended_at = now(), email = '', token_hash = ''
            WHERE ticket_id = NEW.id AND status IN ('open', 'accepted');
    END IF;
    RETURN NULL;
"""


def ticket_triggers() -> list[pgtrigger.Trigger]:
    """Return the triggers of the ticket table."""
    return [
        pgtrigger.Trigger(
            name="ticket_guard",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.Update,
            declare=[("buyer", "uuid")],
            func=TICKET_GUARD,
        ),
        pgtrigger.Trigger(
            name="ticket_remembers",
            when=pgtrigger.After,
            operation=pgtrigger.UpdateOf("status", "holder_id"),
            condition=pgtrigger.Condition(
                "OLD.status IS DISTINCT FROM NEW.status OR OLD.holder_id IS DISTINCT FROM NEW.holder_id"
            ),
            func=TICKET_REMEMBERS,
        ),
    ]


def booking_triggers() -> list[pgtrigger.Trigger]:
    """Return the triggers of the booking table."""
    return [
        pgtrigger.Trigger(
            name="booking_guard",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.Update,
            declare=[
                ("allowed", "integer"),
                ("taken", "integer"),
                ("allowed_of_these", "integer"),
                ("taken_of_these", "integer"),
            ],
            func=generated(GUARD),
        ),
        pgtrigger.Trigger(
            name="booking_moves_seats",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.UpdateOf("status", "quantity") | pgtrigger.Delete,
            declare=[
                ("old_status", "text"),
                ("new_status", "text"),
                ("old_quantity", "integer := 0"),
                ("new_quantity", "integer := 0"),
                ("more", "integer := 0"),
                ("category", "uuid"),
                ("closed_to_public", "boolean := false"),
                ("used_code", "uuid"),
            ],
            func=generated(MOVE_SEATS),
        ),
        pgtrigger.Trigger(
            name="booking_remembers",
            when=pgtrigger.After,
            operation=pgtrigger.UpdateOf("status"),
            condition=pgtrigger.Condition("OLD.status IS DISTINCT FROM NEW.status"),
            func=generated(REMEMBER),
        ),
        pgtrigger.Trigger(
            name="booking_tickets_match",
            when=pgtrigger.After,
            operation=pgtrigger.UpdateOf("status", "quantity"),
            condition=pgtrigger.Condition("NEW.status = 'confirmed' OR OLD.status = 'confirmed'"),
            timing=pgtrigger.Deferred,
            declare=[("now_status", "text"), ("now_quantity", "integer"), ("valid", "integer")],
            func=generated(TICKETS_MATCH),
        ),
    ]
