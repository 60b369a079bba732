"""`manage.py verify_fairness EVENT [--file download.json]`: was a line drawn and moved as it was promised?"""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from bookings.waitingroom import receipts
from bookings.waitingroom.verify import Breach, verify
from common.errors import FairseatError


class Command(BaseCommand):
    help = "Work a line out again: promise, list, draw, order, book. Exits 1 with the first breach."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("event", help="The event's id.")
        parser.add_argument("--file", type=Path, help="Check this download alone and ask no database.")

    def handle(self, *args: Any, event: str, file: Path | None, **options: Any) -> None:
        try:
            event_id = UUID(event)
            published = self.read(file) if file else receipts.published(event_id)
        except (ValueError, OSError) as error:
            raise CommandError(f"That can not be read: {error}") from error
        except FairseatError as error:
            raise CommandError(error.text) from error
        try:
            if published.get("eventId") != str(event_id):
                raise Breach("file", f"The file is of event {published.get('eventId')}.")
            for proven in verify(published):
                self.stdout.write(f"holds  {proven.step:6} {proven.text}")
            if not file and (difference := receipts.stored_differently(event_id)):
                raise Breach("places", difference)
        except Breach as breach:
            raise CommandError(f"BREACH in {breach.step}: {breach}") from breach
        if not file:
            self.stdout.write("holds  places Everybody's row says what the list says.")
        self.stdout.write(self.style.SUCCESS("Fair: everything that can be checked holds."))

    def read(self, file: Path) -> dict[str, Any]:
        """Return what a download says, with or without the API's envelope."""
        found = json.loads(file.read_text())
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        return found["data"] if isinstance(found.get("data"), dict) else found
