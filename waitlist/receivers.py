"""What is found by being imported: periodic work and invariants."""

from waitlist import invariants, tasks  # noqa: F401
