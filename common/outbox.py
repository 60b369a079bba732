"""
The outbox: work that must leave the transaction, written inside it.

`put` writes a row beside the business change; Celery is only told to hurry (`nudge`), and a sweep finds what it missed. A
handler may run more than once for one row (a worker can die between the effect and the mark), so handlers pass the row's
`dedupe_key` on as the provider's idempotency key.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from common.errors import FairseatError
from common.models import OutboxMessage

log = structlog.get_logger(__name__)

Handler = Callable[[str, dict[str, Any]], None]
HANDLERS: dict[str, Handler] = {}
FORGOTTEN: set[str] = set()
CLAIM_SECONDS = 90
MAX_ATTEMPTS = 12


class Postpone(Exception):
    """Raised by a handler that wants to be called again in `seconds`, without counting a failure."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"again in {seconds} s")


class GiveUp(Exception):
    """Raised by a handler when no retry can help; the row is left for a person."""


def handler(topic: str, *, forget: bool = False) -> Callable[[Handler], Handler]:
    """
    Register the decorated `function(dedupe_key, payload)` for `topic`.

    With `forget` the payload is emptied once it is done, because it is personal (what was mailed to whom).
    """

    def register(function: Handler) -> Handler:
        HANDLERS[topic] = function
        if forget:
            FORGOTTEN.add(topic)
        return function

    return register


def put(*, topic: str, dedupe_key: str, **payload: Any) -> None:
    """Write a message in the current transaction; the same `dedupe_key` a second time changes nothing."""
    put_many(topic=topic, messages={dedupe_key: payload})


def put_many(*, topic: str, messages: dict[str, dict[str, Any]], wait_seconds: int = 0) -> None:
    """Write messages (payload by dedupe key) in one statement; they are due after `wait_seconds`."""
    due = Now() + timedelta(seconds=wait_seconds)
    OutboxMessage.objects.bulk_create(
        [OutboxMessage(topic=topic, dedupe_key=key, payload=payload, due_at=due) for key, payload in messages.items()]
        if wait_seconds
        else [OutboxMessage(topic=topic, dedupe_key=key, payload=payload) for key, payload in messages.items()],
        ignore_conflicts=True,
    )
    if not wait_seconds:
        transaction.on_commit(nudge, robust=True)


def try_again(*, ids: list[int]) -> list[int]:
    """Make these messages due now, also those given up; return the ids of those that had not left yet."""
    with transaction.atomic():
        waiting = OutboxMessage.objects.select_for_update(no_key=True).filter(pk__in=ids, done_at=None).order_by("pk")
        found = [message.pk for message in waiting]
        OutboxMessage.objects.filter(pk__in=found).update(failed_at=None, attempts=0, due_at=Now())
        transaction.on_commit(nudge, robust=True)
    return found


def nudge() -> None:
    """Ask a worker to deliver now; if the broker is away the sweep does it."""
    from common.tasks import deliver_outbox

    deliver_outbox.delay()


def deliver_due(*, limit: int = 100) -> int:
    """
    Deliver up to `limit` due messages, one after the other, and return how many were handled.

    Safe in any number of processes: a row is claimed by moving its `due_at` ahead in one statement with SKIP LOCKED.
    """
    handled = 0
    while handled < limit and (message := claim()):
        deliver(message)
        handled += 1
    return handled


def claim() -> OutboxMessage | None:
    """Claim the oldest due message for CLAIM_SECONDS and return it; None when nothing is due."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE common_outboxmessage SET due_at = statement_timestamp() + make_interval(secs => %s), attempts = attempts + 1
            WHERE id = (
                SELECT id FROM common_outboxmessage
                WHERE done_at IS NULL AND failed_at IS NULL AND due_at <= statement_timestamp()
                ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
            )
            RETURNING id, topic, dedupe_key, payload::text, attempts
            """,
            [CLAIM_SECONDS],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return OutboxMessage(
        id=row[0],
        topic=row[1],
        dedupe_key=row[2],
        payload=json.loads(row[3]),
        attempts=row[4],
    )


def deliver(message: OutboxMessage) -> None:
    """Run the handler of one claimed message and record what came of it."""
    row = OutboxMessage.objects.filter(pk=message.pk)
    try:
        HANDLERS[message.topic](message.dedupe_key, message.payload)
    except Postpone as later:
        row.update(due_at=Now() + timedelta(seconds=later.seconds), attempts=F("attempts") - 1)
    except GiveUp as reason:
        row.update(failed_at=Now(), last_error=str(reason))
        log.error("outbox.gave_up", topic=message.topic, key=message.dedupe_key, reason=str(reason))
    except Exception as problem:
        # Whatever the provider did, the row must say so and be tried again; only after MAX_ATTEMPTS does a person look.
        given_up = message.attempts >= MAX_ATTEMPTS
        delay = min(3600, 5 * 2**message.attempts)
        row.update(
            last_error=f"{type(problem).__name__}: {problem}"[:2000],
            **({"failed_at": Now()} if given_up else {"due_at": Now() + timedelta(seconds=delay)}),
        )
        expected = isinstance(problem, FairseatError) and not given_up
        log.log(
            30 if expected else 40, "outbox.failed", topic=message.topic, key=message.dedupe_key, exc_info=not expected
        )
    else:
        forgotten: dict[str, Any] = {"payload": {}} if message.topic in FORGOTTEN else {}
        row.update(done_at=Now(), last_error="", **forgotten)
