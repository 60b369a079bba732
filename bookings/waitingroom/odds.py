"""
Whether somebody in line can still expect a ticket, from two facts: how many seats are left and how many people are ahead.

Nothing is promised. The words change only where the answer would be right whatever the people ahead do (each takes one, or
each takes as many as they may), or where experience says what they usually take.
"""

from enum import StrEnum

TYPICAL = 2  # tickets that one admitted person takes where nothing was measured yet


class Odds(StrEnum):
    SAFE = "safe"
    LIKELY = "likely"
    OPEN = "open"
    UNLIKELY = "unlikely"
    NONE = "none"
    UNKNOWN = "unknown"


def odds_of(*, seats_left: int | None, ahead: int, most: int, usual: float = TYPICAL) -> Odds:
    """
    Return what the person with `ahead` people before them can expect.

    `most` is how many tickets one person may take, `usual` how many one takes on average.
    """
    if seats_left is None:
        return Odds.UNKNOWN
    if seats_left <= 0:
        return Odds.NONE
    if ahead * most < seats_left:
        return Odds.SAFE
    if ahead >= seats_left:
        return Odds.UNLIKELY
    return Odds.LIKELY if (ahead + 1) * usual <= seats_left else Odds.OPEN
