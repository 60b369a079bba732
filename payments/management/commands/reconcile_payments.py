"""`manage.py reconcile_payments`: puts right what no announcement told us; the first half of `reconcile_stripe`."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db.models.functions import Now

from common.errors import FairseatError
from payments import services
from payments.models import Attention, Payment
from payments.states import OPEN

NO_ANSWER = 2


class Command(BaseCommand):
    help = "Compare payments with the provider."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="also payments that are over, of the last --days days")
        parser.add_argument("--days", type=int, default=3)
        parser.add_argument("--limit", type=int, default=500)
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        self.put_right(self.stdout, options)

    def put_right(self, out: OutputWrapper, options: dict[str, Any]) -> None:
        """
        Bring payments to where the provider has them, and say so on `out`.

        :raises CommandError: if the provider did not answer about one
        """
        recent = Payment.objects.filter(created_at__gt=Now() - timedelta(days=options["days"]), intent_id__isnull=False)
        chosen = recent if options["all"] else recent.filter(status__in=OPEN)
        ids = list(chosen.order_by("-created_at").values_list("pk", flat=True)[: options["limit"]])
        if options["dry_run"]:
            out.write(f"{len(ids)} payments to compare.")
            return
        changed = services.reconcile_due(limit=options["limit"])
        failed = 0
        for payment_id in ids:
            before = Payment.objects.values_list("status", "refunded_minor").get(pk=payment_id)
            try:
                payment = services.reconcile_intent(payment_id=payment_id)
            except FairseatError as error:
                failed += 1
                self.stderr.write(f"payment {payment_id}: {error.text}")
                continue
            if (payment.status, payment.refunded_minor) != before:
                changed += 1
                out.write(f"payment {payment_id}: {before[0]} -> {payment.status}")
        refunds = services.deliver_due_refunds(limit=options["limit"])
        questions = Attention.objects.filter(resolved_at__isnull=True).count()
        out.write(
            f"{len(ids)} compared, {changed} put right, {refunds} refunds sent, {questions} open questions for a person."
        )
        if failed:
            raise CommandError(f"{failed} payments could not be compared.", returncode=NO_ANSWER)
