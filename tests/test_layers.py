"""An app imports only apps on lower lines, at the top of a file, inside a function, by name or as a foreign key."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Lower numbers may be imported by higher ones; equal numbers are siblings and may not import each other.
LAYERS = {
    "config": 7,
    "webhooks": 6,
    "analytics": 6,
    "gate": 6,
    "registrations": 5,
    "payments": 4,
    "waitlist": 4,
    "bookings": 3,
    "events": 2,
    "faceverify": 2,
    "accounts": 1,
    "common": 0,
}
IMPORTERS = ("import_module", "__import__", "import_string")
RELATIONS = ("ForeignKey", "OneToOneField", "ManyToManyField")


def breaches(root: Path) -> list[str]:
    """Return one line for each import or relation that points upwards or sideways."""
    found = []
    for app, layer in LAYERS.items():
        for path in sorted((root / app).rglob("*.py")):
            for line, target in references(path):
                other = target.split(".")[0]
                if other != app and LAYERS.get(other, -1) >= layer:
                    found.append(f"{path.relative_to(root)}:{line} {app} → {target}")
    return found


def references(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything that a file imports or relates to."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in IMPORTERS + RELATIONS and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def test_every_app_is_on_a_line():
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")}

    assert apps <= set(LAYERS)


def test_imports_point_downward():
    assert breaches(ROOT) == []


UPWARD = {
    "at the top": "from bookings.models import Booking\n",
    "a whole module": "import bookings.services\n",
    "inside a function": "def f():\n    from payments import services\n    return services\n",
    "the composition root": "from config import settings\n",
    "by name": "from importlib import import_module\nimport_module('bookings.services')\n",
    "a foreign key": "from django.db import models\nclass M(models.Model):\n    b = models.ForeignKey('bookings.Booking', 1)\n",
    "a sibling": "from faceverify import engines\n",
}


@pytest.mark.parametrize("source", UPWARD.values(), ids=UPWARD.keys())
def test_an_upward_import_is_found(tmp_path, source):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "services.py").write_text(source)

    assert len(breaches(tmp_path)) == 1


def test_a_downward_import_is_none(tmp_path):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "services.py").write_text("from common import money\nfrom accounts.models import User\n")

    assert breaches(tmp_path) == []
