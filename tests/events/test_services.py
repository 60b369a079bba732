"""The rules of the catalogue: what may be made, changed, cancelled, completed and deleted, and why not."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from bookings.services import cancel_booking, confirm_booking, give_up_hold, hold_seats
from common.errors import IllegalTransition, Invalid
from events import services, signals
from events.models import Event, Seat, SeatInventory, TicketCategory
from events.refusals import (
    BadCategory,
    BadTimes,
    CapacityBelowTaken,
    CategoryNameTaken,
    CurrencyIsFixed,
    EventHasBookings,
    EventInThePast,
    EventIsOver,
    EventNotOver,
    FaceReasonMissing,
    ManyCategories,
    SeatsInUse,
)
from events.services import NewCategory
from events.services.categories import row_label
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db


def new_event(**changes):
    starts_at = changes.pop("starts_at", timezone.now() + timedelta(days=10))
    given = {
        "created_by_id": None,
        "name": "Concert",
        "location": "Town Hall",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=2),
        "categories": [NewCategory("General admission", 4900, capacity=20)],
    }
    return services.create_event(**given | changes)


def sell(category, quantity, *, confirm=True):
    booking = hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=quantity)
    return confirm_booking(booking_id=booking.pk) if confirm else booking


@pytest.fixture
def freed():
    heard = []

    def hear(category_id, **_):
        heard.append(category_id)

    signals.seats_freed.connect(hear)
    yield heard
    signals.seats_freed.disconnect(hear)


def test_new_event_is_published_with_its_categories():
    event = new_event(
        categories=[NewCategory("Floor", 4900, capacity=50), NewCategory("Seats", 7900, rows=2, seats_per_row=3)]
    )

    floor, seats = event.categories.select_related("inventory")
    assert Event.objects.get().status == "published"
    assert (floor.name, floor.price_minor, floor.inventory.capacity, floor.numbered) == ("Floor", 4900, 50, False)
    assert (seats.name, seats.inventory.capacity, seats.numbered) == ("Seats", 6, True)
    assert [(seat.row, seat.number, seat.rank) for seat in seats.seats.all()] == [
        ("A", 1, 0),
        ("A", 2, 0),
        ("A", 3, 0),
        ("B", 1, 1),
        ("B", 2, 1),
        ("B", 3, 1),
    ]


def test_rows_are_named_like_columns_of_a_sheet():
    assert [row_label(rank) for rank in (0, 25, 26, 27, 51, 52, 701, 702)] == [
        "A",
        "Z",
        "AA",
        "AB",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ]


def test_new_event_with_face_check_sells_one_ticket_a_person_unless_told_otherwise():
    checked = new_event(requires_face_verification=True, face_necessity="Resale.")
    more = new_event(requires_face_verification=True, face_necessity="Resale.", max_tickets_per_booking=3)

    assert [checked.max_tickets_per_booking, more.max_tickets_per_booking] == [1, 3]
    assert new_event().max_tickets_per_booking == 10
    later, told = new_event(), new_event()
    faces = {"requires_face_verification": True, "face_necessity": "Resale."}
    assert services.update_event(event_id=later.pk, **faces).max_tickets_per_booking == 1
    assert services.update_event(event_id=told.pk, **faces, max_tickets_per_booking=2).max_tickets_per_booking == 2


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"ends_at": timezone.now() + timedelta(days=9)}, BadTimes),
        ({"starts_at": timezone.now() - timedelta(days=2)}, EventInThePast),
        ({"requires_face_verification": True}, FaceReasonMissing),
        ({"requires_face_verification": True, "face_necessity": "  "}, FaceReasonMissing),
        ({"max_tickets_per_booking": 11}, Invalid),
        ({"sale_starts_at": timezone.now() + timedelta(days=40)}, BadTimes),
        ({"categories": []}, BadCategory),
        ({"categories": [NewCategory("A", 100)]}, BadCategory),
        ({"categories": [NewCategory("A", 100, rows=200, seats_per_row=500)]}, BadCategory),
        ({"categories": [NewCategory("A", 99_999_999, capacity=1)]}, BadCategory),
        ({"categories": [NewCategory("A", 100, capacity=1), NewCategory("A", 200, capacity=1)]}, CategoryNameTaken),
    ],
)
def test_event_that_makes_no_sense_is_refused_and_leaves_nothing(changes, refusal):
    with pytest.raises(refusal):
        new_event(**changes)

    assert not Event.objects.exists()
    assert not TicketCategory.objects.exists()


def test_update_changes_capacity_and_price_of_the_only_category_and_not_what_was_booked():
    event = new_event()
    booking = sell(event.categories.get(), 2)

    services.update_event(event_id=event.pk, name="Late concert", total_tickets=30, price_minor=9900)

    category = event.categories.select_related("inventory").get()
    booking.refresh_from_db()
    assert (category.price_minor, category.inventory.capacity) == (9900, 30)
    assert (booking.amount_minor, Event.objects.get().name) == (9800, "Late concert")
    assert sell(category, 1).amount_minor == 9900


def test_update_of_several_categories_needs_their_names():
    event = new_event(categories=[NewCategory("A", 100, capacity=5), NewCategory("B", 100, capacity=5)])

    with pytest.raises(ManyCategories):
        services.update_event(event_id=event.pk, total_tickets=9)

    _, second = event.categories.all()
    services.update_event(
        event_id=event.pk,
        categories=[{"category_id": second.pk, "price_minor": 300, "closed": True}, NewCategory("C", 700, capacity=2)],
    )
    assert list(event.categories.values_list("name", "price_minor", "closed")) == [
        ("A", 100, False),
        ("B", 300, True),
        ("C", 700, False),
    ]


def test_update_is_all_or_nothing():
    event = new_event()
    sell(event.categories.get(), 5)

    with pytest.raises(CapacityBelowTaken):
        services.update_event(event_id=event.pk, name="Other", total_tickets=4)

    assert Event.objects.get().name == "Concert"


def test_capacity_is_never_below_what_is_taken():
    category = new_event().categories.get()
    sell(category, 3)
    sell(category, 2, confirm=False)

    with pytest.raises(CapacityBelowTaken) as refusal:
        services.set_capacity(category_id=category.pk, capacity=4)

    assert refusal.value.extra == {"minimum": 5}
    assert "5" in refusal.value.text
    services.set_capacity(category_id=category.pk, capacity=5)
    assert SeatInventory.objects.get().capacity == 5


def test_database_refuses_a_capacity_below_what_is_taken():
    category = new_event().categories.get()
    sell(category, 3)

    with pytest.raises(IntegrityError, match="inventory_is_never_oversold"), transaction.atomic():
        SeatInventory.objects.update(capacity=2)


def test_raised_capacity_is_announced_and_lowered_is_not(freed):
    category = new_event().categories.get()

    services.set_capacity(category_id=category.pk, capacity=10)
    assert freed == []
    services.set_capacity(category_id=category.pk, capacity=15)

    assert freed == [category.pk]


def test_numbered_category_grows_by_rows_and_shrinks_from_the_back():
    event = new_event(categories=[NewCategory("Seats", 100, rows=2, seats_per_row=3)])
    category = event.categories.get()

    services.set_capacity(category_id=category.pk, capacity=8)
    assert [str(seat) for seat in category.seats.filter(rank=2)] == ["Row C · Seat 1", "Row C · Seat 2"]
    services.set_capacity(category_id=category.pk, capacity=4)

    assert [(seat.row, seat.number) for seat in category.seats.all()] == [("A", 1), ("A", 2), ("A", 3), ("B", 1)]


def test_seats_that_were_ever_booked_stay_in_the_hall():
    event = new_event(categories=[NewCategory("Seats", 100, rows=1, seats_per_row=4)])
    category = event.categories.get()
    give_up_hold(booking_id=sell(category, 3, confirm=False).pk)

    with pytest.raises(SeatsInUse) as refusal:
        services.set_capacity(category_id=category.pk, capacity=2)

    assert refusal.value.extra == {"minimum": 3}
    assert (SeatInventory.objects.get().capacity, Seat.objects.count()) == (4, 4)


def test_closed_category_sells_nothing_and_opens_again():
    category = new_event().categories.get()

    services.close_category(category_id=category.pk)
    assert TicketCategory.objects.select_related("inventory").get().available == 0
    services.reopen_category(category_id=category.pk)

    assert sell(category, 1).quantity == 1


def test_currency_of_a_draft_changes_with_its_prices_and_of_a_sale_never():
    draft = new_event(publish=False)
    public = new_event()

    services.update_event(event_id=draft.pk, currency="JPY")
    with pytest.raises(CurrencyIsFixed):
        services.update_event(event_id=public.pk, currency="JPY")

    assert draft.categories.get().price_minor == 49


def test_dates_may_move_but_not_into_the_past():
    event = new_event()
    later = timezone.now() + timedelta(days=90)

    services.update_event(event_id=event.pk, starts_at=later, ends_at=later + timedelta(hours=1))
    with pytest.raises(EventInThePast):
        services.update_event(
            event_id=event.pk, starts_at=later - timedelta(days=120), ends_at=later - timedelta(days=119)
        )

    assert Event.objects.get().starts_at == later


# -- States -----------------------------------------------------------------------------------------------------------
STATES = Event.Status.values
LEGAL = {(source, name) for name, step in Event.TRANSITIONS.items() for source in step.sources}


@pytest.mark.parametrize("name", Event.TRANSITIONS)
@pytest.mark.parametrize("status", STATES)
def test_event_takes_the_steps_of_its_table_and_no_other(status, name):
    event = EventFactory(status=status)

    if (status, name) in LEGAL:
        event.transition(name)
        assert Event.objects.get().status == Event.TRANSITIONS[name].target
    else:
        with pytest.raises(IllegalTransition):
            event.transition(name)
        assert Event.objects.get().status == status


def test_publish_needs_a_category_and_a_future():
    empty = EventFactory(status="draft")
    gone = EventFactory(status="draft", starts_at=timezone.now() - timedelta(days=3))
    TicketCategoryFactory(event=gone)

    with pytest.raises(BadCategory):
        services.publish_event(event_id=empty.pk)
    with pytest.raises(EventInThePast):
        services.publish_event(event_id=gone.pk)


def test_due_events_are_completed_once_and_others_left_alone():
    past = {"starts_at": timezone.now() - timedelta(days=2)}
    over = EventFactory(**past)
    rest = [EventFactory(), EventFactory(status="draft", **past), EventFactory(status="cancelled", **past)]

    assert services.complete_due_events() == 1
    assert services.complete_due_events() == 0

    over.refresh_from_db()
    assert over.status == "completed"
    assert [Event.objects.get(pk=event.pk).status for event in rest] == ["published", "draft", "cancelled"]


def test_event_is_not_completed_before_its_end():
    event = new_event()

    with pytest.raises(EventNotOver):
        services.complete_event(event_id=event.pk)


def test_over_is_over():
    event = new_event()
    services.cancel_event(event_id=event.pk)

    for change in (
        lambda: services.update_event(event_id=event.pk, name="x"),
        lambda: services.set_capacity(category_id=event.categories.get().pk, capacity=99),
        lambda: services.add_category(event_id=event.pk, new=NewCategory("More", 1, capacity=1)),
    ):
        with pytest.raises(EventIsOver):
            change()
    with pytest.raises(IllegalTransition):
        services.publish_event(event_id=event.pk)


def test_cancelling_twice_announces_once_and_keeps_the_first_reason():
    event = new_event()
    heard = []

    def hear(event_id, **_):
        heard.append(event_id)

    signals.event_cancelled.connect(hear)
    try:
        services.cancel_event(event_id=event.pk, reason="Storm")
        services.cancel_event(event_id=event.pk, reason="Rain")
    finally:
        signals.event_cancelled.disconnect(hear)

    assert heard == [event.pk]
    assert Event.objects.get().cancelled_reason == "Storm"


# -- Deleting ---------------------------------------------------------------------------------------------------------
def test_event_nobody_booked_is_deleted_with_everything():
    event = new_event(categories=[NewCategory("Seats", 100, rows=2, seats_per_row=2)])

    services.delete_event(event_id=event.pk)

    assert not Event.objects.exists()
    assert not Seat.objects.exists()


def test_event_with_confirmed_bookings_is_not_deleted():
    event = new_event()
    sell(event.categories.get(), 2)

    with pytest.raises(EventHasBookings) as refusal:
        services.delete_event(event_id=event.pk)

    assert refusal.value.extra == {"confirmed": 2}
    assert Event.objects.get().status == "published"


def test_event_whose_bookings_came_to_nothing_is_hidden_and_cancelled():
    event = new_event()
    cancel_booking(booking_id=sell(event.categories.get(), 2).pk, by="staff")

    services.delete_event(event_id=event.pk)

    event.refresh_from_db()
    assert (event.status, event.deleted_at is not None) == ("cancelled", True)


def test_database_keeps_an_event_that_bookings_refer_to():
    event = new_event()
    sell(event.categories.get(), 1)

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("DELETE FROM events_event WHERE id = %s", [event.pk])
