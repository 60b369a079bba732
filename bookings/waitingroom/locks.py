"""One process at a time: advisory locks of PostgreSQL, held by the session, so that no transaction stays open for long."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.db import connection

# A line is drawn or filled by one process, its journal is read by one, its order keys are written by one. Who needs several of
# these takes them in this order.
LINE, JOURNAL, KEYS = "line", "journal", "keys"


@contextmanager
def only_one(event_id: UUID, what: str = LINE, *, wait: bool = False) -> Iterator[bool]:
    """
    Hold a lock of one line for the length of the block; gives False when somebody else has it, unless told to `wait`.

    :raises OperationalError: if it had to wait longer than the connection's lock timeout
    """
    name = f"waitingroom:{what}:{event_id.hex}"
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT true FROM (SELECT pg_advisory_lock(hashtextextended(%s, 0))) held", [name])
        else:
            cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine and connection.connection is not None and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
