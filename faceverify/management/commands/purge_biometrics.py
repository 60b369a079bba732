"""`manage.py purge_biometrics`: what the hourly job does, now."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from faceverify.services import purge


class Command(BaseCommand):
    help = "Delete enrolled faces and pictures whose time is over, and files that nothing refers to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        done = purge(dry_run=dry_run)
        self.stdout.write(
            f"{'Would delete' if dry_run else 'Deleted'}: {done.references} enrolled faces, {done.images} pictures, "
            f"{done.stray_files} stray files. {'To seal' if dry_run else 'Sealed'} anew: {done.resealed}."
        )
