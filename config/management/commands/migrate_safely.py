"""`manage.py migrate_safely`: migrate under an advisory lock, so that any number of starting machines may call it at once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection

MIGRATING = 4_071_120  # the key of the advisory lock: any number that nothing else uses
LOOK_SECONDS = 0.25
HALF_BUILT = """
    SELECT format('DROP INDEX %%I.%%I', space.nspname, relation.relname) FROM pg_index
    JOIN pg_class relation ON relation.oid = indexrelid JOIN pg_namespace space ON space.oid = relation.relnamespace
    WHERE NOT indisvalid AND relation.relname = ANY(%s)
"""


class Command(BaseCommand):
    help = "Apply migrations; two at once both succeed, one after the other."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        with self.lock():
            self.drop_half_built()
            call_command("migrate", interactive=False, verbosity=options["verbosity"], stdout=self.stdout)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """
        Hold the lock on a connection of its own, without any of the timeouts that are meant for requests.

        Whoever waits asks again and again: a statement that waits keeps its snapshot, and an index that is built beside the
        running site waits for every snapshot, so the two would wait for each other.
        """
        guard = connection.copy()
        try:
            with guard.cursor() as cursor:
                cursor.execute("SET idle_session_timeout = 0")
                while not self.is_ours(cursor):
                    time.sleep(LOOK_SECONDS)
            yield
        finally:
            guard.close()

    def is_ours(self, cursor: Any) -> bool:
        """Try to take the lock."""
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATING])
        return bool(cursor.fetchone()[0])

    def drop_half_built(self) -> None:
        """Drop what an interrupted migration left of an index that is built beside the running site; it is built again."""
        ours = [index.name for model in apps.get_models() for index in model._meta.indexes]
        with connection.cursor() as cursor:
            cursor.execute(HALF_BUILT, [ours])
            for (drop,) in cursor.fetchall():
                self.stdout.write(f"{drop}: its building was interrupted")
                cursor.execute(drop)
