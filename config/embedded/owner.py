"""Whose the servers are: ourselves, or for root (whom PostgreSQL refuses) a system user with directories of its own."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from config.embedded import EmbeddedError

USER = "fairseat"
ROOT_HOME = Path("/var/lib/fairseat")


def service_user() -> tuple[int, int] | None:
    """Return uid and gid of the user that runs the servers when we are root, or None before it exists."""
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


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
