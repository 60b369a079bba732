"""Counting: what has news since the last time, or everything again."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from analytics import counting
from analytics.models import Cursor, EventFigures, PeopleDay, SalesDay, SalesHour
from bookings.waitingroom.models import Place
from common.models import OutboxMessage
from payments.models import Payment
from registrations.statistics import outcomes_of_event

HOURS_KEPT_DAYS = 14
OVERLAP = timedelta(minutes=2)  # between the clocks of machines that stamp rows themselves
AT_ONCE = 500
OF_DAYS = (counting.CLEAR_DAYS, counting.CLEAR_HOURS, counting.DAYS, counting.HOURS)
OF_EVENTS = (counting.FIGURES, counting.CLEAR_PEOPLE, counting.PEOPLE)
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
    """Count what has news since then (None: everything), and note until when that is."""
    ((until,),) = rows_of(counting.HORIZON)
    moved = [event for (event,) in rows_of(counting.MOVED)]
    days = set(rows_of(counting.TOUCHED_DAYS, since=since, only=None))
    if moved:
        forget(moved)
        days |= set(rows_of(counting.TOUCHED_DAYS, since=None, only=moved))
    events = {event for (event,) in rows_of(counting.TOUCHED_EVENTS, since=since)}
    for some in batches(sorted(days)):
        count_days(some)
    for some in batches(sorted({*events, *moved, *(event for event, _ in days)})):
        count_events(some)
    SalesHour.objects.filter(hour__lt=Now() - timedelta(days=HOURS_KEPT_DAYS)).delete()
    Cursor.objects.update_or_create(pk=1, defaults={"counted_until": until, **house()})
    return len(days)


def forget(events: Sequence[UUID]) -> None:
    """Delete every day and hour of these events, to count them by another clock."""
    for model in (SalesDay, SalesHour):
        model.objects.filter(event__in=events).delete()


def count_days(touched: Sequence[tuple[UUID, date]]) -> None:
    """Count what happened to bookings on these days of these events again, as a whole."""
    events, days = [event for event, _ in touched], [day for _, day in touched]
    given: dict[str, Any] = {
        "events": events,
        "days": days,
        "first": min(days),
        "last": max(days),
        "hours_kept": HOURS_KEPT_DAYS,
    }
    with connection.cursor() as cursor:
        for statement in OF_DAYS:
            cursor.execute(statement, given)


def count_events(events: Sequence[UUID]) -> None:
    """Count people, and what can not be added up from days, of these events again."""
    with connection.cursor() as cursor:
        for statement in OF_EVENTS:
            cursor.execute(statement, {"events": list(events)})
    for event_id in events:
        EventFigures.objects.filter(pk=event_id).update(verification=outcomes_of_event(event_id))


def house() -> dict[str, int]:
    """Return what is true of the whole house now and would take a look at every row whenever somebody asks."""
    failed = Q(created_at__gt=Now() - timedelta(days=1)) & ~Q(last_error="")
    return {
        "in_line": Place.objects.filter(state__in=Place.LIVE, event__deleted_at__isnull=True).count(),
        "payment_failures": Payment.objects.filter(failed).count(),
        "messages_given_up": OutboxMessage.objects.filter(failed_at__isnull=False).count(),
    }


def rows_of(statement: str, **given: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return cursor.fetchall()


def batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield the items, AT_ONCE at a time."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
