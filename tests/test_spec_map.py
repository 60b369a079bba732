"""docs/spec-map.md promises: every test and address it names exists, and every address of ours is in it."""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest
from django.urls import Resolver404, resolve

from accounts.api import urls as accounts
from bookings.api import urls as bookings
from config import pages
from events.api import urls as events
from payments.api import urls as payments
from registrations.api import urls as registrations
from waitlist.api import urls as waitlist

TESTS = Path(__file__).resolve().parent
MAP = (TESTS.parent / "docs" / "spec-map.md").read_text()
TEST_ID = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
ADDRESS = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/api/[^`\s]*)`")
HONEST = re.compile(r"not built yet: \w|decided: \w")


class Row(NamedTuple):
    """One line of a table: what a spec says, where it is here, what proves it."""

    says: str
    here: str
    proof: str


def rows() -> list[Row]:
    """Return the rows of all tables."""
    found = []
    for line in MAP.splitlines():
        if line.startswith("| ") and not line.startswith(("| says |", "| what |")):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            assert len(cells) == 3, line
            found.append(Row(*cells))
    return found


@lru_cache
def names_in(path: str) -> set[str]:
    """Return the names of the tests in a file below tests/."""
    file = TESTS / path
    return set(re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.M)) if file.is_file() else set()


def offers(method: str, address: str) -> bool:
    """Whether a view answers this method at this address."""
    try:
        view = resolve(re.sub(r"\{\w+\}", str(uuid4()), address)).func
    except Resolver404:
        return False
    kind = getattr(view, "view_class", None) or getattr(view, "cls", None)
    return hasattr(kind, method.lower()) if kind else view is not pages.not_found


def test_the_map_has_a_table_for_every_system():
    assert re.findall(r"^## (S\d)", MAP, re.M) == ["S0", "S1", "S2", "S3", "S4"]
    assert len(rows()) > 250


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.says[:60])
def test_a_row_is_proven_or_says_honestly_that_it_is_not(row):
    named = TEST_ID.findall(row.proof)

    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []
    assert named or HONEST.search(row.proof), row


def test_addresses_of_what_is_built_exist():
    built = [row for row in rows() if "not built yet" not in row.proof]

    missing = [address for row in built for address in ADDRESS.findall(row.here) if not offers(*address)]

    assert missing == []


def test_what_is_said_not_to_be_built_is_not_there():
    unbuilt = [row for row in rows() if row.proof.startswith("not built yet")]

    there = [address for row in unbuilt for address in ADDRESS.findall(row.here) if offers(*address)]

    assert there == []


@pytest.mark.parametrize(
    "urls", [accounts, bookings, events, payments, registrations, waitlist], ids=lambda urls: urls.__name__
)
def test_every_address_of_ours_is_on_the_map(urls):
    named = {re.sub(r"\{\w+\}", "{}", address).removeprefix("/api/v1/") for _, address in ADDRESS.findall(MAP)}
    ours = {re.sub(r"<\w+:\w+>", "{}", str(pattern.pattern)) for pattern in urls.urlpatterns}

    assert sorted(ours - named) == []


def test_proofs_that_do_not_exist_are_noticed():
    assert names_in("bookings/test_documents.py")
    assert "test_that_nobody_wrote" not in names_in("bookings/test_documents.py")
    assert names_in("nowhere/test_nothing.py") == set()
    assert not offers("GET", "/api/v1/nowhere")
    assert not offers("DELETE", "/api/v1/tickets")
    assert offers("GET", "/api/v1/tickets/{code}/qr.svg")
