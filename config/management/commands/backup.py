"""`manage.py backup FILE`: the whole site in one file."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import backup


class Command(BaseCommand):
    help = "Write database and stored files into one archive that `manage.py restore` reads. The site may go on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a name that does not exist yet, e.g. fairseat-2027-05-01.tar")

    def handle(self, *args: Any, **options: Any) -> None:
        target = options["file"].absolute()
        if not target.parent.is_dir():
            raise CommandError(f"There is no directory {target.parent}.")
        try:
            manifest = backup.make(target)
        except backup.BackupError as error:
            raise CommandError(error.text) from error
        rows = sum(manifest["database"]["rows"].values())
        self.stdout.write(
            f"{target}: {rows} rows, {len(manifest['files'])} files, {target.stat().st_size / 1e6:.1f} MB."
        )
        if manifest["files_elsewhere"]:
            self.stdout.write("Stored pictures lie in S3 and are not in it: keep versions of the bucket.")
        self.stdout.write(f"Prove that it restores: manage.py restore --check {options['file']}")
