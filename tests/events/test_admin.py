"""Staff's view of the catalogue: facts to read, actions that call the services, one record of each with its reason."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import StaffAction
from bookings.services import confirm_booking, hold_seats
from events.models import Event, Seat, SeatInventory, TicketCategory
from tests.factories import EventFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db
EVENTS = "/admin/events/event/"
CATEGORIES = "/admin/events/ticketcategory/"


@pytest.fixture
def staff(client_for):
    return client_for(StaffFactory(is_superuser=True))


def act(client, path, **form):
    """Send a dialog's form and return the page it leads to."""
    page = client.post(path, {"_form_submitted": "on", "reason": "Asked by phone", **form}, follow=True)
    return page.content.decode()


def details(event, **changes):
    """Return the form of "change details" as the browser would send it back."""
    form = {name: getattr(event, name) for name in ("name", "description", "location", "timezone")}
    times = {name: getattr(event, name).strftime("%Y-%m-%dT%H:%M") for name in ("starts_at", "ends_at")}
    return form | times | {"sale_starts_at": "", "sale_ends_at": ""} | changes


def selling(event, **changes):
    """Return the form of "selling rules" as the browser would send it back."""
    names = (
        "max_tickets_per_booking",
        "payment_collection",
        "max_active_users",
        "similarity_threshold",
        "liveness",
        "face_necessity",
    )
    return {name: getattr(event, name) for name in names} | {"allow_hold_extension": "on"} | changes


def test_rows_are_shown_and_never_edited_in_place(staff):
    category = TicketCategoryFactory(rows={"A": 3})
    for address, row in (
        (EVENTS, category.event),
        (CATEGORIES, category),
        ("/admin/events/seat/", Seat.objects.first()),
    ):
        assert staff.get(address).status_code == 200
        page = staff.get(f"{address}{row.pk}/change/")
        assert page.status_code == 200
        assert b'name="_save"' not in page.content
        assert staff.post(f"{address}{row.pk}/change/", {"status": "cancelled"}).status_code == 403
        assert staff.get(f"{address}add/").status_code == 403
        assert staff.post(f"{address}{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_list_takes_the_same_statements_for_one_and_for_many(staff, django_assert_max_num_queries):
    TicketCategoryFactory()
    staff.get(EVENTS)
    with django_assert_max_num_queries(20) as one:
        staff.get(EVENTS)

    for _ in range(3):
        TicketCategoryFactory(event=TicketCategoryFactory().event)
    with django_assert_max_num_queries(20) as many:
        staff.get(EVENTS)

    assert len(one) == len(many)


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("draft", {"publish", "cancel"}),
        ("published", {"complete", "cancel"}),
        ("completed", set()),
        ("cancelled", set()),
    ],
)
def test_an_event_offers_the_steps_that_its_status_allows(staff, status, offered):
    event = EventFactory(status=status)

    page = staff.get(f"{EVENTS}{event.pk}/change/").content.decode()

    assert {step for step in ("publish", "complete", "cancel") if f"{event.pk}/{step}/" in page} == offered


def test_details_are_changed_by_the_service_with_a_reason(staff):
    event = TicketCategoryFactory(event=EventFactory(description="One.\n\nTwo.")).event
    dialog = staff.get(f"{EVENTS}{event.pk}/change-details/").content.decode()

    form = details(event, name="Late concert", description="One.\r\n\r\nTwo.")
    page = act(staff, f"{EVENTS}{event.pk}/change-details/", **form)

    event.refresh_from_db()
    kept = StaffAction.objects.get()
    assert f'value="{event.starts_at:%Y-%m-%dT%H:%M}"' in dialog
    assert "The event is changed." in page
    assert event.name == "Late concert"
    assert (kept.action, kept.object_id, kept.reason) == ("change_event", str(event.pk), "Asked by phone")
    assert kept.after == {"name": "Late concert"}


def test_selling_rules_are_changed_by_the_service(staff):
    event = TicketCategoryFactory().event

    act(staff, f"{EVENTS}{event.pk}/change-selling/", **selling(event, max_tickets_per_booking=3, queue_enabled="on"))

    assert StaffAction.objects.get().after == {"max_tickets_per_booking": 3, "queue_enabled": True}


def test_refusal_of_the_service_is_told_and_changes_nothing(staff):
    event = TicketCategoryFactory().event

    page = act(staff, f"{EVENTS}{event.pk}/change-selling/", **selling(event, requires_face_verification="on"))
    zone = act(staff, f"{EVENTS}{event.pk}/change-details/", **details(event, timezone="Mars/Olympus"))

    assert "IANA" in zone
    assert "why this event needs a face check" in page
    assert not StaffAction.objects.exists()
    assert Event.objects.get().requires_face_verification is False


def test_capacity_is_changed_by_the_same_rule_as_everywhere(staff):
    category = TicketCategoryFactory(capacity=10)
    confirm_booking(booking_id=hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=4).pk)
    address = f"{CATEGORIES}{category.pk}/change-category/"
    form = {"name": category.name, "price": "59.00"}

    refused = act(staff, address, **form, capacity=3)
    done = act(staff, address, **form, capacity=4)

    assert "4 is the lowest capacity" in refused
    assert "The category is changed." in done
    assert SeatInventory.objects.get().capacity == 4
    assert TicketCategory.objects.get().price_minor == 5900


def test_categories_are_added_also_with_numbered_seats(staff):
    event = TicketCategoryFactory().event

    act(staff, f"{EVENTS}{event.pk}/add-category/", name="Gallery", price="79", rows=2, seats_per_row=5)

    added = event.categories.select_related("inventory").get(name="Gallery")
    assert (added.price_minor, added.numbered, added.inventory.capacity, added.seats.count()) == (7900, True, 10, 10)


def test_status_moves_by_actions_only(staff):
    event = TicketCategoryFactory(event=EventFactory(status="draft")).event
    path = f"{EVENTS}{event.pk}"

    assert "The event is published." in act(staff, f"{path}/publish/")
    assert "once it has ended" in act(staff, f"{path}/complete/")
    assert "The event is cancelled" in act(staff, f"{path}/cancel/")
    assert "it has moved on" in act(staff, f"{path}/publish/")

    assert Event.objects.get().cancelled_reason == "Asked by phone"
    assert list(StaffAction.objects.order_by("at").values_list("action", flat=True)) == [
        "publish_event",
        "cancel_event",
    ]


def test_event_is_deleted_only_while_nobody_has_tickets(staff):
    empty, sold = TicketCategoryFactory(), TicketCategoryFactory()
    confirm_booking(booking_id=hold_seats(user_id=UserFactory().pk, category_id=sold.pk, quantity=1).pk)

    assert "The event is deleted." in act(staff, f"{EVENTS}{empty.event_id}/remove/")
    assert "Cancel it instead" in act(staff, f"{EVENTS}{sold.event_id}/remove/")

    assert list(Event.objects.values_list("pk", flat=True)) == [sold.event_id]


def test_selected_events_are_changed_one_by_one_for_a_reason(staff):
    draft = TicketCategoryFactory(event=EventFactory(status="draft")).event
    empty = EventFactory(status="draft", name="Empty")
    over = EventFactory(status="published", starts_at=timezone.now() - timedelta(days=2))

    def selected(name, *events):
        marked = {"action": name, "_selected_action": [str(event.pk) for event in events]}
        staff.post(EVENTS, {**marked, "confirmed": "1", "reason": "End of the season"}, follow=True)
        return [Event.objects.get(pk=event.pk).status for event in events]

    assert selected("publish_selected", draft, empty) == ["published", "draft"]
    assert selected("complete_selected", over, draft) == ["completed", "published"]
    assert selected("cancel_selected", draft, over) == ["cancelled", "completed"]
    assert list(StaffAction.objects.values_list("reason", flat=True)) == ["End of the season"] * 3


@pytest.mark.parametrize("everything", ["0", "1"])
def test_page_asks_for_the_reason_before_many_events_are_cancelled(staff, everything):
    events = [TicketCategoryFactory().event for _ in range(2)]
    marked = {"action": "cancel_selected", "_selected_action": str(events[0].pk), "select_across": everything}

    page = staff.post(EVENTS, marked).content.decode()
    without_reason = staff.post(EVENTS, {**marked, "confirmed": "1", "reason": " "}).content.decode()

    asked = {"0": [events[0].pk], "1": []}[everything]
    assert page.count('name="_selected_action"') == len(asked)
    assert all(f'value="{pk}"' in page for pk in asked)
    assert "There is no way back." in page
    assert "This field is required" in without_reason
    assert set(Event.objects.values_list("status", flat=True)) == {"published"}

    staff.post(EVENTS, {**marked, "confirmed": "1", "reason": "Fire in the hall"}, follow=True)

    cancelled = Event.objects.filter(status="cancelled").values_list("pk", flat=True)
    assert set(cancelled) == ({events[0].pk} if everything == "0" else {event.pk for event in events})


def test_people_who_are_no_staff_do_not_enter(client_for):
    event = EventFactory()

    answer = client_for(UserFactory()).post(f"{EVENTS}{event.pk}/cancel/", {"_form_submitted": "on", "reason": "x"})

    assert answer.status_code == 404
    assert Event.objects.get().status == "published"


def test_category_is_added_with_its_own_times_and_limits(staff):
    event = TicketCategoryFactory().event
    opens = (timezone.now() + timedelta(days=2)).replace(second=0, microsecond=0)
    form = {"name": "Balcony", "price": "89.00", "capacity": "20", "sale_starts_at": f"{opens:%Y-%m-%dT%H:%M}"}

    page = act(staff, f"{EVENTS}{event.pk}/add-category/", **form, max_per_person="2", hidden="on")

    added = TicketCategory.objects.get(name="Balcony")
    assert (added.sale_starts_at, added.max_per_person, added.hidden) == (opens, 2, True)
    assert f"with a code, from {opens:%d %b %Y, %H:%M} UTC" in page


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (5, 3, "The sale of a category must end after it starts."),
        (40, None, "The event&#x27;s sale ends before that"),
        (None, 1, "The event&#x27;s sale begins after that"),
    ],
)
def test_sale_that_could_never_be_is_told_in_the_dialog_which_keeps_what_was_written(staff, start, end, words):
    now = timezone.now()
    category = TicketCategoryFactory(event__sale_starts_at=now + timedelta(days=2))
    times = {
        name: f"{now + timedelta(days=days):%Y-%m-%dT%H:%M}" if days else ""
        for name, days in (("sale_starts_at", start), ("sale_ends_at", end))
    }
    form = {"name": "Renamed", "price": "49.00", "capacity": "100", **times}

    page = act(staff, f"{CATEGORIES}{category.pk}/change-category/", **form)
    added = act(staff, f"{EVENTS}{category.event_id}/add-category/", **form)

    for shown in (page, added):
        assert words in shown
        assert 'value="Renamed"' in shown
    assert not TicketCategory.objects.filter(name="Renamed").exists()
