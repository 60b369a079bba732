"""Both servers of a DATA_DIR together: started, asked, shared by their users, stopped, erased."""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.embedded import EmbeddedError, postgres_server, redis_server
from config.embedded.owner import create_service_user, own_directory, service_user
from config.embedded.places import Places, places
from config.embedded.processes import PATIENCE, wait_for

POSTGRES, REDIS = BOTH = (postgres_server.NAME, redis_server.NAME)


@dataclass(frozen=True)
class State:
    """One server as it is now; `pid` is None when it does not run."""

    name: str
    pid: int | None
    answers: bool

    def __str__(self) -> str:
        if self.pid is None:
            return f"{self.name}: stopped"
        return f"{self.name}: {'running' if self.answers else 'not answering'} (pid {self.pid})"


def start(data_dir: Path, *, wanted: Collection[str] = BOTH, durable: bool = True) -> list[str]:
    """
    Start what is wanted and does not run yet, and return the names of what was started; two callers at once start one server.

    `durable=False` lets the servers lose data when the machine (not when a process) dies: for tests only.

    :raises EmbeddedError: if a server does not come up
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and service_user() is None:
        create_service_user()
    where = places(data_dir)
    with locked(data_dir):
        forget_the_past(data_dir, where)
        for directory in (where.home, where.sockets, where.redis):
            own_directory(directory, where.owner)
        started = []
        if POSTGRES in wanted and postgres_server.start(where, durable):
            started.append(POSTGRES)
        if REDIS in wanted and redis_server.start(where, durable):
            started.append(REDIS)
        return started


def stop(data_dir: Path) -> list[str]:
    """Stop what runs, clients or not, and return the names of what was stopped."""
    if not data_dir.is_dir():
        return []
    where = places(data_dir)
    with locked(data_dir):
        (data_dir / "embedded.keep").unlink(missing_ok=True)
        return [
            name for name, done in ((REDIS, redis_server.stop(where)), (POSTGRES, postgres_server.stop(where))) if done
        ]


def status(data_dir: Path) -> list[State]:
    """Return how both servers are."""
    where = places(data_dir)
    postgres, redis = postgres_server.running(where), redis_server.running(where)
    return [
        State(POSTGRES, postgres and postgres.pid, postgres is not None and postgres_server.answers(where)),
        State(REDIS, redis and redis.pid, redis is not None and redis_server.answers(where)),
    ]


def erase(data_dir: Path) -> None:
    """Stop both servers and remove everything they stored."""
    stop(data_dir)
    where = places(data_dir)
    for directory in (where.home, where.sockets):
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def in_use(data_dir: Path, *, wanted: Collection[str] = BOTH, durable: bool = True) -> Iterator[list[str]]:
    """
    Keep the servers of `data_dir` running for the length of the block; the last user to leave stops them.

    Users are counted by shared locks, which the kernel drops when a process dies in any way. `keep` (`manage.py embedded up`)
    makes them outlive their users.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "embedded.users").open("a") as users:
        take_lock(users.fileno(), fcntl.LOCK_SH, data_dir)
        try:
            yield start(data_dir, wanted=wanted, durable=durable)
        finally:
            if not (data_dir / "embedded.keep").exists() and is_last_user(users.fileno()):
                stop(data_dir)


def keep(data_dir: Path) -> None:
    """Let the servers run on after their users have left, until `stop`."""
    (data_dir / "embedded.keep").touch()


def is_last_user(descriptor: int) -> bool:
    """Whether nobody else holds the users' lock (ours becomes exclusive then)."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the lock under which the servers of `data_dir` are started and stopped."""
    with (data_dir / "embedded.lock").open("a") as file:
        take_lock(file.fileno(), fcntl.LOCK_EX, data_dir)
        yield


def take_lock(descriptor: int, kind: int, data_dir: Path) -> None:
    """
    Take a file lock, waiting a bounded time.

    :raises EmbeddedError: if somebody holds it for longer than any start takes
    """

    def got() -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    if not wait_for(got, 2 * PATIENCE):
        raise EmbeddedError(f"Another process has been starting or stopping the servers of {data_dir} for two minutes.")


def forget_the_past(data_dir: Path, where: Places) -> None:
    """
    Erase servers' data that belongs to an earlier DATA_DIR of the same name.

    Only where the data lives outside DATA_DIR: removing DATA_DIR must mean a fresh start there too. Both sides carry a token.
    """
    if data_dir.resolve() in where.home.parents:
        return
    ours, theirs = data_dir / "embedded.token", where.home / "token"
    if where.home.is_dir() and not (
        ours.is_file() and theirs.is_file() and ours.read_text().strip() == theirs.read_text().strip() != ""
    ):
        redis_server.stop(where)
        postgres_server.stop(where)
        shutil.rmtree(where.home)
    if not where.home.is_dir():
        own_directory(where.home, where.owner)
        token = os.urandom(16).hex()
        theirs.write_text(token)
        ours.write_text(token)
