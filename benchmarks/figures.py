"""
What figures cost as sales grow: `python -m benchmarks.figures`.

Fills one event from 100 to 100 000 bookings, each with its payment, its message and its place in line (written straight into
the tables, triggers off), and asks over HTTP for the dashboard and the event's figures, as answers of the API and as pages.
Each line shows the statements of a whole request, the median and its ratio to that of the first, in the same run, and what
counting all of it again, or only what is new, takes. `--sizes 100 1000` for a short run.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from benchmarks import site

SIZES = (100, 1_000, 10_000, 100_000)
TRIES = 25

FILL = """
    SET session_replication_role = replica;
    INSERT INTO accounts_user (id, password, is_superuser, email, name, phone, is_active, is_staff, is_organiser,
        session_version, created_at)
    SELECT gen_random_uuid(), '!', false, 'filled' || n || '@example.test', 'Filled', '', true, false, false, 1, now()
    FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO bookings_booking (id, reference, user_id, event_id, category_id, quantity, amount_minor, currency, status,
        source, expires_at, extensions, created_at, confirmed_at, end_reason)
    SELECT gen_random_uuid(), 'F' || n, person.id, %(event)s, %(category)s, 1, 4900, 'EUR', 'confirmed', 'public',
        now(), 0, now() - n %% 30 * interval '1 day', now() - n %% 30 * interval '1 day', ''
    FROM generate_series(%(first)s, %(last)s) n JOIN accounts_user person ON person.email = 'filled' || n || '@example.test';
    INSERT INTO payments_payment (id, booking_id, attempt, door, tries, amount_minor, currency, status, received_minor,
        refunded_minor, use, last_error, created_at, settled_at, next_check_at)
    SELECT gen_random_uuid(), booking.id, 1, 'intent', 0, 4900, 'EUR', 'succeeded', 4900, 0, 'booking', '', booking.created_at,
        booking.created_at, booking.created_at
    FROM generate_series(%(first)s, %(last)s) n JOIN bookings_booking booking ON booking.reference = 'F' || n;
    INSERT INTO common_outboxmessage (topic, payload, dedupe_key, created_at, due_at, attempts, done_at, last_error)
    SELECT 'tickets_mail', '{}', 'filled' || n, now(), now(), 1, now(), '' FROM generate_series(%(first)s, %(last)s) n;
    INSERT INTO waitingroom_place (event_id, user_id, entry, state, outcome, misses, joined_at, admitted_at, version)
    SELECT %(event)s, person.id, 'filled' || n, CASE WHEN n %% 2 = 0 THEN 'waiting' ELSE 'done' END, '', 0,
        now() - n %% 30 * interval '1 day', now() - n %% 30 * interval '1 day', 1
    FROM generate_series(%(first)s, %(last)s) n JOIN accounts_user person ON person.email = 'filled' || n || '@example.test';
    SET session_replication_role = DEFAULT;
"""


def ask(path: str, token: str) -> float:
    """Return how many milliseconds one answer took."""
    started = time.perf_counter()
    fetch(path, {"Authorization": f"Bearer {token}"} if path.startswith("/api/") else {"Cookie": token})
    return (time.perf_counter() - started) * 1000


def fetch(path: str, headers: dict[str, str]) -> None:
    """Read one answer; anything but 200 ends the run."""
    request = urllib.request.Request(f"http://localhost:{site.PORT}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            answer.read()
    except HTTPError as error:
        raise SystemExit(f"{path}: {error.code} {error.read()[:300]!r}") from error


def statements(path: str, person: Any, token: str) -> int:
    """Return how many statements a whole request takes, asked in this process."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    settings.ALLOWED_HOSTS = ["*"]
    client = Client(headers={"Authorization": f"Bearer {token}"} if path.startswith("/api/") else {})
    if not path.startswith("/api/"):
        client.force_login(person)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(path)
    if answer.status_code != 200:
        raise SystemExit(f"{path}: {answer.status_code}")
    return len(asked)


def cookie_of(person: Any) -> str:
    """Return the cookie of a page session of this person."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(person)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@contextmanager
def static_files() -> Iterator[None]:
    """Gather what pages load, as an image has it; pages name their files by it."""
    with tempfile.TemporaryDirectory(prefix="fairseat-static-") as directory:
        os.environ["STATIC_ROOT"] = directory
        given = os.environ | site.environment(Path(directory))
        command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
        subprocess.run(command, cwd=site.ROOT, env=given, check=True)
        yield


def main() -> None:
    """Fill, count, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    sizes = parser.parse_args().sizes
    with static_files(), site.site(workers=1):
        from django.contrib.auth.models import Group
        from django.db import connection
        from django.utils import timezone

        from accounts.authentication import issue_access_token
        from accounts.models import User
        from analytics import services

        event, category = site.sale(2 * max(sizes))
        person = User.objects.create_user(email="staff@benchmark.test", password=None, is_staff=True)
        person.groups.add(Group.objects.get(name="manager"))
        cookie = cookie_of(person)
        paths = {
            "dashboard": "/api/v1/admin/dashboard",
            "stats": f"/api/v1/events/{event}/stats",
            "first page": "/admin/",
            "event's page": f"/organiser/events/{event}",
        }
        first: dict[str, float] = {}
        done = 0
        print(f"{'bookings':>9}" + "".join(f"  {name:>26}" for name in paths) + "  counting all, what is new")
        for size in sizes:
            with connection.cursor() as cursor:
                cursor.execute(FILL, {"first": done + 1, "last": size, "event": event, "category": category})
                cursor.execute("ANALYZE")
            done = size
            counting = [timed(services.rebuild), timed(services.refresh)]
            found, cost = {}, {}
            for name, path in paths.items():
                token = issue_access_token(user=person, now=timezone.now())
                cost[name] = statements(path, person, token)
                found[name] = statistics.median(
                    ask(path, token if path.startswith("/api/") else cookie) for _ in range(TRIES)
                )
            first = first or found
            print(
                f"{size:>9,}"
                + "".join(
                    f"  {cost[name]:>2} statements {found[name]:>6.1f} ms {found[name] / first[name]:.2f}"
                    for name in paths
                )
                + f"  {counting[0]:.2f} s, {counting[1]:.2f} s"
            )


def timed(act: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
