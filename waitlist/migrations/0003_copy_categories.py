"""What entries wait for, from their one category to the list of those that will do."""

from django.db import migrations

FORWARD = """
UPDATE waitlist_waitlistentry SET category_ids = ARRAY[category_id] WHERE category_id IS NOT NULL;
UPDATE waitlist_waitlistentry SET waiting_since = joined_at;
"""

BACKWARD = """
UPDATE waitlist_waitlistentry SET category_id = category_ids[1] WHERE cardinality(category_ids) = 1;
UPDATE events_seatinventory inventory SET waiting = (
    SELECT coalesce(sum(entry.quantity), 0)
    FROM events_ticketcategory category JOIN waitlist_waitlistentry entry ON entry.event_id = category.event_id
    WHERE category.id = inventory.category_id AND entry.status = 'waiting' AND entry.eligible
    AND (entry.category_id IS NULL OR entry.category_id = category.id)
);
"""


class Migration(migrations.Migration):

    dependencies = [('waitlist', '0002_wishes')]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
