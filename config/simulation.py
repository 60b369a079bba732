"""
A sale with simulated people, over HTTP like real ones: lobby, draw, line, hold, payment in the sandbox, tickets.

Each person is a generator that makes one request after the other and says how long it waits before the next; some threads go
through all of them as they fall due. What is measured on the way becomes a plot.
"""

import heapq
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from django.conf import settings
from django.utils import timezone

from accounts.authentication import issue_access_token
from accounts.models import User
from events.models import Event, SeatInventory, TicketCategory

THREADS = 32
SAMPLE_SECONDS = 0.5
PRICE_MINOR = 4900
ENDED = {"sold_out", "closed", "done"}


@dataclass
class Sample:
    """How the sale was at one moment, seconds after it began."""

    at: float
    in_line: int
    let_in: int
    sold: int


@dataclass
class Sale:
    """A simulated sale: whom it is made of, what became of them, and how it went over time."""

    event: Event
    category: TicketCategory
    people: list[User]
    began: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, much: int = 1) -> None:
        with self.lock:
            self.counts[what] += much

    def end(self, how: str) -> None:
        with self.lock:
            self.ended[how] += 1

    def sample(self) -> None:
        """Note how it is now."""
        with self.lock:
            counts, gone = self.counts, sum(self.ended.values())
            in_line = max(0, counts["joined"] - counts["let in"] - (gone - counts["ended after their turn"]))
            self.samples.append(Sample(time.monotonic() - self.began, in_line, counts["let in"], counts["sold"]))


def prepare(*, people: int, seats: int, most: int, lobby: float) -> Sale:
    """Make an event whose sale opens in `lobby` seconds, and people with accounts of their own."""
    now = timezone.now()
    run = uuid.uuid4().hex[:8]
    event = Event.objects.create(
        name=f"Simulated sale {run}",
        location="Nowhere",
        starts_at=now + timedelta(days=30),
        ends_at=now + timedelta(days=30, hours=3),
        status=Event.Status.PUBLISHED,
        queue_enabled=True,
        max_active_users=most,
        sale_starts_at=now + timedelta(seconds=lobby),
    )
    category = TicketCategory.objects.create(event=event, name="General", price_minor=PRICE_MINOR)
    SeatInventory.objects.create(category=category, capacity=seats)
    crowd = [User(email=f"simulated-{run}-{n}@demo.test", name=f"Simulated {n}", password="!") for n in range(people)]  # noqa: S106
    return Sale(event, category, User.objects.bulk_create(crowd))


def run(sale: Sale, tell: Callable[[Sale], None], *, patience: float, seconds: float) -> None:
    """Let everybody live until all are through or the time is over; `tell` is called twice a second."""
    rng = random.Random(sale.event.pk.int)
    due = [(time.monotonic() + rng.random() * 3, n, life(sale, one, patience)) for n, one in enumerate(sale.people)]
    heapq.heapify(due)
    changed = threading.Condition()
    alive = len(due)

    def work() -> None:
        nonlocal alive
        while True:
            with changed:
                while alive and (not due or due[0][0] > time.monotonic()):
                    changed.wait(min(0.5, max(0.001, due[0][0] - time.monotonic())) if due else 0.5)
                if not alive:
                    return
                _, number, person = heapq.heappop(due)
            pause = next_step(sale, person)
            with changed:
                if pause is None:
                    alive -= 1
                else:
                    heapq.heappush(due, (time.monotonic() + pause, number, person))
                changed.notify_all()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    while any(thread.is_alive() for thread in threads):
        sale.sample()
        tell(sale)
        time.sleep(SAMPLE_SECONDS)
        if time.monotonic() > until:
            with changed:
                alive = 0
                changed.notify_all()
    sale.sample()
    tell(sale)


def next_step(sale: Sale, person: Iterator[float]) -> float | None:
    """Go one step on in a person's life and return how long they wait then; None when it is over."""
    try:
        return next(person)
    except StopIteration:
        return None
    except OSError as error:
        with sale.lock:
            sale.problems[type(error).__name__] += 1
        sale.end("lost the connection")
        return None


def life(sale: Sale, person: User, patience: float) -> Iterator[float]:
    """Join, wait to be let in, hold a ticket or two, pay, look at the tickets."""
    client = Client(sale, person)
    event = str(sale.event.pk)
    yield from client.until_answered("POST", "/api/v1/queue/join", {"eventId": event})
    if client.status != 200:
        sale.end("could not join")
        return
    sale.count("joined")
    while True:
        standing = client.body["data"]
        if standing["status"] == "active":
            break
        if standing["status"] in ENDED:
            sale.end("sold out in line" if standing["status"] == "sold_out" else standing["status"])
            return
        yield min(patience, standing["nextPollMs"] / 1000)
        yield from client.until_answered("GET", f"/api/v1/queue/status?eventId={event}")
        if client.status != 200:
            sale.end("lost their place")
            return
    sale.count("let in")
    yield random.uniform(0.2, 1.5)  # choosing
    how = yield from buy(sale, client)
    sale.count("ended after their turn")
    sale.end(how)


def buy(sale: Sale, client: "Client") -> Generator[float, None, str]:
    """Hold, pay, confirm; returns how it ended."""
    wish = {"categoryId": str(sale.category.pk), "quantity": random.choice((1, 1, 2))}
    yield from client.until_answered("POST", "/api/v1/bookings", wish)
    if client.status != 201:
        code = client.body.get("code", "")
        yield from client.until_answered("DELETE", f"/api/v1/queue/leave?eventId={sale.event.pk}")
        return "found nothing left" if code in {"sold_out", "partly_available"} else f"refused: {code}"
    booking = client.body["data"]["booking"]
    sale.count("held")
    yield from client.until_answered("POST", "/api/v1/payments/create-intent", {"bookingId": booking["id"]})
    if client.status not in {200, 201}:
        return f"refused: {client.body.get('code')}"
    intent = client.body["data"]
    yield random.uniform(0.2, 1.5)  # typing a card's number
    client.pay(intent)
    yield from client.until_answered("PATCH", f"/api/v1/bookings/{booking['id']}/confirm", {})
    if client.status != 200:
        return f"unpaid: {client.body.get('code')}"
    yield from client.until_answered("GET", "/api/v1/tickets")
    tickets = len(client.body["data"])
    sale.count("sold", tickets)
    return "bought" if tickets == booking["quantity"] else "bought, but the tickets do not match"


class Client:
    """One person's client of the API; `status` and `body` are the last answer."""

    def __init__(self, sale: Sale, person: User) -> None:
        self.sale, self.person = sale, person
        self.token, self.token_ends = "", 0.0
        self.status, self.retry_after = 0, 0.0
        self.body: dict[str, Any] = {}

    def until_answered(self, method: str, path: str, body: Any = None) -> Iterator[float]:
        """Send a request, again for as long as the site asks to wait."""
        for _ in range(50):
            self.send(method, settings.SITE_URL + path, None if body is None else json.dumps(body).encode())
            if self.status not in {429, 503}:
                return
            with self.sale.lock:
                self.sale.problems[f"{self.status}, tried again"] += 1
            yield self.retry_after * random.uniform(1, 1.3)

    def send(self, method: str, url: str, body: bytes | None, **headers: str) -> None:
        if time.monotonic() > self.token_ends:
            self.token = issue_access_token(user=self.person, now=timezone.now())
            self.token_ends = time.monotonic() + settings.ACCESS_TOKEN_SECONDS / 2
        known = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        given = known | {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(url, data=body, method=method, headers=given)  # noqa: S310 - an address of ours
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310 - an address of ours
                self.status, raw = answer.status, answer.read()
        except HTTPError as error:
            self.status, raw = error.code, error.read()
            self.retry_after = float(error.headers.get("Retry-After") or 1)
        self.body = json.loads(raw) if raw else {}

    def pay(self, intent: dict[str, Any]) -> None:
        """Confirm the intent at the sandbox, as the card field in a browser does."""
        card = urlencode({"payment_method": "pm_card_visa", "client_secret": intent["clientSecret"]}).encode()
        self.send(
            "POST",
            f"{settings.STRIPE_API_BASE}/v1/payment_intents/{intent['paymentIntentId']}/confirm",
            card,
            Authorization=f"Bearer {settings.STRIPE_PUBLISHABLE_KEY}",
            Content_Type="application/x-www-form-urlencoded",
        )


# -- The picture ------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT = 880, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 120, 74, 48
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1b1a22 } .title { font-weight: 700; font-size: 17px } .small { fill: #5c5a67 }
  .paper { fill: #ffffff } .grid { stroke: #e4e1ea } .mark { stroke: #8a8796; stroke-dasharray: 2 4 }
  polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .line { stroke: #4b3bd6 } .let { stroke: #0b6b46; stroke-dasharray: 7 4 } .sold { stroke: #a3152f; stroke-dasharray: 2 3 }
  .l-line { fill: #4b3bd6 } .l-let { fill: #0b6b46 } .l-sold { fill: #a3152f }
  @media (prefers-color-scheme: dark) {
    text { fill: #f2f0f7 } .small { fill: #b4b0c0 } .paper { fill: #1c1b24 } .grid { stroke: #302e3b } .mark { stroke: #7d7990 }
    .line { stroke: #a99cff } .let { stroke: #6fd6a4 } .sold { stroke: #ff9aa8 }
    .l-line { fill: #a99cff } .l-let { fill: #6fd6a4 } .l-sold { fill: #ff9aa8 }
  }
"""


def plot(sale: Sale, *, lobby: float) -> str:
    """Return the picture of a sale as SVG: people in line, people let in, tickets sold, over time."""
    last = max(1.0, sale.samples[-1].at)
    highest = max(1, max(max(one.in_line, one.let_in, one.sold) for one in sale.samples))
    step = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10**9) if highest / size <= 6)
    top = step * -(-highest // step)

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / last

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    words = (
        f"{len(sale.people)} people, {sale.counts['sold']} tickets sold in {last:.0f} seconds,"
        f" at most {sale.event.max_active_users} buying at once"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}" rx="14"/>',
        f'<text class="title" x="{LEFT - 36}" y="32">{words}</text>',
    ]
    for value in range(0, top + 1, step):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="small" x="{LEFT - 8}" y="{y(value) + 5:.1f}" text-anchor="end">{value}</text>')
    seconds = next(size for size in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 10**9) if last / size <= 8)
    for at in range(0, int(last) + 1, seconds):
        parts.append(
            f'<text class="small" x="{x(at):.1f}" y="{HEIGHT - BOTTOM + 22}" text-anchor="middle">{at} s</text>'
        )
    if lobby < last:
        parts.append(
            f'<line class="mark" x1="{x(lobby):.1f}" x2="{x(lobby):.1f}" y1="{TOP - 22}" y2="{HEIGHT - BOTTOM}"/>'
        )
        parts.append(
            f'<text class="small" x="{x(lobby) + 6:.1f}" y="{TOP - 12}">the sale opens, the lobby is drawn</text>'
        )
    series = {"line": ("in line", "in_line"), "let": ("let in", "let_in"), "sold": ("tickets sold", "sold")}
    ends: list[float] = []
    for kind, (label, name) in series.items():
        points = " ".join(f"{x(one.at):.1f},{y(getattr(one, name)):.1f}" for one in sale.samples)
        parts.append(f'<polyline class="{kind}" points="{points}"/>')
        height = y(getattr(sale.samples[-1], name)) + 5
        while any(abs(height - other) < 17 for other in ends):
            height -= 17
        ends.append(height)
        parts.append(f'<text class="l-{kind}" x="{WIDTH - RIGHT + 8}" y="{height:.1f}">{label}</text>')
    return "\n".join([*parts, "</svg>\n"])
