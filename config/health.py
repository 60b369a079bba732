"""
How the system is: `/healthz` (this process answers), `/readyz` (everything it needs works), `/metrics` (figures).

`/readyz` answers 503 and names what is wrong. A dead worker or beat is wrong too, but the web process can still sell: a load
balancer asks `/readyz?scope=web`, which looks only at what a request needs.
"""

import os
import time
from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any

import structlog
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from bookings.waitingroom import store
from common import ratelimit
from common.jobs import JOBS
from common.models import Heartbeat

log = structlog.get_logger(__name__)

BEAT = "beat"
STALE_SECONDS = 30
OUTBOX_STALE_SECONDS = 120
_migrated = False


class Wrong(Exception):
    """A check found something wrong; the message is for an operator and names no secret."""


@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Alive: this process takes requests."""
    return JsonResponse({"status": "alive"})


@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Ready: PostgreSQL, Redis, migrations; and for the whole system worker, beat and outbox."""
    needed = SERVING if request.GET.get("scope") == "web" else SERVING | BACKGROUND
    checks = {name: outcome(check) for name, check in needed.items()}
    wrong = [name for name, found in checks.items() if not found["ok"]]
    body = {
        "status": "not ready" if wrong else "ready",
        "wrong": wrong,
        "degraded": [name for name in wrong if name in BACKGROUND],
        "checks": checks,
    }
    if wrong:
        log.warning("not_ready", wrong=wrong)
    return JsonResponse(body, status=503 if wrong else 200)


def outcome(check: Callable[[], str]) -> dict[str, Any]:
    """Run one check and say how it went and how long it took."""
    started = time.perf_counter()
    try:
        found = {"ok": True, "detail": check()}
    except Wrong as problem:
        found = {"ok": False, "detail": str(problem)}
    except Exception as error:  # whatever a check dies of, the answer is that this part does not work
        found = {"ok": False, "detail": type(error).__name__}
    return found | {"ms": round((time.perf_counter() - started) * 1000, 1)}


# -- Checks -----------------------------------------------------------------------------------------------------------


def check_postgresql() -> str:
    """Return what PostgreSQL says of itself: that it takes writes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'")
        if cursor.fetchone()[0]:
            raise Wrong("takes no writes")
    return "answers"


def check_redis() -> str:
    """Return that Redis answers, and so does the one of the lines, where that is another."""
    ratelimit.connection().ping()
    if settings.QUEUE_REDIS_URL != settings.REDIS_URL:
        store.client().ping()
    return "answers"


def check_migrations() -> str:
    """Return that every migration is applied; once seen, that stays true for the life of this process."""
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
        if waiting:
            raise Wrong(f"{waiting} not applied: run manage.py migrate_safely")
        _migrated = True
    return "applied"


def check_worker() -> str:
    """Return how long ago a worker last finished a periodic job."""
    shortest = min((getattr(settings, job.every) for job in JOBS.values()), default=0)
    return fresh(age(list(JOBS)), STALE_SECONDS + 3 * shortest, "no worker has finished a periodic job")


def check_beat() -> str:
    """Return how long ago beat last turned its loop."""
    return fresh(age([BEAT]), STALE_SECONDS, "beat has not turned")


def check_outbox() -> str:
    """Return how long the oldest due message has been waiting."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0), count(*) FROM common_outboxmessage"
            " WHERE done_at IS NULL AND failed_at IS NULL AND due_at <= now()"
        )
        oldest, waiting = cursor.fetchone()
    if oldest > OUTBOX_STALE_SECONDS:
        raise Wrong(f"{waiting} messages wait, the oldest for {oldest:.0f} s")
    return f"{waiting} wait"


def age(names: list[str]) -> float | None:
    """Return the seconds since the newest heartbeat of `names`, by the database's clock; None when there is none."""
    newest = (
        Heartbeat.objects.filter(name__in=names).order_by("-at").annotate(now=Now()).values_list("at", "now").first()
    )
    return (newest[1] - newest[0]).total_seconds() if newest else None


def fresh(seconds: float | None, limit: float, otherwise: str) -> str:
    """
    Describe an age.

    :raises Wrong: if it is above `limit` or unknown
    """
    if seconds is None:
        raise Wrong(f"{otherwise} yet")
    if seconds > limit:
        raise Wrong(f"{otherwise} for {seconds:.0f} s")
    return f"{seconds:.0f} s ago"


def beat_lives() -> None:
    """Write beat's heartbeat."""
    Heartbeat.objects.update_or_create(name=BEAT, defaults={"at": Now()})


SERVING = {"postgresql": check_postgresql, "redis": check_redis, "migrations": check_migrations}
BACKGROUND = {"worker": check_worker, "beat": check_beat, "outbox": check_outbox}


# -- Metrics ----------------------------------------------------------------------------------------------------------


@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures for Prometheus, for whoever has METRICS_TOKEN; without one set, for this machine and its private network."""
    if not may_read_metrics(request):
        return HttpResponse("Send METRICS_TOKEN as a bearer token.\n", status=403, content_type="text/plain")
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def may_read_metrics(request: HttpRequest) -> bool:
    """Whether the peer may read the figures. A request that came through a proxy we were not told of is a stranger's."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
    if not settings.TRUSTED_PROXIES and "X-Forwarded-For" in request.headers:
        return False
    try:
        peer = ip_address(request.META["REMOTE_ADDR"])
    except ValueError:
        return False
    return peer.is_loopback or peer.is_private
