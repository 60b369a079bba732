"""
The offer's function gives nobody more of a category than one person may have, whatever other categories they would take.

What is free is, for somebody who waits, what of it they may still have. Only where an open category has a limit their tickets
of each are counted, under the lock under which they take others.
"""

from importlib import import_module

from django.db import migrations

BEFORE = import_module("waitlist.migrations.0007_only_what_all_may_buy").FORWARD

CHANGES = [
    (
        "    open_free integer[];\n",
        "    open_free integer[];\n    open_limit integer[];\n    usable integer[];\n",
    ),
    (
        "        array_agg(category.id) FILTER (WHERE (category.closed",
        """        array_agg(category.max_per_person ORDER BY category.position, category.created_at, category.id)
            FILTER (WHERE NOT {closed} AND free.seats > 0),
        array_agg(category.id) FILTER (WHERE (category.closed""",
    ),
    ("    INTO open_ids, open_free, closed_ids\n", "    INTO open_ids, open_free, open_limit, closed_ids\n"),
    (
        "        best := NULL;\n        FOR i IN",
        """        best := NULL;
        usable := open_free;
        IF place.eligible AND num_nonnulls(VARIADIC open_limit) > 0 THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(place.user_id::text || p_event::text, 0));
            SELECT array_agg(CASE WHEN kind.most IS NULL THEN kind.free
                ELSE least(kind.free, greatest(0, kind.most - own.taken)) END ORDER BY kind.rank) INTO usable
            FROM unnest(open_ids, open_free, open_limit) WITH ORDINALITY AS kind (id, free, most, rank)
            CROSS JOIN LATERAL (
                SELECT coalesce(sum(booking.quantity), 0)::integer AS taken FROM bookings_booking booking
                WHERE booking.user_id = place.user_id AND booking.event_id = p_event AND booking.category_id = kind.id
                AND booking.status IN ('offered', 'pending', 'confirmed')
            ) own;
        END IF;
        FOR i IN""",
    ),
    (
        "IF best IS NULL OR open_free[best] < wanted AND open_free[i] > open_free[best] THEN",
        "IF best IS NULL OR usable[best] < wanted AND usable[i] > usable[best] THEN",
    ),
    (
        "            seats := least(wanted, open_free[best], person.room);",
        "            seats := least(wanted, usable[best], person.room);",
    ),
]


def changed() -> str:
    """Return the function with each change made once."""
    text = BEFORE
    closed = import_module("waitlist.migrations.0007_only_what_all_may_buy").CLOSED
    for old, new in CHANGES:
        if text.count(old) != 1:
            raise ValueError(f"The function of before has {text.count(old)} × {old!r}.")
        text = text.replace(old, new.replace("{closed}", closed))
    return text


FORWARD = changed()


class Migration(migrations.Migration):
    dependencies = [("waitlist", "0007_only_what_all_may_buy")]

    operations = [migrations.RunSQL(FORWARD, BEFORE)]
