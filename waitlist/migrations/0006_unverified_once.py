"""
Offers walk past those who are not verified without writing a row about each of them every time.

A long list may begin with hundreds of people who have not been verified. Nothing about them changes from offer to offer, so one
row says that they were passed over, since when; the function is otherwise as it was.
"""

from importlib import import_module

from django.db import migrations

BEFORE = import_module("waitlist.migrations.0005_offers").FORWARD.partition("CREATE OR REPLACE FUNCTION waitlist_greets")[0]
CHANGES = (
    (
        "AND (p_entry IS NULL OR entry.id = p_entry)",
        "AND (p_entry IS NULL AND entry.eligible OR entry.id = p_entry)",
    ),
    (
        "        INSERT INTO common_outboxmessage",
        """        INSERT INTO waitlist_waitlistskip (entry_id, category_id, reason, wanted, free, times, first_at, at)
        SELECT entry.id, open_ids[best], 'not_eligible', entry.quantity, still_free, 1, moment, moment
            FROM waitlist_waitlistentry entry
            WHERE entry.event_id = p_event AND entry.status = 'waiting' AND NOT entry.eligible
            AND (entry.joined_at, entry.id) < (place.joined_at, place.id)
            AND (cardinality(entry.category_ids) = 0 OR open_ids[best] = ANY (entry.category_ids))
            AND NOT EXISTS (
                SELECT 1 FROM waitlist_waitlistskip known WHERE known.entry_id = entry.id AND known.reason = 'not_eligible'
            )
        ON CONFLICT (entry_id, reason) DO NOTHING;
        INSERT INTO common_outboxmessage""",
    ),
)


def changed(source: str) -> str:
    """Return the function with its changes; each must find its place exactly once."""
    for old, new in CHANGES:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


class Migration(migrations.Migration):

    dependencies = [('waitlist', '0005_offers')]

    operations = [migrations.RunSQL(changed(BEFORE), BEFORE)]
