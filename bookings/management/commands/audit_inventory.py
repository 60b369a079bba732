"""Recounts every seat from the rows."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from bookings.invariants import differences, numbered_seats_match, recount, tickets_match


class Command(BaseCommand):
    help = (
        "Recounts the seats of every category from its bookings, tickets and numbered seats, and exits with 1 on any "
        "difference. It changes nothing: a difference is a bug to be understood first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the whole count as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        counts = list(recount())
        found = [difference for count in counts for difference in differences(count)]
        found += [*tickets_match(), *numbered_seats_match()]
        if options["json"]:
            report = {"ok": not found, "differences": found, "categories": counts}
            self.stdout.write(json.dumps(report, default=str, indent=2))
        else:
            for count in counts:
                self.stdout.write(line(count))
            for difference in found:
                self.stderr.write(difference)
        if found:
            raise CommandError(f"{len(found)} differences in {len(counts)} categories.", returncode=1)
        if not options["json"]:
            self.stdout.write(f"{len(counts)} categories: every seat is accounted for.")


def line(count: dict[str, Any]) -> str:
    """Return one category's count for people."""
    if count["capacity"] is None:
        return f"{count['event']}, {count['category']}: no inventory"
    free = count["capacity"] - count["held_counted"] - count["offered_counted"] - count["sold_counted"]
    return (
        f"{count['event']}, {count['category']}: {count['capacity']} seats = {count['sold_counted']} sold"
        f" + {count['held_counted']} held + {count['offered_counted']} offered + {free} free"
    )
