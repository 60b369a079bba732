"""Counting: what has news since the last time, or everything again."""

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from analytics import counting
from analytics.models import Cursor, EventFigures, PeopleDay, SalesDay, SalesHour
from registrations.statistics import outcomes_of_event

HOURS_KEPT_DAYS = 14
OVERLAP = timedelta(minutes=2)
AT_ONCE = 500
STATEMENTS = (
    counting.CLEAR_DAYS,
    counting.CLEAR_PEOPLE,
    counting.CLEAR_HOURS,
    counting.DAYS,
    counting.HOURS,
    counting.PEOPLE,
    counting.FIGURES,
)
COUNTING = 4_071_122  # the key of the advisory lock: one counter at a time


def refresh() -> int:
    """Count every day of every event that has news since the last time, and return how many days that were."""
    with transaction.atomic():
        if not take_turn():
            return 0
        cursor = Cursor.objects.first()
        return count_since(cursor.counted_until - OVERLAP if cursor else None)


def rebuild() -> int:
    """Forget every figure and count all of them from the rows; return how many days there were."""
    with transaction.atomic():
        take_turn(wait=True)
        for model in (SalesDay, SalesHour, PeopleDay, EventFigures):
            model.objects.all().delete()
        days = count_since(None)
    count_returning()
    return days


def count_returning() -> int:
    """Count, for events with news, how many of their buyers had tickets of an earlier event; return how many events."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not take_turn():
            return 0
        cursor.execute(counting.RETURNING)
        return int(cursor.rowcount)


def take_turn(*, wait: bool = False) -> bool:
    """Become the one that counts, for this transaction; False when another does and we do not wait."""
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [COUNTING])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [COUNTING])
        return bool(cursor.fetchone()[0])


def count_since(since: datetime | None) -> int:
    """Count what has news since then (None: everything) and move the cursor to the beginning of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(counting.TOUCHED, {"since": since})
        touched: list[tuple[UUID, date]] = cursor.fetchall()
    for start in range(0, len(touched), AT_ONCE):
        count_days(touched[start : start + AT_ONCE])
    SalesHour.objects.filter(hour__lt=Now() - timedelta(days=HOURS_KEPT_DAYS)).delete()
    Cursor.objects.update_or_create(pk=1, defaults={"counted_until": Now()})
    return len(touched)


def count_days(touched: list[tuple[UUID, date]]) -> None:
    """Count these days of these events again, as a whole."""
    events, days = [event for event, _ in touched], [day for _, day in touched]
    given: dict[str, Any] = {
        "events": events,
        "days": days,
        "hours_kept": HOURS_KEPT_DAYS,
        "all_events": sorted(set(events)),
    }
    with connection.cursor() as cursor:
        for statement in STATEMENTS:
            cursor.execute(statement, given)
    for event_id in given["all_events"]:
        EventFigures.objects.filter(pk=event_id).update(verification=outcomes_of_event(event_id))
