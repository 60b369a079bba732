"""What is found by being imported: tasks, invariants, the figures of verification in an event's statistics."""

from registrations import invariants, statistics, tasks  # noqa: F401
