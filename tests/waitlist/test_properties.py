"""
Random lives of a list, step by step beside a plain model of it: seats add up, the order is kept, nobody has two claims.

The model is written from the rules alone and knows neither SQL nor services: a list in its order, and who has which seats.
After every step the rows must say what the model says, and every invariant of bookings and the waitlist must hold.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.test import override_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bookings import services as bookings
from bookings.models import Booking
from bookings.refusals import AlreadyBooked, HoldExists, PartlyAvailable, SaleClosed, SoldOut, TicketLimit
from bookings.states import LIVE
from events.models import SeatInventory
from events.refusals import CapacityBelowTaken
from events.services import close_category, reopen_category, set_capacity
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory
from tests.waitlist.worlds import broken, let_pass
from waitlist import services
from waitlist.models import WaitlistEntry

PEOPLE, CATEGORIES, LIMIT, MAX_LAPSES = 6, 2, 4, 2
# Which categories will do, how many seats, all together, verified.
WISHES = st.tuples(
    st.frozensets(st.integers(0, CATEGORIES - 1)),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([True, True, True, False]),
)


@dataclass
class Place:
    """Somebody on the list, as the model knows them."""

    id: UUID
    person: int
    categories: frozenset[int]  # empty: any
    quantity: int
    together: bool
    eligible: bool
    aside: str = ""
    lapses: int = 0
    offer: UUID | None = None

    def takes(self, category: int) -> bool:
        return not self.categories or category in self.categories


@dataclass
class Claim:
    """Seats that somebody has."""

    person: int
    category: int
    quantity: int
    status: str
    source: str


@dataclass
class Model:
    """The list in its order, the seats, and who has them."""

    capacity: list[int]
    closed: list[bool] = field(default_factory=lambda: [False] * CATEGORIES)
    line: list[Place] = field(default_factory=list)  # who waits, in order
    offered: dict[UUID, Place] = field(default_factory=dict)  # by booking
    unpaid: dict[UUID, Place] = field(default_factory=dict)  # by booking; the place may wait on for the rest
    claims: dict[UUID, Claim] = field(default_factory=dict)

    def free(self, category: int) -> int:
        return self.capacity[category] - sum(c.quantity for c in self.claims.values() if c.category == category)

    def waiting(self, category: int) -> int:
        return sum(p.quantity for p in self.line if p.eligible and not p.aside and p.takes(category))

    def room(self, person: int) -> int:
        return LIMIT - sum(c.quantity for c in self.claims.values() if c.person == person)

    def has_place(self, person: int) -> bool:
        return any(p.person == person for p in [*self.line, *self.offered.values()])

    def next_offer(self) -> tuple[Place, int, int] | None:
        """Return who is offered how many seats of which category next; note why others are passed over for good."""
        obstacles = []
        for place in self.line:
            choice = [c for c in range(CATEGORIES) if place.takes(c) and self.free(c) > 0 and not self.closed[c]]
            if not choice:
                continue
            enough = [c for c in choice if self.free(c) >= place.quantity]
            best = enough[0] if enough else max(choice, key=lambda c: (self.free(c), -c))
            claims = [c for c in self.claims.values() if c.person == place.person and c.source == "waitlist"]
            seats = min(place.quantity, self.free(best), self.room(place.person))
            if not place.eligible:
                continue
            if place.together and self.free(best) < place.quantity:
                obstacles.append((place, "too_few_together"))
            elif any(claim.status in {"offered", "pending"} for claim in claims):
                continue
            elif seats < 1 or (place.together and seats < place.quantity):
                obstacles.append((place, "ticket_limit"))
            else:
                return place, best, seats
        for place, reason in obstacles:
            place.aside = place.aside or reason
        return None

    def goes_back(self, place: Place, quantity: int) -> None:
        """Send somebody behind all others, or end their place."""
        place.lapses += 1
        if place in self.line:
            self.line.remove(place)
        if place.lapses <= MAX_LAPSES:
            place.quantity, place.aside, place.offer = quantity, "", None
            self.line.append(place)


class Waitlist(RuleBasedStateMachine):
    """The rules: everything that people, staff and time do to an event that is sold out now and then."""

    @initialize(
        capacity=st.lists(st.integers(1, 4), min_size=CATEGORIES, max_size=CATEGORIES),
        wishes=st.lists(WISHES, min_size=2, max_size=4),
    )
    def begin(self, capacity: list[int], wishes: list[tuple[frozenset[int], int, bool, bool]]) -> None:
        """Begin with everything held by one person each, and some who wait."""
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.event = EventFactory(max_tickets_per_booking=LIMIT)
        self.categories = [
            TicketCategoryFactory(event=self.event, capacity=seats, position=place)
            for place, seats in enumerate(capacity)
        ]
        self.people = [UserFactory() for _ in range(PEOPLE)]
        self.model = Model(capacity)
        for category, seats in enumerate(capacity):
            self.hold(PEOPLE - 1 - category, category, seats)
        for person, wish in enumerate(wishes):
            self.join(person, wish)

    def teardown(self) -> None:
        if hasattr(self, "atomic"):
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    # -- What people do -----------------------------------------------------------------------------------------------

    @rule(person=st.integers(0, PEOPLE - 1), category=st.integers(0, CATEGORIES - 1), quantity=st.integers(1, 3))
    def hold(self, person: int, category: int, quantity: int) -> None:
        model = self.model
        own = [c for c in model.claims.values() if c.person == person and c.source == "public"]
        may = not own and not model.closed[category] and not model.waiting(category)
        may = may and model.free(category) >= quantity and model.room(person) >= quantity
        try:
            with transaction.atomic():
                booking = bookings.hold_seats(
                    user_id=self.people[person].pk, category_id=self.categories[category].pk, quantity=quantity
                )
        except (AlreadyBooked, HoldExists, PartlyAvailable, SaleClosed, SoldOut, TicketLimit):
            assert not may
            return
        assert may
        model.claims[booking.pk] = Claim(person, category, quantity, "pending", "public")

    @precondition(lambda self: len(self.model.line) + len(self.model.offered) < PEOPLE)
    @rule(person=st.integers(0, PEOPLE - 1), wish=WISHES)
    def join(self, person: int, wish: tuple[frozenset[int], int, bool, bool]) -> None:
        if self.model.has_place(person):
            return
        categories, quantity, together, eligible = wish
        entry = services.join(
            user_id=self.people[person].pk,
            event_id=self.event.pk,
            category_ids=[self.categories[category].pk for category in categories],
            quantity=quantity,
            all_together=together,
            eligible=eligible,
        )
        self.model.line.append(Place(entry.pk, person, categories, quantity, together, eligible))

    @precondition(lambda self: not all(place.eligible for place in self.model.line))
    @rule(which=st.integers(0, 99))
    def become_verified(self, which: int) -> None:
        place = self.some([place for place in self.model.line if not place.eligible], which)
        services.join(user_id=self.people[place.person].pk, event_id=self.event.pk, eligible=True)
        place.eligible = True

    @precondition(lambda self: len(self.model.line) + len(self.model.offered) > 2)
    @rule(which=st.integers(0, 99))
    def leave(self, which: int) -> None:
        place = self.some([*self.model.line, *self.model.offered.values()], which)
        services.leave(user_id=self.people[place.person].pk, event_id=self.event.pk)
        self.drop(place)

    @precondition(lambda self: self.model.offered)
    @rule(which=st.integers(0, 99), answer=st.sampled_from(["accept", "pay", "fewer", "reject", "lapse", "lapse late"]))
    def answer(self, which: int, answer: str) -> None:
        """Answer an offer, or leave it unanswered."""
        if answer == "reject":
            self.reject(which)
        elif answer.startswith("lapse"):
            self.lapse(which, other_sweep_first=answer == "lapse late")
        else:
            self.accept(which, fewer=int(answer == "fewer"))
            if answer == "pay":
                self.pay(-1)

    def accept(self, which: int, fewer: int) -> None:
        model = self.model
        booking_id = self.some(list(model.offered), which)
        place, claim = model.offered.pop(booking_id), model.claims[booking_id]
        quantity = max(1, claim.quantity - fewer)
        before = self.line_of_rows()

        services.accept_offer(entry_id=place.id, user_id=self.people[place.person].pk, quantity=quantity)

        rest = place.quantity - claim.quantity if quantity == claim.quantity else 0
        claim.status, claim.quantity = "pending", quantity
        place.offer = None
        model.unpaid[booking_id] = place
        place.quantity = rest or quantity
        if rest:
            # It waits on at its old time: before whoever joined later.
            after = self.line_of_rows()
            model.line.insert(after.index(place.id), place)
            assert [entry for entry in after if entry != place.id] == before

    def reject(self, which: int) -> None:
        place = self.model.offered[self.some(list(self.model.offered), which)]
        services.reject_offer(entry_id=place.id, user_id=self.people[place.person].pk)
        self.drop(place)

    @precondition(lambda self: self.with_status("pending"))
    @rule(which=st.integers(0, 99))
    def pay(self, which: int) -> None:
        booking_id = self.some(self.with_status("pending"), which)
        bookings.confirm_booking(booking_id=booking_id)
        services.follow_bookings()
        self.model.claims[booking_id].status = "confirmed"
        self.model.unpaid.pop(booking_id, None)

    @precondition(lambda self: self.with_status("pending", "confirmed"))
    @rule(which=st.integers(0, 99), then=st.sampled_from([None, 1, 1000]))
    def cancel(self, which: int, then: int | None) -> None:
        """Cancel a booking, and often have the list looked at, as a worker would."""
        booking_id = self.some(self.with_status("pending", "confirmed"), which)
        bookings.cancel_booking(booking_id=booking_id, by="buyer")
        services.follow_bookings()
        self.model.claims.pop(booking_id)
        self.model.unpaid.pop(booking_id, None)
        if then:
            self.process(then, 900)

    # -- What time does -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.model.line)
    @rule(limit=st.sampled_from([1, 2, 1000, 1000]), patience=st.sampled_from([0, 900]))
    def process(self, limit: int, patience: int) -> None:
        model, expected, places = self.model, [], {}
        services.put_back_in_line()
        for place in model.line:
            needed = place.quantity if place.together else 1
            if place.aside == "ticket_limit" and model.room(place.person) >= needed:
                place.aside = ""
        aside_before = {place.id: place.aside for place in model.line}
        finished = False
        while len(expected) < limit:
            found = model.next_offer()
            if found is None:
                finished = True
                break
            place, category, seats = found
            expected.append((place.id, self.categories[category].pk, seats))
            places[place.id] = place
            model.line.remove(place)
            place.aside = ""
            claim = Claim(place.person, category, seats, "offered", "waitlist")
            model.claims[place.id] = claim  # under the entry's id until the booking's is known

        with override_settings(WAITLIST_TOGETHER_SECONDS=patience):
            made = services.offer_next(event_id=self.event.pk, limit=limit)

        assert [(offer.entry_id, offer.category_id, offer.quantity) for offer in made] == expected
        for offer in made:
            model.claims[offer.booking_id] = model.claims.pop(offer.entry_id)
            places[offer.entry_id].offer = offer.booking_id
            model.offered[offer.booking_id] = places[offer.entry_id]
        if not finished or patience:
            for place in model.line:
                if place.aside == "too_few_together":
                    place.aside = aside_before[place.id]

    def lapse(self, which: int, other_sweep_first: bool) -> None:
        booking_id = self.some(list(self.model.offered), which)
        place = self.model.offered.pop(booking_id)
        let_pass(booking_id)
        if other_sweep_first:
            bookings.expire_due()
        assert services.lapse_due() == 1
        self.model.claims.pop(booking_id)
        self.model.goes_back(place, place.quantity)

    @precondition(lambda self: self.with_status("pending"))
    @rule(which=st.integers(0, 99), other_sweep_first=st.booleans())
    def expire(self, which: int, other_sweep_first: bool) -> None:
        model = self.model
        booking_id = self.some(self.with_status("pending"), which)
        let_pass(booking_id)
        if other_sweep_first or booking_id not in model.unpaid:
            bookings.expire_due()
        services.follow_bookings()
        claim = model.claims.pop(booking_id)
        place = model.unpaid.pop(booking_id, None)
        if place is None:
            return
        if place in model.line:
            model.goes_back(place, place.quantity + claim.quantity)
        elif not model.has_place(place.person):
            model.goes_back(place, claim.quantity)

    # -- What staff do ------------------------------------------------------------------------------------------------

    @rule(category=st.integers(0, CATEGORIES - 1), capacity=st.integers(1, 5))
    def change_capacity(self, category: int, capacity: int) -> None:
        model = self.model
        taken = model.capacity[category] - model.free(category)
        try:
            with transaction.atomic():
                set_capacity(category_id=self.categories[category].pk, capacity=capacity)
        except CapacityBelowTaken:
            assert capacity < taken
            return
        assert capacity >= taken
        model.capacity[category] = capacity

    @rule(category=st.integers(0, CATEGORIES - 1))
    def close_or_reopen(self, category: int) -> None:
        change = reopen_category if self.model.closed[category] else close_category
        change(category_id=self.categories[category].pk)
        self.model.closed[category] = not self.model.closed[category]

    # -- What must be true after every step ---------------------------------------------------------------------------

    @invariant()
    def rows_say_what_the_model_says(self) -> None:
        if not hasattr(self, "model"):
            return
        for number, category in enumerate(self.categories):
            row = SeatInventory.objects.get(category=category)
            counted = dict.fromkeys(("offered", "pending", "confirmed"), 0)
            for claim in self.model.claims.values():
                counted[claim.status] += claim.quantity if claim.category == number else 0
            assert (row.capacity, row.offered, row.held, row.sold) == (self.model.capacity[number], *counted.values())
            assert row.waiting == self.model.waiting(number)
        assert self.line_of_rows() == [place.id for place in self.model.line]

    @invariant()
    def nobody_has_two_claims(self) -> None:
        if not hasattr(self, "model"):
            return
        live = Booking.objects.filter(event=self.event, status__in=LIVE)
        seats = live.values("user_id").annotate(seats=Sum("quantity"))
        assert all(row["seats"] <= LIMIT for row in seats)
        claims = live.filter(source="waitlist", status__in=["offered", "pending"]).values_list("user_id", flat=True)
        assert len(set(claims)) == len(claims)

    @invariant()
    def nothing_is_broken(self) -> None:
        if not hasattr(self, "model"):
            return
        connection.check_constraints()
        assert broken() == []

    # -- Pieces -------------------------------------------------------------------------------------------------------

    def some(self, choice: list[Any], which: int) -> Any:
        return choice[which % len(choice)]

    def with_status(self, *statuses: str) -> list[UUID]:
        return [pk for pk, claim in self.model.claims.items() if claim.status in statuses]

    def line_of_rows(self) -> list[UUID]:
        waiting = WaitlistEntry.objects.filter(event=self.event, status="waiting").order_by("joined_at", "id")
        return list(waiting.values_list("pk", flat=True))

    def drop(self, place: Place) -> None:
        """Take somebody off the model's list, with their offer."""
        model = self.model
        if place in model.line:
            model.line.remove(place)
        if place.offer is not None:
            model.offered.pop(place.offer)
            model.claims.pop(place.offer)
        for booking_id, unpaid in list(model.unpaid.items()):
            if unpaid is place:
                model.unpaid.pop(booking_id)


def live(phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    run_state_machine_as_test(
        Waitlist,
        settings=settings(
            max_examples=30,
            stateful_step_count=35,
            deadline=None,
            derandomize=True,
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db
def test_random_lives_of_a_list_keep_every_promise():
    live()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ORDER BY entry.joined_at, entry.id", "ORDER BY entry.joined_at DESC, entry.id"),
        ("seats := least(wanted, usable[best], person.room)", "seats := least(1, person.room)"),
    ],
)
@pytest.mark.django_db
def test_the_same_lives_find_an_offer_that_breaks_a_rule(right, wrong):
    """The control: with one line of the function changed, the lives above come to a step that the model does not know."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_functiondef('waitlist_offer'::regproc)")
        source = cursor.fetchone()[0]
        assert right in source
        cursor.execute(source.replace(right, wrong))

    with pytest.raises(AssertionError):
        live(phases=(Phase.generate,))
