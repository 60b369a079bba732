"""The mathematics of a fair line, on examples worked out elsewhere and on whatever hypothesis finds."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bookings.waitingroom import fairness

SEED = bytes(range(32))
ROOT = "ab" * 32
entries = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), unique=True, max_size=60)
some_entries = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), unique=True, min_size=1, max_size=60)

# The reference tree of certificate transparency: these eight leaves and their roots are in every implementation's tests.
LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_the_book(leaves):
    """MTH of RFC 9162 §2.1.1, written as it stands there: split at the largest power of two, recurse."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])).digest()


@pytest.mark.parametrize("count", range(1, 9))
def test_roots_are_those_of_the_reference_tree(count):
    assert fairness.merkle_root(LEAVES[:count]) == ROOTS[count - 1]


def test_root_of_nobody_is_the_hash_of_nothing():
    assert fairness.merkle_root([]) == hashlib.sha256(b"").hexdigest()


@given(entries)
def test_root_is_the_one_of_the_definition(listed):
    assert fairness.merkle_root(listed) == by_the_book([bytes.fromhex(entry) for entry in listed]).hex()


@given(some_entries, st.data())
def test_everybody_on_the_list_has_a_proof_and_it_fits_nobody_else(listed, data):
    index = data.draw(st.integers(0, len(listed) - 1))
    root, proof = fairness.merkle_root(listed), fairness.merkle_proof(listed, index)

    def shown(**changed):
        given = {"entry": listed[index], "index": index, "size": len(listed), "proof": proof, "root": root} | changed
        return fairness.verify_proof(**given)

    assert shown()
    assert not shown(entry="00" * 33)
    assert not shown(root="00" * 32)
    assert not shown(index=len(listed))
    assert not shown(index=-1)
    assert not shown(proof=[*proof, "00" * 32])
    for other in set(range(len(listed))) - {index}:
        assert not shown(index=other)
    for at in range(len(proof)):
        assert not shown(proof=[*proof[:at], "00" * 32, *proof[at + 1 :]])
        assert not shown(proof=proof[:at] + proof[at + 1 :])


@given(some_entries)
def test_an_inner_node_can_not_pass_for_a_leaf(listed):
    """The reason why leaves and nodes are hashed apart: else the two children's hashes would be an entry with the same root."""
    if len(listed) != 2:
        listed = ["11" * 32, "22" * 32]
    children = (fairness.leaf_hash(listed[0]) + fairness.leaf_hash(listed[1])).hex()

    assert fairness.merkle_root([children]) != fairness.merkle_root(listed)


@given(some_entries, st.randoms())
def test_one_set_of_people_has_one_root_whatever_order_they_came_in(listed, random):
    shuffled = random.sample(listed, len(listed))

    assert fairness.merkle_root(fairness.closed_list(shuffled)) == fairness.merkle_root(fairness.closed_list(listed))


def test_no_proof_for_who_is_not_there():
    with pytest.raises(IndexError):
        fairness.merkle_proof(["11" * 32], 1)
    with pytest.raises(IndexError):
        fairness.merkle_proof(["11" * 32], -1)


@given(st.binary(min_size=32, max_size=32))
def test_commitment_is_the_sha256_of_the_seed(seed):
    assert fairness.commitment(seed) == hashlib.sha256(seed).hexdigest()


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_of_another_length_is_refused(size):
    with pytest.raises(ValueError, match="32 bytes"):
        fairness.commitment(bytes(size))
    with pytest.raises(ValueError, match="32 bytes"):
        fairness.draw(bytes(size), ROOT, "11" * 32)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.binary(max_size=48))
def test_draw_is_the_first_52_bits_of_the_hmac(seed, entry, beacon):
    expected = hmac.new(seed + bytes.fromhex(ROOT) + beacon, entry, hashlib.sha256).hexdigest()[:13]

    assert fairness.draw(seed, ROOT, entry.hex(), beacon) == int(expected, 16) < fairness.DRAWN_BELOW


def test_seed_root_and_beacon_each_change_the_draw():
    entry = "11" * 32
    draws = {
        fairness.draw(SEED, ROOT, entry),
        fairness.draw(SEED[::-1], ROOT, entry),
        fairness.draw(SEED, ROOT[::-1], entry),
        fairness.draw(SEED, ROOT, entry, b"beacon"),
    }

    assert len(draws) == 4


@given(entries)
def test_everybody_gets_one_place_in_the_order_of_the_draws(listed):
    placed = fairness.order(SEED, ROOT, listed)

    assert sorted(entry for _, entry in placed) == sorted(listed)
    keys = [key for key, _ in placed]
    assert keys == sorted(set(keys))
    assert [entry for _, entry in placed] == sorted(listed, key=lambda entry: (fairness.draw(SEED, ROOT, entry), entry))


@given(entries, st.randoms())
def test_order_does_not_depend_on_who_came_first(listed, random):
    assert fairness.order(SEED, ROOT, random.sample(listed, len(listed))) == fairness.order(SEED, ROOT, listed)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["aa", "bb", "cc", "dd"])), unique=True))
def test_equal_draws_are_ordered_by_entry_and_get_keys_of_their_own(drawn):
    placed = list(fairness.distinct(sorted(drawn)))

    assert [entry for _, entry in placed] == [entry for _, entry in sorted(drawn)]
    assert len({key for key, _ in placed}) == len(drawn)
    assert all(key >= before for (key, _), (before, _) in zip(placed, sorted(drawn), strict=True))


def test_the_draw_is_even():
    """Nobody is favoured by the order they came in: 4 000 people, the correlation of arrival and place is near nothing."""
    listed = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(4000)]
    arrival = {entry: number for number, entry in enumerate(listed)}
    root = fairness.merkle_root(fairness.closed_list(listed))

    places = [arrival[entry] for _, entry in fairness.order(SEED, root, listed)]

    middle = (len(listed) - 1) / 2
    covariance = sum((place - middle) * (number - middle) for place, number in enumerate(places))
    assert (
        abs(covariance / sum((number - middle) ** 2 for number in range(len(listed)))) < 0.08
    )  # five standard deviations


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"[a-z][A-Za-z]*", fullmatch=True), inner)
    ),
    max_leaves=12,
)


@given(json_values)
def test_canonical_text_says_the_same_and_is_one(value):
    text = fairness.canonical(value)

    assert json.loads(text) == value
    assert fairness.canonical(json.loads(text)) == text


def test_canonical_text_is_the_one_of_rfc_8785():
    value = {"b": '€\u2028"\\\n\x0f/', "a": [True, None, -1, {}]}

    assert fairness.canonical(value) == '{"a":[true,null,-1,{}],"b":"€\u2028\\"\\\\\\n\\u000f/"}'


@pytest.mark.parametrize("value", [1.5, {"snake_case": 1}, {1: 2}, 2**53, object(), {"a": {"B": 1}}, float("nan")])
def test_what_has_no_single_text_is_refused(value):
    with pytest.raises(ValueError, match="chain"):
        fairness.canonical(value)


@given(st.dictionaries(st.sampled_from("abcd"), json_values), st.dictionaries(st.sampled_from("abcd"), json_values))
@settings(max_examples=60)
def test_links_with_different_content_have_different_hashes(first, second):
    hashes = fairness.chain_hash(fairness.GENESIS, first), fairness.chain_hash(fairness.GENESIS, second)

    assert (hashes[0] == hashes[1]) == (fairness.canonical(first) == fairness.canonical(second))
    assert fairness.chain_hash("11" * 32, first) != hashes[0]
