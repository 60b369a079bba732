"""
What the database itself guarantees about the waitlist: the inventory's `waiting` is the seats that people wait for.

A public hold is refused while `waiting > 0` (`bookings/triggers.py`), so a released seat belongs to the head of the list. An
entry counts in every category that will do for it; one that names none counts in each of its event, also in those that are
added later. Entries that are not eligible, or aside, do not count.
"""

import pgtrigger

COUNTS = "status = 'waiting' AND {row}.eligible AND {row}.aside_since IS NULL"

COUNT = """
    IF TG_OP <> 'INSERT' THEN
        event = OLD.event_id; old_ids = OLD.category_ids;
        IF OLD.{old} THEN before = OLD.quantity; END IF;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        event = NEW.event_id; new_ids = NEW.category_ids;
        IF NEW.{new} THEN after = NEW.quantity; END IF;
    END IF;
    IF before = 0 AND after = 0 OR before = after AND old_ids = new_ids THEN
        RETURN NULL;
    END IF;
    -- A category that is being added to this event counts those who take any; it waits for this row, or this row for it.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('categories' || event::text, 0));
    -- Inventory rows are locked in the order of their categories, here as everywhere.
    PERFORM 1 FROM events_seatinventory inventory JOIN events_ticketcategory known ON known.id = inventory.category_id
        WHERE known.event_id = event
        AND (before > 0 AND (cardinality(old_ids) = 0 OR known.id = ANY (old_ids))
            OR after > 0 AND (cardinality(new_ids) = 0 OR known.id = ANY (new_ids)))
        ORDER BY inventory.category_id FOR NO KEY UPDATE OF inventory;
    UPDATE events_seatinventory inventory SET waiting = waiting
        + CASE WHEN after > 0 AND (cardinality(new_ids) = 0 OR known.id = ANY (new_ids)) THEN after ELSE 0 END
        - CASE WHEN before > 0 AND (cardinality(old_ids) = 0 OR known.id = ANY (old_ids)) THEN before ELSE 0 END
        FROM events_ticketcategory known
        WHERE known.id = inventory.category_id AND known.event_id = event
        AND (before > 0 AND (cardinality(old_ids) = 0 OR known.id = ANY (old_ids)))::integer * before
            <> (after > 0 AND (cardinality(new_ids) = 0 OR known.id = ANY (new_ids)))::integer * after;
    RETURN NULL;
""".replace("{old}", COUNTS.replace("{row}", "OLD")).replace("{new}", COUNTS.replace("{row}", "NEW"))

GUARD = """
    IF TG_OP = 'UPDATE' AND (NEW.event_id, NEW.user_id) IS DISTINCT FROM (OLD.event_id, OLD.user_id) THEN
        RAISE EXCEPTION 'whom and what an entry is for never changes' USING ERRCODE = 'FS004';
    END IF;
    IF NEW.status = 'waiting' AND (TG_OP = 'INSERT'
        OR (NEW.status, NEW.category_ids, NEW.quantity, NEW.all_together, NEW.eligible, NEW.joined_at)
        IS DISTINCT FROM (OLD.status, OLD.category_ids, OLD.quantity, OLD.all_together, OLD.eligible, OLD.joined_at)) THEN
        NEW.waiting_since = clock_timestamp();
        NEW.kept_since = NULL;
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.category_ids, NEW.quantity, NEW.all_together)
        IS DISTINCT FROM (OLD.category_ids, OLD.quantity, OLD.all_together) THEN
        NEW.aside_since = NULL; NEW.aside_for = '';
    END IF;
    IF NEW.status <> 'waiting' THEN
        NEW.aside_since = NULL; NEW.aside_for = ''; NEW.kept_since = NULL;
    END IF;
    RETURN NEW;
"""


def entry_triggers() -> list[pgtrigger.Trigger]:
    """Return the triggers of the waitlist's table."""
    return [
        pgtrigger.Trigger(
            name="waitlist_guard",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.Update,
            func=GUARD,
        ),
        pgtrigger.Trigger(
            name="waitlist_counts",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
            declare=[
                ("before", "integer := 0"),
                ("after", "integer := 0"),
                ("event", "uuid"),
                ("old_ids", "uuid[] := '{}'"),
                ("new_ids", "uuid[] := '{}'"),
            ],
            func=COUNT,
        ),
    ]
