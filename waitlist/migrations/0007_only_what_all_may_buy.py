"""The offer's function passes over categories that are hidden, not open yet or over: they are for those with a code, or nobody."""

from importlib import import_module

from django.db import migrations

BEFORE = import_module("waitlist.migrations.0006_offers_walk_in_order").FORWARD
CLOSED = """(category.closed OR category.hidden
                OR (category.sale_starts_at IS NOT NULL AND category.sale_starts_at > moment)
                OR (category.sale_ends_at IS NOT NULL AND category.sale_ends_at <= moment))"""
FORWARD = BEFORE.replace("category.closed", CLOSED)


class Migration(migrations.Migration):
    dependencies = [("waitlist", "0006_offers_walk_in_order"), ("events", "0005_sale_windows")]

    operations = [migrations.RunSQL(FORWARD, BEFORE)]
