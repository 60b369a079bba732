"""A site of the benchmark's own: embedded servers in a fresh directory, the real web server, people with tokens."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PORT = 19_400


@dataclass
class Person:
    """Somebody who buys: their id and their access token."""

    id: uuid.UUID
    token: str


@contextmanager
def site(*, workers: int = 2, threads: int = 24) -> Iterator[Path]:
    """Start PostgreSQL (durable, as for real), Redis and the web server; yield the data directory; stop and erase all."""
    directory = Path(tempfile.mkdtemp(prefix="fairseat-benchmark-"))
    directory.chmod(0o755)
    os.environ |= environment(directory)
    from config.embedded import lifecycle
    from config.embedded.places import addresses

    lifecycle.start(directory)
    try:
        where = addresses(directory)
        os.environ |= {"DATABASE_URL": where.database_url, "REDIS_URL": where.redis_url}
        manage("migrate", "--verbosity", "0")
        import django

        django.setup()
        web = serve(workers, threads)
        try:
            yield directory
        finally:
            web.terminate()
            web.wait(20)
    finally:
        lifecycle.stop(directory)
        lifecycle.erase(directory)
        shutil.rmtree(directory, ignore_errors=True)


def environment(directory: Path) -> dict[str, str]:
    """Return settings as in production, without TLS in front and with limits that one address can not reach."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "0",
        "SECRET_KEY": uuid.uuid4().hex * 2,
        "FACE_TEMPLATE_KEYS": urlsafe_b64encode(os.urandom(32)).decode(),
        "ALLOWED_HOSTS": "localhost",
        "SITE_URL": f"http://localhost:{PORT}",
        "SECURE_TRANSPORT": "0",
        "DATA_DIR": str(directory),
        "DATABASE_URL": "postgresql://unset",
        "REDIS_URL": "redis://unset",
        "PAYMENTS_SANDBOX": "1",
        "EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend",
        "DEFAULT_FROM_EMAIL": "tickets@fairseat.test",
        "THROTTLE_BOOKING_ADDRESS": "1000000000",
        "THROTTLE_READ_ADDRESS": "1000000000",
        "LOG_REQUESTS": "0",
        "LOG_LEVEL": "ERROR",
        "PORT": str(PORT),
    }


def manage(*arguments: str) -> None:
    """Run a management command."""
    subprocess.run([sys.executable, str(ROOT / "manage.py"), *arguments], check=True, cwd=ROOT)


def serve(workers: int, threads: int) -> subprocess.Popen:
    """Start the web server and wait until it listens."""
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "config.wsgi:application"]
    command += ["--host", "127.0.0.1", "--port", str(PORT), "--workers", str(workers), "--http", "1", "--no-ws"]
    command += ["--blocking-threads", str(threads), "--backlog", "2048", "--log-level", "error"]
    Path(os.environ["DATA_DIR"], "static").mkdir(exist_ok=True)
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"ROLE": "web"})
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return process
    raise RuntimeError("The web server did not start.")


def crowd(count: int) -> list[Person]:
    """Make `count` people with access tokens."""
    from django.conf import settings
    from django.utils import timezone

    from accounts.authentication import issue_access_token
    from accounts.models import User

    settings.ACCESS_TOKEN_SECONDS = 86_400
    people = [User(email=f"{uuid.uuid4().hex}@benchmark.test", password="!") for _ in range(count)]
    User.objects.bulk_create(people, batch_size=5000)
    now = timezone.now()
    return [Person(person.pk, issue_access_token(user=person, now=now)) for person in people]


def sale(capacity: int) -> tuple[str, str]:
    """Make an event on sale with one category, and return the ids of both."""
    from django.utils import timezone

    from events.models import Event, SeatInventory, TicketCategory

    soon = timezone.now() + timedelta(days=30)
    event = Event.objects.create(
        name="Benchmark", location="Hall", starts_at=soon, ends_at=soon + timedelta(hours=3), status="published"
    )
    category = TicketCategory.objects.create(event=event, name="General", price_minor=4900)
    SeatInventory.objects.create(category=category, capacity=capacity)
    return str(event.pk), str(category.pk)
