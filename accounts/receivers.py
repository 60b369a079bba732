"""Reactions to announcements; importing tasks and invariants makes them known to every process."""

from accounts import invariants, tasks  # noqa: F401
