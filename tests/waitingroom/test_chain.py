"""The book of a line: one order whoever writes at once, and nothing in it ever changes."""

import pytest
from django.db import Error, connection, transaction

from bookings.waitingroom import chain, fairness
from bookings.waitingroom.models import ChainLink
from bookings.waitingroom.verify import check_chain
from tests.factories import EventFactory
from tests.races import errors, race

pytestmark = pytest.mark.django_db


def refused(statement, *arguments) -> str:
    """Run SQL that the database must refuse, and return the refusal's code."""
    with pytest.raises(Error) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, arguments)
    return refusal.value.__cause__.sqlstate


@pytest.fixture
def event():
    return EventFactory()


def book(event):
    """Return the chain of an event as it is published."""
    links = [chain.published(link) for link in chain.all_links(event.pk)]
    return {"eventId": str(event.pk), "commitment": "", "seed": "", "root": "", "beacon": "", "chain": links}


def test_links_follow_each_other_and_the_head_is_the_last(event):
    assert chain.head(event.pk) == (0, fairness.GENESIS)

    first = chain.append(event_id=event.pk, kind="open")
    second = chain.append(event_id=event.pk, kind="pause", reason="A fire alarm – „real“.")

    assert (first.number, first.previous) == (1, fairness.GENESIS)
    assert (second.number, second.previous) == (2, first.hash)
    assert chain.head(event.pk) == (2, second.hash)
    assert check_chain(book(event)).text == "2 links, none missing, none changed."


def test_chains_of_two_events_are_apart(event):
    other = EventFactory()
    chain.append(event_id=event.pk, kind="open")

    link = chain.append(event_id=other.pk, kind="open")

    assert link.number == 1
    assert link.hash != ChainLink.objects.get(event=event).hash


def test_what_was_written_is_read_back_with_the_same_hash(event):
    chain.append(event_id=event.pk, kind="rate", perMinute=None, nested={"list": [1, True, None, "ü\u2028"]})

    (link,) = ChainLink.objects.all()

    assert link.hash == fairness.chain_hash(link.previous, chain.content(link))


@pytest.mark.parametrize("payload", [{"perMinute": 1.5}, {"per_minute": 1}])
def test_what_has_no_canonical_text_is_refused(event, payload):
    with pytest.raises(ValueError, match="chain"):
        chain.append(event_id=event.pk, kind="rate", **payload)

    assert not ChainLink.objects.exists()


def test_moves_are_split_into_links_of_a_bounded_size(event, monkeypatch):
    monkeypatch.setattr(chain, "MOVES_IN_ONE_LINK", 2)

    chain.append_moves(event_id=event.pk, moves=[["left", "aa"], ["left", "bb"], ["left", "cc"]])

    assert [len(link.payload["moves"]) for link in ChainLink.objects.all()] == [2, 1]


def test_after_a_loss_the_book_says_so_first(event):
    chain.append_moves(event_id=event.pk, moves=[["left", "aa"]], rewound=True)

    assert [(link.kind, link.payload.get("rewound")) for link in ChainLink.objects.all()] == [
        ("restored", None),
        ("moves", True),
    ]


def test_nothing_is_appended_when_nothing_happened(event):
    chain.append_moves(event_id=event.pk, moves=[])

    assert not ChainLink.objects.exists()


def test_no_link_can_be_changed_or_deleted_even_by_sql(event):
    chain.append(event_id=event.pk, kind="open")

    assert refused("UPDATE waitingroom_chainlink SET kind = 'pause'") == "FS007"
    assert refused("UPDATE waitingroom_chainlink SET hash = hash") == "FS007"
    assert refused("DELETE FROM waitingroom_chainlink") == "FS007"


@pytest.mark.parametrize(("number", "previous"), [(3, None), (2, "11" * 32), (1, fairness.GENESIS)])
def test_a_link_that_does_not_follow_is_refused_even_by_sql(event, number, previous):
    head = chain.append(event_id=event.pk, kind="open")
    insert = "INSERT INTO waitingroom_chainlink (event_id, number, at, kind, payload, previous, hash)"

    code = refused(
        f"{insert} VALUES (%s, %s, now(), 'open', '{{}}', %s, '00')", event.pk, number, previous or head.hash
    )

    assert code == "FS006"


@pytest.mark.django_db(transaction=True)
def test_eight_who_append_at_once_make_one_chain():
    event = EventFactory()
    chain.append(event_id=event.pk, kind="open")

    def append_three():
        for _ in range(3):
            chain.append(event_id=event.pk, kind="open")

    outcomes = race([append_three] * 8)

    assert errors(outcomes) == []
    assert list(ChainLink.objects.values_list("number", flat=True)) == list(range(1, 26))
    assert check_chain(book(event))


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_appenders_lose_but_never_fork():
    """The control: reading the head and writing behind it without the lock. The database refuses whoever comes second."""
    event = EventFactory()
    chain.append(event_id=event.pk, kind="open")

    def append_without_lock():
        last = ChainLink.objects.filter(event=event).last()
        link = ChainLink(event=event, number=last.number + 1, at=last.at, kind="open", previous=last.hash)
        link.hash = fairness.chain_hash(link.previous, chain.content(link))
        link.save(force_insert=True)

    outcomes = race([append_without_lock] * 6, gate="waitingroom_chainlink")

    assert len(errors(outcomes)) == 5
    assert list(ChainLink.objects.values_list("number", flat=True)) == [1, 2]
    assert check_chain(book(event))
