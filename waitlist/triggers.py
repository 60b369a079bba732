"""
What the database itself guarantees about the waitlist: the inventory's `waiting` is the seats that eligible people wait for.

A public hold is refused while `waiting > 0` (`bookings/triggers.py`), so a released seat belongs to the head of the list. An
entry without a category waits for any of its event and therefore counts in each of them.
"""

import pgtrigger

COUNT = """
    IF TG_OP <> 'INSERT' AND OLD.status = 'waiting' AND OLD.eligible THEN
        before = OLD.quantity;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        event = NEW.event_id; category = NEW.category_id;
        IF NEW.status = 'waiting' AND NEW.eligible THEN
            after = NEW.quantity;
        END IF;
    ELSE
        event = OLD.event_id; category = OLD.category_id;
    END IF;
    IF TG_OP = 'UPDATE' AND (NEW.event_id, NEW.user_id) IS DISTINCT FROM (OLD.event_id, OLD.user_id) THEN
        RAISE EXCEPTION 'whom and what an entry is for never changes' USING ERRCODE = 'FS004';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.category_id IS DISTINCT FROM OLD.category_id AND before > 0 THEN
        RAISE EXCEPTION 'an entry that counts can not change its category' USING ERRCODE = 'FS004';
    END IF;
    IF before = after THEN
        RETURN NULL;
    END IF;
    -- Inventory rows are locked in the order of their categories, here as everywhere.
    PERFORM 1 FROM events_seatinventory inventory JOIN events_ticketcategory known ON known.id = inventory.category_id
        WHERE known.event_id = event AND (category IS NULL OR known.id = category)
        ORDER BY inventory.category_id FOR NO KEY UPDATE OF inventory;
    UPDATE events_seatinventory SET waiting = waiting + after - before
        WHERE category_id IN (
            SELECT known.id FROM events_ticketcategory known
            WHERE known.event_id = event AND (category IS NULL OR known.id = category)
        );
    RETURN NULL;
"""


def entry_triggers() -> list[pgtrigger.Trigger]:
    """Return the triggers of the waitlist's table."""
    return [
        pgtrigger.Trigger(
            name="waitlist_counts",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
            declare=[
                ("before", "integer := 0"),
                ("after", "integer := 0"),
                ("event", "uuid"),
                ("category", "uuid"),
            ],
            func=COUNT,
        )
    ]
