"""`manage.py restore FILE`: bring a backup back, or prove that it could be."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import backup


class Command(BaseCommand):
    help = (
        "Restore what `manage.py backup` wrote into the database of DATABASE_URL, and compare it to the row. With --check "
        "it is restored beside it, checked and dropped: nothing of yours is touched."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--check", action="store_true", help="only prove that it restores")
        parser.add_argument("--replace", action="store_true", help="rename a database that is not empty, and keep it")

    def handle(self, *args: Any, **options: Any) -> None:
        source = options["file"].absolute()
        if not source.is_file():
            raise CommandError(f"There is no file {source}.")
        try:
            found = backup.check(source) if options["check"] else backup.restore(source, replace=options["replace"])
        except backup.BackupError as error:
            raise CommandError(error.text) from error
        self.stdout.write(f"{found.tables} tables, {found.rows} rows, {found.files} files: as they were.")
        for name, sentences in found.breaches.items():
            self.stdout.write(f"{name}: {len(sentences)} breaches, the first: {sentences[0]}")
        if found.breaches:
            raise CommandError("It restores, and holds what must not be: see above.")
        self.stdout.write(self.style.SUCCESS("Every invariant holds."))
        if not options["check"]:
            self.stdout.write(
                "Next: `manage.py migrate_safely`; erase again who was erased since it was made (the copy does not know); "
                "start web, worker and beat; `manage.py reconcile_stripe --all --days N` for what was paid since."
            )
