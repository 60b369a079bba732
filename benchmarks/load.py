"""
A small load generator: one process, raw sockets, requests written beforehand, so that what is measured is the server.

It costs about 0.1 ms of CPU a request, which shares the machine with the server: every figure includes the generator.
"""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Load:
    """What came back: how many answers of each status, how long each took (seconds), over what time (seconds)."""

    seconds: float
    statuses: Counter = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def per_second(self, *statuses: int) -> float:
        """Return the rate of answers with one of `statuses` (all of them when none is named)."""
        wanted = statuses or tuple(self.statuses)
        return sum(self.statuses[status] for status in wanted) / self.seconds

    def percentile(self, share: float) -> float:
        """Return a latency percentile in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.started = 0.0

    def send(self, request: bytes) -> None:
        self.started = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> int | None:
        """Read what is there and return the status when the whole answer has come."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        self.buffer += chunk
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < content_length(head):
            return None
        self.buffer = b""
        return int(head[9:12])


def content_length(head: bytes) -> int:
    """Return the Content-Length of an answer's head; a 304 has none."""
    lower = head.lower()
    at = lower.find(b"content-length:")
    return int(lower[at + 15 : lower.find(b"\r\n", at) if b"\r\n" in lower[at:] else None]) if at >= 0 else 0


def drive(port: int, requests: Iterator[bytes], *, connections: int, seconds: float = 10**9) -> Load:
    """Send `requests` over so many connections, each waiting for its answer, until they run out or the time is over."""
    selector = selectors.DefaultSelector()
    result = Load(seconds=0)
    begun = time.perf_counter()
    active = 0
    for request in (next(requests, None) for _ in range(connections)):
        if request is None:
            break
        connection = Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(request)
        active += 1
    while active:
        for key, _ in selector.select(timeout=30):
            connection = key.data
            status = connection.receive()
            if status is None:
                continue
            now = time.perf_counter()
            result.statuses[status] += 1
            result.latencies.append(now - connection.started)
            request = next(requests, None) if now - begun < seconds else None
            if request is None:
                selector.unregister(connection.socket)
                connection.socket.close()
                active -= 1
            else:
                connection.send(request)
    result.seconds = time.perf_counter() - begun
    return result


def statuses(port: int, requests: list[bytes], connections: int) -> dict[int, int]:
    """Drive as one of several processes: return how many answers had each status."""
    return dict(drive(port, iter(requests), connections=connections).statuses)


def post(path: str, token: str, body: bytes) -> bytes:
    """Return the bytes of a JSON POST."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def get(path: str, **headers: str) -> bytes:
    """Return the bytes of a GET; header names are written with underscores."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()
