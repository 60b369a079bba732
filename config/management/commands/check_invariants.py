"""`manage.py check_invariants`: what must always be true of the rows, checked in one snapshot."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common.invariants import breaches


class Command(BaseCommand):
    help = "Check seats, money, tickets and the rest against the rows; exit 1 on any breach."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help='print {"ok": …, "breaches": {name: [sentence]}}')

    def handle(self, *args: Any, **options: Any) -> None:
        found = breaches()
        count = sum(map(len, found.values()))
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not count, "breaches": found}))
        else:
            for name, sentences in found.items():
                self.stdout.write(f"{name}: {'holds' if not sentences else f'{len(sentences)} breaches'}")
                for sentence in sentences:
                    self.stdout.write(f"  {sentence}")
        if count:
            raise CommandError(f"{count} breaches.")
