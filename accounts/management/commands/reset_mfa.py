"""Take the second factor of a member of staff away, as an operator: they have lost it and no owner can help."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import normalise_email
from accounts.services import reset_mfa_of
from common.errors import FairseatError


class Command(BaseCommand):
    help = "Remove the authenticator and recovery codes of the person with this address, and end their sessions."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        try:
            had = reset_mfa_of(email=normalise_email(email))
        except FairseatError as error:
            raise CommandError(error.text) from error
        self.stdout.write("Their second factor is removed." if had else "They had no second factor.")
        self.stdout.write("Every session of theirs has ended. They log in with their password and set it up again.")
