"""One process at a time: advisory locks of PostgreSQL, held by the session, so that no transaction stays open for long."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection

NAME = "hashtextextended('waitingroom:' || %s, 0)"


@contextmanager
def only_one(event_id: UUID) -> Iterator[bool]:
    """Hold the lock of one line for the length of the block; gives False when somebody else has it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_lock({NAME})", [event_id.hex])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine and connection.connection is not None and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_unlock({NAME})", [event_id.hex])
