"""Erase a person, as an operator: what is theirs goes, what was sold stays without their name."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Notification, TokenFamily, User, normalise_email
from accounts.services import erase_user
from common.errors import FairseatError


class Command(BaseCommand):
    help = "Erase the person with this address. With tickets for events to come it refuses, unless --cancel is given."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--cancel", action="store_true", help="also cancel and refund their tickets for events to come"
        )

    def handle(self, *args: Any, email: str, cancel: bool, **options: Any) -> None:
        user = User.objects.filter(email=normalise_email(email), erased_at__isnull=True).first()
        if user is None:
            raise CommandError("Nobody has this address.")
        told = Notification.objects.filter(user_id=user.pk).count()
        sessions = TokenFamily.objects.filter(user_id=user.pk).count()
        try:
            erase_user(user_id=user.pk, cancel=cancel)
        except FairseatError as error:
            raise CommandError(error.text.replace("`cancel: true`", "--cancel")) from error
        self.stdout.write(f"Erased {user.pk}: name, address, telephone number, faces and what was mailed.")
        self.stdout.write(f"Gone with it: {told} notifications, {sessions} sessions of apps, every browser's session.")
        self.stdout.write("Kept without their name: bookings, payments and what staff did.")
