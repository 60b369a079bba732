"""`manage.py embedded up|down|status|erase`: the embedded PostgreSQL and Redis of this DATA_DIR."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.embedded import EmbeddedError, lifecycle
from config.embedded.places import addresses


class Command(BaseCommand):
    help = "Start, stop, look at or erase the embedded PostgreSQL and Redis. `up` keeps them running until `down`."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["up", "down", "status", "erase"])

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            getattr(self, action)()
        except EmbeddedError as error:
            raise CommandError(str(error)) from error

    def up(self) -> None:
        started = lifecycle.start(settings.DATA_DIR)
        lifecycle.keep(settings.DATA_DIR)
        self.stdout.write(f"Started {' and '.join(started)}." if started else "Both were running.")
        where = addresses(settings.DATA_DIR)
        self.stdout.write(f"DATABASE_URL={where.database_url}\nREDIS_URL={where.redis_url}")

    def down(self) -> None:
        stopped = lifecycle.stop(settings.DATA_DIR)
        self.stdout.write(f"Stopped {' and '.join(stopped)}." if stopped else "Neither was running.")

    def erase(self) -> None:
        lifecycle.erase(settings.DATA_DIR)
        self.stdout.write("Stopped and erased.")

    def status(self) -> None:
        states = lifecycle.status(settings.DATA_DIR)
        self.stdout.write("\n".join(map(str, states)))
        if not all(state.answers for state in states):
            raise CommandError("Not both of them answer.", returncode=3)
