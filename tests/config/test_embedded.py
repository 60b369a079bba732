"""The embedded servers, as real processes in directories of their own."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config.embedded import lifecycle
from config.embedded.places import addresses, broker_url, places
from config.embedded.processes import is_gone, processes_in, wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def data_dir(tmp_path_factory):
    """A DATA_DIR whose servers are gone after the test. pytest's own directories are closed to other users."""
    base = tmp_path_factory.mktemp("servers")
    yield base / "data"
    lifecycle.erase(base / "data")


@pytest.fixture
def running(data_dir):
    lifecycle.start(data_dir, durable=False)
    return data_dir


def query(data_dir, sql):
    where = places(data_dir)
    with psycopg.connect(
        host=str(where.sockets), user="fairseat", dbname="fairseat", autocommit=True, connect_timeout=5
    ) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else None


def redis_client(data_dir):
    return redis.Redis.from_url(addresses(data_dir).redis_url)


def pids(data_dir):
    return {state.name: state.pid for state in lifecycle.status(data_dir)}


def kill(pid):
    process = psutil.Process(pid)
    process.kill()
    assert wait_for(lambda: is_gone(process), 10)


def test_start_status_and_stop(data_dir):
    assert lifecycle.start(data_dir) == ["PostgreSQL", "Redis"]
    assert lifecycle.start(data_dir) == []
    assert [state.answers for state in lifecycle.status(data_dir)] == [True, True]
    assert query(data_dir, "SELECT current_setting('server_version_num')::int / 10000, current_setting('fsync')") == [
        (18, "on")
    ]
    with redis_client(data_dir) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}

    assert lifecycle.stop(data_dir) == ["Redis", "PostgreSQL"]

    assert lifecycle.stop(data_dir) == []
    assert pids(data_dir) == {"PostgreSQL": None, "Redis": None}


def test_servers_never_run_as_root_and_listen_on_sockets_alone(running):
    for pid in pids(running).values():
        process = psutil.Process(pid)
        assert process.uids().real != 0
        assert [c for c in process.net_connections(kind="inet") if c.status == psutil.CONN_LISTEN] == []
    assert oct(places(running).sockets.stat().st_mode & 0o777) == "0o700"


def test_two_starts_at_once_start_one_server(data_dir):
    script = (
        "import sys; from pathlib import Path; from config.embedded import lifecycle; "
        "print(lifecycle.start(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(data_dir)]

    with ThreadPoolExecutor(4) as pool:
        starts = [pool.submit(subprocess.run, command, cwd=ROOT, capture_output=True, text=True) for _ in range(4)]
    answers = sorted(start.result().stdout.strip() for start in starts)

    assert answers == ["['PostgreSQL', 'Redis']", "[]", "[]", "[]"]
    where = places(data_dir)
    assert len(processes_in(where.redis, "redis-server")) == 1


def test_killed_servers_come_back_with_what_was_committed(data_dir):
    lifecycle.start(data_dir)
    query(data_dir, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
    with redis_client(data_dir) as client:
        client.set("kept", "yes")
    before = pids(data_dir)

    for pid in before.values():
        kill(pid)
    started = lifecycle.start(data_dir)

    assert started == ["PostgreSQL", "Redis"]
    assert query(data_dir, "SELECT count(*) FROM kept") == [(1000,)]
    with redis_client(data_dir) as client:
        assert client.get("kept") == b"yes"
    assert not set(before.values()) & set(pids(data_dir).values())


def test_a_backend_that_outlives_its_killed_postmaster_does_not_keep_the_next_one_out(running):
    where = places(running)
    with psycopg.connect(host=str(where.sockets), user="fairseat", dbname="fairseat") as connection:
        busy = connection.info.backend_pid
        psutil.Process(busy).suspend()
        kill(pids(running)["PostgreSQL"])

        lifecycle.start(running, durable=False)

        assert not psutil.pid_exists(busy) or psutil.Process(busy).status() == psutil.STATUS_ZOMBIE
        assert query(running, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("name", ["postgres/postmaster.pid", "redis/redis.pid"])
def test_a_pid_file_that_names_somebody_elses_process_is_not_believed(running, name):
    where = places(running)
    lifecycle.stop(running)
    with subprocess.Popen(["sleep", "60"], user=where.owner[0] if where.owner else None) as stranger:
        where.sockets.joinpath(".s.PGSQL.5432.lock").write_text(f"{stranger.pid}\n")
        (where.home / name).write_text(
            f"{stranger.pid}\n{where.cluster}\n{int(time.time())}\n5432\n{where.sockets}\n\n"
        )

        assert lifecycle.start(running, durable=False) == ["PostgreSQL", "Redis"]

        assert stranger.poll() is None
        stranger.kill()


def test_an_interrupted_first_start_is_begun_again(data_dir):
    where = places(data_dir)
    data_dir.mkdir()
    lifecycle.forget_the_past(data_dir, where)
    where.home.mkdir(exist_ok=True)
    (where.home / "postgres.new").mkdir()
    (where.home / "postgres.new" / "PG_VERSION").write_text("18\n")

    assert lifecycle.start(data_dir, durable=False) == ["PostgreSQL", "Redis"]


def test_servers_outlive_the_process_that_started_them(data_dir):
    script = (
        "import os, sys; from pathlib import Path; from config.embedded import lifecycle; "
        "lifecycle.start(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(data_dir)], cwd=ROOT, check=False)

    assert [state.answers for state in lifecycle.status(data_dir)] == [True, True]
    assert lifecycle.start(data_dir) == []


def test_the_last_user_stops_the_servers(data_dir):
    with lifecycle.in_use(data_dir, durable=False):
        with lifecycle.in_use(data_dir, durable=False) as started:
            assert started == []
        assert [state.answers for state in lifecycle.status(data_dir)] == [True, True]

    assert pids(data_dir) == {"PostgreSQL": None, "Redis": None}


def test_kept_servers_outlive_their_users_until_stopped(data_dir):
    with lifecycle.in_use(data_dir, durable=False):
        lifecycle.keep(data_dir)
    assert [state.answers for state in lifecycle.status(data_dir)] == [True, True]

    lifecycle.stop(data_dir)

    assert pids(data_dir) == {"PostgreSQL": None, "Redis": None}


def test_only_the_wanted_server_is_started(data_dir):
    assert lifecycle.start(data_dir, wanted=["Redis"]) == ["Redis"]
    assert pids(data_dir)["PostgreSQL"] is None


def test_a_data_dir_with_a_long_strange_name_works(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("servers") / ("a name with spaces & 'quotes' %41 " + "x" * 90) / "data"
    try:
        lifecycle.start(data_dir, durable=False)
        where = places(data_dir)

        assert len(str(where.sockets / ".s.PGSQL.5432")) <= 100
        assert where.sockets.stat().st_mode & 0o777 == 0o700
        assert [state.answers for state in lifecycle.status(data_dir)] == [True, True]
        with redis_client(data_dir) as client:
            assert client.ping()
    finally:
        lifecycle.erase(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the servers to another user")
def test_a_closed_directory_stays_closed(tmp_path_factory):
    closed = tmp_path_factory.mktemp("servers") / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "data"
    try:
        lifecycle.start(data_dir, durable=False)

        assert [state.answers for state in lifecycle.status(data_dir)] == [True, True]
        assert closed.stat().st_mode & 0o777 == 0o700
        assert closed.stat().st_uid == 0
        assert data_dir not in places(data_dir).home.parents
    finally:
        lifecycle.erase(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers live outside DATA_DIR")
def test_removing_a_closed_data_dir_means_a_fresh_start(tmp_path_factory):
    closed = tmp_path_factory.mktemp("servers") / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "data"
    try:
        lifecycle.start(data_dir, durable=False)
        query(data_dir, "CREATE TABLE old (n int)")
        for file in data_dir.iterdir():
            file.unlink()
        data_dir.rmdir()

        lifecycle.start(data_dir, durable=False)

        assert query(data_dir, "SELECT to_regclass('old')") == [(None,)]
    finally:
        lifecycle.erase(data_dir)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("redis://cache:6379/2", "redis://cache:6379/2"),
        ("unix:///tmp/a%20b/redis.sock?db=3", "redis+socket:///tmp/a%20b/redis.sock?virtual_host=3"),
        ("unix:///tmp/redis.sock", "redis+socket:///tmp/redis.sock?virtual_host=0"),
        ("unix://:secret@/tmp/redis.sock?db=1", "redis+socket://:secret@/tmp/redis.sock?virtual_host=1"),
    ],
)
def test_broker_url_is_what_the_transport_understands(given, expected):
    assert broker_url(given) == expected
