"""`manage.py rebuild_figures`: every figure counted again from the rows."""

from typing import Any

from django.core.management.base import BaseCommand

from analytics import services


class Command(BaseCommand):
    help = "Count all figures again from bookings, payments, waitlists, lines and checks. Safe at any time."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{services.rebuild()} days of events counted.")
