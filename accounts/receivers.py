"""Reactions to announcements; importing tasks and invariants makes them known to every process."""

from accounts import invariants, tasks  # noqa: F401
from accounts.notifications import mails, sms  # noqa: F401
