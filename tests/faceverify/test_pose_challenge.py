"""The rules of a head turn, without pictures."""

import numpy as np
import pytest

from faceverify.pose_challenge import ORDERS, Frame, choose_turns, judge

GOOD = {
    ("left", "right"): [0.0, 0.1, 0.2, 0.1, 0.0, -0.1, -0.2, -0.2],
    ("right", "left"): [0.0, -0.1, -0.2, -0.1, 0.0, 0.1, 0.2, 0.2],
    ("left", "right", "left"): [0.0, 0.1, 0.15, 0.02, -0.1, -0.14, -0.05, 0.08, 0.15],
    ("right", "left", "right"): [0.0, -0.1, -0.15, -0.02, 0.1, 0.14, 0.05, -0.08, -0.15],
}


def frames(path, reasons=()):
    return [Frame(turn, np.zeros(128), reasons) for turn in path]


@pytest.mark.parametrize("turns", ORDERS)
@pytest.mark.parametrize("path", GOOD.values(), ids=["left-right", "right-left", "left-right-left", "right-left-right"])
def test_a_path_fits_its_own_order_and_no_other_beginning(turns, path):
    own = next(order for order, known in GOOD.items() if known is path)

    verdict = judge(frames(path), turns)

    if turns == own or (len(turns) < len(own) and own[: len(turns)] == turns):
        assert verdict == ""
    else:
        assert verdict == "wrong_turns"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ([0.0] * 7, "frame_count"),
        ([0.0] * 13, "frame_count"),
        ([0.2, *[0.1] * 7], "not_frontal_first"),
        ([0.0, 0.1, 0.2, -0.2, -0.2, -0.2, -0.2, -0.2], "jump"),
        ([0.0, 0.1, 0.15, 0.1, 0.05, 0.0, -0.05, -0.05], "wrong_turns"),  # a flat picture swings .21 at most
    ],
)
def test_what_is_no_head_turn(path, reason):
    assert judge(frames(path), ("left", "right")) == reason


def test_every_frame_must_be_good():
    assert judge(frames([0.0] * 8, ("face_none",)), ("left", "right")) == "face_none"


def test_order_is_the_servers_choice():
    assert {choose_turns() for _ in range(200)} == set(ORDERS)
