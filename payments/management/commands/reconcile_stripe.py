"""
`manage.py reconcile_stripe`: puts right what no announcement told us, then lays our books beside the provider's for a period.

Exit code 0: nothing differs. 1: something does, and stands in the admin with what to do. 2: the provider did not answer.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date

from accounts.models import User
from common.errors import FairseatError
from payments import services
from payments.gateway import ProviderUnavailable
from payments.management.commands import reconcile_payments
from payments.management.commands.reconcile_payments import NO_ANSWER
from payments.models import Comparison, Difference
from payments.services.comparing import ADVICE, BY_COMMAND

DIFFERS = 1


class Command(reconcile_payments.Command):
    help = "Compare our books with the provider's for a period; exit code 1 if they differ, 2 without an answer."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", dest="since", help="first day, as 2026-11-01 (UTC); instead of --days")
        parser.add_argument("--to", dest="until", help="last day; today if left out")
        parser.add_argument("--fix", action="store_true", help="put right what follows from what the provider says")
        parser.add_argument("--as", dest="actor", metavar="MAIL", help="whose name stands in the audit, with --fix")
        parser.add_argument("--reason", default="", help="why, with --fix; kept in the audit")
        parser.add_argument("--json", action="store_true", help="the differences as JSON on standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        since, until = self.period(options)
        actor = self.actor(options)
        try:
            if not options["dry_run"]:
                self.put_right(self.stderr if options["json"] else self.stdout, options)
            comparison = services.begin_comparison(since=since, until=until, staff_id=None, by_worker=False)
            services.compare(comparison_id=comparison.pk, progress=self.progress)
        except ProviderUnavailable as error:
            raise CommandError(error.text, returncode=NO_ANSWER) from error
        except FairseatError as error:
            raise CommandError(error.text) from error
        if actor is not None:
            self.fix(comparison, actor, options["reason"])
        left = self.report(comparison, as_json=options["json"])
        if left:
            raise CommandError(
                f"{left} lines differ. They stand in the admin under Payments, with what to do.", returncode=DIFFERS
            )

    def period(self, options: dict[str, Any]) -> tuple[datetime, datetime]:
        """
        Return the period that is meant: from the first day's beginning to the last day's end, or to this moment.

        :raises CommandError: if a day is none
        """
        now = timezone.now()
        begin, end = (self.day(options[name]) for name in ("since", "until"))
        until = min(now, end + timedelta(days=1)) if end else now
        return begin or until - timedelta(days=options["days"]), until

    def day(self, text: str | None) -> datetime | None:
        """
        Return where a day begins; None if none was named.

        :raises CommandError: if it is none
        """
        try:
            found = parse_date(text) if text else None
        except ValueError:
            found = None
        if text and found is None:
            raise CommandError(f"{text} is no day; write it as 2026-11-01.")
        return datetime(found.year, found.month, found.day, tzinfo=UTC) if found else None

    def actor(self, options: dict[str, Any]) -> User | None:
        """
        Return who answers for what is put right; None if nothing is to be.

        :raises CommandError: if that is nobody of staff, or says no reason
        """
        if not options["fix"]:
            return None
        actor = User.objects.filter(email=options["actor"] or "", is_staff=True, is_active=True).first()
        if actor is None or not options["reason"].strip():
            raise CommandError("--fix needs --as with the mail address of somebody of staff, and --reason.")
        return actor

    def progress(self, comparison: Comparison) -> None:
        """Say how far it is, on one line of a terminal."""
        if self.stderr.isatty():
            told = f"{comparison.intents} payments, {comparison.refunds} refunds read; {comparison.payments} of ours"
            self.stderr.write(f"\r{told}", ending="")

    def fix(self, comparison: Comparison, actor: User, reason: str) -> None:
        """Put right, line by line, what needs nobody to look at it; a line that can not be is told and stays."""
        open_lines = Difference.objects.filter(comparison=comparison, answered_at__isnull=True, kind__in=BY_COMMAND)
        for line in open_lines:
            try:
                done = services.fix_difference(difference_id=line.pk, actor_id=actor.pk, reason=reason)
                self.stderr.write(f"{line}: {done}")
            except FairseatError as error:
                self.stderr.write(f"{line}: {error.text}")

    def report(self, comparison: Comparison, *, as_json: bool) -> int:
        """Print what differs, and return how many lines are still open."""
        comparison.refresh_from_db()
        lines = list(comparison.differences.filter(answered_at__isnull=True))
        if self.stderr.isatty():
            self.stderr.write("")
        if as_json:
            names = ("kind", "intent_id", "stripe_refund", "ours", "theirs", "amount_minor", "currency")
            found = [{name: getattr(line, name) for name in names} for line in lines]
            counts = {name: getattr(comparison, name) for name in ("intents", "refunds", "payments")}
            self.stdout.write(json.dumps(counts | {"differences": found}, indent=2))
            return len(lines)
        self.stdout.write(
            f"{comparison.intents} payments and {comparison.refunds} refunds at the provider since "
            f"{comparison.since:%Y-%m-%d %H:%M} UTC: {len(lines) or 'no'} difference{'' if len(lines) == 1 else 's'}."
        )
        for line in lines:
            self.stdout.write(f"  {line} (here {line.ours}, there {line.theirs}). {ADVICE[Difference.Kind(line.kind)]}")
        return len(lines)
