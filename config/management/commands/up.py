"""`manage.py up`: the whole site under one process manager; this is what `make run` runs."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import supervisor


class Command(BaseCommand):
    help = (
        "Start embedded servers where needed, migrate, load demo data, run web, worker, beat and sandbox. Ctrl-C stops."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--with-parent", action="store_true", help="stop when the calling process dies, in any way")

    def handle(self, *args: Any, with_parent: bool, **options: Any) -> None:
        try:
            supervisor.up(self.stdout._out, with_parent=with_parent)
        except supervisor.UpError as error:
            raise CommandError(str(error)) from error
