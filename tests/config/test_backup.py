import json
import stat
import tarfile
from io import StringIO
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import User
from config import backup
from events.models import SeatInventory
from tests.factories import TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def faces(settings, tmp_path):
    """A place for faces of this test's own, with one file in it."""
    settings.STORAGES = settings.STORAGES | {
        "faces": {"BACKEND": "faceverify.storage.PrivateFiles", "OPTIONS": {"location": tmp_path / "faces"}}
    }
    storages["faces"].save("probes/one", ContentFile(b"sealed"))
    return tmp_path / "faces"


@pytest.fixture
def site(faces):
    """A small site: a person, a category with its seats, a stored file."""
    UserFactory(email="ana@example.com")
    return TicketCategoryFactory(capacity=50)


@pytest.fixture
def empty_database(monkeypatch):
    """A second, empty database, to which `restore` is led instead of the tests' own."""
    own = backup.database()["dbname"]
    name = f"{own}_restored"
    with backup.connect("postgres") as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
    monkeypatch.setitem(connection.settings_dict, "NAME", name)
    yield name
    monkeypatch.undo()
    with backup.connect("postgres") as server:
        for (made,) in server.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{name}%"]).fetchall():
            server.execute(f'DROP DATABASE "{made}" WITH (FORCE)')


def command(name, *arguments):
    out = StringIO()
    call_command(name, *arguments, stdout=out, no_color=True)
    return out.getvalue()


def in_database(name, statement):
    with backup.connect(name) as other:
        return other.execute(statement).fetchall()


def databases():
    """Return the databases that are this test's: in the same cluster, other processes of a run make and drop their own."""
    own = backup.database()["dbname"]
    found = {name for (name,) in in_database("postgres", "SELECT datname FROM pg_database")}
    return {name for name in found if name == own or name.startswith(f"{own}_")}


def test_backup_is_one_file_that_only_its_owner_may_read(site, tmp_path):
    said = command("backup", str(tmp_path / "site.tar"))

    assert stat.S_IMODE((tmp_path / "site.tar").stat().st_mode) == 0o600
    with tarfile.open(tmp_path / "site.tar") as archive:
        assert archive.getnames() == ["manifest.json", "database.dump", "faces/probes/one"]
        manifest = json.load(archive.extractfile("manifest.json"))
    assert manifest["database"]["rows"]["events_ticketcategory"] == 1
    assert "1 files" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces", "site.tar"]


def test_backup_never_writes_over_a_file(tmp_path):
    target = tmp_path / "site.tar"
    target.write_text("mine")

    with pytest.raises(CommandError, match="exists already"):
        command("backup", str(target))
    assert target.read_text() == "mine"


def test_check_restores_beside_the_site_and_leaves_nothing_behind(site, tmp_path):
    target = tmp_path / "site.tar"
    command("backup", str(target))
    before = databases()
    User.objects.all().update(name="changed since")

    said = command("restore", "--check", str(target))

    assert "Every invariant holds." in said
    assert "1 files: as they were" in said
    assert databases() == before
    assert User.objects.filter(name="changed since").exists()


def test_check_names_an_invariant_that_the_copy_breaks(site, tmp_path):
    SeatInventory.objects.filter(category=site).update(sold=3)
    target = tmp_path / "site.tar"
    command("backup", str(target))
    out = StringIO()

    with pytest.raises(CommandError, match="holds what must not be"):
        call_command("restore", "--check", str(target), stdout=out)
    assert "bookings.capacity: 1 breaches" in out.getvalue()


def test_restore_brings_rows_constraints_triggers_and_files_back(site, faces, tmp_path, request):
    target = tmp_path / "site.tar"
    command("backup", str(target))
    (faces / "probes" / "one").unlink()
    name = request.getfixturevalue("empty_database")

    command("restore", str(target))

    assert in_database(name, "SELECT email FROM accounts_user") == [("ana@example.com",)]
    assert in_database(name, "SELECT capacity FROM events_seatinventory") == [(50,)]
    assert in_database(name, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pgtrigger_%'")[0][0] > 3
    assert (faces / "probes" / "one").read_bytes() == b"sealed"


def test_database_that_holds_something_is_renamed_and_kept(site, tmp_path, request):
    target = tmp_path / "site.tar"
    command("backup", str(target))
    name = request.getfixturevalue("empty_database")
    with backup.connect(name) as other:
        other.execute("CREATE TABLE precious (word text)")

    with pytest.raises(CommandError, match="With --replace it is renamed and kept"):
        command("restore", str(target))
    command("restore", "--replace", str(target))

    (aside,) = [found for found in databases() if found.startswith(f"{name}_before_")]
    assert in_database(aside, "SELECT count(*) FROM precious") == [(0,)]
    assert in_database(name, "SELECT count(*) FROM events_event") == [(1,)]


def test_database_in_use_is_not_replaced(site, tmp_path, request):
    target = tmp_path / "site.tar"
    command("backup", str(target))
    name = request.getfixturevalue("empty_database")
    with backup.connect(name) as other:
        other.execute("CREATE TABLE precious (word text)")
        with pytest.raises(CommandError, match="Stop web, worker and beat first"):
            command("restore", "--replace", str(target))

    assert in_database(name, "SELECT count(*) FROM precious") == [(0,)]


def spoil(source: Path, target: Path, name: str) -> None:
    """Copy an archive with one byte of one member changed."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = bytearray(old.extractfile(member).read())
            if member.name == name:
                content[len(content) // 2] ^= 1
            target.with_suffix(".part").write_bytes(content)
            new.add(target.with_suffix(".part"), member.name)


@pytest.mark.parametrize("member", ["database.dump", "faces/probes/one"])
def test_damaged_backup_is_refused_before_anything_is_touched(site, tmp_path, member):
    command("backup", str(tmp_path / "site.tar"))
    spoil(tmp_path / "site.tar", tmp_path / "spoilt.tar", member)
    before = databases()

    with pytest.raises(CommandError, match=f"damaged: {member}"):
        command("restore", "--check", str(tmp_path / "spoilt.tar"))
    assert databases() == before


@pytest.mark.parametrize("content", [b"", b"not a backup", None])
def test_other_files_are_refused(site, tmp_path, content):
    source = tmp_path / "other.tar"
    if content is None:
        command("backup", str(tmp_path / "site.tar"))
        content = (tmp_path / "site.tar").read_bytes()[:5000]
    source.write_bytes(content)

    with pytest.raises(CommandError, match="is no backup of this product, or it is cut off"):
        command("restore", "--check", str(source))


def test_rows_that_are_missing_after_a_restore_are_told(site, tmp_path, monkeypatch):
    target = tmp_path / "site.tar"
    command("backup", str(target))

    def load_and_lose(dump, name, load=backup.load):
        load(dump, name)
        with backup.connect(name) as copy:
            copy.execute("DELETE FROM events_seatinventory")

    monkeypatch.setattr(backup, "load", load_and_lose)

    with pytest.raises(CommandError, match="Other numbers of rows than when it was made: events_seatinventory"):
        command("restore", "--check", str(target))


def test_database_that_is_not_there_is_told(site, tmp_path, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "NAME", "there_is_none")

    with pytest.raises(CommandError, match='database "there_is_none" does not exist'):
        command("backup", str(tmp_path / "site.tar"))
    assert not (tmp_path / "site.tar").exists()


def test_tool_that_fails_says_why(site, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "run_tool", lambda tool, *arguments: run_tool(tool, *arguments, "--no-such-option"))

    with pytest.raises(CommandError, match=r"pg_dump failed: .*--help"):
        command("backup", str(tmp_path / "site.tar"))
    assert list(tmp_path.glob("*.tar*")) == []


run_tool = backup.run_tool
