"""Accounts tests read their mails where developers do: pytest-django would put them into a list of its own."""

import pytest


@pytest.fixture(autouse=True)
def _mails_as_rows(settings):
    settings.EMAIL_BACKEND = "common.mail.RecordedEmailBackend"


@pytest.fixture
def hashings(monkeypatch):
    """Notes every run of the slow password hash: what an attacker with a stop-watch would see."""
    from accounts.hashers import Argon2Hasher

    runs = []
    for name in ("encode", "verify"):
        original = getattr(Argon2Hasher, name)

        def counted(self, *given, _original=original, _name=name):
            runs.append(_name)
            return _original(self, *given)

        monkeypatch.setattr(Argon2Hasher, name, counted)
    return runs
