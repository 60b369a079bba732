"""The process manager as `make run` uses it: real processes, a PostgreSQL and Redis of its own, a real port."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest

from config import supervisor
from config.embedded import lifecycle
from config.embedded.places import places
from tests.conftest import free_port
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]


class Site:
    """One DATA_DIR and PORT, and the managers that were started with them."""

    def __init__(self, data_dir, port):
        self.data_dir, self.port = data_dir, port
        self.log = data_dir.parent / "up.log"

    def environment(self, **extra):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return (
            kept | {"DEBUG": "1", "DATA_DIR": str(self.data_dir), "PORT": str(self.port), "LOG_LEVEL": "ERROR"} | extra
        )

    def up(self, **extra):
        self.log.unlink(missing_ok=True)
        with self.log.open("w") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.environment(**extra), stdout=log, stderr=log
            )

    def manage(self, *command):
        return [sys.executable, "manage.py", *command]

    def wait_until_up(self, manager):
        def is_up():
            assert manager.poll() is None, self.log.read_text()
            return "Fairseat is up" in self.log.read_text()

        eventually(is_up, seconds=180, what="the site did not come up")

    def get(self, path):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            return connection.getresponse().status

    def processes(self):
        return [p for p in psutil.process_iter() if supervisor.mark_of(p) == str(self.data_dir.resolve())]


@pytest.fixture
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("up") / "data", free_port(23_000 + os.getpid() % 200 * 20))
    yield site
    supervisor.clear_orphans(site.data_dir)
    lifecycle.erase(site.data_dir)


def stop(manager, how=signal.SIGTERM):
    manager.send_signal(how)
    return manager.wait(120)


def answers(site, path):
    """Return the status of an answer, or nothing while nobody listens."""
    try:
        return site.get(path)
    except OSError:
        return None


def test_up_serves_refuses_a_second_manager_and_stops_everything_cleanly(site):
    manager = site.up()
    try:
        site.wait_until_up(manager)
        assert site.get("/healthz") == 200
        eventually(lambda: site.get("/readyz") == 200, seconds=60, what="worker and beat were not seen")
        assert {path.name for path in (site.data_dir / "pids").iterdir()} >= {"web.pid", "worker.pid", "beat.pid"}
        second = subprocess.run(site.manage("up"), cwd=ROOT, env=site.environment(), capture_output=True, text=True)
        assert site.get("/healthz") == 200
    finally:
        code = stop(manager, signal.SIGINT)

    assert second.returncode == 1
    assert second.stderr.strip().startswith(
        f"CommandError: Fairseat runs already in {site.data_dir} (pid {manager.pid}"
    )
    assert code == 0
    assert site.processes() == []
    assert [state.pid for state in lifecycle.status(site.data_dir)] == [None, None]
    assert "staff@demo.test" in site.log.read_text()


def test_a_start_after_the_manager_was_killed_works_and_whatever_dies_is_started_again(site):
    killed = site.up()
    site.wait_until_up(killed)
    killed.kill()
    killed.wait()

    manager = site.up()
    try:
        site.wait_until_up(manager)
        assert site.get("/healthz") == 200
        assert len([process for process in site.processes() if "beat" in process.cmdline()]) == 1
        for server in lifecycle.status(site.data_dir):
            os.kill(server.pid, signal.SIGKILL)
        for part in ("worker", "beat", "web"):
            os.kill(int((site.data_dir / "pids" / f"{part}.pid").read_text()), signal.SIGKILL)
        eventually(lambda: site.log.read_text().count("; started again.") >= 5)
        eventually(lambda: answers(site, "/readyz") == 200, seconds=60)
        assert len([process for process in site.processes() if "beat" in process.cmdline()]) == 1
    finally:
        code = stop(manager, signal.SIGTERM)

    assert code == 0
    log = site.log.read_text()
    assert "PostgreSQL (pid " in log
    assert "worker was ended by SIGKILL; started again." in log
    assert site.processes() == []
    assert [state.pid for state in lifecycle.status(site.data_dir)] == [None, None]


def test_a_part_that_dies_is_named_and_nothing_of_the_others_is_left(tmp_path):
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    parts = [
        supervisor.Part("web", [sys.executable, "-c", stubborn]),
        supervisor.Part("worker", [sys.executable, "-c", "import sys; sys.exit(3)"]),
        supervisor.Part("beat", ["sleep", "60"]),
    ]
    log = tmp_path / "log"
    with log.open("wb") as output:
        manager = supervisor.Supervisor(tmp_path, parts, log=output)
        manager.start()
        dead = eventually(manager.dead)
        eventually(lambda: log.read_text() == "up\n")
        manager.stop(seconds=0.5)

    assert dead == "worker ended with exit code 3"
    assert [part.process.returncode for part in parts] == [-signal.SIGKILL, 3, -signal.SIGTERM]


def test_part_that_dies_is_started_again_until_it_does_so_again_and_again(tmp_path):
    parts = [supervisor.Part("worker", [sys.executable, "-c", "import sys; sys.exit(3)"])]
    with (tmp_path / "log").open("wb") as output:
        manager = supervisor.Supervisor(tmp_path, parts, log=output)
        manager.start()
        for _ in range(supervisor.DEATHS - 1):
            before = parts[0].process.pid
            assert eventually(manager.revive) == ["worker ended with exit code 3"]
            assert parts[0].process.pid != before
        with pytest.raises(supervisor.UpError, match="worker ended with exit code 3, the 5th time within a minute"):
            eventually(manager.revive)
        manager.stop()


def test_children_die_with_their_manager(tmp_path):
    script = (
        "import os, signal, pathlib, django; django.setup(); from config import supervisor as s; "
        f"m = s.Supervisor(pathlib.Path({str(tmp_path)!r}), [s.Part('web', ['sleep', '60'])]); m.start(); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=False)

    child = int((tmp_path / "pids" / "web.pid").read_text())
    eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_up_says_in_one_line_that_the_port_is_taken(site):
    with closing(socket.create_server(("127.0.0.1", site.port))):
        done = subprocess.run(site.manage("up"), cwd=ROOT, env=site.environment(), capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"CommandError: Port {site.port} on 127.0.0.1 can not be used: Address already in use. Set PORT to a free one."
    )
    assert [state.pid for state in lifecycle.status(site.data_dir)] == [None, None]


def test_two_migrations_at_once_of_an_empty_database_both_succeed(site):
    lifecycle.start(site.data_dir, durable=False)
    where = places(site.data_dir)

    both = [
        subprocess.Popen(site.manage("migrate_safely"), cwd=ROOT, env=site.environment(), stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    codes = [process.wait(500) for process in both]
    outputs = sorted(process.communicate()[0].decode().count("Applying") for process in both)

    assert codes == [0, 0]
    assert outputs[0] == 0 < outputs[1]
    with psycopg.connect(host=str(where.sockets), user="fairseat", dbname="fairseat") as connection:
        assert connection.execute(
            "SELECT count(*) = count(DISTINCT (app, name)) FROM django_migrations"
        ).fetchone() == (True,)
