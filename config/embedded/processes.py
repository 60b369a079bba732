"""Processes that are ours: found by what they are and where they work, started apart from any terminal, ended for certain."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from config.embedded import EmbeddedError
from config.embedded.places import Places

PATIENCE = 60.0  # crash recovery of a busy cluster takes a few seconds; nothing sane takes a minute


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


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask again and again until `condition()` holds; False when it does not within `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
