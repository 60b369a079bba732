"""What the sandbox remembers: its objects, idempotency keys, deliveries and timers, in one SQLite file of its own."""

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Body = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL, parent TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS objects_of_parent ON objects (kind, parent);
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'waiting', last_answer TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS timers (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, intent TEXT NOT NULL, outcome TEXT NOT NULL, due_at REAL NOT NULL
);
"""


def new_id(prefix: str) -> str:
    """Return an id as Stripe makes them: `pi_…`."""
    return f"{prefix}_{secrets.token_hex(12)}"


class Store:
    """One connection behind one lock: every request of the sandbox is one transaction, one after the other."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self.lock = threading.RLock()
        self.connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block alone, as a whole or not at all."""
        with self.lock:
            if self.connection.in_transaction:
                yield
                return
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.connection.close()

    # -- Objects ------------------------------------------------------------------------------------------------------
    def put(self, body: Body, *, parent: str = "") -> None:
        """Write an object; `parent` is what it is listed under."""
        self.connection.execute(
            "INSERT INTO objects (id, kind, parent, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (body["id"], body["object"], parent, json.dumps(body)),
        )

    def get(self, kind: str, object_id: str) -> Body | None:
        """Read an object."""
        row = self.connection.execute(
            "SELECT body FROM objects WHERE kind = ? AND id = ?", (kind, object_id)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def all(self, kind: str, *, parent: str | None = None) -> list[Body]:
        """Read the objects of a kind, newest first."""
        rows = self.connection.execute(
            "SELECT body FROM objects WHERE kind = ? AND (? IS NULL OR parent = ?) ORDER BY seq DESC",
            (kind, parent, parent),
        )
        return [json.loads(row[0]) for row in rows]

    # -- Idempotency keys ---------------------------------------------------------------------------------------------
    def answer_for(self, key: str) -> tuple[str, int, Body] | None:
        """Return the fingerprint, status and body kept under an idempotency key."""
        row = self.connection.execute("SELECT fingerprint, status, body FROM keys WHERE key = ?", (key,)).fetchone()
        return (row[0], row[1], json.loads(row[2])) if row else None

    def keep_answer(self, key: str, fingerprint: str, status: int, body: Body) -> None:
        """Keep the first answer given under a key."""
        self.connection.execute(
            "INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)", (key, fingerprint, status, json.dumps(body))
        )

    # -- Deliveries ---------------------------------------------------------------------------------------------------
    def queue_delivery(self, event_id: str, *, due_at: float, state: str = "waiting") -> None:
        """Write one delivery of an event to the shop."""
        self.connection.execute(
            "INSERT INTO deliveries (event, due_at, state) VALUES (?, ?, ?)", (event_id, due_at, state)
        )

    def due_deliveries(self, *, newest_first: bool) -> list[tuple[int, str, int]]:
        """Return (sequence, event id, attempts) of what is due."""
        order = "DESC" if newest_first else "ASC"
        return self.connection.execute(
            f"SELECT seq, event, attempts FROM deliveries WHERE state = 'waiting' AND due_at <= ? ORDER BY seq {order}",  # noqa: S608
            (time.time(),),
        ).fetchall()

    def note_delivery(self, seq: int, *, state: str, answer: str, due_at: float) -> None:
        """Write what came of one attempt to deliver."""
        self.connection.execute(
            "UPDATE deliveries SET attempts = attempts + 1, state = ?, last_answer = ?, due_at = ? WHERE seq = ?",
            (state, answer, due_at, seq),
        )

    def deliveries(self, event_id: str) -> list[Body]:
        """Return how the deliveries of an event went."""
        rows = self.connection.execute(
            "SELECT attempts, state, last_answer FROM deliveries WHERE event = ? ORDER BY seq", (event_id,)
        )
        return [{"attempts": row[0], "state": row[1], "last_answer": row[2]} for row in rows]

    # -- Timers -------------------------------------------------------------------------------------------------------
    def set_timer(self, intent_id: str, outcome: str, *, due_at: float) -> None:
        """Decide an intent later."""
        self.connection.execute(
            "INSERT INTO timers (intent, outcome, due_at) VALUES (?, ?, ?)", (intent_id, outcome, due_at)
        )

    def take_due_timers(self) -> list[tuple[str, str]]:
        """Remove and return (intent id, outcome) of the timers that went off."""
        now = time.time()
        rows = self.connection.execute(
            "SELECT intent, outcome FROM timers WHERE due_at <= ? ORDER BY due_at", (now,)
        ).fetchall()
        self.connection.execute("DELETE FROM timers WHERE due_at <= ?", (now,))
        return rows

    def forget_the_future(self) -> None:
        """Drop every timer, and every delivery that has not been made."""
        self.connection.execute("DELETE FROM timers")
        self.connection.execute("UPDATE deliveries SET state = 'dropped' WHERE state = 'waiting'")

    def hasten_timers(self) -> None:
        """Let every timer go off now."""
        self.connection.execute("UPDATE timers SET due_at = 0")
