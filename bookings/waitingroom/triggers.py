"""
What the database itself guarantees about a line's chain: a link follows the head, and none ever changes or goes.

SQLSTATEs continue those of `bookings.triggers`: FS006 a link that does not follow, FS007 a link that would change or go.
"""

import pgtrigger

FOLLOWS = """
    SELECT number, hash INTO last_number, last_hash FROM waitingroom_chainlink
        WHERE event_id = NEW.event_id ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(last_number, 0) + 1 OR NEW.previous <> coalesce(last_hash, repeat('0', 64)) THEN
        RAISE EXCEPTION 'link % does not follow link % of the chain', NEW.number, coalesce(last_number, 0)
            USING ERRCODE = 'FS006';
    END IF;
    RETURN NEW;
"""
STANDS = """
    RAISE EXCEPTION 'a link of the chain never changes and never goes' USING ERRCODE = 'FS007';
"""


def chain_triggers() -> list[pgtrigger.Trigger]:
    """Return the triggers of the chain's table."""
    return [
        pgtrigger.Trigger(
            name="chain_follows",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert,
            declare=[("last_number", "integer"), ("last_hash", "text")],
            func=FOLLOWS,
        ),
        pgtrigger.Trigger(
            name="chain_stands", when=pgtrigger.Before, operation=pgtrigger.Update | pgtrigger.Delete, func=STANDS
        ),
    ]
