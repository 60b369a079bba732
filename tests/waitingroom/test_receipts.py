"""Receipts and what is published, of real lines: everything verifies, and whatever is tampered with in the rows is found."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from bookings.waitingroom import fairness, lists, receipts, services, store
from bookings.waitingroom.models import ChainLink, ListPart, Place, WaitingRoom
from bookings.waitingroom.refusals import NoLine, NotInLine
from bookings.waitingroom.verify import verify
from tests.factories import EventFactory, StaffFactory, UserFactory
from tests.waitingroom.drawn import drawn_line, event_with_lobby, join_all, people
from tests.waitingroom.lines import lose

pytestmark = pytest.mark.django_db(transaction=True)


def check(event, *arguments: str) -> str:
    """Run `manage.py verify_fairness` and return what it says."""
    said = StringIO()
    call_command("verify_fairness", str(event.pk), *arguments, stdout=said)
    return said.getvalue()


def breach(event, *arguments: str) -> str:
    with pytest.raises(CommandError) as refusal:
        check(event, *arguments)
    assert refusal.value.returncode == 1
    return str(refusal.value)


def by_force(statement: str, *arguments) -> None:
    """Change the chain as somebody with the database in their hands would: with its triggers switched off."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE waitingroom_chainlink DISABLE TRIGGER USER")
        try:
            cursor.execute(statement, arguments)
        finally:
            cursor.execute("ALTER TABLE waitingroom_chainlink ENABLE TRIGGER USER")


def holds(receipt) -> bool:
    """Whether a receipt proves its place by itself."""
    key = bytes.fromhex(receipt.seed)
    return (
        fairness.commitment(key) == receipt.commitment
        and fairness.draw(key, receipt.root, receipt.entry) == receipt.draw
        and fairness.verify_proof(
            entry=receipt.entry, index=receipt.leaf, size=receipt.size, proof=receipt.proof, root=receipt.root
        )
    )


def test_everybody_drawn_has_one_place_and_a_receipt_that_proves_it():
    event, crowd = drawn_line(count=30)

    found = [receipts.receipt_of(user_id=person.pk, event_id=event.pk) for person in crowd]

    assert sorted(receipt.place for receipt in found) == list(range(1, 31))
    assert sorted(receipt.arrival for receipt in found) == list(range(1, 31))
    assert all(holds(receipt) for receipt in found)
    listed = list(lists.ordered(event.pk))
    assert [receipt.entry for receipt in sorted(found, key=lambda receipt: receipt.place)] == listed


def test_proofs_of_a_list_of_several_parts_lead_to_the_same_root(monkeypatch):
    monkeypatch.setattr(lists, "PART", 4)
    event, crowd = drawn_line(count=27)
    root = WaitingRoom.objects.get(event=event).merkle_root

    found = [receipts.receipt_of(user_id=person.pk, event_id=event.pk) for person in crowd]

    assert ListPart.objects.filter(event=event).count() == 7
    assert sorted(receipt.place for receipt in found) == list(range(1, 28))
    assert all(holds(receipt) and receipt.root == root for receipt in found)
    everybody = list(lists.ordered(event.pk))
    assert list(lists.ordered(event.pk, first=6, last=13)) == everybody[5:13]
    assert list(lists.ordered(event.pk, first=28)) == []


def test_before_the_draw_a_receipt_says_what_is_promised_and_no_more():
    event = event_with_lobby()
    (person,) = people(1)
    join_all(event, [person])
    services.drain_journal(event.pk)

    receipt = receipts.receipt_of(user_id=person.pk, event_id=event.pk)

    room = WaitingRoom.objects.get(event=event)
    assert receipt.commitment == room.seed_hash != ""
    assert (receipt.seed, receipt.root, receipt.place, receipt.size, receipt.arrival) == ("", "", None, None, 1)
    assert [step.step for step in verify(receipts.published(event.pk))] == ["chain", "draw"]


def test_who_comes_late_is_in_the_book_with_their_number():
    event, crowd = drawn_line(count=5, late=3)

    found = [receipts.receipt_of(user_id=person.pk, event_id=event.pk) for person in crowd[5:]]

    assert [(receipt.place, receipt.late) for receipt in found] == [(None, 6), (None, 7), (None, 8)]
    moves = [move for link in ChainLink.objects.filter(kind="moves") for move in link.payload["moves"]]
    assert [move for move in moves if move[0] == "joined"] == [
        ["joined", receipt.entry, number] for number, receipt in enumerate(found, start=6)
    ]


def test_strangers_have_no_receipt():
    event, _ = drawn_line(count=2)

    with pytest.raises(NotInLine):
        receipts.receipt_of(user_id=UserFactory().pk, event_id=event.pk)
    with pytest.raises(NoLine):
        receipts.receipt_of(user_id=UserFactory().pk, event_id=EventFactory().pk)


def test_a_whole_line_verifies_from_rows_and_from_the_download_alone(api, tmp_path):
    event, crowd = drawn_line(count=20, late=4, max_active_users=3)
    staff = StaffFactory()
    services.leave(user_id=crowd[3].pk, event_id=event.pk)
    services.pause(event.pk, reason="The card network is down.", actor_id=staff.pk)
    services.resume(event.pk, actor_id=staff.pk)
    services.set_rate(event.pk, per_minute=None, actor_id=staff.pk)
    waiting = Place.objects.filter(event=event, state="waiting").order_by("-order_key").first()
    services.admit(event.pk, user_id=waiting.user_id, actor_id=staff.pk, reason="A wheelchair user's companion.")
    for _ in range(4):
        for person in crowd:
            if services.status(user_id=person.pk, event_id=event.pk).status == "active":
                services.leave(user_id=person.pk, event_id=event.pk)
        services.tick(event.pk)

    assert "Fair: everything" in check(event)
    _, downloaded = api.get(f"/api/v1/queue/fairness/{event.pk}/file")
    download = tmp_path / "download.json"
    download.write_text(json.dumps(downloaded))
    said = check(event, "--file", str(download))

    assert "staff let in 1" in said
    kinds = list(ChainLink.objects.filter(event=event).exclude(kind="moves").values_list("kind", flat=True))
    assert kinds == ["lobby", "opened", "draw", "open", "pause", "resume", "rate"]
    assert staff.email not in download.read_text()
    assert "wheelchair" not in download.read_text()


def seated(event, place: int) -> str:
    return next(lists.ordered(event.pk, first=place, last=place))


def insert_an_entry(event):
    part = ListPart.objects.get(event=event)
    stranger = bytes(32)
    ListPart.objects.update(leaves=stranger + bytes(part.leaves), places=bytes(part.places) + stranger)
    return "BREACH in list: The list has 21 entries, 20 were in the lobby at opening."


def exchange_two_places(event):
    places = bytes(ListPart.objects.get(event=event).places)
    first, second = seated(event, 1), seated(event, 2)
    ListPart.objects.update(places=places[32:64] + places[:32] + places[64:])
    return f"BREACH in order: Place 1 belongs to {first}, the list gives it to {second}."


def swap_an_entry(event):
    places = bytes(ListPart.objects.get(event=event).places)
    ListPart.objects.update(places=bytes(32) + places[32:])
    return "BREACH in list: The list is not the one whose root was published at opening."


def change_the_seed(event):
    WaitingRoom.objects.update(seed="ee" * 32)
    return "BREACH in chain: The seed is not the one that link 3 recorded."


def change_the_promise(event):
    WaitingRoom.objects.update(seed_hash="ee" * 32)
    return "BREACH in chain: The commitment is not the one that link 1 recorded."


def remove_a_link(event):
    by_force("DELETE FROM waitingroom_chainlink WHERE number = 4")
    return "BREACH in chain: Link 4 is missing: number 5 stands in its place."


def change_a_link(event):
    by_force("UPDATE waitingroom_chainlink SET payload = '{}' WHERE number = 5")
    return "BREACH in chain: Link 5 was changed: its hash differs."


def move_a_row(event):
    last = Place.objects.filter(event=event, arrival__isnull=False).order_by("-order_key").first()
    Place.objects.filter(pk=last.pk).update(order_key=0)
    return f"BREACH in places: {seated(event, 1)} (place 1) stands behind place 20."


def add_a_row(event):
    Place.objects.create(
        event=event, user=UserFactory(), entry="ab" * 32, order_key=5, joined_at=WaitingRoom.objects.get().created_at
    )
    return f"BREACH in places: {'ab' * 32} has a place among those drawn (key 5) and is not on the list."


@pytest.mark.parametrize(
    "tamper",
    [
        insert_an_entry,
        exchange_two_places,
        swap_an_entry,
        change_the_seed,
        change_the_promise,
        remove_a_link,
        change_a_link,
        move_a_row,
        add_a_row,
    ],
    ids=lambda tamper: tamper.__name__,
)
def test_whoever_tampers_with_the_rows_is_found(tamper):
    event, _ = drawn_line(count=20, max_active_users=3)
    assert "Fair: everything" in check(event)

    expected = tamper(event)

    assert breach(event) == expected


def test_a_file_of_another_event_and_what_is_no_file_are_refused(tmp_path):
    event, other = drawn_line(count=2)[0], EventFactory()
    download = tmp_path / "download.json"
    download.write_text(json.dumps(receipts.published(event.pk)))

    assert "Fair: everything" in check(event, "--file", str(download))
    assert breach(other, "--file", str(download)) == f"BREACH in file: The file is of event {event.pk}."
    assert "can not be read" in breach(event, "--file", str(tmp_path / "nothing.json"))
    assert breach(other) == NoLine.message
    download.write_text("[]")
    assert "can not be read" in breach(event, "--file", str(download))


def test_published_pieces_put_together_are_the_whole(api):
    event, _ = drawn_line(count=7, late=1)
    address = f"/api/v1/queue/fairness/{event.pk}"
    whole = receipts.published(event.pk)

    pieces = [api.get(f"{address}?first={first}&count=3&after={first - 1}&links=3").body["data"] for first in (1, 4, 7)]

    assert [entry for piece in pieces for entry in piece["entries"]] == whole["entries"]
    assert [link for piece in pieces for link in piece["chain"]] == whole["chain"][:9]
    assert pieces[0]["head"] == {"number": len(whole["chain"]), "hash": whole["chain"][-1]["hash"]}
    assert api.last.headers["Cache-Control"] == "public, max-age=5"
    assert api.get(f"{address}?count=20000").status == 400
    assert api.get(f"/api/v1/queue/fairness/{EventFactory().pk}").status == 404


def test_a_receipt_over_the_api_is_ones_own(api):
    event, (person, *_) = drawn_line(count=3)

    status, body = api.as_user(person).get(f"/api/v1/queue/receipt/{event.pk}")

    own = receipts.receipt_of(user_id=person.pk, event_id=event.pk)
    assert (status, body["data"]) == (200, receipts.rendered(own))
    assert api.get(f"/api/v1/queue/receipt/{event.pk}").status == 401
    assert api.as_user(UserFactory()).get(f"/api/v1/queue/receipt/{event.pk}").body["code"] == "not_in_line"


def come_and_go(event, crowd, times: int) -> None:
    """Let whoever is let in come and go again, `times` times."""
    for _ in range(times):
        for person in crowd:
            if services.status(user_id=person.pk, event_id=event.pk).status == "active":
                services.leave(user_id=person.pk, event_id=event.pk)


@pytest.mark.parametrize("written_down", [True, False])
def test_a_line_that_redis_lost_in_the_middle_verifies_to_its_end(written_down):
    """Also when the last moves were lost: who was let in then is let in again, and the book says that something was lost."""
    event, crowd = drawn_line(count=16, late=3, max_active_users=3)
    come_and_go(event, crowd, 2)
    if written_down:
        services.drain_journal(event.pk)
    lose(event)
    services.tick(event.pk)
    late = people(2, "later")
    join_all(event, late)

    come_and_go(event, [*crowd, *late], 8)
    services.tick(event.pk)

    said = check(event)
    assert "Fair: everything" in said
    assert ChainLink.objects.filter(event=event, kind="restored").count() == 1
    assert not store.client().zcard(store.key(event.pk, "q"))


def test_a_store_that_lost_its_tail_and_told_another_story_is_in_the_book():
    event, crowd = drawn_line(count=12, max_active_users=2)
    head, line = store.key(event.pk, "cfg"), list(store.keys(event.pk))
    before = {key: store.client().dump(key) for key in line if store.client().exists(key)}
    come_and_go(event, crowd, 2)
    services.drain_journal(event.pk)
    store.client().delete(*line)
    for key, value in before.items():
        store.client().restore(key, 0, value)
    assert store.client().hget(head, "epoch")

    come_and_go(event, crowd, 1)
    services.tick(event.pk)
    come_and_go(event, crowd, 8)
    services.tick(event.pk)

    assert "Fair: everything" in check(event)
    assert ChainLink.objects.filter(event=event, kind="restored").exists()
