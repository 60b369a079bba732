"""
Every part this product leans on, looked at once, each with what to do when it is not well.

`manage.py doctor` prints the findings and `GET /admin/health` answers with them. Looking changes nothing that anybody could
notice: the file it stores is deleted at once, the face it looks at is drawn, the call to the card provider only reads.
"""

import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import uuid4

import requests
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.mail import get_connection
from django.db import connection
from django.db.models import Max
from django.db.models.functions import Now

from common import ratelimit
from common.errors import FairseatError
from common.jobs import JOBS
from common.models import Heartbeat, OutboxMessage
from config import health, schedule
from faceverify import drawings
from faceverify.engines import engine
from faceverify.intake import normalise
from faceverify.refusals import EngineTrouble
from payments.gateway import UnknownToProvider, gateway
from payments.models import StripeEvent

WELL, DOUBTFUL, WRONG = "well", "doubtful", "wrong"
OLDEST_POSTGRESQL = 150_000
CLOCK_SECONDS = 2.0
DISK_FREE = 0.05
CONNECTIONS = 0.8


class Doubtful(Exception):
    """Works, but not as it should; the message is for an operator and names no secret."""


@dataclass(frozen=True)
class Finding:
    """What one look found: `state` is well, doubtful or wrong; `advice` says what to do and is empty when all is well."""

    name: str
    state: str
    detail: str
    advice: str
    ms: float


@dataclass(frozen=True)
class Look:
    """One part to look at; `heavy` ones load what only a worker needs, and are left to the command."""

    name: str
    advice: str
    act: Callable[[], str]
    heavy: bool = False


LOOKS: list[Look] = []


def look(name: str, advice: str, *, heavy: bool = False) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Register the decorated function as the look at `name`; it returns a detail, or raises Wrong or Doubtful."""

    def register(function: Callable[[], str]) -> Callable[[], str]:
        LOOKS.append(Look(name, advice, function, heavy))
        return function

    return register


def examine(*, only: Collection[str] = (), heavy: bool = True) -> list[Finding]:
    """Take every look (or only those named), one after the other; what a look dies of is a finding too."""
    return [finding(each) for each in LOOKS if (not only or each.name in only) and (heavy or not each.heavy)]


def finding(each: Look) -> Finding:
    """Take one look and say how it went."""
    started = time.perf_counter()
    state = WELL
    try:
        detail = each.act()
    except Doubtful as doubt:
        state, detail = DOUBTFUL, str(doubt)
    except health.Wrong as problem:
        state, detail = WRONG, str(problem)
    except Exception as error:  # a part that fails in a new way must be reported, not end the report
        state, detail = WRONG, f"{type(error).__name__}"
    took = round((time.perf_counter() - started) * 1000, 1)
    return Finding(each.name, state, detail, "" if state == WELL else each.advice, took)


def as_json(findings: list[Finding]) -> dict[str, object]:
    """Return the findings as `{"ok": …, "findings": [{name, state, detail, advice, ms}]}`; doubtful is still ok."""
    return {
        "ok": all(found.state != WRONG for found in findings),
        "findings": [asdict(found) for found in findings],
    }


# -- Looks ------------------------------------------------------------------------------------------------------------


@look(
    "database", "Start PostgreSQL 15 or newer, see where DATABASE_URL leads, and raise max_connections if it is full."
)
def database() -> str:
    """PostgreSQL takes writes, is new enough and has connections left."""
    health.check_postgresql()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'),"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
            " current_setting('max_connections')::int, current_setting('fsync')"
        )
        number, version, used, most, fsync = cursor.fetchone()
    if number < OLDEST_POSTGRESQL:
        raise health.Wrong(f"PostgreSQL {version} is older than 15")
    if used > most * CONNECTIONS:
        raise Doubtful(f"{used} of {most} connections are in use")
    if fsync != "on" and not settings.DEBUG:
        raise health.Wrong("fsync is off: a crash would lose sales")
    return f"PostgreSQL {version}, {used} of {most} connections in use"


@look("migrations", "Run `manage.py migrate_safely`.")
def migrations() -> str:
    """Every migration is applied."""
    return health.check_migrations()


@look("redis", "Start Redis, see where REDIS_URL leads, and set `maxmemory-policy noeviction` and `appendonly yes`.")
def redis() -> str:
    """Redis answers, throws nothing away and keeps what it is told."""
    client = ratelimit.connection()
    found = client.info()
    kept = "noeviction" if not found.get("maxmemory") else found.get("maxmemory_policy", "noeviction")
    detail = f"Redis {found['redis_version']}, {found['used_memory_human']} in use"
    if kept != "noeviction":
        raise health.Wrong(f"{detail}; maxmemory-policy is {kept}: people in line could vanish")
    if not found.get("aof_enabled"):
        raise Doubtful(
            f"{detail}; appendonly is off: a restart forgets the lines, which are then rebuilt from PostgreSQL"
        )
    return detail


@look("worker", "Start a worker: `manage.py run_part worker`, and see its log.")
def worker() -> str:
    """A worker has finished a periodic job lately."""
    return health.check_worker()


@look("beat", "Start beat: `manage.py run_part beat`, and see its log.")
def beat() -> str:
    """Beat turns its loop."""
    return health.check_beat()


@look("jobs", "See the worker's log for the job, and run it by hand: `manage.py run_due --only NAME`.")
def jobs() -> str:
    """Every periodic job has run within three of its periods, but for those that staff paused."""
    ages = {
        row.name: (row.now - row.at).total_seconds()
        for row in Heartbeat.objects.filter(name__in=JOBS).annotate(now=Now())
    }
    periods = schedule.current_seconds()
    silent = [
        name
        for name, seconds in sorted(periods.items())
        if seconds is not None and ages.get(name, 0) > 3 * seconds + health.STALE_SECONDS
    ]
    if silent:
        raise health.Wrong(f"silent: {', '.join(silent)}")
    if not ages:
        raise Doubtful("none has ever run, as on a new site")
    if never := [name for name, seconds in sorted(periods.items()) if seconds is not None and name not in ages]:
        raise Doubtful(f"never run yet, as on a new site: {', '.join(never)}")
    paused = [name for name, seconds in sorted(periods.items()) if seconds is None]
    return f"{len(JOBS) - len(paused)} jobs run" + (f", paused by staff: {', '.join(paused)}" if paused else "")


@look(
    "outbox", "See the worker's log; messages that were given up can be sent again in the admin under Outbox messages."
)
def outbox() -> str:
    """What must leave leaves, and nothing was given up."""
    detail = health.check_outbox()
    if given_up := OutboxMessage.objects.filter(failed_at__isnull=False).count():
        raise Doubtful(f"{given_up} messages were given up, {detail}")
    return detail


@look("storage", "See that the bucket (or DATA_DIR) exists and may be written to, read and deleted from.")
def storage() -> str:
    """The place where faces lie takes a file, gives it back and forgets it."""
    place = storages["faces"]
    content = uuid4().bytes
    name = place.save(f"doctor/{uuid4().hex}", ContentFile(content))
    try:
        with place.open(name) as stored:
            same = stored.read() == content
    finally:
        place.delete(name)
    if not same:
        raise health.Wrong("gave back something else than it was given")
    if place.exists(name):
        raise health.Wrong("does not delete")
    return type(place).__name__


@look("disk", "Free some space, or move DATA_DIR to a larger disk.")
def disk() -> str:
    """The disk below DATA_DIR has room."""
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    found = shutil.disk_usage(settings.DATA_DIR)
    detail = f"{found.free / 2**30:.1f} GiB free"
    if found.free < found.total * DISK_FREE:
        raise Doubtful(f"only {detail}")
    return detail


@look("stripe", "Check STRIPE_SECRET_KEY and the way out to STRIPE_API_BASE.")
def stripe() -> str:
    """The card provider answers us and accepts our key: it says that it does not know a payment nobody made."""
    where = "the sandbox (test mode)" if settings.PAYMENTS_SANDBOX else settings.STRIPE_API_BASE
    try:
        gateway().get_intent("pi_doctor_asks_for_nothing")
    except UnknownToProvider:
        pass
    except FairseatError as error:
        raise health.Wrong(f"{where}: {error.code}") from error
    return f"{where} answers"


@look("webhook", "Add /api/v1/payments/webhook/stripe as an endpoint at Stripe, its secret to STRIPE_WEBHOOK_SECRETS.")
def webhook() -> str:
    """Signing secrets are set, and the provider has told us something."""
    if not settings.STRIPE_WEBHOOK_SECRETS:
        raise health.Wrong("no signing secret is set")
    newest = StripeEvent.objects.aggregate(newest=Max("received_at"))["newest"]
    if newest is None:
        raise Doubtful("no event has come yet")
    return f"last event {newest:%Y-%m-%d %H:%M} UTC"


@look("faces", "Run `manage.py face_doctor` for the whole story.", heavy=True)
def faces() -> str:
    """The face engine finds the face in a drawn picture."""
    in_use = engine()
    started = time.perf_counter()
    try:
        in_use.analyse(normalise(drawings.photo(drawings.DIFFERENT[0][0]), max_side=in_use.max_side))
    except EngineTrouble as error:
        raise health.Wrong(f"{in_use.name}: {error.code}") from error
    return f"{in_use.name} ({in_use.model_version}), {(time.perf_counter() - started) * 1000:.0f} ms"


@look("mail", "Check EMAIL_URL and the way out to the mail server.")
def mail() -> str:
    """The mail server takes a connection (and our password)."""
    backend = get_connection()
    try:
        backend.open()
    finally:
        with suppress(OSError):
            backend.close()
    return settings.EMAIL_BACKEND.rpartition(".")[2]


@look("clock", "Let the machines keep time (NTP).")
def clock() -> str:
    """This machine's clock agrees with the database's, by which every deadline is measured."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        off = abs((datetime.now(UTC) - cursor.fetchone()[0]).total_seconds())
    if off > CLOCK_SECONDS:
        raise health.Wrong(f"{off:.1f} s apart from the database's")
    apart = provider_clock()
    if apart is not None and apart > 60:
        raise health.Wrong(f"{apart:.0f} s apart from the card provider's: signatures would be refused")
    return f"{off * 1000:.0f} ms apart from the database's"


def provider_clock() -> float | None:
    """Return how many seconds our clock is apart from the card provider's; None when it does not say."""
    with suppress(requests.RequestException):
        answer = requests.head(settings.STRIPE_API_BASE, timeout=(2, 3))
        if said := answer.headers.get("Date"):
            return abs((datetime.now(UTC) - parsedate_to_datetime(said)).total_seconds())
    return None


@look("address", "Set SITE_URL to the address people use; it stands in every mail.")
def address() -> str:
    """SITE_URL is an address other people can open."""
    if not settings.DEBUG and not settings.SITE_URL.startswith("https://"):
        raise health.Wrong(f"{settings.SITE_URL} is not https")
    return settings.SITE_URL
