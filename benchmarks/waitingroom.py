"""
The waiting room: joins and polls a second over HTTP and in Redis alone, memory and latency with a million people in line.

    python -m benchmarks.waitingroom [--seconds 6] [--connections 32] [--people 1000000]

It makes a site of its own (embedded servers, two web processes, the beat of the line), measures, and erases it. Every
figure stands beside a raw baseline of the same minute: `/healthz` for HTTP, PING for Redis. The load comes from `wrk` where the
machine has it, else from `benchmarks.load`, which costs more; either shares the machine with the server.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any
from uuid import UUID

from benchmarks import load, site

WANTED = {
    "status_per_second": 4000,
    "join_per_second": 1000,
    "serving_per_second": 10_000,
    "bytes_per_person": 110,
    "lua_p99_ms": 2,
}
ASKING = 2000  # how many people's tokens the polls come from
BATCH = 100  # commands in one round trip, where Redis alone is measured
# wrk reads whole requests from a file, one a line of hex-escaped text, and sends them in turn.
WRK = """
requests = {{}}
for line in io.lines("{file}") do requests[#requests + 1] = line:gsub("\\\\r\\\\n", "\\r\\n") .. "" end
local at = math.random(#requests)
request = function() at = at % #requests + 1; return requests[at] end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %f %f\\n", summary.requests, summary.duration, summary.errors.status,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--people", type=int, default=1_000_000, help="in line while Redis alone is measured")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=24, help="blocking threads of each web worker")
    parser.add_argument("--only", choices=["http", "redis"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--beat", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.beat:
        beat(UUID(options.beat))
        return
    with site.site(workers=options.workers, threads=options.threads):
        figures = (over_http(options) if options.only != "redis" else {}) | (
            in_redis(options) if options.only != "http" else {}
        )
    print(json.dumps(figures) if options.json else report(figures))


# -- Over HTTP --------------------------------------------------------------------------------------------------------


def over_http(options: argparse.Namespace) -> dict[str, float]:
    """Measure joins, polls and the shared answer, each right after /healthz."""
    from bookings.waitingroom import services
    from events.models import Event

    event, _ = site.sale(1_000_000)
    Event.objects.filter(pk=event).update(queue_enabled=True, max_active_users=50)
    services.tick_all()
    people = site.crowd(max(ASKING, int(options.seconds * 6000)))
    join = json.dumps({"eventId": event}).encode()
    joins = [load.post("/api/v1/queue/join", person.token, join) for person in people]
    polls = [
        load.get(f"/api/v1/queue/status?eventId={event}", Authorization=f"Bearer {person.token}") for person in people
    ][:ASKING]
    figures: dict[str, float] = {}
    with beating(event):
        first = load.drive(site.PORT, iter(joins[:ASKING]), connections=options.connections)
        assert set(first.statuses) == {200}, first.statuses
        alive = rate([load.get("/healthz")], options)
        joined = load.drive(site.PORT, iter(joins[ASKING:]), connections=options.connections, seconds=options.seconds)
        asked = rate(polls, options)
        serving = rate([load.get(f"/api/v1/queue/serving/{event}")], options)
        again = rate([load.get("/healthz")], options)
    figures["healthz_per_second"] = (alive["per_second"] + again["per_second"]) / 2
    figures["join_per_second"] = joined.per_second(200)
    figures["join_p50_ms"], figures["join_p99_ms"] = joined.percentile(0.5), joined.percentile(0.99)
    for name, found in (("status", asked), ("serving", serving)):
        figures[f"{name}_per_second"] = found["per_second"]
        figures[f"{name}_p50_ms"], figures[f"{name}_p99_ms"] = found["p50_ms"], found["p99_ms"]
        figures[f"{name}_ratio"] = found["per_second"] / figures["healthz_per_second"]
    figures["join_ratio"] = figures["join_per_second"] / figures["healthz_per_second"]
    return figures


def rate(requests: list[bytes], options: argparse.Namespace) -> dict[str, float]:
    """Send these requests in turn for some seconds and return how fast the answers came; every answer must be a success."""
    if shutil.which("wrk"):
        return with_wrk(requests, options)
    found = load.drive(site.PORT, cycle(requests), connections=options.connections, seconds=options.seconds)
    assert set(found.statuses) == {200}, found.statuses
    return {"per_second": found.per_second(200), "p50_ms": found.percentile(0.5), "p99_ms": found.percentile(0.99)}


def with_wrk(requests: list[bytes], options: argparse.Namespace) -> dict[str, float]:
    """Let wrk send them."""
    with (
        tempfile.NamedTemporaryFile("w", suffix=".txt") as file,
        tempfile.NamedTemporaryFile("w", suffix=".lua") as script,
    ):
        file.write("\n".join(request.decode().replace("\r\n", "\\r\\n") for request in requests) + "\n")
        script.write(WRK.format(file=file.name))
        file.flush()
        script.flush()
        command = ["wrk", "-t1", f"-c{options.connections}", f"-d{int(options.seconds)}s", "-s", script.name]
        said = subprocess.run(
            [*command, f"http://127.0.0.1:{site.PORT}"], check=True, capture_output=True, text=True
        ).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)", said)
    assert found, said
    count, microseconds, refused, p50, p99 = map(float, found.groups())
    assert not refused, f"{refused:.0f} of {count:.0f} answers were no success"
    return {"per_second": count / microseconds * 1e6, "p50_ms": p50, "p99_ms": p99}


@contextmanager
def beating(event: str) -> Iterator[None]:
    """Run the line's beat in a process of its own, as a worker does."""
    command = [sys.executable, "-m", "benchmarks.waitingroom", "--beat", event]
    process = subprocess.Popen(command, cwd=site.ROOT)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def beat(event_id: UUID) -> None:
    """Tick once a second until stopped."""
    import django

    django.setup()
    from bookings.waitingroom import services

    while True:
        services.tick(event_id)
        time.sleep(1)


# -- In Redis alone ---------------------------------------------------------------------------------------------------


def in_redis(options: argparse.Namespace) -> dict[str, float]:
    """Fill a line directly and measure its memory, then each script with everybody in it."""
    from bookings.waitingroom import services, store
    from events.models import Event

    event, _ = site.sale(10_000_000)
    Event.objects.filter(pk=event).update(queue_enabled=True, max_active_users=50)
    event_id = UUID(event)
    services.tick_all()
    client = store.client()
    members = [uuid.uuid4().bytes for _ in range(options.people)]
    before = client.info("memory")["used_memory"]
    store.fill(event_id, "q", ((member, store.LATE + n) for n, member in enumerate(members, start=1)))
    client.hset(store.key(event_id, "cfg"), "seq", options.people)
    for chunk in (members[at : at + BATCH] for at in range(0, min(len(members), 20_000), BATCH)):
        pipelined("status", event_id, chunk)  # presence bitmaps as large as they get
    used = client.info("memory")["used_memory"] - before
    newcomers = iter([uuid.uuid4().bytes for _ in range(int(options.seconds * 200_000))])
    known = cycle(members[100_000:] or members)
    figures: dict[str, float] = {
        "people": options.people,
        "bytes_per_person": used / options.people,
        "redis_ping_per_second": bulk(lambda: ping(client), options.seconds / 3),
        "redis_status_per_second": bulk(
            lambda: pipelined("status", event_id, list(islice(known, BATCH))), options.seconds / 3
        ),
        "redis_join_per_second": bulk(
            lambda: pipelined("join", event_id, list(islice(newcomers, BATCH)), b""), options.seconds / 3
        ),
    }
    acts: dict[str, Callable[[], Any]] = {
        "ping": client.ping,
        "status": lambda: store.call("status", event_id, next(known)),
        "join": lambda: store.call("join", event_id, next(newcomers), b""),
        "admit": lambda: fifty_slots_free(event_id),
    }
    for name, act in acts.items():
        figures[f"{name}_p50_ms"], figures[f"{name}_p99_ms"] = latency(act, options.seconds / 3)
    return {(f"lua_{name}" if name.split("_")[0] in acts else name): value for name, value in figures.items()}


def ping(client: Any) -> None:
    """Send BATCH pings in one round trip."""
    pipe = client.pipeline(transaction=False)
    for _ in range(BATCH):
        pipe.ping()
    pipe.execute()


def pipelined(name: str, event_id: UUID, members: list[bytes], *arguments: Any) -> None:
    """Run a script for each of these people in one round trip."""
    from bookings.waitingroom import store

    wanted, line = store.script(name), store.keys(event_id)
    store.client().script_load(wanted.text)
    pipe = store.client().pipeline(transaction=False)
    for member in members:
        pipe.evalsha(wanted.sha, len(line), *line, member, *arguments)
    pipe.execute()


def fifty_slots_free(event_id: UUID) -> None:
    """Empty the front of the line and let the next fifty be called: the dearest tick there is."""
    from bookings.waitingroom import store

    store.client().unlink(store.key(event_id, "call"), store.key(event_id, "act"), store.key(event_id, "key"))
    began = time.perf_counter()
    called = store.promote(event_id).called
    assert called == 50, called
    FIFTY.append(time.perf_counter() - began)


FIFTY: list[float] = []


def bulk(act: Callable[[], None], seconds: float) -> float:
    """Return how many commands a second go through, BATCH at a time, from one client."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        act()
        count += BATCH
    return count / (time.perf_counter() - began)


def latency(act: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Return median and 99th percentile of one call, there and back, in milliseconds."""
    FIFTY.clear()
    took: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        act()
        took.append(time.perf_counter() - began)
    ordered = sorted(FIFTY or took)
    return ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000


def report(figures: dict[str, float]) -> str:
    """Return the figures as a table for a person, each beside what was wanted."""
    return "\n".join([*http_lines(figures), *redis_lines(figures)])


def http_lines(f: dict[str, float]) -> Iterator[str]:
    if "healthz_per_second" not in f:
        return
    yield f"/healthz                    {f['healthz_per_second']:8.0f} /s   the baseline of HTTP"
    for name in ("join", "status", "serving"):
        yield (
            f"{name:27} {f[f'{name}_per_second']:8.0f} /s   {f[f'{name}_ratio']:.2f} of /healthz"
            f"   p50 {f[f'{name}_p50_ms']:.1f} ms, p99 {f[f'{name}_p99_ms']:.1f} ms"
            f"   wanted {WANTED[f'{name}_per_second']}"
        )


def redis_lines(f: dict[str, float]) -> Iterator[str]:
    if "people" not in f:
        return
    yield f"Redis: PING                 {f['redis_ping_per_second']:8.0f} /s   the baseline of Redis"
    for name in ("status", "join"):
        rate = f[f"redis_{name}_per_second"]
        yield f"Redis: {name:20} {rate:8.0f} /s   {rate / f['redis_ping_per_second']:.2f} of PING"
    for name in ("ping", "status", "join", "admit"):
        yield f"one call: {name:17} p50 {f[f'lua_{name}_p50_ms']:.3f} ms, p99 {f[f'lua_{name}_p99_ms']:.3f} ms"
    slowest = max(f[f"lua_{name}_p99_ms"] for name in ("status", "join", "admit"))
    yield (
        f"with {f['people']:.0f} in line: {f['bytes_per_person']:.0f} bytes a person (wanted {WANTED['bytes_per_person']}),"
        f" slowest p99 {slowest:.2f} ms (wanted {WANTED['lua_p99_ms']})"
    )


if __name__ == "__main__":
    main()
