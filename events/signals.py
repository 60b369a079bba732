"""Announcements upward, sent inside the transaction; receivers do `task.delay_on_commit(…)` and nothing else."""

from django.dispatch import Signal

# kwargs: event_id (UUID). The event is cancelled from this commit on; its bookings still have to be.
event_cancelled = Signal()
# kwargs: category_id (UUID). Seats that nobody had before this commit: those who wait for them come first.
seats_freed = Signal()
