"""
The locks that come before every row: an event's waitlist, then the person in it.

Whoever makes somebody wait for an event shares the event's list; offers have it to themselves for one statement. So a person
is either seen by an offer or joined after it, and "who was first" has one answer. The person's lock is the one under which
`hold_seats` takes their holds.
"""

from uuid import UUID

from django.db import connection


def lock_person(user_id: UUID, event_id: UUID) -> None:
    """Share the waitlist of an event and lock one person in it, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended('waitlist' || %s, 0)),"
            " pg_advisory_xact_lock(hashtextextended(%s || %s, 0))",
            [str(event_id), str(user_id), str(event_id)],
        )
