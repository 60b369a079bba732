"""A running site with a Redis of its own, and everything that is killed in the middle of a sale."""

import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from accounts.authentication import issue_access_token
from bookings.waitingroom import services, store
from bookings.waitingroom.models import ChainLink, Place
from config import supervisor
from config.embedded import lifecycle, redis_server
from config.embedded.places import addresses, places
from tests.conftest import free_port
from tests.waiting import eventually
from tests.waitingroom.lines import busy, line, members, past, people

pytestmark = pytest.mark.django_db(transaction=True)
HOME = Path(os.environ["DATA_DIR"], f"killed-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}")


@dataclass
class Site:
    """A site of this test: web, worker and beat on the tests' database and a Redis that may be killed."""

    url: str
    manager: supervisor.Supervisor

    def call(self, person, method, path, body=None, token=""):
        """Send one request for `person`; return status and body."""
        headers = {
            "Authorization": f"Bearer {issue_access_token(user=person, now=timezone.now())}",
            "Content-Type": "application/json",
        }
        if token:
            headers["X-Queue-Token"] = token
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def join(self, event, person):
        return self.call(person, "POST", "/queue/join", {"eventId": str(event.pk)})

    def status(self, event, person):
        code, body = self.call(person, "GET", f"/queue/status?eventId={event.pk}")
        return body["data"] if code == 200 else {"status": str(code), "position": None}

    def book(self, category, person, token=""):
        return self.call(person, "POST", "/bookings", {"categoryId": str(category.pk)}, token)

    def kill(self, name):
        """kill -9 one part with all its children."""
        for part in self.manager.parts:
            if part.name == name and part.process is not None:
                os.killpg(part.process.pid, signal.SIGKILL)
                part.process.wait()

    def start_another(self, name):
        """Start one more process of a part."""
        first = next(part for part in self.manager.parts if part.name == name)
        another = replace(first, process=self.manager.spawn(first.command, first.environment))
        self.manager.parts.append(another)


def kill_redis(*, with_its_file=False):
    """kill -9 the Redis of this test."""
    process = redis_server.running(places(HOME))
    process.kill()
    process.wait(60)
    if with_its_file:
        shutil.rmtree(places(HOME).redis)


@pytest.fixture(scope="module")
def port():
    """Return the port of every site of this module, one after the other."""
    return free_port(int(os.environ["PORT"]))


@pytest.fixture
def site(settings, transactional_db, port):
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    with lifecycle.in_use(HOME, wanted=[lifecycle.REDIS]):
        settings.QUEUE_REDIS_URL = addresses(HOME).redis_url
        store.client.cache_clear()
        settings.PORT = port
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
        environment = {
            "DATABASE_URL": database,
            "REDIS_URL": settings.QUEUE_REDIS_URL,
            "QUEUE_REDIS_URL": settings.QUEUE_REDIS_URL,
            "PORT": str(settings.PORT),
            "WEB_WORKERS": "1",
            "WORKER_PROCESSES": "1",
            "LOG_LEVEL": "WARNING",
            "QUEUE_PROMOTE_SECONDS": "1",
            "SWEEP_SECONDS": "3600",
        }
        parts = [part for part in supervisor.parts() if part.name != "sandbox"]
        with (HOME / "site.log").open("wb") as log:
            manager = supervisor.Supervisor(HOME, parts, environment, log)
            try:
                manager.start()
                manager.wait_until_ready(seconds=300)
                yield Site(f"http://127.0.0.1:{settings.PORT}", manager)
            finally:
                manager.stop(seconds=5)
                store.client.cache_clear()
    shutil.rmtree(places(HOME).home, ignore_errors=True)


def standings(site, event, persons):
    return [(found["status"], found["position"]) for found in (site.status(event, person) for person in persons)]


@pytest.mark.parametrize("with_its_file", [False, True], ids=["its file is there", "it comes back empty"])
def test_kill_redis_in_the_middle_of_a_sale(site, with_its_file):
    category = line(max_active_users=3)
    event, persons = category.event, people(20)
    receipts = [site.join(event, person)[1]["data"]["receipt"] for person in persons]
    if with_its_file:  # what was not written down would be lost with the file, and come back with its token
        eventually(lambda: Place.objects.filter(event=event).count() == 20, what="the journal was not written down")
    before = standings(site, event, persons)

    kill_redis(with_its_file=with_its_file)

    assert site.join(event, people(1)[0])[0] == 503
    assert site.status(event, persons[10])["status"] == "503"
    assert site.book(category, persons[0], receipts[0])[0] == 201  # whose turn it is still buys
    assert site.book(category, persons[10], receipts[10])[0] == 403
    lifecycle.start(HOME, wanted=[lifecycle.REDIS])
    eventually(
        lambda: standings(site, event, persons) == before, seconds=90, what="the line did not come back as it was"
    )
    assert site.book(category, persons[1])[0] == 201
    eventually(
        lambda: site.status(event, persons[0]).get("bookingId"), seconds=90, what="the hold did not take its slot"
    )
    assert busy(event) == 3
    (newcomer,) = people(1)
    assert site.join(event, newcomer)[1]["data"]["position"] == 18


def test_kill_worker_and_beat_and_the_line_goes_on_by_itself(site):
    event, persons = line(max_active_users=2).event, people(6)
    for person in persons:
        site.join(event, person)

    for name in ("beat", "worker"):
        site.kill(name)
    for person in persons[:2]:
        past(event, "act", person)

    eventually(lambda: site.status(event, persons[2])["status"] == "active", seconds=90, what="nobody was let in")
    assert site.status(event, persons[3])["status"] == "active"
    assert busy(event) == 2
    eventually(
        lambda: (
            site.status(event, persons[5]) and Place.objects.filter(event=event, admitted_at__isnull=False).count() == 4
        ),
        seconds=90,
        what="nothing was written down",
    )


def test_beat_running_twice_admits_nobody_twice(site):
    event, persons = line(max_active_users=2).event, people(10)
    for person in persons:
        site.join(event, person)
    site.start_another("beat")

    def at_the_front():
        return members(event, "act") | members(event, "call")

    for _ in range(3):
        front = at_the_front()
        for member in front:
            for part in ("act", "call"):
                store.client().zadd(store.key(event.pk, part), {member: 1}, xx=True)
        eventually(lambda front=front: len(at_the_front() - front) == 2, seconds=90, what="the line did not move")
        for person in persons:
            site.status(event, person)
            assert busy(event) <= 2
    site.kill("beat")
    eventually(
        lambda: not store.snapshot(event.pk).journal_length or services.drain_journal(event.pk), what="not drained"
    )

    calls = Counter(
        move[1]
        for link in ChainLink.objects.filter(event=event, kind="moves")
        for move in link.payload["moves"]
        if move[0] == "called"
    )
    assert sum(calls.values()) == 8
    assert set(calls.values()) == {1}


def test_redis_that_hangs_hangs_nobody(site):
    event, persons = line(max_active_users=1).event, people(2)
    for person in persons:
        site.join(event, person)
    process = redis_server.running(places(HOME))

    process.suspend()
    try:
        began = time.monotonic()
        hung = site.status(event, persons[1])
        took = time.monotonic() - began
    finally:
        process.resume()

    assert hung["status"] == "503"
    assert took < 20  # two seconds for Redis, the rest for a busy machine
    eventually(lambda: site.status(event, persons[1])["position"] == 1, what="it did not come back")
