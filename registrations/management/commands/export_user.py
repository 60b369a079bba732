"""`manage.py export_user ana@example.com`: everything we hold about a person, as JSON."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User, normalise_email
from common.errors import FairseatError
from registrations.export import ENCODER, export_person


class Command(BaseCommand):
    help = "Write everything we hold about one person as JSON: profile, bookings, registrations, checks, consent."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", help="Their address or id.")
        parser.add_argument("--output", type=Path, help="A file to write instead of the screen.")

    def handle(self, *, person: str, output: Path | None, **_: Any) -> None:
        try:
            held = export_person(user_id=find(person))
        except FairseatError as error:
            raise CommandError(error.text) from error
        text = json.dumps(held, cls=ENCODER, indent=2, ensure_ascii=False)
        if output is None:
            self.stdout.write(text)
        else:
            output.write_text(text + "\n")
            self.stdout.write(f"Wrote {output}.")


def find(person: str) -> UUID:
    """
    Return the id of a person named by address or id.

    :raises CommandError: if there is none
    """
    try:
        return UUID(person)
    except ValueError:
        found = User.objects.filter(email=normalise_email(person)).values_list("pk", flat=True).first()
    if found is None:
        raise CommandError("There is no such person.")
    return found
