"""
Staff's view of the catalogue. Status and counters are facts; every change is an action that calls a service, one event at a
time, and is kept with its reason.
"""

from events.admin import categories, events

__all__ = ["categories", "events"]  # importing them registers their models
