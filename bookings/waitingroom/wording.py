"""
What a place in line looks like to its person: one phase, the words of that phase, and when to ask again.

The page and the answers that its script polls are made of the same `Line`, so every sentence is written once.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

from django.utils import timezone

from bookings.waitingroom.odds import Odds, odds_of

MARKS = (1, 2, 3, 5)
LONG = 24 * 3600


class Phase(StrEnum):
    """What a person finds; `outside` is somebody who has no place."""

    OUTSIDE = "outside"
    LOBBY = "lobby"
    WAITING = "waiting"
    PAUSED = "paused"
    ACTIVE = "active"
    DONE = "done"
    PASSED = "passed"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"
    RESTORING = "restoring"


# Between these the page only changes its words; every other step shows another page.
TOGETHER = {Phase.LOBBY, Phase.WAITING, Phase.PAUSED}
TITLES = {
    Phase.OUTSIDE: "The line",
    Phase.LOBBY: "You’re in the lobby",
    Phase.WAITING: "You’re in line",
    Phase.PAUSED: "The line is paused",
    Phase.ACTIVE: "It’s your turn",
    Phase.DONE: "You’ve had your turn",
    Phase.PASSED: "Your turn has passed",
    Phase.SOLD_OUT: "Sold out",
    Phase.CLOSED: "The line is closed",
    Phase.RESTORING: "One moment: we are restoring your place",
}
ODDS = {
    Odds.SAFE: "There are enough tickets for everybody ahead of you, and for you.",
    Odds.LIKELY: "There are likely tickets left when it is your turn.",
    Odds.OPEN: "It may be close: the people ahead of you may take the last tickets.",
    Odds.UNLIKELY: "There are fewer tickets left than people ahead of you. Unless many take none, they will be gone:"
    " say below that you want to be on the waitlist, and you keep this place there.",
    Odds.NONE: "Every ticket is held or sold right now. Tickets that are not paid for come back, so the line goes on.",
    Odds.UNKNOWN: "",
}
SHORT_ODDS = {
    Odds.SAFE: "Enough for you",
    Odds.LIKELY: "Likely",
    Odds.OPEN: "May be close",
    Odds.UNLIKELY: "Unlikely",
    Odds.NONE: "None left right now",
    Odds.UNKNOWN: "",
}


class Standing(Protocol):
    """What the waiting room says about one person; `services.Standing` is one."""

    @property
    def status(self) -> str: ...
    @property
    def position(self) -> int | None: ...
    @property
    def total(self) -> int | None: ...
    @property
    def estimate_seconds(self) -> tuple[int, int] | None: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def next_poll_ms(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def seats_left(self) -> int | None: ...
    @property
    def opens_at(self) -> datetime | None: ...


@dataclass(frozen=True)
class Line:
    """A person's place as pages show it."""

    phase: Phase
    next_poll_ms: int = 15_000
    position: int | None = None
    total: int | None = None
    estimate: tuple[int, int] | None = None
    expires_at: datetime | None = None
    opens_at: datetime | None = None
    seats_left: int | None = None
    message: str = ""
    odds: Odds = Odds.UNKNOWN
    first: int | None = None
    receipt: str = ""
    made_at: datetime = field(default_factory=timezone.now, compare=False)

    @property
    def ahead(self) -> int | None:
        """How many people are before this one."""
        return None if self.position is None else self.position - 1

    @property
    def moves(self) -> bool:
        """Whether this is a page whose words change while one looks at it."""
        return self.phase in TOGETHER

    @property
    def has_place(self) -> bool:
        """Whether there is something to leave."""
        return self.phase in TOGETHER or self.phase == Phase.ACTIVE

    @property
    def refresh_seconds(self) -> int:
        """After how many seconds a browser without scripts looks again."""
        return max(5, -(-self.next_poll_ms // 1000))

    @property
    def progress(self) -> int | None:
        """How much of the way since this browser first saw the place is done, in percent."""
        if self.phase not in {Phase.WAITING, Phase.PAUSED} or self.position is None or not self.first:
            return None
        return min(100, max(0, round(100 * (self.first - self.position) / self.first)))

    @property
    def turn_between(self) -> tuple[datetime, datetime] | None:
        """Between which instants the turn should come, to the minute."""
        if self.phase != Phase.WAITING or self.estimate is None or self.estimate[1] > LONG:
            return None
        now = self.made_at.timestamp()
        low, high = (datetime.fromtimestamp(now + seconds, self.made_at.tzinfo) for seconds in self.estimate)
        return low, high

    @property
    def words(self) -> dict[str, str]:
        """Every text of the page that changes while one waits, by name."""
        return {
            "heading": TITLES[self.phase],
            "place": number(self.position) if self.position is not None else "",
            "ahead": ahead_in_words(self.ahead),
            "wait": wait_in_words(self.phase, self.estimate),
            "lobby": lobby_in_words(self.total),
            "left": number(self.seats_left) if self.seats_left is not None else "",
            "odds": ODDS[self.odds],
            "message": self.message,
            "title": self.title,
        }

    @property
    def title(self) -> str:
        """The title of the browser's tab, which says the place."""
        if self.phase in {Phase.WAITING, Phase.PAUSED} and self.position is not None:
            paused = "Paused, number" if self.phase == Phase.PAUSED else "Number"
            return f"{paused} {number(self.position)} in line"
        return TITLES[self.phase]

    @property
    def odds_in_short(self) -> str:
        return SHORT_ODDS[self.odds]

    @property
    def mark(self) -> str:
        """
        What a screen reader has been told is out of date when this changes: phase, message, and the place in steps of 1, 2, 3,
        5, 10, 20, 30, 50, 100 … So an hour in line is some twenty announcements, not five hundred.
        """
        return f"{self.phase}:{milestone(self.position)}:{self.odds == Odds.UNLIKELY}:{self.message}"

    @property
    def spoken(self) -> str:
        """What a screen reader is told then."""
        words = self.words
        if self.phase == Phase.WAITING:
            parts = [f"{self.title}.", words["wait"]]
        else:
            parts = [f"{self.title}.", self.message]
        return " ".join(part for part in parts if part)


def line_of(standing: Standing, *, most: int = 2, usual: float = 2, first: int | None = None) -> Line:
    """Return how a person's standing is shown; `first` is the place that their browser saw first."""
    phase = Phase(standing.status)
    ahead = (standing.position or 1) - 1
    shows_odds = phase in {Phase.WAITING, Phase.PAUSED}
    return Line(
        phase=phase,
        next_poll_ms=standing.next_poll_ms,
        position=standing.position if phase != Phase.LOBBY else None,
        total=standing.total,
        estimate=standing.estimate_seconds,
        expires_at=standing.expires_at,
        opens_at=standing.opens_at,
        seats_left=standing.seats_left,
        message=standing.message or "",
        odds=odds_of(seats_left=standing.seats_left, ahead=ahead, most=most, usual=usual)
        if shows_odds
        else Odds.UNKNOWN,
        first=first,
    )


def answer_of(line: Line) -> dict[str, Any]:
    """Return what the page's script gets: the words, what it needs to count down, and when to ask again."""
    between = line.turn_between
    return {
        "phase": str(line.phase),
        "moves": line.moves,
        "words": line.words,
        "odds": str(line.odds),
        "progress": line.progress,
        "between": [iso(at) for at in between] if between else None,
        "mark": line.mark,
        "spoken": line.spoken,
        "opensAt": iso(line.opens_at) if line.opens_at else None,
        "expiresAt": iso(line.expires_at) if line.expires_at else None,
    }


def etag_of(answer: dict[str, Any]) -> str:
    """Return the ETag of an answer; how far away a turn is in minutes changes it, the exact second does not."""
    same = {name: value for name, value in answer.items() if name != "between"}
    return f'"{sha256(repr(same).encode()).hexdigest()[:24]}"'


def iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def number(count: int) -> str:
    return f"{count:,}"


def people(count: int) -> str:
    """Say how many people: `1 person`, `3,411 people`."""
    return "1 person" if count == 1 else f"{number(count)} people"


def ahead_in_words(ahead: int | None) -> str:
    if ahead is None:
        return ""
    if ahead == 0:
        return "You’re next."
    return f"{people(ahead)} {'is' if ahead == 1 else 'are'} ahead of you."


def lobby_in_words(total: int | None) -> str:
    """Say how many are in the lobby; nobody is told a place, because there is none yet."""
    if not total:
        return ""
    if total == 1:
        return "You’re the first one here."
    return f"{people(total)} are here."


def wait_in_words(phase: Phase, estimate: tuple[int, int] | None) -> str:
    """Say an honest range of minutes: rounded outwards, and not at all where nothing was measured."""
    if phase == Phase.PAUSED:
        return "Nobody is let in while the line is paused. Your place is kept."
    if phase != Phase.WAITING:
        return ""
    if estimate is None:
        return "We can’t say yet how long it takes. We will as soon as the line has moved for a moment."
    low, high = estimate
    if high <= 60:
        return "Less than a minute."
    if low > LONG:
        return "More than a day."
    if high > 3 * 3600:
        return spread(low // 3600, -(-high // 3600), "hour")
    return spread(low // 60, -(-high // 60), "minute")


def spread(low: int, high: int, unit: str) -> str:
    """Say a range: `About 14 to 19 minutes.`, `Up to 2 hours.`, `About 5 minutes.`"""
    if low == 0:
        return f"Up to {number(high)} {unit}{'' if high == 1 else 's'}."
    if low == high:
        return f"About {number(low)} {unit}{'' if low == 1 else 's'}."
    return f"About {number(low)} to {number(high)} {unit}s."


def milestone(position: int | None) -> int | None:
    """Return the step at or above a place, in the sequence 1, 2, 3, 5, 10, 20, 30, 50, 100 …"""
    if position is None or position < 1:
        return None
    tens = 1
    while True:
        for step in MARKS:
            if position <= step * tens:
                return step * tens
        tens *= 10
