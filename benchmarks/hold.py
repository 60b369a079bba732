"""
Holds a second over HTTP, beside the raw ceiling of PostgreSQL in the same minute.

    python -m benchmarks.hold [--seconds 8] [--connections 32] [--sold 20000]

It makes a site of its own (embedded PostgreSQL with fsync, Redis, the web server with two workers), measures, and erases it.
The ceiling is the booking table's own INSERT with its triggers through pgbench, as many clients as the HTTP run has
connections: what no web framework could exceed on this machine.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator
from multiprocessing import Pool

from benchmarks import load, site

INSERT = """
\\set n random(1, 1000000000)
INSERT INTO bookings_booking (id, reference, user_id, event_id, category_id, quantity, amount_minor, currency, status, source,
    expires_at, extensions, created_at)
SELECT gen_random_uuid(), upper(substr(md5(random()::text), 1, 12)), person.id, '{event}', '{category}', 2, 9800, 'EUR',
    'pending', 'public', now() + interval '10 minutes', 0, now()
FROM ceiling_people person WHERE person.n = (SELECT nextval('ceiling_next'));
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--sold", type=int, default=20_000, help="sales made between the first and the last measurement"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=24, help="blocking threads of each web worker")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with site.site(workers=options.workers, threads=options.threads):
        figures = measure(options)
    print(json.dumps(figures) if options.json else report(figures))


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Run every measurement and return the rates by name."""
    event, category = site.sale(10_000_000)
    enough = int(options.seconds * 3000)
    holds(options, category, site.crowd(400), seconds=2)
    first = holds(options, category, site.crowd(enough))
    ceiling = raw_ceiling(options, event, category, enough * 2)
    sell(category, options.sold)
    after = holds(options, category, site.crowd(enough))
    people = site.crowd(enough)
    with Pool(1) as pool:
        reads = pool.apply_async(read_events, (event, options.seconds))
        during = holds(options, category, people)
        read = reads.get()
    return {
        "holds_per_second": first.per_second(201),
        "refused_per_second": first.per_second() - first.per_second(201),
        "p50_ms": first.percentile(0.5),
        "p99_ms": first.percentile(0.99),
        "ceiling_per_second": ceiling,
        "ratio": first.per_second(201) / ceiling,
        "holds_after_sales_per_second": after.per_second(201),
        "holds_beside_reads_per_second": during.per_second(201),
        "reads_beside_holds_per_second": read.per_second(200, 304),
    }


def holds(options: argparse.Namespace, category: str, people: list[site.Person], seconds: float = 0) -> load.Load:
    """Let each of `people` hold two seats, for so many seconds."""
    body = json.dumps({"categoryId": category, "quantity": 2}).encode()
    requests = iter([load.post("/api/v1/bookings", person.token, body) for person in people])
    return load.drive(site.PORT, requests, connections=options.connections, seconds=seconds or options.seconds)


def read_events(event: str, seconds: float) -> load.Load:
    """Read the event as fast as eight connections can."""

    def requests() -> Iterator[bytes]:
        request = load.get(f"/api/v1/events/{event}")
        while True:
            yield request

    return load.drive(site.PORT, requests(), connections=8, seconds=seconds)


def raw_ceiling(options: argparse.Namespace, event: str, category: str, people: int) -> float:
    """Return how many holds a second PostgreSQL itself takes: the INSERT with its triggers, nothing else."""
    from django.conf import settings
    from django.db import connection

    from config.embedded.binaries import postgres_binaries
    from config.embedded.places import places

    site.crowd(people)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE ceiling_people AS SELECT row_number() OVER () AS n, id FROM accounts_user person WHERE NOT EXISTS"
            " (SELECT 1 FROM bookings_booking booking WHERE booking.user_id = person.id)"
        )
        cursor.execute("CREATE UNIQUE INDEX ON ceiling_people (n)")
        cursor.execute("CREATE SEQUENCE ceiling_next")
        cursor.execute("VACUUM ANALYZE ceiling_people")
    pgbench = postgres_binaries(places(settings.DATA_DIR)) / "pgbench"
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(INSERT.format(event=event, category=category))
        script.flush()
        command = [str(pgbench), "--no-vacuum", "--protocol", "prepared", "--file", script.name]
        command += ["--client", str(options.connections), "--jobs", "2", "--time", str(int(2 * options.seconds))]
        output = subprocess.run([*command, settings.DATABASE_URL], check=True, capture_output=True, text=True).stdout
    return next(float(line.split()[2]) for line in output.splitlines() if line.startswith("tps"))


SELL = """
DO $$
DECLARE booking record;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', false);
    FOR booking IN SELECT id, quantity FROM bookings_booking
        WHERE category_id = '{category}' AND status = 'pending' LIMIT {count}
    LOOP
        UPDATE bookings_booking SET status = 'confirmed', confirmed_at = now(), expires_at = NULL WHERE id = booking.id;
        INSERT INTO bookings_ticket (id, booking_id, code, number, holder_name, status, issued_at)
            SELECT gen_random_uuid(), booking.id, upper(substr(md5(random()::text), 1, 26)), number, '', 'active', now()
            FROM generate_series(1, booking.quantity) number;
        COMMIT;
    END LOOP;
END $$
"""


def sell(category: str, count: int) -> None:
    """Turn `count` holds into sales with their tickets, each in a transaction of its own, as buyers would."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(SELL.format(category=category, count=count))
        cursor.execute("SELECT count(*) FROM bookings_booking WHERE status = 'confirmed'")
        assert cursor.fetchone()[0] == count, "fewer holds than sales asked for: measure longer"


def report(figures: dict[str, float]) -> str:
    """Return the figures as a table for a person."""
    return "\n".join(
        [
            f"holds over HTTP            {figures['holds_per_second']:8.0f} /s"
            f"   p50 {figures['p50_ms']:.0f} ms, p99 {figures['p99_ms']:.0f} ms",
            f"raw INSERT with triggers   {figures['ceiling_per_second']:8.0f} /s   ratio {figures['ratio']:.2f}",
            f"after the sales            {figures['holds_after_sales_per_second']:8.0f} /s",
            f"beside reads of the event  {figures['holds_beside_reads_per_second']:8.0f} /s"
            f"   and {figures['reads_beside_holds_per_second']:.0f} reads/s",
        ]
    )


if __name__ == "__main__":
    main()
