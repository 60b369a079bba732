"""Announcements upward, sent inside the transaction; receivers do `task.delay_on_commit(event_id=…)` and nothing else."""

from django.dispatch import Signal

# kwargs: event_id (UUID). Nothing is left to sell: who waits in line is told, and may be put on the waitlist in the same order.
line_sold_out = Signal()
# kwargs: event_id (UUID). The lobby was drawn and the line moves.
line_opened = Signal()
