"""`manage.py run_part web|worker|beat`: one part of the site in the foreground, as a container or a service unit runs it."""

import os
import shutil
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import health, supervisor

PART_FILE = "part"


class Command(BaseCommand):
    help = "Become one part of the site. `--check` (for health checks) asks how the part started in this DATA_DIR is."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", nargs="?", choices=["web", "worker", "beat"])
        parser.add_argument("--check", action="store_true", help="exit 0 when the part works, 1 when it does not")

    def handle(self, *args: Any, part: str | None, check: bool, **options: Any) -> None:
        if check:
            self.check_part()
        elif part:
            self.become(part)
        else:
            raise CommandError("Say which part: web, worker or beat.")

    def become(self, name: str) -> None:
        """Replace this process by the part, so that signals and exit codes are the part's own."""
        part = next(part for part in supervisor.parts() if part.name == name)
        figures = settings.DATA_DIR / "metrics"
        shutil.rmtree(figures, ignore_errors=True)
        figures.mkdir(parents=True)
        (settings.DATA_DIR / PART_FILE).write_text(name)
        environment = part.environment | {"PROMETHEUS_MULTIPROC_DIR": str(figures)}
        os.execve(part.command[0], part.command, os.environ | environment)  # noqa: S606 - a command of our own

    def check_part(self) -> None:
        """
        Ask the part that runs here whether it works.

        :raises CommandError: if it does not
        """
        path = settings.DATA_DIR / PART_FILE
        name = path.read_text() if path.is_file() else "web"
        if name == "web":
            if not supervisor.answers(settings.HOST, settings.PORT):
                raise CommandError("web does not answer")
            return
        found = health.outcome(health.BACKGROUND[name])
        if not found["ok"]:
            raise CommandError(f"{name}: {found['detail']}")
