"""Migrating a site that runs: what an interrupted build of an index leaves is dropped, so that it can be built again."""

import pytest
from django.db import connection

from config.management.commands.migrate_safely import Command

pytestmark = pytest.mark.django_db


def indexes(*names):
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname = ANY(%s)", [list(names)])
        return {name for (name,) in cursor.fetchall()}


def test_an_index_of_ours_that_was_half_built_is_dropped_and_no_other():
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX of_an_operator ON bookings_booking (reference)")
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid IN ('booking_newest'::regclass, 'of_an_operator'::regclass)"
        )

    Command().drop_half_built()

    assert indexes("booking_newest", "of_an_operator", "payment_newest") == {"of_an_operator", "payment_newest"}
