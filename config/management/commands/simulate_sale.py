"""`manage.py simulate_sale`: people who do not exist line up, are let in, hold, pay and get tickets, over HTTP."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from bookings.waitingroom import receipts, services
from bookings.waitingroom.verify import Breach, verify
from config import simulation
from config.simulation import Sale
from events.models import SeatInventory

BAR = 30


class Command(BaseCommand):
    help = "Simulates a sale on the running site, with test cards: lobby, draw, line, hold, payment, tickets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--people", type=int, default=500)
        parser.add_argument("--seats", type=int, default=400)
        parser.add_argument("--most", type=int, default=50, help="How many may buy at once.")
        parser.add_argument("--lobby", type=float, default=10, help="Seconds until the sale opens.")
        parser.add_argument("--patience", type=float, default=4, help="Look at least every so many seconds.")
        parser.add_argument("--seconds", type=float, default=600, help="End after so many seconds at the latest.")
        parser.add_argument("--plot", type=Path, help="Draw how it went into this SVG file.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.PAYMENTS_SANDBOX:
            raise CommandError("Only a site in test mode can be simulated: payments must go to the sandbox.")
        sale = simulation.prepare(
            people=options["people"], seats=options["seats"], most=options["most"], lobby=options["lobby"]
        )
        self.stdout.write(f"{sale.event.name} on {settings.SITE_URL}/events/{sale.event.pk}")
        simulation.run(sale, self.show, patience=options["patience"], seconds=options["seconds"])
        self.stderr.write("")
        if options["plot"]:
            options["plot"].write_text(simulation.plot(sale, lobby=options["lobby"]))
            self.stdout.write(f"Drawn into {options['plot']}.")
        self.report(sale)

    def show(self, sale: Sale) -> None:
        """Draw the progress bar: how many people are through, and what they did."""
        through, everybody = sum(sale.ended.values()), len(sale.people)
        full = BAR * through // everybody
        counts = sale.counts
        self.stderr.write(
            f"\r[{'█' * full}{'·' * (BAR - full)}] {through}/{everybody}  in line {sale.samples[-1].in_line:4}"
            f"  let in {counts['let in']:4}  held {counts['held']:4}  sold {counts['sold']:4}",
            ending="",
        )
        self.stderr.flush()

    def report(self, sale: Sale) -> None:
        """
        Say what became of everybody and whether it adds up.

        :raises CommandError: if it does not
        """
        for what, count in sorted({**sale.ended, **sale.problems}.items()):
            self.stdout.write(f"{count:6}  {what}")
        inventory = SeatInventory.objects.get(category=sale.category)
        self.stdout.write(f"{inventory.sold} of {inventory.capacity} seats sold, {inventory.held} held.")
        if inventory.sold != sale.counts["sold"]:
            raise CommandError(f"{sale.counts['sold']} tickets were seen by their buyers.")
        missing = len(sale.people) - sum(sale.ended.values())
        if missing:
            raise CommandError(f"{missing} people were not through in time.")
        services.drain_journal(sale.event.pk)
        try:
            for proven in verify(receipts.published(sale.event.pk)):
                self.stdout.write(f"holds  {proven.step:6} {proven.text}")
        except Breach as breach:
            raise CommandError(f"BREACH in {breach.step}: {breach}") from breach
