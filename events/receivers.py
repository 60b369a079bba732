"""Reactions to announcements."""

from events import tasks  # noqa: F401 - registers the periodic jobs
