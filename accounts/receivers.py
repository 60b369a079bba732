"""Reactions to announcements; importing the tasks makes their outbox topics and jobs known to every process."""

from accounts import tasks  # noqa: F401
