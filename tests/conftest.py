"""
What every test stands on: a real PostgreSQL and Redis, an API client, people, and a running site for browsers.

The environment is set before Django reads it. With DATABASE_URL and REDIS_URL set, those servers are used; otherwise a
cluster of the tests' own is started under `.data/test` and stopped by the last test run that uses it.
"""

import fcntl
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import IO
from urllib.parse import parse_qs, urlsplit

import hypothesis
import pytest

from config.embedded import lifecycle
from config.embedded.places import addresses

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = ROOT / ".data" / "test"
XDIST_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
INDEX = int(XDIST_WORKER.removeprefix("gw")) + 1 if XDIST_WORKER else 0
servers = ExitStack()
reserved: dict[int, IO[str]] = {}


def set_environment() -> None:
    """Write the tests' settings where Django will look for them."""
    if os.environ.setdefault("TESTS_SERVERS", "given" if os.environ.get("DATABASE_URL") else "own") == "own":
        servers.enter_context(lifecycle.in_use(DATA_DIR, durable=False))
        where = addresses(DATA_DIR)
        os.environ |= {"DATABASE_URL": where.database_url, "REDIS_URL": where.redis_url, "DATA_DIR": str(DATA_DIR)}
        # Every checkout has ports of its own, below those that the kernel gives to clients.
        first_port = 21_000 + zlib.crc32(str(ROOT).encode()) % 25 * 400
    else:
        os.environ.setdefault("DATA_DIR", str(DATA_DIR))
        first_port = int(os.environ.setdefault("TESTS_PORT", os.environ.get("PORT", "22000")))
    if INDEX:
        given = urlsplit(os.environ["REDIS_URL"])
        database = int(parse_qs(given.query).get("db", ["0"])[0] or given.path.strip("/") or 0) + INDEX
        os.environ["REDIS_URL"] = f"{os.environ['REDIS_URL'].partition('?')[0]}?db={database}"
    if XDIST_WORKER:  # the files of one process (faces, the payment sandbox's memory) are none of another's business
        os.environ["DATA_DIR"] = str(Path(os.environ["DATA_DIR"], XDIST_WORKER))
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "1",
        "ROLE": "command",
        "PORT": str(free_port(first_port + 20 * INDEX)),
        "LOG_LEVEL": os.environ.get("TESTS_LOG_LEVEL", "CRITICAL"),
        # The limits are real, and far above what a test needs unless it lowers them.
        "THROTTLE_AUTH": "100000",
        "THROTTLE_AUTH_ADDRESS": "100000",
        "THROTTLE_BOOKING": "100000",
        "THROTTLE_BOOKING_ADDRESS": "100000",
        "THROTTLE_FACE": "100000",
        "THROTTLE_FACE_ADDRESS": "100000",
        "THROTTLE_READ": "100000",
        "THROTTLE_READ_ADDRESS": "1000000",
        "HOLDS_PER_HOUR": "1000",
        "SHARED_READ_MS": "0",  # every read of a test reads; the test of sharing sets it
    }
    for name in ("STRIPE_SECRET_KEY", "STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRETS", "EMAIL_URL", "SENTRY_DSN"):
        os.environ.pop(name, None)
    Path(os.environ["DATA_DIR"], "static").mkdir(parents=True, exist_ok=True)


def free_port(first: int) -> int:
    """Return a port that is free together with the next one (the payment sandbox's), and keep other test runs off it."""
    locks = DATA_DIR / "ports"
    locks.mkdir(parents=True, exist_ok=True)
    for port in range(first, first + 20, 2):
        lock = (locks / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", port + 1)):
                reserved[port] = servers.enter_context(lock)
                return port
        except OSError:
            lock.close()
    raise RuntimeError(f"No two free ports between {first} and {first + 20}.")


set_environment()

# The same examples in every run, however slow the machine; `--hypothesis-profile=default --hypothesis-seed=…` tries others.
hypothesis.settings.register_profile(
    "steady",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("steady")


def pytest_configure() -> None:
    """Load the settings, so that pytest-django finds them and sets Django up."""
    from django.conf import settings

    assert settings.DEBUG


def pytest_sessionstart() -> None:
    """Let the processes of a parallel run read their settings after this file has chosen their ports, not before."""
    os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_unconfigure() -> None:
    """Leave the servers; the last test run to leave stops them."""
    servers.close()


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that would leave the machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and isinstance(address, tuple):
            host = str(address[0])
            assert host in {"localhost", "::1"} or host.startswith("127."), f"a test wanted to connect to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _clean_redis() -> None:
    """Begin every test with an empty Redis, but for the queues of a running site's worker."""
    from common import ratelimit

    client = ratelimit.connection()
    keys = [key for key in client.scan_iter(count=1000) if not key.startswith((b"_kombu", b"unacked", b"celery"))]
    if keys:
        client.delete(*keys)


@pytest.fixture(autouse=True)
def _one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the rate limits' clock still, so that no test straddles the end of a window."""
    from common import ratelimit

    now = time.time()
    monkeypatch.setattr(ratelimit, "time", SimpleNamespace(time=lambda: now))


@pytest.fixture
def api() -> "Api":  # noqa: F821
    """An API client that is nobody; `api.as_user(user)` is one that speaks for `user`."""
    from tests.client import Api

    return Api()


@pytest.fixture
def client_for() -> Callable:
    """`client_for(user)` returns a browser-like Django client with that person's session."""
    from django.test import Client

    def client_for(user: object) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return client_for


@pytest.fixture
def user_factory() -> type:
    """The factory of people: `user_factory(is_staff=True)`."""
    from tests.factories import UserFactory

    return UserFactory


@pytest.fixture
def count_redis_calls() -> Callable:
    """`with count_redis_calls() as calls:` collects the name of every command this process sends to Redis."""
    import redis.connection

    @contextmanager
    def counting() -> Iterator[list[str]]:
        calls: list[str] = []
        original = redis.connection.AbstractConnection.send_command

        def send_command(self: object, *args: object, **kwargs: object) -> object:
            calls.append(args[0].decode() if isinstance(args[0], bytes) else str(args[0]))
            return original(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(redis.connection.AbstractConnection, "send_command", send_command)
            yield calls

    return counting


@dataclass
class LiveSite:
    """A running site: web and worker processes and the payment sandbox, on the tests' database."""

    url: str
    sandbox_url: str
    log: Path


@pytest.fixture(scope="session")
def live_site(django_db_setup: None) -> Iterator[LiveSite]:
    """
    Start the real web server, a worker and the payment sandbox once for this run.

    A test that uses it needs `@pytest.mark.django_db(transaction=True)`: the site sees only what is committed. There is no
    beat; run periodic work with `jobs.run(name)`.
    """
    from django.conf import settings
    from django.db import connection

    from config import supervisor

    home = Path(os.environ["DATA_DIR"], f"live-{XDIST_WORKER or 'alone'}")
    home.mkdir(parents=True, exist_ok=True)
    supervisor.clear_orphans(home)
    for memory in settings.DATA_DIR.glob("sandbox.sqlite3*"):  # what an earlier run left to be announced
        memory.unlink()
    database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    parts = [part for part in supervisor.parts() if part.name != "beat"]
    log = home / "site.log"
    with log.open("wb") as output:
        environment = {"DATABASE_URL": database, "LOG_LEVEL": "WARNING"}
        site = supervisor.Supervisor(home, parts, environment, output)
        try:
            site.start()
            site.wait_until_ready(seconds=300)
            yield LiveSite(settings.SITE_URL, settings.SANDBOX_URL, log)
        finally:
            site.stop(seconds=5)


@pytest.fixture(autouse=True)
def _site_at_rest(request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Let the running site's worker work for the tests that use the site, and for no other.

    After such a test wait until it is idle: emptying the tables under it would deadlock.
    """
    if "live_site" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("transactional_db")
    site = request.getfixturevalue("live_site")
    let_worker_listen(True)
    yield
    from tests.waiting import eventually

    calm = 0

    def at_rest_for_a_while() -> bool:
        nonlocal calm
        forget_payments(site.sandbox_url)
        calm = calm + 1 if site_is_at_rest() else 0
        return calm == 5

    eventually(at_rest_for_a_while, seconds=120, what="the site did not come to rest")
    let_worker_listen(False)


def let_worker_listen(listen: bool) -> None:
    """Have the running worker take tasks from the queue (emptied first of what other tests left there), or none."""
    from config.celery import app
    from tests.waiting import eventually

    if listen:
        app.control.purge()
    change = app.control.add_consumer if listen else app.control.cancel_consumer
    # A worker that is only just starting does not hear the first call.
    eventually(lambda: change("celery", reply=True, timeout=2, limit=1), seconds=180, what="the worker did not answer")


def forget_payments(sandbox_url: str) -> None:
    """Have the running payment sandbox announce no more of what this test did: it would come in the middle of another."""
    import requests
    from django.conf import settings

    headers = {"Authorization": f"Bearer {settings.STRIPE_SECRET_KEY}"}
    requests.post(f"{sandbox_url}/sandbox/forget", headers=headers, timeout=60).raise_for_status()


def site_is_at_rest() -> bool:
    """Whether nothing is due in the outbox, no task is queued or running, and no statement either."""
    from django.db import connection

    from common import ratelimit

    broker = ratelimit.connection()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM common_outboxmessage WHERE done_at IS NULL AND failed_at IS NULL AND due_at <= now())"
            " + (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend' AND state <> 'idle')"
        )
        busy = cursor.fetchone()[0]
    return busy + broker.llen("celery") + broker.hlen("unacked") == 0
