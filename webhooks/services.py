"""Every write to webhooks: endpoints and their secrets, collecting news from the rows of sales, delivering it."""

import json
import time
from base64 import b64encode
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_bytes
from typing import Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now

from accounts.notifications import notify
from common.errors import Conflict, Invalid, NotFound
from common.sealing import Unsealable, seal, unseal
from webhooks import wire
from webhooks.kinds import KINDS
from webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage
from webhooks.sources import ADVANCE, COLLECT, FORGET, SPREAD

log = structlog.get_logger(__name__)

PURPOSE = "webhook secret"
FORGOTTEN_AT_ONCE = 10_000
MOST_ENDPOINTS = 10
OLD_SECRET = timedelta(hours=24)
MINUTES = (5, 30, 120, 600)  # the first phase, in seconds: a receiver that restarts
HOURS = (3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 24 * 3600)  # the second: one that is down; three days in all
SCHEDULE = MINUTES + HOURS
CLAIM = timedelta(seconds=60)
GONE = 410
THREADS = 8
IN_A_ROW = 20
TURN_SECONDS = 25.0
DELIVERING = 4_071_121  # the key of the advisory lock: one process delivers, its threads share the endpoints


class EndpointNotFound(NotFound):
    message = "There is no such webhook, or it is not yours."


class DeliveryNotFound(NotFound):
    message = "There is no such delivery, or it is not yours."


class UnknownKind(Invalid):
    code = "webhook_kind_unknown"


class TooManyEndpoints(Conflict):
    code = "webhook_limit"
    message = f"One organiser may have {MOST_ENDPOINTS} webhooks. Delete one first."


class EndpointDisabled(Conflict):
    code = "webhook_disabled"
    message = "This webhook is switched off. Switch it on first."


@dataclass(frozen=True)
class NewSecret:
    """An endpoint with the secret that is shown this once."""

    endpoint: WebhookEndpoint
    secret: str


# -- Endpoints --------------------------------------------------------------------------------------------------------


@transaction.atomic
def create_endpoint(*, organiser_id: UUID, url: str, kinds: Sequence[str] = (), description: str = "") -> NewSecret:
    """
    Add an endpoint for news of an organiser's events; the secret is returned once and only its seal is kept.

    :raises BadAddress: if the address is not a public https one
    :raises UnknownKind: if a kind is not in `KINDS`
    :raises TooManyEndpoints: if there are ten already
    """
    wire.check_address(url)
    check_kinds(kinds)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"webhooks:{organiser_id}"])
    if WebhookEndpoint.objects.filter(organiser_id=organiser_id).count() >= MOST_ENDPOINTS:
        raise TooManyEndpoints
    secret = new_secret()
    endpoint = WebhookEndpoint.objects.create(
        organiser_id=organiser_id,
        url=url,
        kinds=sorted(set(kinds)),
        description=description,
        secret_sealed=seal(secret, purpose=PURPOSE),
    )
    endpoint.refresh_from_db()
    return NewSecret(endpoint, secret)


@transaction.atomic
def change_endpoint(
    *,
    endpoint: WebhookEndpoint,
    url: str | None = None,
    kinds: Sequence[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> WebhookEndpoint:
    """
    Change an endpoint; switching it on again forgets why it was off and begins with a clean slate.

    :raises BadAddress, UnknownKind: as for a new one
    """
    changes: dict[str, Any] = {}
    if url is not None:
        wire.check_address(url)
        changes["url"] = url
    if kinds is not None:
        check_kinds(kinds)
        changes["kinds"] = sorted(set(kinds))
    if description is not None:
        changes["description"] = description
    if enabled is not None:
        changes |= {"enabled": enabled, "disabled_because": "" if enabled else "switched off"}
        changes |= {"failing_since": None} if enabled else {}
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(**changes)
    endpoint.refresh_from_db()
    return endpoint


@transaction.atomic
def rotate_secret(*, endpoint: WebhookEndpoint) -> NewSecret:
    """Make a new secret; for 24 hours messages carry a signature of the old one too."""
    secret = new_secret()
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        secret_sealed=seal(secret, purpose=PURPOSE),
        old_secret_sealed=F("secret_sealed"),
        old_secret_until=Now() + OLD_SECRET,
    )
    endpoint.refresh_from_db()
    return NewSecret(endpoint, secret)


def delete_endpoint(*, endpoint: WebhookEndpoint) -> None:
    """Remove an endpoint with its log; what was on its way is not sent any more."""
    endpoint.delete()


def check_kinds(kinds: Iterable[str]) -> None:
    """
    See that every kind is one we tell.

    :raises UnknownKind: if one is not
    """
    if unknown := sorted(set(kinds) - KINDS.keys()):
        raise UnknownKind(f"There is no {', '.join(unknown)}. There are: {', '.join(KINDS)}.")


def new_secret() -> str:
    """Return a new secret of 24 random bytes, written as Standard Webhooks 1.0 asks."""
    return f"whsec_{b64encode(token_bytes(24)).decode()}"


# -- News -------------------------------------------------------------------------------------------------------------


def announce(*, organiser_id: UUID, kind: str, cause: str, data: dict[str, Any]) -> None:
    """Tell an organiser's endpoints something, in the current transaction; the same `cause` a second time changes nothing."""
    message = WebhookMessage(organiser_id=organiser_id, kind=kind, cause=cause, payload=data)
    WebhookMessage.objects.bulk_create([message], ignore_conflicts=True)
    with connection.cursor() as cursor:
        cursor.execute(SPREAD, {"organisers": [organiser_id]})


@transaction.atomic
def send_test(*, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """
    Put a test message on its way to one endpoint, whatever kinds it wants.

    :raises EndpointDisabled: if it is switched off
    """
    if not endpoint.enabled:
        raise EndpointDisabled
    cause = f"test:{uuid4()}"
    message = WebhookMessage.objects.create(
        organiser_id=endpoint.organiser_id, kind="webhook.test", cause=cause, payload={"endpointId": str(endpoint.pk)}
    )
    return WebhookDelivery.objects.create(message=message, endpoint=endpoint)


@transaction.atomic
def resend(*, delivery: WebhookDelivery) -> WebhookDelivery:
    """
    Send a message again, now, with both phases ahead of it; receivers know a second copy by its `webhook-id`.

    :raises EndpointDisabled: if the endpoint is switched off
    """
    if not delivery.endpoint.enabled:
        raise EndpointDisabled
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        status=WebhookDelivery.Status.WAITING, due_at=Now(), attempts=0, delivered_at=None
    )
    delivery.refresh_from_db()
    return delivery


def collect() -> int:
    """
    Turn what happened to bookings, refunds, waitlists and events since the last time into messages; return how many.

    Read from the rows, so that selling pays nothing for it and nothing is missed; the last minute is read again each time,
    because a transaction may commit after one that began later, and the cause makes each message one.
    """
    organisers = list(WebhookEndpoint.objects.filter(enabled=True).values_list("organiser_id", flat=True).distinct())
    if not organisers:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO webhooks_webhookcursor (id) VALUES (1) ON CONFLICT DO NOTHING")
        cursor.execute("SELECT 1 FROM webhooks_webhookcursor FOR UPDATE")
        cursor.execute(COLLECT, {"organisers": organisers})
        found = cursor.rowcount
        cursor.execute(SPREAD, {"organisers": organisers})
        cursor.execute(ADVANCE)
    return found


# -- Deliveries -------------------------------------------------------------------------------------------------------


def deliver_due(*, seconds: float = TURN_SECONDS) -> int:
    """
    Deliver what is due for up to `seconds`, several endpoints at once, and return how many deliveries were tried.

    One process at a time does this, so receivers that hang never take more than one worker from the shop; each holds up only
    its own thread.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [DELIVERING])
        if not cursor.fetchone()[0]:
            return 0
        try:
            until = time.monotonic() + seconds
            endpoints = due_endpoints()
            with ThreadPoolExecutor(THREADS) as pool:
                return sum(pool.map(lambda endpoint: serve(endpoint, until), endpoints))
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [DELIVERING])


def due_endpoints() -> list[UUID]:
    """Return the endpoints with something due: those that answer first, then the failing ones."""
    due = WebhookEndpoint.objects.filter(
        enabled=True, deliveries__status=WebhookDelivery.Status.WAITING, deliveries__due_at__lte=Now()
    )
    return list(due.order_by(F("failing_since").asc(nulls_first=True), "pk").distinct().values_list("pk", flat=True))


def serve(endpoint_id: UUID, until: float) -> int:
    """Deliver to one endpoint, one message after the other, until it has none, fails, or the time is over."""
    tried = 0
    try:
        while tried < IN_A_ROW and time.monotonic() < until:
            delivery = claim(endpoint_id)
            if delivery is None:
                break
            tried += 1
            if not attempt(delivery):
                break
    finally:
        connections.close_all()
    return tried


def claim(endpoint_id: UUID) -> WebhookDelivery | None:
    """Claim the oldest due delivery to an endpoint for a minute; a process that dies gives it back that way."""
    with transaction.atomic():
        waiting = WebhookDelivery.objects.select_for_update(of=("self",), skip_locked=True).filter(
            endpoint_id=endpoint_id, endpoint__enabled=True, status=WebhookDelivery.Status.WAITING, due_at__lte=Now()
        )
        delivery = waiting.select_related("message", "endpoint").order_by("message__occurred_at", "pk").first()
        if delivery is None:
            return None
        WebhookDelivery.objects.filter(pk=delivery.pk).update(attempts=F("attempts") + 1, due_at=Now() + CLAIM)
        delivery.attempts += 1
        return delivery


def attempt(delivery: WebhookDelivery) -> bool:
    """Send one claimed delivery, write down what came of it, and return whether it was taken."""
    endpoint, message = delivery.endpoint, delivery.message
    body = json.dumps(
        {
            "type": message.kind,
            "timestamp": message.occurred_at.isoformat().replace("+00:00", "Z"),
            "data": message.payload,
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )
    try:
        reply = wire.post(endpoint.url, body, message_id=f"msg_{message.pk.hex}", secrets=secrets_of(endpoint))
    except Unsealable:
        reply = wire.Reply(None, 0, problem="our key has changed: make a new secret")
    record(delivery, reply)
    return reply.taken


def secrets_of(endpoint: WebhookEndpoint) -> list[str]:
    """Return the secrets that sign now: the current one, and for a day the one before it."""
    sealed = [endpoint.secret_sealed]
    old = WebhookEndpoint.objects.filter(pk=endpoint.pk, old_secret_until__gt=Now()).exclude(old_secret_sealed="")
    sealed += old.values_list("old_secret_sealed", flat=True)
    return [unseal(one, purpose=PURPOSE) for one in sealed]


@transaction.atomic
def record(delivery: WebhookDelivery, reply: wire.Reply) -> None:
    """Write down one try: done, when to try again, or given up; and how the endpoint does on the whole."""
    if not WebhookDelivery.objects.select_for_update(no_key=True).filter(pk=delivery.pk).exists():
        return  # its endpoint was deleted while it was on its way
    WebhookAttempt.objects.create(
        delivery=delivery,
        status_code=reply.status_code,
        milliseconds=reply.milliseconds,
        problem=reply.problem,
        said=reply.said,
    )
    row = WebhookDelivery.objects.filter(pk=delivery.pk)
    endpoint = WebhookEndpoint.objects.filter(pk=delivery.endpoint_id)
    if reply.taken:
        row.update(status=WebhookDelivery.Status.DELIVERED, delivered_at=Now())
        endpoint.update(failing_since=None)
        return
    if delivery.attempts > len(SCHEDULE):
        row.update(status=WebhookDelivery.Status.FAILED)
    else:
        row.update(due_at=Now() + timedelta(seconds=SCHEDULE[delivery.attempts - 1]))
    endpoint.update(failing_since=Coalesce(F("failing_since"), Now()))
    give_up_on(delivery.endpoint_id, gone=reply.status_code == GONE)


def give_up_on(endpoint_id: UUID, *, gone: bool) -> None:
    """Switch an endpoint off that says it is gone, or that has failed for WEBHOOK_DISABLE_DAYS; tell its organiser once."""
    because = "it answered 410 Gone" if gone else f"it failed for {settings.WEBHOOK_DISABLE_DAYS} days"
    lasting = Q() if gone else Q(failing_since__lte=Now() - timedelta(days=settings.WEBHOOK_DISABLE_DAYS))
    endpoint = WebhookEndpoint.objects.filter(lasting, pk=endpoint_id, enabled=True)
    if not endpoint.update(enabled=False, disabled_because=because):
        return
    off = WebhookEndpoint.objects.get(pk=endpoint_id)
    log.warning("webhooks.disabled", endpoint=str(endpoint_id), because=because)
    notify(
        user_id=off.organiser_id,
        kind="webhook_disabled",
        cause=f"{endpoint_id}:{off.failing_since:%Y%m%d%H%M%S}",
        address=off.url,
        because=because,
    )


def forget_old() -> int:
    """Delete messages, with their log, that are older than WEBHOOK_LOG_DAYS; return how many."""
    forgotten = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(FORGET, {"days": settings.WEBHOOK_LOG_DAYS, "most": FORGOTTEN_AT_ONCE})
            forgotten += cursor.rowcount
            if cursor.rowcount < FORGOTTEN_AT_ONCE:
                return forgotten
