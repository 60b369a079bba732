"""What the documents say is checked against the code, so that they stay true."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands

from bookings import refusals
from common.errors import FairseatError
from common.invariants import INVARIANTS
from common.jobs import JOBS
from common.outbox import HANDLERS
from config.celery import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
APPS = (
    "accounts",
    "analytics",
    "bookings",
    "common",
    "config",
    "events",
    "faceverify",
    "gate",
    "payments",
    "registrations",
    "waitlist",
    "webhooks",
)


def settings_read() -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the name and the default of every setting that config/settings.py reads from the environment."""
    tree = ast.parse((ROOT / "config" / "settings.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("env"):
            name = ast.literal_eval(node.args[0])
            yield name, node.args[1] if len(node.args) > 1 else None


def settings_documented() -> dict[str, str]:
    """Return each setting of the README's table with its default."""
    table = README.split("## Settings")[1]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", table, re.M))


def constant(expression: ast.expr | None) -> str | None:
    """Return a default that is written out as the README writes it; None for one that depends on something."""
    if expression is None:
        return None
    try:
        value = eval(compile(ast.Expression(expression), "settings", "eval"), {"__builtins__": {}})
    except (NameError, TypeError):
        return None
    if value is None:
        return None
    return "–" if value == "" else f"`{int(value) if isinstance(value, bool) else value}`"


def test_every_setting_is_in_the_readme_and_no_other():
    assert sorted(settings_documented()) == sorted({name for name, _ in settings_read()})


def test_defaults_in_the_readme_are_those_of_the_code():
    documented = settings_documented()
    differences = {
        name: (documented[name], written)
        for name, default in settings_read()
        if (written := constant(default)) and name != "STRIPE_SECRET_KEY" and documented[name] != written
    }

    assert differences == {}


def test_required_settings_are_marked():
    tree = ast.unparse(ast.parse((ROOT / "config" / "settings.py").read_text()))
    required = set(re.findall(r"env\w*\('(\w+)', [^()]*(?:\([^()]*\))?[^()]* else None", tree)) | {"EMAIL_BACKEND"}

    marked = {name for name, default in settings_documented().items() if "*required*" in default}

    assert required == marked


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#]+?)(?:#[\w-]*)?\)", document.read_text())

    broken = [link for link in links if "://" not in link and not (document.parent / link).exists()]

    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(document):
    folders = "|".join([*APPS, "docs", "tests", "benchmarks", "templates", "static", "tools"])
    named = set(re.findall(rf"`((?:{folders})/[\w./-]*)`", document.read_text()))

    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_folder_with_code_is_on_the_map():
    listed = set(re.findall(r"^\| `(\w+)/`", README, re.M))

    folders = {path.parent.name for path in ROOT.glob("*/apps.py")} | {"config"}

    assert folders - listed == set()


def test_every_periodic_job_is_described():
    app.loader.import_default_modules()
    described = dict(re.findall(r"^\| `(\w+\.\w+)` \| `(\w+)` \|", OPERATIONS, re.M))

    assert described == {name: job.every for name, job in JOBS.items()}


def test_every_command_of_ours_is_described():
    ours = {name for name, where in get_commands().items() if where in APPS}
    described = set(re.findall(r"^\| `manage\.py (\w+)", OPERATIONS, re.M))

    assert described == ours


def test_every_invariant_and_outbox_topic_is_described():
    app.loader.import_default_modules()

    assert [name for name in sorted(INVARIANTS) if f"`{name}`" not in OPERATIONS] == []
    assert [topic for topic in sorted(HANDLERS) if f"`{topic}`" not in OPERATIONS] == []


def test_error_codes_are_stable_words_and_not_shared_by_two_meanings():
    codes: dict[str, set[int]] = {}
    for kind in vars(refusals).values():
        if isinstance(kind, type) and issubclass(kind, FairseatError):
            codes.setdefault(kind.code, set()).add(kind.status)

    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)
    assert {code: statuses for code, statuses in codes.items() if len(statuses) > 1} == {}


def test_decisions_are_numbered_without_a_gap_and_have_their_three_parts():
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))

    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        text = record.read_text()
        assert [part for part in ("## Context", "## Decision", "## Consequences") if part not in text] == []
