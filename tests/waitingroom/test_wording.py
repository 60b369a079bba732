"""What a place in line looks like to its person: odds, ranges, and how rarely a screen reader is interrupted."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.waitingroom.odds import Odds, odds_of
from bookings.waitingroom.wording import Phase, answer_of, etag_of, line_of, milestone, wait_in_words


@dataclass(frozen=True)
class Standing:
    """A standing as the waiting room gives it."""

    status: str = "waiting"
    position: int | None = 3412
    total: int | None = 9000
    estimate_seconds: tuple[int, int] | None = (840, 1140)
    expires_at: datetime | None = None
    next_poll_ms: int = 6000
    message: str = ""
    seats_left: int | None = 2052
    opens_at: datetime | None = None


@pytest.mark.parametrize(
    ("left", "ahead", "most", "usual", "odds"),
    [
        (100, 9, 10, 2, Odds.SAFE),
        (90, 9, 10, 2, Odds.LIKELY),
        (20, 9, 10, 2, Odds.LIKELY),
        (19, 9, 10, 2, Odds.OPEN),
        (10, 9, 10, 2, Odds.OPEN),
        (9, 9, 10, 2, Odds.UNLIKELY),
        (1, 0, 10, 2, Odds.SAFE),
        (0, 0, 10, 2, Odds.NONE),
        (None, 0, 10, 2, Odds.UNKNOWN),
    ],
)
def test_odds_follow_from_seats_and_people(left, ahead, most, usual, odds):
    assert odds_of(seats_left=left, ahead=ahead, most=most, usual=usual) == odds


@given(
    left=st.integers(1, 5000),
    taken=st.lists(st.integers(0, 10), max_size=600),
)
def test_odds_promise_nothing_that_can_fail(left, taken):
    """Whoever is told `safe` finds a ticket whatever those ahead take; `unlikely` only where not all can have one."""
    odds = odds_of(seats_left=left, ahead=len(taken), most=10)

    if odds == Odds.SAFE:
        assert left - sum(taken) >= 1
    if odds == Odds.UNLIKELY:
        assert left - len(taken) < 1


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        ((0, 40), "Less than a minute."),
        ((0, 61), "Up to 2 minutes."),
        ((840, 1140), "About 14 to 19 minutes."),
        ((845, 1139), "About 14 to 19 minutes."),
        ((300, 300), "About 5 minutes."),
        ((7000, 12_000), "About 1 to 4 hours."),
        ((90_000, 200_000), "More than a day."),
    ],
)
def test_a_range_is_rounded_outwards(estimate, words):
    assert wait_in_words(Phase.WAITING, estimate) == words


def test_nothing_measured_is_said_to_be_unknown():
    assert "can’t say yet" in wait_in_words(Phase.WAITING, None)


def test_while_paused_no_time_is_promised():
    line = line_of(Standing(status="paused", message="A fault at the bank."))

    assert line.turn_between is None
    assert "minutes" not in line.words["wait"]
    assert line.title == "Paused, number 3,412 in line"


def test_the_lobby_has_no_place_yet():
    line = line_of(Standing(status="lobby", position=7, total=812, estimate_seconds=None))

    assert (line.position, line.words["place"]) == (None, "")
    assert line.words["lobby"] == "812 people are here."


def test_the_turn_is_told_between_two_times():
    line = line_of(Standing())

    low, high = line.turn_between
    assert (high - low, low - line.made_at) == (timedelta(minutes=5), timedelta(minutes=14))


def test_progress_counts_from_the_place_seen_first():
    assert line_of(Standing(position=62), first=100).progress == 38
    assert line_of(Standing(position=100)).progress is None


def test_a_screen_reader_is_told_milestones_only():
    marks = {line_of(Standing(position=place)).mark for place in range(1, 3413)}

    assert len(marks) <= 18
    assert [milestone(place) for place in (1, 4, 6, 31, 51, 3412)] == [1, 5, 10, 50, 100, 5000]


def test_the_same_news_has_the_same_etag_a_second_later():
    first = answer_of(line_of(Standing()))
    again = answer_of(line_of(Standing()))
    moved = answer_of(line_of(Standing(position=3411)))

    assert etag_of(first) == etag_of(again)
    assert etag_of(first) != etag_of(moved)


def test_times_for_scripts_have_their_zone():
    at = datetime(2027, 1, 2, 10, 0, tzinfo=UTC)

    assert answer_of(line_of(Standing(status="active", expires_at=at)))["expiresAt"] == "2027-01-02T10:00:00.000+00:00"
