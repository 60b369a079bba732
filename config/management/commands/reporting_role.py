"""`manage.py reporting_role`: the role that reads sales for reports, and sees no person."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import reporting


class Command(BaseCommand):
    help = "Set up (again) what the reporting role may read, and say how somebody gets to use it."

    def handle(self, *args: Any, **options: Any) -> None:
        if not reporting.ensure_role():
            raise CommandError(
                f"The database's user may not make roles. As an administrator: CREATE ROLE {settings.REPORTING_ROLE} NOLOGIN; "
                "then run this again."
            )
        reporting.assert_access()
        for table, columns in reporting.READABLE.items():
            self.stdout.write(f"{table}: {', '.join(columns.split())}")
        self.stdout.write(
            f"\nA log-in for an analyst: CREATE ROLE analyst LOGIN PASSWORD '…' IN ROLE {settings.REPORTING_ROLE};"
        )
