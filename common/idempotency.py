"""
Idempotency-Key: a POST sent twice has one effect and one answer.

The key is scoped to person, method, path and body. Its row is written first in the transaction of the effect, so a second
request with the same key waits for the first one and then replays its answer. Only answers of success are kept: a refusal had
no effect, so trying again is right.
"""

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from common import jobs
from common.errors import Invalid, Unprocessable
from common.models import IdempotencyKey

# A rival with the same key waits here until the first one has committed, then gets no row and replays.
CLAIM = """
    INSERT INTO common_idempotencykey (owner, method, path, key, body_hash) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING RETURNING id
"""
KEEP = "UPDATE common_idempotencykey SET status = %s, answer = %s WHERE id = %s"


class KeyReused(Unprocessable):
    code = "idempotency_key_reused"
    message = "This Idempotency-Key was used for another request. Send a new key with a new request."


class BadKey(Invalid):
    code = "idempotency_key_invalid"
    message = "An Idempotency-Key is 1 to 200 visible ASCII characters."


def once(
    *, key: str, owner: str, method: str, path: str, body: Any, act: Callable[[], tuple[int, Any]]
) -> tuple[int, Any, bool]:
    """
    Do `act()` once for this key and return its (status, JSON answer, whether it was replayed).

    :raises KeyReused: if the key came with another body before
    :raises BadKey: if the key is malformed
    """
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise BadKey
    body_hash = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CLAIM, [owner, method, path[:200], key, body_hash])
        if claimed := cursor.fetchone():
            status, answer = act()
            cursor.execute(KEEP, [status, json.dumps(answer), claimed[0]])
            return status, answer, False
        kept = IdempotencyKey.objects.get(owner=owner, method=method, path=path[:200], key=key)
    if kept.body_hash != body_hash:
        raise KeyReused
    return kept.status or 200, kept.answer, True


@jobs.periodic("common.forget_idempotency_keys", every="SWEEP_SECONDS")
def forget_old_keys() -> int:
    """Delete the keys older than IDEMPOTENCY_SECONDS."""
    old = Now() - timedelta(seconds=settings.IDEMPOTENCY_SECONDS)
    return IdempotencyKey.objects.filter(created_at__lt=old).delete()[0]
