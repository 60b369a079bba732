"""Announcements upward, sent inside the transaction; receivers do `task.delay_on_commit(booking_id=…)` and nothing else."""

from django.dispatch import Signal

# kwargs: booking_id (UUID)
booking_confirmed = Signal()
booking_ended = Signal()

# kwargs: booking (Booking). A lapsed hold that was paid late takes its seats again, and their counter is locked; a receiver
# that knows of a better claim raises SeatsGone.
booking_retaken = Signal()
