"""Waiting for another process: ask until it is so, and fail with a sentence when it does not come true."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def eventually(ask: Callable[[], Found], *, seconds: float = 60, what: str = "it did not happen") -> Found:
    """Return the first true answer of `ask()`."""
    until = time.monotonic() + seconds
    while True:
        if found := ask():
            return found
        assert time.monotonic() < until, f"{what} within {seconds} s"
        time.sleep(0.05)
