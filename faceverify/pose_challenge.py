"""
A head turned in the order the server chose: what the local engine can ask for. It is not liveness.

It stops a still picture held before the camera, a resubmitted profile photo and casual sharing of an account. It does not stop
a prepared video, a face swap, frames sent straight to the API, or a mask.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from faceverify.engines.base import Vector

ORDERS = (("left", "right"), ("right", "left"), ("left", "right", "left"), ("right", "left", "right"))
FEWEST, MOST = 8, 12
FRONTAL = 0.17  # honest frontal photos lie within this
FIRST_TURN = 0.10
SWING = 0.25  # a flat picture turned up to 60 degrees changes by .21 at most
LONGEST_STEP = 0.15


@dataclass(frozen=True)
class Frame:
    """One frame: how far the nose is off the middle of the eyes, positive to the person's own left; what is wrong with it."""

    turn: float
    vector: Vector
    reasons: tuple[str, ...] = ()


def choose_turns() -> tuple[str, ...]:
    """Return an order nobody can know beforehand."""
    return random.SystemRandom().choice(ORDERS)


def judge(frames: Sequence[Frame], turns: Sequence[str]) -> str:
    """Return why these frames do not show a head turned in this order, "" if they do."""
    if not FEWEST <= len(frames) <= MOST:
        return "frame_count"
    for frame in frames:
        if frame.reasons:
            return frame.reasons[0]
    path = [frame.turn for frame in frames]
    if abs(path[0]) > FRONTAL:
        return "not_frontal_first"
    if any(abs(after - before) > LONGEST_STEP for before, after in pairwise(path)):
        return "jump"
    return "" if follows(path, turns) else "wrong_turns"


def follows(path: Sequence[float], turns: Sequence[str]) -> bool:
    """Whether a path swings far enough to each side in turn, and to no other in between."""
    at, wanted, extreme = 0, list(turns), path[0]
    for index, turn in enumerate(wanted):
        sign = 1 if turn == "left" else -1
        least = FIRST_TURN if index == 0 else SWING
        start = extreme
        while at < len(path) and sign * (path[at] - start) < least:
            if index == 0 and -sign * (path[at] - start) >= FIRST_TURN:
                return False  # the first turn went the other way
            at += 1
        if at == len(path):
            return False
        extreme = path[at]
        while at + 1 < len(path) and sign * (path[at + 1] - extreme) >= 0:
            at += 1
            extreme = path[at]
    return True
