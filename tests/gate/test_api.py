"""The doors of scanner apps."""

import json
from base64 import urlsafe_b64decode
from datetime import timedelta
from urllib.parse import quote
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from django.utils import timezone

from gate.codes import short_hash
from gate.models import GateDevice, Scan
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory
from tests.gate.conftest import plain_staff

pytestmark = pytest.mark.django_db


def address(show, rest=""):
    return f"/api/v1/gate/{show.pk}{rest}"


def green(api, show, ticket, gate="North"):
    return api.post(address(show, "/scans"), {"gate": gate, "code": ticket.code}).body["data"]


def test_scan_answers_green_then_red_with_words(api, show, guard, sell):
    (ticket,) = sell(show)
    api = api.as_user(guard)

    status, body = api.post(address(show, "/scans"), {"gate": "North", "code": ticket.code})
    again = api.post(address(show, "/scans"), {"gate": "South", "code": ticket.code}).body["data"]

    assert (status, body["data"]["result"], body["data"]["words"]) == (201, "accepted", "Welcome in.")
    assert (again["result"], again["reason"], again["insideBy"]) == ("rejected", "already_used", "North")
    assert again["insideSince"] == body["data"]["scannedAt"]


def test_answer_says_no_more_about_a_person_than_a_door_needs(api, show, guard, sell):
    (ticket,) = sell(show)

    told = json.dumps(green(api.as_user(guard), show, ticket))

    assert ticket.holder.email not in told
    assert ticket.code not in told


def test_scan_is_sent_again_after_a_lost_answer(api, show, guard, sell):
    (ticket,) = sell(show)
    api, sent = api.as_user(guard), {"gate": "North", "code": ticket.code, "clientId": str(uuid4())}

    first, again = (api.post(address(show, "/scans"), sent).body["data"] for _ in range(2))

    assert first == again


@pytest.mark.parametrize("body", [{"gate": "N"}, {"gate": "N", "code": "A", "ticketId": str(uuid4())}, {"code": "A"}])
def test_half_a_scan_is_refused(api, show, guard, body):
    assert api.as_user(guard).post(address(show, "/scans"), body).status == 400


def test_search_finds_by_name_and_reference_and_shows_no_code(api, show, guard, sell):
    first, second = sell(show, quantity=2, person=UserFactory(name="Zoë Quispe"))
    api = api.as_user(guard)

    named = api.get(address(show, "/search?q=quis"))
    by_reference = api.get(address(show, f"/search?q={first.booking.reference.lower()}"))

    assert [one["ticketId"] for one in named.body["data"]] == [str(first.pk), str(second.pk)]
    assert named.body["data"] == by_reference.body["data"]
    assert first.code not in json.dumps(named.body)
    assert api.get(address(show, "/search?q=zo")).body["code"] == "search_too_short"


@pytest.mark.parametrize("typed", ["zoe quispe", "ZOÊ", "quispé", "strasse", "loko", "王伟", "ЖАН"])
def test_search_does_not_mind_accents(api, show, guard, sell, typed):
    (ticket,) = sell(show, person=UserFactory(name="Zoë Quispe-Łokø Straße 王伟 жанна"))

    found = api.as_user(guard).get(address(show, f"/search?q={quote(typed)}")).body["data"]

    assert [one["ticketId"] for one in found] == [str(ticket.pk)]


def test_search_finds_nobody_of_another_event(api, show, guard, sell):
    other = EventFactory()
    TicketCategoryFactory(event=other)
    (foreign,) = sell(other, person=UserFactory(name="Zoë Quispe"))

    for text in ("quispe", foreign.booking.reference):
        assert api.as_user(guard).get(address(show, f"/search?q={text}")).body["data"] == []


def test_frames_of_one_sight_are_one_scan(api, show, guard, boss, sell):
    (ticket,) = sell(show)
    api = api.as_user(guard)

    def frame(as_whom, gate):
        sent = {"gate": gate, "code": ticket.code, "clientId": str(uuid4())}
        return as_whom.post(address(show, "/scans"), sent).body["data"]

    frames = [frame(api, "North") for _ in range(4)]
    copy = frame(api.as_user(boss), "South")

    assert len({one["id"] for one in frames}) == 1
    assert [one["seenAgain"] for one in frames] == [False, True, True, True]
    assert (copy["reason"], copy["seenAgain"]) == ("already_used", False)
    assert api.get(address(show, "/counters")).body["data"]["inside"] == 1


def test_sync_answers_by_the_names_that_were_sent(api, show, guard, sell):
    (ticket,) = sell(show)
    at = timezone.now()
    scans = [
        {
            "clientId": str(uuid4()),
            "code": ticket.code,
            "accepted": True,
            "scannedAt": (at + timedelta(seconds=i)).isoformat(),
        }
        for i in range(2)
    ]

    taken = api.as_user(guard).post(address(show, "/sync"), {"gate": "North", "sentAt": at.isoformat(), "scans": scans})

    assert [one["clientId"] for one in taken.body["data"]] == [one["clientId"] for one in scans]
    assert len({one["id"] for one in taken.body["data"]}) == 1


def test_undo_is_the_supervisors(api, show, guard, boss, sell):
    (ticket,) = sell(show)
    made = green(api.as_user(guard), show, ticket)
    where = address(show, f"/scans/{made['id']}/undo")

    refused = api.as_user(guard).post(where, {"reason": "x"})
    undone = api.as_user(boss).post(where, {"reason": "Wrong person"})

    assert (refused.status, refused.body["code"]) == (403, "supervisor_needed")
    assert (undone.status, undone.body["data"]["undone"], undone.body["data"]["words"]) == (200, True, "Taken back.")
    assert api.as_user(boss).post(where, {"reason": "x"}).body["code"] == "nothing_to_undo"


def test_counters_per_gate(api, show, guard, sell):
    one, two, _ = sell(show, quantity=3)
    api = api.as_user(guard)
    green(api, show, one), green(api, show, two, "South"), green(api, show, two)

    found = api.get(address(show, "/counters")).body["data"]

    assert found == {
        "expected": 3,
        "inside": 2,
        "outside": 1,
        "unassigned": 0,
        "refused": 1,
        "cases": 0,
        "reviews": 0,
        "categories": [{"category": "Standing", "inside": 2, "expected": 3}],
        "gates": [{"gate": "North", "inside": 1, "refused": 1}, {"gate": "South", "inside": 1, "refused": 0}],
    }


def test_counters_cost_the_same_for_any_crowd(api, show, guard, sell, django_assert_num_queries):
    from gate.queries import counters

    sell(show, quantity=5)
    with django_assert_num_queries(4):
        counters(event=show)


def unpadded(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify(found):
    signature = unpadded(found["signature"])
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), unpadded(found["key"]))
    key.verify(encode_dss_signature(r, s), found["list"].encode(), ec.ECDSA(SHA256()))


def test_list_is_signed_and_names_nobody(api, show, guard, sell):
    used, valid = sell(show, quantity=2, person=UserFactory(name="Zoë Quispe"))
    api = api.as_user(guard)
    green(api, show, used)

    found = api.get(address(show, "/list?gate=North&device=phone")).body["data"]

    verify(found)
    tickets = json.loads(found["list"])["tickets"]
    assert tickets == {short_hash(show.pk, used.code): "u", short_hash(show.pk, valid.code): "a"}
    assert not {"Quispe", used.code, used.booking.reference} & set(found["list"].split('"'))
    assert GateDevice.objects.get(device="phone").list_at is not None


def test_changed_list_does_not_verify(api, show, guard, sell):
    sell(show)
    found = api.as_user(guard).get(address(show, "/list?gate=North")).body["data"]

    with pytest.raises(InvalidSignature):
        verify(found | {"list": found["list"].replace('"u"', '"a"').replace('"version":1', '"version":2')})


def test_two_gates_offline_the_second_sync_flags_the_ticket(api, show, guard, boss, sell):
    (ticket,) = sell(show)

    def brought():
        scan = {"clientId": str(uuid4()), "code": ticket.code, "scannedAt": timezone.now(), "accepted": True}
        return [scan | {"scannedAt": scan["scannedAt"].isoformat()}]

    first = api.as_user(guard).post(address(show, "/sync"), {"gate": "North", "scans": brought()})
    second = api.as_user(boss).post(address(show, "/sync"), {"gate": "South", "scans": brought()})
    cases = api.as_user(boss).get(address(show, "/cases"))

    assert [one["result"] for one in first.body["data"]] == ["accepted"]
    assert [(one["reason"], one["isCase"], one["insideBy"]) for one in second.body["data"]] == [
        ("double", True, "North")
    ]
    (case,) = cases.body["data"]
    assert api.as_user(guard).get(address(show, "/cases")).status == 403
    closed = api.as_user(boss).post(address(show, f"/scans/{case['id']}/resolve"), {"reason": "Sent out"})
    assert (closed.status, closed.body["data"]["isCase"]) == (200, False)
    assert api.as_user(boss).get(address(show, "/cases")).body["data"] == []


def test_rules_are_the_supervisors(api, show, guard, boss):
    change = {"checksFaces": True, "reason": "Resale last year"}

    assert api.as_user(guard).patch(address(show), change).status == 403
    changed = api.as_user(boss).patch(address(show), change)
    assert (changed.status, changed.body["data"]["checksFaces"]) == (200, True)
    assert api.as_user(boss).patch(address(show), {"checksFaces": False, "reason": " "}).status == 400


DOORS = (
    ("get", ""),
    ("patch", ""),
    ("post", "/scans"),
    ("get", "/search?q=abc"),
    ("get", "/counters"),
    ("get", "/cases"),
    ("get", "/reviews"),
    ("get", "/list?gate=N"),
    ("post", "/sync"),
    ("post", "/scans/{scan}/undo"),
    ("post", "/scans/{scan}/resolve"),
    ("post", "/scans/{scan}/identity"),
    ("post", "/scans/{scan}/review"),
)


@pytest.mark.parametrize(("method", "door"), DOORS)
def test_stranger_finds_no_gate(api, show, guard, sell, method, door):
    (ticket,) = sell(show)
    made = green(api.as_user(guard), show, ticket)
    where = address(show, door.format(scan=made["id"]))
    for stranger in (ticket.holder, OrganiserFactory(), plain_staff("new@example.test")):
        assert getattr(api.as_user(stranger), method)(where).status == 404
    assert getattr(api, method)(where).status == 401


def test_organiser_stands_at_their_own_gate_with_everything(api, show, organiser, sell):
    (ticket,) = sell(show)
    api = api.as_user(organiser)
    made = green(api, show, ticket)

    assert made["result"] == "accepted"
    assert api.post(address(show, f"/scans/{made['id']}/undo"), {"reason": "test"}).status == 200
    assert [one["eventId"] for one in api.get("/api/v1/gate").body["data"]] == [str(show.pk)]
    assert Scan.objects.get().staff_id == organiser.pk


def test_staff_who_work_on_their_own_events_find_no_other_gate(api, show, guard):
    guard.user_permissions.remove(*guard.user_permissions.filter(codename="every_event"))

    assert api.as_user(guard).get(address(show)).status == 404
    assert api.as_user(guard).get("/api/v1/gate").body["data"] == []


@pytest.mark.parametrize(
    ("role", "scan", "rules"),
    [("gate", 200, 403), ("manager", 200, 200), ("box_office", 404, 404), ("support", 404, 404)],
)
def test_roles_at_the_gate(api, show, role, scan, rules):
    api = api.as_user(StaffFactory(role=role))

    assert api.get(address(show)).status == scan
    assert api.patch(address(show), {"checksFaces": False, "reason": "x"}).status == rules


def test_draft_has_no_gate(api, show, organiser):
    type(show).objects.filter(pk=show.pk).update(status="draft")

    assert api.as_user(organiser).get(address(show)).status == 404
