"""What is found, by whom, and in how many statements."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils import timezone

from bookings.services import hold_seats
from common.errors import NotFound
from events import queries, services
from events.models import Event, SeatInventory
from events.queries import ORDERINGS, EventFilters
from events.refusals import EventNotFound, NotYourEvent
from tests.factories import EventFactory, OrganiserFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db


def event(name, *, price=4900, capacity=10, **fields):
    return TicketCategoryFactory(event=EventFactory(name=name, **fields), price_minor=price, capacity=capacity).event


def names(viewer=None, **filters):
    page = queries.list_events(EventFilters(**filters), viewer_id=viewer and viewer.pk)
    return [found.name for found in page.events]


def days(count):
    return timezone.now() + timedelta(days=count)


@pytest.mark.parametrize("count", [1, 3])
def test_list_takes_three_statements_however_long_it_is(count, django_assert_num_queries):
    for number in range(count):
        TicketCategoryFactory(event=event(f"Concert {number}"))

    with django_assert_num_queries(3):
        page = queries.list_events(EventFilters())
        shown = [(item.total_tickets, item.available_tickets, item.from_price_minor) for item in page.events]

    assert shown == [(110, 110, 4900)] * count


def test_one_event_takes_three_statements(django_assert_num_queries):
    known = event("Concert")

    with django_assert_num_queries(3):
        assert queries.get_event(event_id=known.pk).total_tickets == 10


def test_what_can_be_attended_comes_first_and_what_is_over_last():
    event("next week", starts_at=days(7))
    event("tomorrow", starts_at=days(1))
    event("last week", starts_at=days(-7), status="completed")
    event("yesterday", starts_at=days(-1), status="completed")

    assert names() == ["tomorrow", "next week", "yesterday", "last week"]


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("startsAt", ["b", "c", "a"]),
        ("-startsAt", ["a", "c", "b"]),
        ("name", ["a", "b", "c"]),
        ("-name", ["c", "b", "a"]),
        ("price", ["c", "a", "b"]),
        ("-price", ["b", "a", "c"]),
        ("createdAt", ["a", "b", "c"]),
        ("-createdAt", ["c", "b", "a"]),
    ],
)
def test_list_is_ordered_as_asked(ordering, expected):
    for number, (name, day, price) in enumerate([("a", 9, 500), ("b", 1, 900), ("c", 5, 100)]):
        made = event(name, starts_at=days(day), price=price)
        Event.objects.filter(pk=made.pk).update(created_at=days(-9 + number))

    assert names(ordering=ordering) == expected
    assert ordering in ORDERINGS


def test_search_needs_every_word_somewhere_and_knows_no_wildcards():
    event("Winter's Tale", location="Ghent", description="A bear")
    event("100% Jazz", location="Oslo")

    assert names(search="ghent BEAR tale") == ["Winter's Tale"]
    assert names(search="ghent jazz") == []
    assert names(search="100%") == ["100% Jazz"]
    assert names(search="%") == ["100% Jazz"]
    assert names(search="_") == []
    assert names(search="'; DROP TABLE events_event; --") == []


def test_filters_narrow_the_list():
    event("cheap", price=900, location="Bern, Hall 1", starts_at=datetime(2030, 5, 1, 20, tzinfo=UTC))
    event("dear", price=90_000, location="Basel", starts_at=datetime(2030, 6, 1, 20, tzinfo=UTC))
    event("yen", price=500, currency="JPY", location="Kyoto", starts_at=datetime(2030, 7, 1, 20, tzinfo=UTC))
    event("off", status="cancelled", starts_at=datetime(2030, 8, 1, 20, tzinfo=UTC))

    assert names(location="bern") == ["cheap"]
    assert names(statuses=("cancelled",)) == ["off"]
    assert names(min_price=Decimal(9), max_price=Decimal("500.50")) == ["cheap", "yen", "off"]
    assert names(max_price=Decimal(9)) == ["cheap"]
    assert names(starts_from=datetime(2030, 6, 1, tzinfo=UTC), starts_before=datetime(2030, 7, 1, tzinfo=UTC)) == [
        "dear"
    ]


def test_available_means_that_somebody_could_buy_now():
    event("open")
    sold_out = event("sold out", capacity=1)
    hold_seats(user_id=UserFactory().pk, category_id=sold_out.categories.get().pk, quantity=1)
    claimed = event("waited for")
    SeatInventory.objects.filter(category__event=claimed).update(waiting=1)
    shut = event("closed category")
    services.close_category(category_id=shut.categories.get().pk)
    event("not yet", sale_starts_at=days(1))
    event("too late", sale_ends_at=days(-1), sale_starts_at=days(-2))
    event("off", status="cancelled")

    assert names(available=True) == ["open"]
    assert "open" not in names(available=False)
    assert len(names(available=False)) == 6
    assert queries.get_event(event_id=claimed.pk).available_tickets == 0


def test_pages_count_everything_and_end():
    for number in range(5):
        event(f"Concert {number}", starts_at=days(number + 1))

    page = queries.list_events(EventFilters(page=2, page_size=2))

    assert [item.name for item in page.events] == ["Concert 2", "Concert 3"]
    assert (page.count, page.pages, page.previous_page, page.next_page) == (5, 3, 1, 3)
    assert queries.list_events(EventFilters(page=3, page_size=2)).next_page is None
    with pytest.raises(NotFound):
        queries.list_events(EventFilters(page=4, page_size=2))
    assert queries.list_events(EventFilters(search="nothing")).count == 0


def test_drafts_are_seen_by_their_creator_and_staff_only():
    creator, other, staff = OrganiserFactory(), OrganiserFactory(), StaffFactory()
    draft = event("secret", status="draft", created_by=creator)

    assert names(creator) == names(staff) == ["secret"]
    assert names() == names(other) == []
    for viewer_id in (None, other.pk, uuid4()):
        with pytest.raises(EventNotFound):
            queries.get_event(event_id=draft.pk, viewer_id=viewer_id)
    assert queries.get_event(event_id=draft.pk, viewer_id=creator.pk) == draft


def test_dismissed_staff_see_no_drafts():
    event("secret", status="draft")

    assert names(StaffFactory(is_active=False)) == []


def test_only_creator_and_staff_may_change():
    creator, other, staff = OrganiserFactory(), OrganiserFactory(), StaffFactory()
    public = event("public", created_by=creator)

    assert queries.get_event_to_change(event_id=public.pk, viewer=creator) == public
    assert queries.get_event_to_change(event_id=public.pk, viewer=staff) == public
    with pytest.raises(NotYourEvent):
        queries.get_event_to_change(event_id=public.pk, viewer=other)


def test_deleted_events_are_gone_for_everybody():
    gone = event("gone")
    Event.objects.filter(pk=gone.pk).update(deleted_at=timezone.now())

    assert names(StaffFactory()) == []
    with pytest.raises(EventNotFound):
        queries.get_event(event_id=gone.pk, viewer_id=StaffFactory().pk)


def test_version_changes_with_every_change_of_the_rows_whoever_makes_it():
    known = event("Concert")
    category = known.categories.get()
    changes = [
        lambda: services.update_event(event_id=known.pk, name="Late concert"),
        lambda: services.update_category(category_id=category.pk, price_minor=100),
        lambda: hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1),
        lambda: SeatInventory.objects.filter(pk=category.pk).update(waiting=2),
        lambda: Event.objects.filter(pk=known.pk).update(location="Elsewhere"),
        lambda: services.cancel_event(event_id=known.pk),
    ]
    versions = [queries.find_event(event_id=known.pk)]

    for change in changes:
        change()
        versions.append(queries.find_event(event_id=known.pk))

    assert len(set(versions)) == len(changes) + 1
    assert queries.find_event(event_id=known.pk) == versions[-1]


@pytest.mark.parametrize(
    ("fields", "capacity", "taken", "state"),
    [
        ({"status": "draft"}, 10, 0, "draft"),
        ({"status": "cancelled"}, 10, 0, "cancelled"),
        ({"status": "completed"}, 10, 0, "over"),
        ({"starts_at": days(-2)}, 10, 0, "over"),
        ({"sale_starts_at": days(1)}, 10, 0, "upcoming"),
        ({"sale_starts_at": days(-3), "sale_ends_at": days(-1)}, 10, 0, "closed"),
        ({}, 10, 10, "sold_out"),
        ({}, 10, 9, "selling_out"),
        ({}, 10, 8, "on_sale"),
    ],
)
def test_sale_state_says_what_a_buyer_finds(fields, capacity, taken, state):
    known = event("Concert", capacity=capacity, **fields)
    SeatInventory.objects.update(held=taken)

    assert queries.get_event(event_id=known.pk, viewer_id=StaffFactory().pk).sale_state(timezone.now()) == state
