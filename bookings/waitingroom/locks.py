"""One process at a time: advisory locks of PostgreSQL, held by the session, so that no transaction stays open for long."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from django.db import DatabaseError, connection

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
    # Inside a transaction the lock is the transaction's and goes with it: one that failed could not let go of it.
    kind = "xact_lock" if connection.in_atomic_block else "lock"
    with connection.cursor() as cursor:
        if wait:
            statement = f"SELECT true FROM (SELECT pg_advisory_{kind}(hashtextextended(%s, 0))) held"  # noqa: S608
            cursor.execute(statement, [name])
        else:
            cursor.execute(f"SELECT pg_try_advisory_{kind}(hashtextextended(%s, 0))", [name])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine and kind == "lock":
            with suppress(DatabaseError), connection.cursor() as cursor:  # a connection that is lost holds no lock
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
