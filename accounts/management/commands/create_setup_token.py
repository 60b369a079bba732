"""Give leave to make the first administrator."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.services import create_setup_token


class Command(BaseCommand):
    help = "Print a one-time token with which POST /api/v1/admin-public/register makes an administrator."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(create_setup_token())
        self.stderr.write(
            f"Good for one use within {settings.SETUP_TOKEN_SECONDS // 60} minutes. It is shown only now."
        )
