"""Green and red at the gate, and what becomes of it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import StaffAction
from bookings.models import Booking, Ticket
from bookings.references import new_ticket_code
from bookings.services import cancel_booking
from common.invariants import INVARIANTS
from events.models import Event
from gate import services
from gate.api.serializers import render_scan
from gate.models import Entrance, GateDevice, Scan
from gate.reasons import Reason
from gate.refusals import NameOfGate, NoCase, NothingToUndo, ReasonNeeded, ScanNotFound, TicketNotFound
from tests.factories import EventFactory, TicketCategoryFactory
from tests.races import race, results
from webhooks.models import WebhookEndpoint, WebhookMessage

pytestmark = pytest.mark.django_db


def scan(event, staff, ticket=None, *, gate="North", **given):
    given = {"code": ticket.code} | given if ticket is not None and "ticket_id" not in given else given
    return services.scan_ticket(event_id=event.pk, staff_id=staff.pk, gate=gate, **given)


def offline(ticket, **given):
    fields = {"client_id": uuid4(), "code": ticket.code, "scanned_at": timezone.now(), "accepted": True}
    return services.Offline(**(fields | given))


def sync(event, staff, *scans, gate="North", device=""):
    return services.sync_scans(event_id=event.pk, staff_id=staff.pk, gate=gate, device=device, scans=scans)


def breaches():
    return [line for name in INVARIANTS if name.startswith("gate.") for line in INVARIANTS[name]()]


def test_first_scan_is_green_and_uses_the_ticket(show, guard, sell):
    (ticket,) = sell(show)

    answer = scan(show, guard, ticket)

    ticket.refresh_from_db()
    assert (answer.result, answer.reason, ticket.status) == ("accepted", "", "used")
    assert breaches() == []


def test_code_is_read_whatever_a_scanner_makes_of_it(show, guard, sell):
    (ticket,) = sell(show)

    assert scan(show, guard, code=f" {ticket.code.lower()}\r\n").result == "accepted"


def test_second_scan_is_red(show, guard, sell):
    (ticket,) = sell(show)
    scan(show, guard, ticket)

    assert (scan(show, guard, ticket, gate="South").reason) == "already_used"


def test_each_reason_is_kept(show, guard, sell):
    other = EventFactory(starts_at=show.starts_at, ends_at=show.ends_at)
    TicketCategoryFactory(event=other)
    (foreign,), (gone,) = sell(other), sell(show)
    cancel_booking(booking_id=gone.booking_id, by="staff")

    reasons = [
        scan(show, guard, code="NOSUCHCODE").reason,
        scan(show, guard, foreign).reason,
        scan(show, guard, gone).reason,
    ]

    assert reasons == ["unknown", "wrong_event", "void"]
    kept = Scan.objects.order_by("at", "pk").values_list("reason", "ticket_id")
    assert list(kept) == [("unknown", None), ("wrong_event", None), ("void", gone.pk)]
    assert Ticket.objects.get(pk=foreign.pk).status == "active"


@pytest.mark.parametrize(
    ("start", "reason"), [(timedelta(hours=9), "not_yet"), (timedelta(hours=-9), "over")], ids=["before", "after"]
)
def test_gate_has_its_times(show, guard, sell, start, reason):
    (ticket,) = sell(show)
    starts_at = timezone.now() + start
    Event.objects.filter(pk=show.pk).update(starts_at=starts_at, ends_at=starts_at + timedelta(hours=3))

    assert scan(show, guard, ticket).reason == reason


def test_gate_opens_when_its_entrance_says(show, guard, boss, sell):
    (ticket,) = sell(show)
    show.starts_at += timedelta(days=3)
    show.ends_at += timedelta(days=3)
    show.save()
    assert scan(show, guard, ticket).reason == "not_yet"

    services.change_entrance(event_id=show.pk, staff_id=boss.pk, opens_at=timezone.now(), reason="Sound check guests")

    assert scan(show, guard, ticket, gate="South").result == "accepted"
    action = StaffAction.objects.get(action="gate.entrance_changed")
    assert (action.reason, action.before["opens_at"]) == ("Sound check guests", None)


def test_cancelled_event_lets_nobody_in(show, guard, sell):
    (ticket,) = sell(show)
    Event.objects.filter(pk=show.pk).update(status="cancelled")

    assert scan(show, guard, ticket).reason == "event_cancelled"


def test_ticket_found_by_search_comes_in(show, guard, sell):
    (ticket,) = sell(show)

    answer = scan(show, guard, ticket, ticket_id=ticket.pk)

    assert (answer.result, answer.method) == ("accepted", "search")


def test_ticket_of_another_event_is_not_found_by_its_id(show, guard, sell):
    other = EventFactory()
    TicketCategoryFactory(event=other)
    (foreign,) = sell(other)

    with pytest.raises(TicketNotFound):
        scan(show, guard, foreign, ticket_id=foreign.pk)


def test_same_scan_sent_again_gets_the_same_answer(show, guard, sell):
    (ticket,) = sell(show)
    name = uuid4()

    first, again = scan(show, guard, ticket, client_id=name), scan(show, guard, ticket, client_id=name)

    assert (first.pk, first.result) == (again.pk, again.result) == (again.pk, "accepted")


def test_gate_has_a_name(show, guard, sell):
    (ticket,) = sell(show)

    with pytest.raises(NameOfGate):
        scan(show, guard, ticket, gate="  ")
    assert not GateDevice.objects.exists()


def test_organisers_systems_are_told_who_came_in_once(show, organiser, guard, sell):
    one, two = sell(show, quantity=2)
    scan(show, guard, one)
    WebhookEndpoint.objects.create(organiser=organiser, url="https://shop.example/hook", secret_sealed="x")

    scan(show, guard, two)
    scan(show, guard, two, gate="South")

    (message,) = WebhookMessage.objects.all()
    assert (message.kind, message.payload["ticketId"], message.payload["gate"]) == (
        "ticket.scanned",
        str(two.pk),
        "North",
    )
    assert message.deliveries.count() == 1


# -- A code that stays in sight ---------------------------------------------------------------------------------------


def look_away(moment=timedelta(seconds=3)):
    """Have every device have seen its last code some time ago."""
    GateDevice.objects.update(sight_at=F("sight_at") - moment)


def test_code_in_sight_is_scanned_once(show, guard, sell):
    (ticket,) = sell(show)
    first = scan(show, guard, ticket, client_id=uuid4())

    again = [scan(show, guard, ticket, client_id=uuid4()) for _ in range(3)]

    assert ({one.pk for one in again}, {one.result for one in again}) == ({first.pk}, {"accepted"})
    assert [first.seen_again, *(one.seen_again for one in again)] == [False, True, True, True]
    assert Scan.objects.count() == 1


def test_code_is_in_sight_for_as_long_as_it_is_seen(show, guard, sell):
    (ticket,) = sell(show)
    scan(show, guard, ticket)
    for _ in range(3):  # six seconds in all, never three between two frames
        look_away(timedelta(seconds=2))
        assert scan(show, guard, ticket).seen_again

    look_away()

    assert scan(show, guard, ticket).reason == "already_used"


def test_copy_at_another_gate_is_red_at_once_and_three_seconds_later(show, guard, boss, sell):
    (ticket,) = sell(show)
    scan(show, guard, ticket)

    at_once = scan(show, boss, ticket, gate="South")
    look_away()
    later = scan(show, boss, ticket, gate="South")
    same_gate = scan(show, boss, ticket, device="phone 2")

    assert [(one.reason, one.seen_again) for one in (at_once, later, same_gate)] == [("already_used", False)] * 3
    assert Scan.objects.count() == 4


def test_red_code_in_sight_is_one_red_scan(show, guard):
    first, again = (scan(show, guard, code="NOSUCHCODE") for _ in range(2))
    other = scan(show, guard, code="ANOTHERCODE")

    assert (first.pk == again.pk, other.pk == first.pk, Scan.objects.count()) == (True, False, 2)


def test_scan_that_was_taken_back_is_no_longer_in_sight(show, guard, boss, sell):
    (ticket,) = sell(show)
    first = scan(show, guard, ticket)
    services.undo_scan(event_id=show.pk, scan_id=first.pk, staff_id=boss.pk, reason="Wrong person")

    assert (scan(show, guard, ticket).result, Scan.objects.count()) == ("accepted", 2)


def test_offline_frames_of_one_sight_are_one_scan(show, guard, sell):
    (ticket,) = sell(show)
    seen_at = timezone.now() - timedelta(minutes=5)
    frames = [offline(ticket, scanned_at=seen_at + timedelta(seconds=second)) for second in range(3)]

    taken = sync(show, guard, *frames)
    again = sync(show, guard, *frames)
    later = sync(show, guard, offline(ticket, scanned_at=seen_at + timedelta(minutes=1)))

    assert len({one.pk for _, one in [*taken, *again]}) == 1
    assert [asked.client_id for asked, _ in taken] == [one.client_id for one in frames]
    assert [(one.reason, one.is_case) for _, one in later] == [("double", True)]


@pytest.mark.django_db(transaction=True)
def test_frames_that_arrive_at_once_are_one_scan(show, guard, sell):
    (ticket,) = sell(show)

    outcomes = race([lambda: scan(show, guard, ticket, client_id=uuid4()) for _ in range(3)], gate="gate_gatedevice")

    answers = results(outcomes)
    assert (len({one.pk for one in answers}), Scan.objects.count()) == (1, 1)
    assert {one.result for one in answers} == {"accepted"}


@pytest.mark.django_db(transaction=True)
def test_control_frames_are_two_scans_when_nobody_holds_the_device(show, guard, sell):
    (ticket,) = sell(show)
    scan(show, guard, code="BEFORE")
    where = GateDevice.objects.get()

    def naive():
        seen = GateDevice.objects.filter(pk=where.pk, last_scan__ticket=ticket).exists()
        GateDevice.objects.filter(pk=where.pk).update(seen_at=timezone.now())
        return "again" if seen else "news"

    assert results(race([naive, naive], gate="gate_gatedevice")) == ["news", "news"]


# -- Words of their own -----------------------------------------------------------------------------------------------


def test_code_that_was_passed_on_says_so(show, guard, sell):
    (ticket,) = sell(show)
    old = ticket.code
    Ticket.objects.filter(pk=ticket.pk).update(code=new_ticket_code())
    ticket.refresh_from_db()

    answers = [scan(show, guard, code=old), scan(show, guard, ticket)]

    assert [one.reason for one in answers] == ["passed_on", ""]


def test_refunded_ticket_says_so(show, guard, sell):
    (ticket,) = sell(show)
    cancel_booking(booking_id=ticket.booking_id, by="staff")
    Booking.objects.filter(pk=ticket.booking_id).update(refund_minor=4900)

    assert scan(show, guard, ticket).reason == "refunded"


def test_times_are_told_by_the_clock_of_the_place(show, guard, sell):
    (ticket,) = sell(show)
    starts_at = timezone.now().replace(month=12, day=24, hour=20, minute=0) + timedelta(days=365)
    Event.objects.filter(pk=show.pk).update(
        starts_at=starts_at, ends_at=starts_at + timedelta(hours=3), timezone="America/New_York"
    )

    told = render_scan(scan(show, guard, ticket))["words"]

    assert told.startswith("The gate opens ")
    assert told.endswith(" 24 Dec at 11:00.")


# -- Undo -------------------------------------------------------------------------------------------------------------


def test_supervisor_takes_a_scan_back(show, guard, boss, sell):
    (ticket,) = sell(show)
    first = scan(show, guard, ticket)

    services.undo_scan(event_id=show.pk, scan_id=first.pk, staff_id=boss.pk, reason="Wrong ticket in the family")

    ticket.refresh_from_db()
    assert (ticket.status, breaches()) == ("active", [])
    assert StaffAction.objects.get(action="gate.scan_undone").reason == "Wrong ticket in the family"
    assert scan(show, guard, ticket).result == "accepted"
    assert breaches() == []


def test_undo_needs_a_reason_and_something_to_undo(show, guard, boss, sell):
    (ticket,) = sell(show)
    green, red = scan(show, guard, ticket), scan(show, guard, ticket, gate="South")
    undo = {"event_id": show.pk, "staff_id": boss.pk}

    with pytest.raises(ReasonNeeded):
        services.undo_scan(**undo, scan_id=green.pk, reason=" ")
    with pytest.raises(NothingToUndo):
        services.undo_scan(**undo, scan_id=red.pk, reason="x")
    services.undo_scan(**undo, scan_id=green.pk, reason="x")
    with pytest.raises(NothingToUndo):
        services.undo_scan(**undo, scan_id=green.pk, reason="x")
    with pytest.raises(ScanNotFound):
        services.undo_scan(**undo, scan_id=uuid4(), reason="x")


def test_undoing_after_a_cancellation_leaves_the_ticket_void(show, guard, boss, sell):
    (ticket,) = sell(show)
    first = scan(show, guard, ticket)
    cancel_booking(booking_id=ticket.booking_id, by="staff")

    services.undo_scan(event_id=show.pk, scan_id=first.pk, staff_id=boss.pk, reason="left")

    ticket.refresh_from_db()
    assert (ticket.status, breaches()) == ("void", [])


# -- Without network --------------------------------------------------------------------------------------------------


def test_two_gates_offline_with_the_same_ticket_the_second_is_flagged(show, guard, boss, sell):
    (ticket,) = sell(show)
    ((_, north),) = sync(show, guard, offline(ticket), gate="North", device="phone 1")

    ((_, south),) = sync(show, boss, offline(ticket), gate="South", device="phone 2")

    assert (north.result, north.offline) == ("accepted", True)
    assert (south.result, south.reason, south.let_in, south.is_case) == ("rejected", "double", True, True)
    assert breaches() == []
    closed = services.close_case(event_id=show.pk, scan_id=south.pk, staff_id=boss.pk, resolution="Copy, sent out")
    assert (closed.is_case, closed.resolution) == (False, "Copy, sent out")
    with pytest.raises(NoCase):
        services.close_case(event_id=show.pk, scan_id=south.pk, staff_id=boss.pk, resolution="again")


def test_sync_sent_twice_counts_once(show, guard, sell):
    tickets = sell(show, quantity=3)
    batch = [offline(ticket) for ticket in tickets]

    first, again = sync(show, guard, *batch), sync(show, guard, *batch)

    assert [one.pk for _, one in first] == [one.pk for _, one in again]
    assert Scan.objects.filter(result="accepted").count() == 3


def test_green_by_the_list_after_a_red_answer_that_was_lost_is_a_case(show, guard, boss, sell):
    (ticket,) = sell(show)
    scan(show, boss, ticket, gate="South")
    name = uuid4()
    assert scan(show, guard, ticket, client_id=name).reason == "already_used"

    shown_green = offline(ticket, client_id=name)
    first, again = sync(show, guard, shown_green), sync(show, guard, shown_green)

    assert [(one.reason, one.is_case) for _, one in [*first, *again]] == [("double", True)] * 2
    assert Scan.objects.filter(let_in=True).count() == 1


def test_green_by_the_list_after_a_green_answer_that_was_lost_is_none(show, guard, sell):
    (ticket,) = sell(show)
    name = uuid4()
    scan(show, guard, ticket, client_id=name)

    ((_, taken),) = sync(show, guard, offline(ticket, client_id=name))

    assert (taken.result, taken.is_case, Scan.objects.count()) == ("accepted", False, 1)


def test_whom_an_old_list_let_in_on_a_void_ticket_is_a_case(show, guard, sell):
    (ticket,) = sell(show)
    cancel_booking(booking_id=ticket.booking_id, by="staff")

    ((_, taken),) = sync(show, guard, offline(ticket))

    assert (taken.reason, taken.is_case) == ("void", True)


def test_red_offline_stays_red_and_is_no_case(show, guard, sell):
    (ticket,) = sell(show)

    ((_, taken),) = sync(show, guard, offline(ticket, accepted=False, reason="not_yet"))

    ticket.refresh_from_db()
    assert (taken.reason, taken.is_case, ticket.status) == ("not_yet", False, "active")


def test_clock_ahead_of_ours_is_not_believed(show, guard, sell):
    (ticket,) = sell(show)

    ((_, taken),) = sync(show, guard, offline(ticket, scanned_at=timezone.now() + timedelta(days=2)))

    assert taken.scanned_at < timezone.now() + timedelta(minutes=1)


@pytest.mark.parametrize("wrong", [timedelta(hours=-7), timedelta(hours=9)], ids=["behind", "ahead"])
def test_wrong_clock_of_a_device_is_put_right(show, guard, sell, wrong):
    (ticket,) = sell(show)
    now = timezone.now()

    ((_, taken),) = services.sync_scans(
        event_id=show.pk,
        staff_id=guard.pk,
        gate="North",
        sent_at=now + wrong,
        scans=[offline(ticket, scanned_at=now + wrong - timedelta(minutes=20))],
    )

    assert abs(taken.scanned_at - (now - timedelta(minutes=20))) < timedelta(minutes=1)


# -- Races ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_gates_at_once_one_is_green(show, guard, sell):
    (ticket,) = sell(show)

    outcomes = race([lambda gate=gate: scan(show, guard, ticket, gate=gate) for gate in "ABCD"], gate="bookings_ticket")

    assert sorted(one.reason for one in results(outcomes)) == ["", "already_used", "already_used", "already_used"]
    assert breaches() == []


@pytest.mark.django_db(transaction=True)
def test_control_look_then_write_lets_two_in(show, sell):
    (ticket,) = sell(show)

    def naive():
        if Ticket.objects.get(pk=ticket.pk).status == "active":
            Ticket.objects.filter(pk=ticket.pk).update(status="used")
            return True
        return False

    assert results(race([naive, naive], gate="bookings_ticket")) == [True, True]


@pytest.mark.django_db(transaction=True)
def test_same_scan_sent_twice_at_once_is_one_scan(show, guard, sell):
    (ticket,) = sell(show)
    name = uuid4()

    outcomes = race([lambda: scan(show, guard, ticket, client_id=name) for _ in range(3)], gate="gate_scan")

    assert len({one.pk for one in results(outcomes)}) == Scan.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_scan_or_cancellation_never_both(show, guard, sell):
    (ticket,) = sell(show)

    race(
        [lambda: scan(show, guard, ticket), lambda: cancel_booking(booking_id=ticket.booking_id, by="staff")],
        gate="bookings_ticket",
    )

    ticket.refresh_from_db()
    assert ticket.status == "void"
    assert breaches() == []


# -- What the database holds ------------------------------------------------------------------------------------------


def test_scans_are_append_only(show, guard, sell):
    (ticket,) = sell(show)
    first = scan(show, guard, ticket)

    for change in (
        lambda: Scan.objects.filter(pk=first.pk).update(reason="void", result="rejected"),
        lambda: Scan.objects.filter(pk=first.pk).delete(),
    ):
        with pytest.raises(OperationalError), transaction.atomic():
            change()


def test_one_standing_entry_per_ticket(show, guard, sell):
    (ticket,) = sell(show)
    first = scan(show, guard, ticket)
    second = Scan(
        event=show,
        ticket=ticket,
        code_hash="x",
        device=first.device,
        staff=guard,
        method="code",
        result="accepted",
        scanned_at=timezone.now(),
    )

    with pytest.raises(IntegrityError, match="one_standing_entry_per_ticket"), transaction.atomic():
        second.save()


def test_invariant_finds_a_ticket_used_without_a_scan(show, sell):
    (ticket,) = sell(show)
    Ticket.objects.filter(pk=ticket.pk).update(status="used")

    assert breaches() == [f"ticket {ticket.pk} is used and has 0 standing entries"]


def test_every_reason_has_words():
    assert all(reason.label.endswith((".", "’s.")) for reason in Reason)
    assert not Entrance.objects.exists()
