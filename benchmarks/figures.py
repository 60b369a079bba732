"""
What figures cost as sales grow: `python -m benchmarks.figures`.

Fills one event from 100 to 100 000 bookings (written straight into the table, triggers off) and asks the dashboard and the
event's figures over HTTP. Each line shows the median and its ratio to that of the first, in the same run, and what counting
all of it again takes.
"""

import statistics
import time
import urllib.request
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
    SET session_replication_role = DEFAULT;
"""


def ask(path: str, token: str) -> float:
    """Return how many milliseconds one answer took."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{site.PORT}{path}", headers={"Authorization": f"Bearer {token}"}
    )
    started = time.perf_counter()
    try:
        with urllib.request.urlopen(request) as answer:
            answer.read()
    except HTTPError as error:
        raise SystemExit(f"{path}: {error.code} {error.read()[:300]!r}") from error
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Fill, count, ask, print."""
    with site.site(workers=1):
        from django.db import connection
        from django.utils import timezone

        from accounts.authentication import issue_access_token
        from accounts.models import User
        from analytics import services

        event, category = site.sale(200_000)
        person = User.objects.create_user(email="staff@benchmark.test", password=None, is_staff=True, is_superuser=True)
        staff = issue_access_token(user=person, now=timezone.now())
        paths = {"dashboard": "/api/v1/admin/dashboard", "stats": f"/api/v1/events/{event}/stats"}
        first: dict[str, float] = {}
        done = 0
        print(f"{'bookings':>9}  {'dashboard':>10}  ratio  {'stats':>8}  ratio  counting all again")
        for size in SIZES:
            with connection.cursor() as cursor:
                cursor.execute(FILL, {"first": done + 1, "last": size, "event": event, "category": category})
                cursor.execute("ANALYZE bookings_booking")
            done = size
            started = time.perf_counter()
            services.rebuild()
            counting = time.perf_counter() - started
            found = {name: statistics.median(ask(path, staff) for _ in range(TRIES)) for name, path in paths.items()}
            first = first or found
            print(
                f"{size:>9,}  {found['dashboard']:>7.1f} ms  {found['dashboard'] / first['dashboard']:>5.2f}"
                f"  {found['stats']:>5.1f} ms  {found['stats'] / first['stats']:>5.2f}  {counting:.2f} s"
            )


if __name__ == "__main__":
    main()
