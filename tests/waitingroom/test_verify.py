"""Whoever changes anything in a published line is found, and the first breach is named."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookings.waitingroom import fairness
from bookings.waitingroom.verify import Breach, verify
from tests.waitingroom.published import EVENT, entry, line, link, relink

LINE = line()


def breach(published) -> Breach:
    with pytest.raises(Breach) as found:
        verify(published)
    return found.value


def test_an_honest_line_is_proven_step_by_step():
    proven = verify(LINE)

    assert [step.step for step in proven] == ["chain", "seed", "list", "order", "moves"]
    assert proven[2].text == "40 entries, each once, under the published root."
    assert proven[4].text == "10 people were let in, each when it was their turn; staff let in 2."


def test_an_honest_line_with_a_beacon_is_proven_and_its_order_is_another_one():
    published = line(beacon="c0ffee")

    assert len(verify(published)) == 5
    assert published["entries"] != LINE["entries"]
    assert breach(published | {"beacon": "c0ffef"}).step == "chain"


def test_before_the_draw_there_is_a_promise_and_a_chain():
    chain = []
    link(chain, "lobby", commitment=LINE["commitment"])
    published = LINE | {"seed": "", "root": "", "entries": [], "chain": chain}

    assert [step.step for step in verify(published)] == ["chain", "draw"]
    assert breach(published | {"entries": LINE["entries"]}).step == "seed"
    assert breach(published | {"commitment": "00" * 32}).step == "chain"


def inserted_entry():
    entries = LINE["entries"]
    return LINE | {"entries": [*entries[:7], entry(777), *entries[7:]], "size": 41}


def removed_entry():
    return LINE | {"entries": LINE["entries"][:7] + LINE["entries"][8:], "size": 39}


def exchanged_entry():
    return LINE | {"entries": [*LINE["entries"][:7], entry(777), *LINE["entries"][8:]]}


def listed_twice():
    return LINE | {"entries": [*LINE["entries"][:8], LINE["entries"][7], *LINE["entries"][9:]]}


def moved_place():
    entries = LINE["entries"]
    return LINE | {"entries": [entries[30], *entries[:30], *entries[31:]]}


def swapped_draw():
    entries = LINE["entries"]
    return LINE | {"entries": [*entries[:10], entries[11], entries[10], *entries[12:]]}


def changed_seed():
    return LINE | {"seed": "ee" * 32}


def changed_everywhere(**changes):
    """What the operator says now, in the file and in a chain hashed anew."""
    published = deepcopy(LINE) | changes
    for known in published["chain"]:
        known["payload"] |= {name: value for name, value in changes.items() if name in known["payload"]}
    return relink(published)


def another_seed_everywhere():
    """The promise can not be kept by another seed, even when the chain is hashed anew."""
    return changed_everywhere(seed="ee" * 32)


def another_root_everywhere():
    return changed_everywhere(root="ee" * 32)


def inserted_everywhere():
    return inserted_entry() | {"chain": changed_everywhere(size=41)["chain"]}


def removed_link():
    return LINE | {"chain": LINE["chain"][:5] + LINE["chain"][6:]}


def removed_link_and_renumbered():
    chain = deepcopy(LINE["chain"][:5] + LINE["chain"][6:])
    for number, known in enumerate(chain, start=1):
        known["number"] = number
    return LINE | {"chain": chain}


def changed_link():
    chain = deepcopy(LINE["chain"])
    chain[4]["payload"]["moves"][0], chain[4]["payload"]["moves"][1] = chain[4]["payload"]["moves"][1::-1]
    return LINE | {"chain": chain}


def changed_time():
    chain = deepcopy(LINE["chain"])
    chain[4]["at"] = "2026-05-01T10:00:04.500000Z"
    return LINE | {"chain": chain}


def second_draw():
    published = deepcopy(LINE)
    link(published["chain"], "draw", **published["chain"][1]["payload"])
    return published


def moved(*moves):
    """The chain with other moves after the draw, hashed anew."""
    published = LINE | {"chain": [*LINE["chain"][:3]]}
    link(published["chain"], "moves", moves=[list(move) for move in moves])
    return published


FIRST, SECOND, THIRD = LINE["entries"][:3]
LAST = LINE["entries"][-1]


def out_of_turn():
    return moved(["called", SECOND])


def before_who_came_back():
    return moved(["parked", FIRST], ["called", SECOND], ["back", FIRST], ["called", THIRD])


def late_before_drawn():
    return moved(["joined", entry(900), 1], ["called", entry(900)])


def late_out_of_turn():
    drawn = [["called", found] for found in LINE["entries"]]
    return moved(*drawn, ["joined", entry(900), 1], ["joined", entry(901), 2], ["called", entry(901)])


def let_in_twice():
    return moved(["called", FIRST], ["called", FIRST])


def let_in_who_had_left():
    return moved(["left", FIRST], ["called", FIRST])


def let_in_from_nowhere():
    return moved(["called", entry(900)])


def joined_twice():
    return moved(["joined", FIRST, 1])


def in_front_of_somebody():
    return moved(["joined", entry(900), 2], ["joined", entry(901), 1])


def place_back_for_nothing():
    return moved(["restored", entry(900), 1])


def turn_back_for_nothing():
    return moved(["regained", FIRST])


def back_from_nowhere():
    return moved(["back", FIRST])


def other_format():
    return LINE | {"format": "something else"}


def without_chain():
    return {name: value for name, value in LINE.items() if name != "chain"}


def another_event():
    return LINE | {"eventId": EVENT.replace("0", "1")}


def nonsense():
    return moved(["called"])


BREACHES = {
    inserted_entry: ("list", "The list has 41 entries, 40 were in the lobby at opening."),
    inserted_everywhere: ("list", "The list is not the one whose root was published at opening."),
    removed_entry: ("list", "The list has 39 entries, 40 were in the lobby at opening."),
    exchanged_entry: ("list", "The list is not the one whose root was published at opening."),
    listed_twice: ("list", f"Entry {LINE['entries'][7]} is on the list twice."),
    moved_place: ("order", f"Place 1 belongs to {FIRST}, the list gives it to {LINE['entries'][30]}."),
    swapped_draw: ("order", f"Place 11 belongs to {LINE['entries'][10]}, the list gives it to {LINE['entries'][11]}."),
    changed_seed: ("chain", "The seed is not the one that link 2 recorded."),
    another_seed_everywhere: ("seed", "The seed is not the one that was promised before the lobby opened."),
    another_root_everywhere: ("list", "The list is not the one whose root was published at opening."),
    removed_link: ("chain", "Link 6 is missing: number 7 stands in its place."),
    removed_link_and_renumbered: ("chain", "Link 6 does not follow the link before it."),
    changed_link: ("chain", "Link 5 was changed: its hash differs."),
    changed_time: ("chain", "Link 5 was changed: its hash differs."),
    another_event: ("chain", "Link 1 was changed: its hash differs."),
    second_draw: ("chain", "There are 2 links `draw`; a line is opened once."),
    out_of_turn: ("moves", f"In link 4 {SECOND} (place 2) was let in before {FIRST} (place 1)."),
    before_who_came_back: ("moves", f"In link 4 {THIRD} (place 3) was let in before {FIRST} (place 1)."),
    late_before_drawn: ("moves", f"In link 4 {entry(900)} (place 41) was let in before {FIRST} (place 1)."),
    late_out_of_turn: ("moves", f"In link 4 {entry(901)} (place 42) was let in before {entry(900)} (place 41)."),
    let_in_twice: ("moves", f"In link 4 {FIRST} was let in who was called already."),
    let_in_who_had_left: ("moves", f"In link 4 {FIRST} was let in who was gone already."),
    let_in_from_nowhere: ("moves", f"In link 4 {entry(900)} was called who never joined."),
    joined_twice: ("moves", f"In link 4 {FIRST} joined a second time."),
    in_front_of_somebody: ("moves", f"In link 4 {entry(901)} joined in front of somebody."),
    place_back_for_nothing: ("moves", f"In link 4 {entry(900)} got a place back, but nothing was lost."),
    turn_back_for_nothing: ("moves", f"In link 4 {FIRST} regained a turn, but nothing was lost."),
    back_from_nowhere: ("moves", f"In link 4 {FIRST} came back who was not away."),
    other_format: ("file", "This is no fairseat-line-1 file."),
    without_chain: ("file", "`chain` is missing."),
    nonsense: ("file", "The file is not put together as it must be: list index out of range."),
}


@pytest.mark.parametrize("tamper", BREACHES, ids=lambda tamper: tamper.__name__)
def test_whoever_changes_something_is_found(tamper):
    found = breach(tamper())

    assert (found.step, str(found)) == BREACHES[tamper]


@pytest.mark.parametrize("entry_is", ["", "zz", 7, None])
def test_a_list_of_something_else_is_refused(entry_is):
    assert breach(LINE | {"entries": [*LINE["entries"][:-1], entry_is]}).step == "list"


@given(st.sampled_from(["commitment", "seed", "root"]), st.integers(0, 63))
def test_no_digit_of_what_was_published_can_be_another(name, at):
    text = LINE[name]
    other = "0" if text[at] != "0" else "1"

    breach(LINE | {name: text[:at] + other + text[at + 1 :]})


@given(st.data())
def test_no_two_places_can_be_exchanged(data):
    first, second = sorted(data.draw(st.lists(st.integers(0, 39), min_size=2, max_size=2, unique=True)))
    entries = list(LINE["entries"])
    entries[first], entries[second] = entries[second], entries[first]

    assert str(breach(LINE | {"entries": entries})).startswith(f"Place {first + 1} belongs to ")


@given(st.integers(0, 8))
def test_no_link_but_the_last_can_be_taken_out(at):
    chain = LINE["chain"]

    if at < len(chain) - 1:
        assert breach(LINE | {"chain": chain[:at] + chain[at + 1 :]}).step == "chain"
    else:
        # What was cut off at the end shows only to who kept the head of the chain: a receipt names it.
        assert verify(LINE | {"chain": chain[:at]})
        assert chain[-1]["hash"] != chain[-2]["hash"]


def test_who_left_and_joins_again_stands_at_the_end():
    again = moved(
        ["left", FIRST], ["joined", FIRST, 1], ["called", SECOND], *(["called", e] for e in LINE["entries"][2:])
    )
    assert len(verify(again)) == 5

    link(again["chain"], "moves", moves=[["called", FIRST]])
    assert len(verify(again)) == 5
    assert breach(moved(["left", FIRST], ["joined", FIRST, 1], ["called", FIRST])).step == "moves"


def test_after_a_loss_people_get_back_what_they_had_and_the_chain_says_so():
    """The store lost its last second: a call, a place, and two who lined up. The book says so, and nobody lost anything."""
    published = moved(["called", FIRST], ["joined", entry(900), 1], ["joined", entry(901), 2])
    chain = published["chain"]
    link(chain, "restored", epoch=2)
    again = [["called", FIRST], ["regained", SECOND], ["joined", entry(900), 1_000_003], ["restored", entry(902), 3]]
    link(chain, "moves", rewound=True, moves=[*again, ["called", LINE["entries"][9]]])
    drawn = [["called", found] for found in LINE["entries"][2:] if found != LINE["entries"][9]]
    late = [["called", entry(901)], ["called", entry(902)], ["called", entry(900)]]

    assert verify(published)
    link(chain, "moves", moves=[*drawn, *late])
    assert verify(published)[-1].text.startswith("43 people were let in")
    again = deepcopy(published)
    link(again["chain"], "moves", moves=[["called", THIRD]])
    assert breach(again).step == "moves"


def test_a_line_without_a_lobby_is_first_come_first_served():
    published = LINE | {"seed": "", "root": "", "size": 0, "entries": [], "chain": []}
    link(published["chain"], "open")
    link(published["chain"], "moves", moves=[["joined", entry(1), 1], ["joined", entry(2), 2], ["called", entry(1)]])

    assert [step.step for step in verify(published)] == ["chain", "draw", "moves"]
    link(published["chain"], "moves", moves=[["joined", entry(3), 3], ["called", entry(3)]])
    assert str(breach(published)).endswith(f"(place 3) was let in before {entry(2)} (place 2).")


@given(st.lists(st.sampled_from(["call", "park", "back", "leave", "join", "miss"]), max_size=80), st.randoms())
def test_any_line_that_calls_the_first_who_is_there_is_proven(steps, random):
    """A line played honestly, step by step, whatever people do; the verifier agrees with every call."""
    waiting, away, called, late = list(LINE["entries"]), [], [], 0
    places = {found: number for number, found in enumerate(waiting)}
    moves = []
    for step in steps:
        if step == "call" and waiting:
            called.append(waiting.pop(0))
            moves.append(["called", called[-1]])
        elif step == "park" and waiting:
            away.append(waiting.pop(0))
            moves.append(["parked", away[-1]])
        elif step == "back" and away:
            found = away.pop(random.randrange(len(away)))
            waiting = sorted([*waiting, found], key=places.__getitem__)
            moves.append(["back", found])
        elif step == "leave" and waiting:
            moves.append(["left", waiting.pop(random.randrange(len(waiting)))])
        elif step == "miss" and called:
            away.append(called.pop())
            moves.append(["missed", away[-1]])
        elif step == "join":
            late += 1
            waiting.append(entry(5000 + late))
            places[waiting[-1]] = len(places)
            moves.append(["joined", waiting[-1], late])

    assert verify(moved(*moves))[-1].step == "moves"


def test_published_hashes_are_those_of_the_module():
    assert LINE["commitment"] == fairness.commitment(bytes.fromhex(LINE["seed"]))
    assert LINE["root"] == fairness.merkle_root(sorted(LINE["entries"]))
