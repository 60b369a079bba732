"""Importing tasks, invariants and system checks makes them known to every process."""

from faceverify import invariants, system_checks, tasks  # noqa: F401
