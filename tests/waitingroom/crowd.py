"""What one of several processes does for its part of a crowd: requests over HTTP, and checks of what came back."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

from bookings.waitingroom import fairness

CONNECTIONS = 25


def asked(port: int, requests: list[tuple[str, str, str, bytes]]) -> list[tuple[int, Any]]:
    """Send (method, path, token, body) over CONNECTIONS connections and return status and JSON of each, in order."""

    def some(part: Iterable[tuple[str, str, str, bytes]]) -> list[tuple[int, Any]]:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        found = []
        for method, path, token, body in part:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            raw = answer.read()
            found.append((answer.status, json.loads(raw) if raw else None))
        connection.close()
        return found

    parts = [requests[at::CONNECTIONS] for at in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        answers = list(threads.map(some, parts))
    return [answers[number % CONNECTIONS][number // CONNECTIONS] for number in range(len(requests))]


def checked_receipts(port: int, event: str, tokens: list[str]) -> list[tuple[str, int, int, bool]]:
    """Fetch each person's receipt and return entry, arrival, place, and whether it proves that place by itself."""
    answers = asked(port, [("GET", f"/api/v1/queue/receipt/{event}", token, b"") for token in tokens])
    found = []
    for status, body in answers:
        assert status == 200, body
        receipt = body["data"]
        seed = bytes.fromhex(receipt["seed"])
        proven = (
            fairness.commitment(seed) == receipt["commitment"]
            and fairness.draw(seed, receipt["root"], receipt["entry"]) == receipt["draw"]
            and fairness.verify_proof(
                entry=receipt["entry"],
                index=receipt["leaf"],
                size=receipt["size"],
                proof=receipt["proof"],
                root=receipt["root"],
            )
        )
        found.append((receipt["entry"], receipt["arrival"], receipt["place"], proven))
    return found
