"""
What must always be true of the rows, as queries that return every breach.

Apps register checks with `@invariant("name")`; `manage.py check_invariants` runs all of them in one snapshot.
"""

from collections.abc import Callable, Iterable

from django.db import connection, transaction

Check = Callable[[], Iterable[str]]
INVARIANTS: dict[str, Check] = {}


def invariant(name: str) -> Callable[[Check], Check]:
    """Register the decorated function; it yields one sentence for each breach it finds."""

    def register(function: Check) -> Check:
        INVARIANTS[name] = function
        return function

    return register


def breaches() -> dict[str, list[str]]:
    """Run every check in one read-only snapshot and return the breaches of each by its name."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not connection.features.uses_savepoints or len(connection.savepoint_ids) == 0:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        return {name: list(check()) for name, check in INVARIANTS.items()}


def rows(sql: str, sentence: str) -> Iterable[str]:
    """Yield `sentence` filled with each row that `sql` returns: the usual body of a check."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        for row in cursor.fetchall():
            yield sentence.format(*row)
