"""
The code that a browser came with, kept for each event: through a log-in, a face check, a line, until it is taken away.

It stands in the session, so nothing is kept of who never typed a code that the event has.
"""

from uuid import UUID

from django.contrib.sessions.backends.base import SessionBase

KEY = "sale_codes"
MOST = 20  # events, the oldest goes first


def kept_code(session: SessionBase, event_id: UUID) -> str:
    """Return the code that this browser has for an event; "" for none."""
    return str(session.get(KEY, {}).get(str(event_id), ""))


def keep_code(session: SessionBase, event_id: UUID, typed: str) -> None:
    """Keep a code for an event, in place of the one before; "" takes it away."""
    if kept_code(session, event_id) == typed:
        return
    others = {known: code for known, code in session.get(KEY, {}).items() if known != str(event_id)}
    if typed:
        others = dict(list(others.items())[1 - MOST :]) | {str(event_id): typed}
    session[KEY] = others
