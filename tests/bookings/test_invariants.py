"""Every rule is broken on purpose, behind the triggers' back, and the check that guards it must say so."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from bookings import invariants
from bookings.models import Booking, BookingSeat, BookingTransition, Ticket
from bookings.references import new_reference, new_ticket_code
from bookings.services import cancel_booking, confirm_booking, expire_due, hold_seats
from common.invariants import INVARIANTS, breaches
from common.models import OutboxMessage
from events.models import Seat, SeatInventory
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory

OURS = ("bookings.", "outbox")


@contextmanager
def without_triggers() -> Iterator[None]:
    """Write as a bug in the database's own rules would: no trigger and no foreign key looks."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        yield
        cursor.execute("SET session_replication_role = origin")


def without(statement: str) -> None:
    """Take a guard away; the test's transaction brings it back when it is rolled back."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def found() -> dict[str, list[str]]:
    """Return our checks that see a breach, with what they say."""
    return {name: said for name, said in breaches().items() if said and name.startswith(OURS)}


def sale(quantity: int = 2, **category) -> Booking:
    """Sell tickets to a new person."""
    category = category.pop("of", None) or TicketCategoryFactory(**category)
    hold = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=quantity)
    return confirm_booking(booking_id=hold.pk)


@pytest.fixture
def shop(db) -> Booking:
    """One booking in every status, numbered and not; returns a confirmed one with two numbered seats."""
    category = TicketCategoryFactory(rows={"A": 4, "B": 4, "C": 4}, event=EventFactory(name="Aurora"), name="Stalls")
    booking = sale(of=category)
    cancel_booking(booking_id=sale(of=category).pk, by="staff")
    hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)
    lapsed = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)
    Booking.objects.filter(pk=lapsed.pk).update(expires_at=timezone.now() - timezone.timedelta(minutes=1))
    expire_due()
    sale(name="Standing")
    with connection.cursor() as cursor:  # what waits for the commit is looked at now, before we break anything
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
    return booking


def change(row: object, **fields: object) -> None:
    """Change a row without any trigger."""
    with without_triggers():
        type(row).objects.filter(pk=row.pk).update(**fields)


def test_an_honest_shop_has_no_breach(shop):
    assert found() == {}
    assert {name for name in INVARIANTS if name.startswith(OURS)} == {
        "bookings.capacity",
        "bookings.codes",
        "bookings.tickets",
        "bookings.one_live_booking",
        "bookings.history",
        "bookings.seats",
        "bookings.holders",
        "bookings.notices",
        "outbox",
    }


@pytest.mark.parametrize(("bucket", "wrong"), [("sold", 1), ("sold", 3), ("held", 0), ("offered", 1)])
def test_a_counter_that_drifted_is_named(shop, bucket, wrong):
    change(shop.category.inventory, **{bucket: wrong})

    right = {"sold": 2, "held": 1, "offered": 0}[bucket]
    assert found() == {
        "bookings.capacity": [
            f"Aurora, Stalls: {bucket} is recorded as {wrong}, the bookings add up to {right}",
        ]
    }


def test_overselling_is_named(shop):
    without("ALTER TABLE events_seatinventory DROP CONSTRAINT inventory_is_never_oversold")
    change(shop.category.inventory, capacity=2)

    assert found() == {"bookings.capacity": ["Aurora, Stalls: 3 of 2 seats are taken, that is oversold"]}


def test_a_category_without_counters_is_named(shop):
    with without_triggers():
        SeatInventory.objects.filter(pk=shop.category_id).delete()

    assert found() == {"bookings.capacity": ["Aurora, Stalls: has no inventory row"]}


def test_a_missing_ticket_is_named(shop):
    with without_triggers():
        shop.tickets.filter(number=2).delete()

    assert found() == {
        "bookings.tickets": [f"booking {shop.reference} is confirmed for 2 seats and has 1 valid tickets"]
    }


def test_a_ticket_too_many_is_named(shop):
    unnumbered = Booking.objects.get(status="confirmed", category__numbered=False)
    with without_triggers():
        whose = {"event_id": unnumbered.event_id, "holder_id": unnumbered.user_id}
        Ticket.objects.create(booking=unnumbered, code=new_ticket_code(), number=3, **whose)

    assert found() == {
        "bookings.tickets": [f"booking {unnumbered.reference} is confirmed for 2 seats and has 3 valid tickets"]
    }


def test_a_valid_ticket_of_a_cancelled_booking_is_named(shop):
    cancelled = Booking.objects.get(status="cancelled")
    with without_triggers():
        cancelled.tickets.update(status="active", void_at=None, seat=None)

    said = found()
    assert said["bookings.tickets"] == [
        f"booking {cancelled.reference} is cancelled for 2 seats and has 2 valid tickets"
    ]


def test_a_second_live_booking_of_one_person_is_named(shop):
    without("DROP INDEX one_live_booking_per_person_event_and_source")
    with without_triggers():
        Booking.objects.create(
            reference=new_reference(),
            user=shop.user,
            event=shop.event,
            category=shop.category,
            quantity=1,
            amount_minor=0,
            currency="EUR",
            expires_at=timezone.now(),
        )

    assert found()["bookings.one_live_booking"] == [
        f"person {shop.user_id} has 2 live bookings from public for event {shop.event_id}"
    ]


def test_more_tickets_than_one_person_may_have_are_named(shop):
    unnumbered = Booking.objects.get(status="confirmed", category__numbered=False)
    change(unnumbered, quantity=11)

    assert found()["bookings.one_live_booking"] == [
        f"person {unnumbered.user_id} has 11 tickets for event {unnumbered.event_id}, more than one person may have"
    ]


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([("pending", "cancelled")], "went from pending to cancelled, but the booking is confirmed"),
        ([("expired", "confirmed")], "went from expired to confirmed, but no booking begins there"),
        ([("cancelled", "confirmed")], "went from cancelled to confirmed, but no such step exists"),
        (
            [("pending", "expired"), ("pending", "confirmed")],
            "went from pending to confirmed, but the step before led to expired",
        ),
        ([("pending", "confirmed")] * 2, "left pending 2 times"),
        ([], "is confirmed and nothing says how it got there"),
    ],
)
def test_a_history_that_is_no_path_is_named(shop, steps, said):
    with without_triggers():
        shop.history.all().delete()
        for source, target in steps:
            BookingTransition.objects.create(booking=shop, from_status=source, to_status=target)

    assert f"booking {shop.reference} {said}" in found()["bookings.history"]


@pytest.mark.parametrize(
    "path",
    [
        ["offered", "pending", "confirmed"],
        ["pending", "expired", "confirmed"],
        ["offered", "pending", "expired", "confirmed"],
    ],
)
def test_every_documented_path_is_accepted(shop, path):
    with without_triggers():
        shop.history.all().delete()
        for source, target in pairwise(path):
            BookingTransition.objects.create(booking=shop, from_status=source, to_status=target)

    assert found() == {}


def test_an_end_without_its_time_is_named(shop):
    cancelled = Booking.objects.get(status="cancelled")
    change(cancelled, ended_at=None)

    assert found() == {
        "bookings.history": [f"booking {cancelled.reference} is cancelled, which does not fit the time it ended"]
    }


def test_a_booking_without_its_seats_is_named(shop):
    hold = Booking.objects.get(status="pending", category__numbered=True)
    change(hold.booking_seats.get(), live=False)

    assert found() == {"bookings.seats": [f"booking {hold.reference} is pending for 1 and has 0 numbered seats"]}


def test_seats_that_an_ended_booking_kept_are_named(shop):
    cancelled = Booking.objects.get(status="cancelled")
    free = Seat.objects.exclude(pk__in=BookingSeat.objects.filter(live=True).values("seat")).first()
    with without_triggers():
        BookingSeat.objects.create(booking=cancelled, seat=free)

    assert found() == {"bookings.seats": [f"booking {cancelled.reference} is cancelled for 2 and has 1 numbered seats"]}


def test_a_seat_of_another_category_is_named(shop):
    other = TicketCategoryFactory(rows={"Z": 9}).seats.get(number=7)
    change(shop.booking_seats.first(), seat=other)

    assert f"booking {shop.reference} has row Z seat 7 of another category" in found()["bookings.seats"]


def test_one_seat_of_two_bookings_is_named(shop):
    hold = Booking.objects.get(status="pending", category__numbered=True)
    taken = shop.booking_seats.select_related("seat").first().seat
    without("DROP INDEX one_live_booking_per_seat")
    change(hold.booking_seats.get(), seat=taken)

    assert f"row {taken.row} seat {taken.number} belongs to 2 bookings" in found()["bookings.seats"]


def test_a_ticket_for_another_seat_than_the_bookings_is_named(shop):
    free = Seat.objects.filter(category=shop.category).order_by("-rank", "-number").first()
    ticket = shop.tickets.first()
    change(ticket, seat=free)

    assert found() == {
        "bookings.seats": [
            f"ticket {ticket.number} of booking {shop.reference} names a seat that the booking does not have"
        ]
    }


def test_a_ticket_without_its_numbered_seat_is_named(shop):
    ticket = shop.tickets.first()
    change(ticket, seat=None)

    assert [*found()] == ["bookings.seats"]


def test_more_places_than_numbered_seats_are_named(shop):
    change(shop.category.inventory, capacity=13)

    assert found() == {"bookings.seats": ["category Stalls sells 13 numbered seats and has 12"]}


def test_a_sale_nobody_was_told_about_is_named(shop):
    OutboxMessage.objects.filter(dedupe_key=f"tickets_mail:{shop.pk}").delete()

    assert found() == {
        "bookings.notices": [f"booking {shop.reference} was confirmed and no message says so to its buyer"]
    }


def test_messages_that_can_not_leave_are_named(shop):
    OutboxMessage.objects.create(topic="pigeon", dedupe_key="pigeon:1")
    OutboxMessage.objects.create(
        topic="mail", dedupe_key="mail:1", failed_at=timezone.now(), attempts=12, last_error="SMTPError: no"
    )

    assert found() == {
        "outbox": [
            "1 messages of topic pigeon wait and nothing handles them",
            "message mail:1 was given up after 12 tries: SMTPError: no",
        ]
    }


def audit(*arguments: str) -> str:
    """Run the command and return what it printed."""
    out = StringIO()
    call_command("audit_inventory", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_audit_counts_every_seat(shop):
    said = audit()

    assert "Aurora, Stalls: 12 seats = 2 sold + 1 held + 0 offered + 9 free" in said
    assert said.endswith("2 categories: every seat is accounted for.\n")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda booking: change(booking.category.inventory, sold=1),
        lambda booking: change(booking.tickets.first(), status="void", void_at=timezone.now()),
        lambda booking: change(booking.booking_seats.first(), live=False),
    ],
    ids=["counter", "ticket", "seat"],
)
def test_audit_fails_on_any_difference(shop, spoil: Callable[[Booking], None]):
    spoil(shop)

    with pytest.raises(CommandError) as failure:
        audit()

    assert failure.value.returncode == 1


def test_audit_speaks_json(shop):
    out = StringIO()
    change(shop.category.inventory, sold=5)

    with pytest.raises(CommandError):
        call_command("audit_inventory", "--json", stdout=out)

    report = json.loads(out.getvalue())
    assert report["ok"] is False
    assert report["differences"] == ["Aurora, Stalls: sold is recorded as 5, the bookings add up to 2"]
    [stalls] = [category for category in report["categories"] if category["category"] == "Stalls"]
    assert (stalls["capacity"], stalls["sold_recorded"], stalls["sold_counted"]) == (12, 5, 2)


def test_recount_is_one_statement(shop, django_assert_num_queries):
    with django_assert_num_queries(1):
        list(invariants.recount())
