"""`manage.py run_due`: every periodic job once, for a machine without beat or for an operator in a hurry."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from common import jobs


class Command(BaseCommand):
    help = "Run every periodic job once (or only those named). Safe beside beat and beside itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--only", action="append", metavar="NAME", help="this job only; may be given more than once"
        )
        parser.add_argument("--json", action="store_true", help='print {"ran": {name: count}, "failed": {name: why}}')

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["only"] or sorted(jobs.JOBS)
        if unknown := [name for name in names if name not in jobs.JOBS]:
            raise CommandError(f"No such job: {', '.join(unknown)}. There are: {', '.join(sorted(jobs.JOBS))}.")
        ran: dict[str, int] = {}
        failed: dict[str, str] = {}
        for name in names:
            try:
                ran[name] = jobs.run(name)
            except Exception as error:  # one job's failure must not keep the others from running; it is told below
                failed[name] = f"{type(error).__name__}: {error}"
        if options["json"]:
            self.stdout.write(json.dumps({"ran": ran, "failed": failed}))
        else:
            for name in names:
                self.stdout.write(f"{name}: {failed[name] if name in failed else ran[name]}")
        if failed:
            raise CommandError(f"{len(failed)} of {len(names)} jobs failed.")
