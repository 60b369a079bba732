"""`manage.py doctor`: is every part well, and what to do about those that are not."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import doctor


class Command(BaseCommand):
    help = "Look at every part this site leans on; exit 1 if one is wrong. Changes nothing."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help='print {"ok": …, "findings": [{name, state, …}]}')
        parser.add_argument(
            "--only", action="append", metavar="NAME", help="this part only; may be given several times"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        known = [each.name for each in doctor.LOOKS]
        if unknown := [name for name in options["only"] or [] if name not in known]:
            raise CommandError(f"No such part: {', '.join(unknown)}. There are: {', '.join(known)}.")
        findings = doctor.examine(only=options["only"] or ())
        if options["json"]:
            self.stdout.write(json.dumps(doctor.as_json(findings)))
        else:
            for found in findings:
                self.show(found)
        if wrong := [found.name for found in findings if found.state == doctor.WRONG]:
            raise CommandError(f"Not well: {', '.join(wrong)}.")

    def show(self, found: doctor.Finding) -> None:
        """Print one finding, and what to do about it."""
        style = {doctor.WELL: self.style.SUCCESS, doctor.DOUBTFUL: self.style.WARNING, doctor.WRONG: self.style.ERROR}
        state = style[found.state](f"{found.state:<8}")
        self.stdout.write(f"{state}  {found.name:<11}{found.detail}  ({found.ms:.0f} ms)")
        if found.advice:
            self.stdout.write(f"{'':<10}{'':<11}→ {found.advice}")
