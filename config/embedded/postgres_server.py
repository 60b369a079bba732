"""The embedded PostgreSQL of one DATA_DIR."""

import shlex
import shutil
import signal
from pathlib import Path

import psutil
import psycopg

from config.embedded import EmbeddedError
from config.embedded.binaries import postgres_binaries
from config.embedded.owner import USER, own_directory
from config.embedded.places import POSTGRES_SOCKET, Places
from config.embedded.processes import PATIENCE, end, log_file, process_of, processes_in, run, wait_for

NAME = "PostgreSQL"


def start(where: Places, durable: bool) -> bool:
    """Start PostgreSQL unless it runs; True if it had to be started."""
    if running(where):
        if not wait_for(lambda: answers(where) or running(where) is None, PATIENCE):
            raise EmbeddedError(f"PostgreSQL runs but does not answer. Its log: {where.home / 'postgres.log'}")
        if running(where):
            ensure_database(where)
            return False
    binaries = postgres_binaries(where)
    if not where.cluster.is_dir():
        create_cluster(where, binaries, durable)
    clear_after_a_crash(where)
    own_directory(where.sockets, where.owner)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": where.sockets,
        "unix_socket_permissions": "0700",
        "max_connections": 200,
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
        "wal_level": "minimal",
        "max_wal_senders": 0,
        "log_min_messages": "warning",
        "log_min_error_statement": "panic",
        "fsync": "on" if durable else "off",
        "synchronous_commit": "on" if durable else "off",
        "full_page_writes": "on" if durable else "off",
    }
    log = log_file(where, "postgres.log")
    options = shlex.join(f"-c{name}={value}" for name, value in settings.items())
    command: list[str | Path] = [binaries / "pg_ctl", "start", "-D", where.cluster, "-l", log, "-o", options]
    run([*command, "-w", "-t", f"{PATIENCE:.0f}", "-s"], where, log, NAME)
    ensure_database(where)
    return True


def stop(where: Places) -> bool:
    """Stop PostgreSQL (clients are disconnected, committed work is kept); True if it ran."""
    process = running(where)
    if process is None:
        return False
    return end(process, gentle=signal.SIGINT, forceful=signal.SIGQUIT)


def running(where: Places) -> psutil.Process | None:
    """Return the postmaster of our cluster, if the pid in its file is alive and really is it."""
    return process_of(where.cluster / "postmaster.pid", "postgres", where.cluster)


def answers(where: Places) -> bool:
    """Whether a connection can be made."""
    try:
        with connect(where, "postgres"):
            return True
    except psycopg.OperationalError:
        return False


def connect(where: Places, database: str) -> psycopg.Connection:
    """Return a connection to one database of our cluster."""
    return psycopg.connect(host=str(where.sockets), user=USER, dbname=database, autocommit=True, connect_timeout=5)


def ensure_database(where: Places) -> None:
    """Create the application's database unless it is there."""
    with connect(where, "postgres") as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'fairseat'").fetchone():
            connection.execute("CREATE DATABASE fairseat")


def create_cluster(where: Places, binaries: Path, durable: bool) -> None:
    """Make the database cluster; a killed attempt leaves only a directory that the next one replaces."""
    unfinished = where.home / "postgres.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    own_directory(unfinished, where.owner)
    command: list[str | Path] = [
        binaries / "initdb",
        "-D",
        unfinished,
        "-U",
        USER,
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
    ]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", *([] if durable else ["--no-sync"])]
    run(command, where, log_file(where, "initdb.log"), "PostgreSQL's initdb")
    unfinished.rename(where.cluster)


def clear_after_a_crash(where: Places) -> None:
    """
    Remove what a killed postmaster left: its orphans and its lock files, whose number may be another process's by now.

    Orphans end by themselves but may be busy; until they are gone no new server can use the data, and PostgreSQL's own
    check of the shared memory still guards against one that we missed.
    """
    orphans = processes_in(where.cluster, "postgres")
    for orphan in orphans:
        orphan.kill()
    psutil.wait_procs(orphans, timeout=10)
    for lock in (where.cluster / "postmaster.pid", where.sockets / f"{POSTGRES_SOCKET}.lock"):
        lock.unlink(missing_ok=True)
