"""
The one process manager: embedded servers, migrations, demo data, then web, worker, beat and payment sandbox.

It starts again whatever dies (and gives up on what dies again and again), stops all of them when asked, and leaves nothing
behind: every child carries a mark in
its environment by which the next start finds what a killed manager left, and on Linux the kernel ends the children with it.
"""

import ctypes
import fcntl
import http.client
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
from django.conf import settings
from django.core.management import get_commands

from config.embedded import EmbeddedError, lifecycle
from config.embedded.processes import is_gone

MARK = "FAIRSEAT_UP"
DEMO_PASSWORD = "demo-Fairseat-1"  # noqa: S105 - printed at every start, of accounts that exist in demo data only
DEMO_LOGINS = ("staff@demo.test", "organiser@demo.test", "ana@demo.test", "ben@demo.test")
STOP_SECONDS = 8.0
READY_SECONDS = 120.0
DEATHS = 5  # of one part within DEATHS_SECONDS: it will not live, and the log says why
DEATHS_SECONDS = 60.0
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1
ENDING = "ending\n"


class UpError(Exception):
    """The site could not start or did not stay up; the message is one line for a person."""


@dataclass
class Part:
    """One process of the site."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None
    deaths: list[float] = field(default_factory=list)


def parts() -> list[Part]:
    """Return the processes that these settings ask for."""
    python = sys.executable
    granian = ["--interface", "wsgi", "--host", settings.HOST, "--port", str(settings.PORT), "--no-ws", "--http", "1"]
    granian += ["--workers", str(settings.WEB_WORKERS), "--blocking-threads", str(settings.WEB_THREADS)]
    granian += ["--backlog", "2048", "--backpressure", "512", "--respawn-failed-workers", "--workers-kill-timeout", "5"]
    # As root, Celery warns at length about pickled messages; ours are JSON.
    celery = [python, "-W", "ignore:You're running the worker", "-m", "celery", "--app", "config", "--quiet"]
    worker = ["worker", "--pool", "prefork", "--concurrency", str(settings.WORKER_PROCESSES), "--hostname", "worker@%h"]
    found = [
        Part("web", [python, "-m", "granian", *granian, "--log-level", "error", "config.wsgi:application"]),
        Part("worker", [*celery, *worker, "--without-gossip", "--without-mingle", "--without-heartbeat"]),
        Part("beat", [*celery, "beat"]),
    ]
    if settings.PAYMENTS_SANDBOX and "payment_sandbox" in get_commands():
        found.append(Part("sandbox", [python, "manage.py", "payment_sandbox"]))
    for part in found:
        part.environment = {"ROLE": part.name if part.name != "sandbox" else "command"}
    return found


class Supervisor:
    """Starts parts, watches them, stops them."""

    def __init__(
        self,
        data_dir: Path,
        wanted: list[Part],
        environment: dict[str, str] | None = None,
        log: IO[bytes] | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.parts = wanted
        self.environment = os.environ | {MARK: str(self.data_dir)} | (environment or {})
        self.log = log  # where the parts write; None: where we write
        self.figures = self.data_dir / "metrics"
        self.pids = self.data_dir / "pids"

    def start(self) -> None:
        """Start every part; figures of an earlier life are dropped."""
        for directory in (self.figures, self.pids):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
        for part in self.parts:
            self.start_part(part)

    def start_part(self, part: Part) -> None:
        """Start one part and write its pid down."""
        environment = part.environment | {"PROMETHEUS_MULTIPROC_DIR": str(self.figures)}
        part.process = self.spawn(part.command, environment)
        (self.pids / f"{part.name}.pid").write_text(f"{part.process.pid}\n")

    def revive(self) -> list[str]:
        """
        Start every part again that has died, and return a sentence about each.

        :raises UpError: if one died DEATHS times within DEATHS_SECONDS
        """
        revived = []
        for part in self.parts:
            if part.process is None or part.process.poll() is None:
                continue
            died = cause_of_death(part)
            with suppress(ProcessLookupError, PermissionError):  # children it left, which hold its port or do its work
                os.killpg(part.process.pid, signal.SIGKILL)
            count_death(part.deaths, f"{part.name} {died}")
            self.start_part(part)
            revived.append(f"{part.name} {died}")
        return revived

    def spawn(self, command: list[str], environment: dict[str, str] | None = None) -> subprocess.Popen:
        """Start one process in a session of its own, so that a Ctrl-C in the terminal reaches only the manager."""
        return subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env=self.environment | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def dead(self) -> str:
        """Return a sentence about a part that has ended, or nothing."""
        for part in self.parts:
            if part.process is not None and part.process.poll() is not None:
                return f"{part.name} {cause_of_death(part)}"
        return ""

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask every part to end, and kill what has not after `seconds`."""
        started = [part.process for part in self.parts if part.process is not None]
        for process in started:
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + seconds
        for process in started:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
        for process in started:
            with suppress(ProcessLookupError, PermissionError):  # nothing of its group is left
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.pids, ignore_errors=True)

    def wait_until_ready(self, alarm: "Alarm | None" = None, *, seconds: float = READY_SECONDS) -> None:
        """
        Wait until the web process answers.

        :raises UpError: if a part dies before, or it takes too long
        """
        until = time.monotonic() + seconds
        while not answers(settings.HOST, settings.PORT):
            if dead := self.dead():
                raise UpError(f"{dead}; everything else is stopped.")
            if time.monotonic() > until:
                raise UpError(f"The web process does not answer after {seconds:.0f} s.")
            if alarm is None:
                time.sleep(0.05)
            elif alarm.wait(0.05):
                return


def cause_of_death(part: Part) -> str:
    """Say how a part that is no more has ended."""
    code = part.process.returncode if part.process is not None else 0
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def count_death(deaths: list[float], sentence: str) -> None:
    """
    Remember a death.

    :raises UpError: if there were DEATHS of them within DEATHS_SECONDS
    """
    now = time.monotonic()
    deaths[:] = [*(at for at in deaths if now - at < DEATHS_SECONDS), now]
    if len(deaths) >= DEATHS:
        raise UpError(f"{sentence}, the {DEATHS}th time within a minute; everything else is stopped.")


class Alarm:
    """Turns signals into something to wait for."""

    def __init__(self) -> None:
        self.asked = ""
        self.times = 0
        self.reader, self.writer = socket.socketpair()
        for end in (self.reader, self.writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self.writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.ring)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def ring(self, number: int, _: Any) -> None:
        self.asked = signal.Signals(number).name
        self.times += 1
        if self.times >= 3:  # somebody leans on Ctrl-C: the kernel and the next start clear up
            os._exit(130)

    def wait(self, seconds: float) -> bool:
        """Sleep until a signal or for `seconds`; True when we were asked to stop."""
        if not self.asked and select.select([self.reader], [], [], seconds)[0]:
            self.reader.recv(4096)
        return bool(self.asked)


def up(output: IO[str], *, with_parent: bool = False) -> None:
    """
    Run the whole site until asked to stop.

    :raises UpError: if it can not start, or a part dies again and again
    """
    if with_parent:
        die_with_parent()
    alarm = Alarm()
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = stack.enter_context(only_manager(alarm))
        clear_orphans(settings.DATA_DIR)
        check_ports()
        manager = Supervisor(settings.DATA_DIR, parts())
        servers = start_embedded(stack, output)
        prepare(manager, alarm, output)
        if alarm.asked:
            return
        stack.callback(lambda: print(f"Stopped ({alarm.asked or 'a part died'}).", file=output, flush=True))
        stack.callback(manager.stop)
        stack.callback(lock.write, ENDING)
        manager.start()
        manager.wait_until_ready(alarm)
        if not alarm.asked:
            greet(output)
        deaths: list[float] = []
        while not alarm.wait(1.0):
            dead = dead_servers(servers)
            if dead:
                count_death(deaths, dead[0])
                servers = revive_servers(servers)
            for sentence in dead + manager.revive():
                print(f"{sentence}; started again.", file=output, flush=True)
        print(f"{alarm.asked}: stopping…", file=output, flush=True)


@contextmanager
def only_manager(alarm: Alarm) -> Iterator[IO[str]]:
    """
    Be the only manager of this DATA_DIR; one that is just ending is waited for.

    :raises UpError: if another one runs
    """
    path = settings.DATA_DIR / "up.lock"
    with path.open("a+", buffering=1) as file:
        until = time.monotonic() + STOP_SECONDS + 12
        while True:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
            if not is_ending(holder) or time.monotonic() > until or alarm.wait(0.1):
                raise UpError(f"Fairseat runs already in {settings.DATA_DIR} ({holder}). Stop it or set DATA_DIR.")
        file.truncate(0)
        file.write(f"pid {os.getpid()}, port {settings.PORT}, parent {os.getppid()}\n")
        yield file
        file.truncate(0)


def is_ending(holder: str) -> bool:
    """Whether the manager that holds the lock says so, or is about to notice that its parent is gone."""
    words = holder.replace(",", "").split()
    try:
        return ENDING.strip() in words or psutil.Process(int(words[1])).ppid() != int(words[5])
    except (IndexError, ValueError, psutil.Error):
        return True


def clear_orphans(data_dir: Path) -> None:
    """End what a killed manager of this DATA_DIR left running."""
    left = [process for process in psutil.process_iter() if mark_of(process) == str(data_dir.resolve())]
    for process in left:
        try:
            process.terminate()
        except psutil.Error:
            continue
    _, stubborn = psutil.wait_procs(left, timeout=STOP_SECONDS)
    for process in stubborn:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(stubborn, timeout=5)


def mark_of(process: psutil.Process) -> str | None:
    """Return the DATA_DIR whose manager started `process`."""
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def check_ports() -> None:
    """
    See that our ports are free before anything is started.

    :raises UpError: if one is not
    """
    wanted = {"PORT": (settings.HOST, settings.PORT)}
    if settings.PAYMENTS_SANDBOX:
        wanted["SANDBOX_PORT"] = ("127.0.0.1", settings.SANDBOX_PORT)
    for name, (host, port) in wanted.items():
        try:
            socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
        except OSError as error:
            hint = f"Set {name} to a free one" + (" (the payment sandbox takes PORT + 1)." if name != "PORT" else ".")
            why = os.strerror(error.errno) if error.errno else str(error)
            raise UpError(f"Port {port} on {host} can not be used: {why}. {hint}") from None


def start_embedded(stack: ExitStack, output: IO[str]) -> dict[str, psutil.Process]:
    """
    Start the embedded servers that no setting replaces and return their processes; they stop when `stack` closes.

    :raises UpError: if one does not start
    """
    where = settings.EMBEDDED
    wanted = [lifecycle.POSTGRES] if where.database_url == settings.DATABASE_URL else []
    wanted += [lifecycle.REDIS] if where.redis_url == settings.REDIS_URL else []
    if not wanted:
        return {}
    try:
        stack.enter_context(lifecycle.in_use(settings.DATA_DIR, wanted=wanted))
        running = [state for state in lifecycle.status(settings.DATA_DIR) if state.name in wanted and state.pid]
        print(", ".join(map(str, running)), file=output, flush=True)
        return {state.name: psutil.Process(state.pid) for state in running}
    except (EmbeddedError, psutil.Error) as error:
        raise UpError(str(error)) from None


def dead_servers(servers: dict[str, psutil.Process]) -> list[str]:
    """Return a sentence about each embedded server that has ended."""
    return [f"{name} (pid {one.pid}) ended" for name, one in servers.items() if is_gone(one)]


def revive_servers(servers: dict[str, psutil.Process]) -> dict[str, psutil.Process]:
    """
    Start again what has ended of the embedded servers and return the processes of all.

    :raises UpError: if one does not start
    """
    try:
        lifecycle.start(settings.DATA_DIR, wanted=list(servers))
        running = [state for state in lifecycle.status(settings.DATA_DIR) if state.name in servers and state.pid]
        return {state.name: psutil.Process(state.pid) for state in running}
    except (EmbeddedError, psutil.Error) as error:
        raise UpError(str(error)) from None


def prepare(manager: Supervisor, alarm: Alarm, output: IO[str]) -> None:
    """
    Migrate, collect static files where the web process needs them, load the demo data.

    :raises UpError: if a step fails
    """
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    steps = [["migrate_safely", "--verbosity", "0"]]
    if settings.DEBUG:
        steps += [["seed_demo"]] if "seed_demo" in get_commands() else []
    else:
        steps += [["collectstatic", "--noinput", "--verbosity", "0"]]
    for step in steps:
        process = manager.spawn([sys.executable, "manage.py", *step], {"ROLE": "command"})
        while process.poll() is None:
            if alarm.wait(0.5):
                process.terminate()
                process.wait()
                return
        if process.returncode:
            raise UpError(f"`manage.py {step[0]}` failed (exit code {process.returncode}); its message is above.")


def greet(output: IO[str]) -> None:
    """Say where the site is and who may log in."""
    lines = ["", f"Fairseat is up at {settings.SITE_URL}  (listening on {settings.HOST}:{settings.PORT})"]
    if settings.PAYMENTS_SANDBOX:
        lines += [f"  Payments are in test mode: {settings.SANDBOX_URL}"]
    if settings.DEBUG:
        lines += [f"  Mails that it sends: {settings.SITE_URL}/dev/mail"]
        lines += [f"  Log in as {', '.join(DEMO_LOGINS)} with the password {DEMO_PASSWORD}"]
    print("\n".join([*lines, "  Ctrl-C stops everything.", ""]), file=output, flush=True)


def answers(host: str, port: int) -> bool:
    """Whether the web process answers `/healthz`."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not bound to
    connection = http.client.HTTPConnection(local, port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies in whatever way (Linux only)."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
