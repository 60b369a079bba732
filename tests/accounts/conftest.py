"""Accounts tests read their mails where developers do: pytest-django would put them into a list of its own."""

import pytest


@pytest.fixture(autouse=True)
def _mails_as_rows(settings):
    settings.EMAIL_BACKEND = "common.mail.RecordedEmailBackend"
