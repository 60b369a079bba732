"""`manage.py migrate_safely`: migrate under an advisory lock, so that any number of starting machines may call it at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection

MIGRATING = 4_071_120  # the key of the advisory lock: any number that nothing else uses


class Command(BaseCommand):
    help = "Apply migrations; two at once both succeed, one after the other."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        with self.lock():
            call_command("migrate", interactive=False, verbosity=options["verbosity"], stdout=self.stdout)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock on a connection of its own, without any of the timeouts that are meant for requests."""
        guard = connection.copy()
        try:
            with guard.cursor() as cursor:
                cursor.execute("SET lock_timeout = 0; SET statement_timeout = 0; SET idle_session_timeout = 0")
                cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATING])
            yield
        finally:
            guard.close()
