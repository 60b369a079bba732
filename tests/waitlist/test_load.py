"""A crowd at a sold-out event: seats come back one by one while many wait and as many hammer the buy button."""

import random
from collections.abc import Callable
from functools import partial
from threading import Barrier
from threading import Event as Flag
from typing import Any

import pytest

from bookings import services as bookings
from bookings.models import Booking
from bookings.refusals import AlreadyBooked, HoldExists, SoldOut
from tests.factories import TicketCategoryFactory, UserFactory
from tests.races import errors, race, results
from tests.waitlist.worlds import broken, counters, hold, join, line, offer_all
from waitlist import services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db(transaction=True)
SEATS, WAIT, STRANGERS = 50, 200, 200


def crowd(category: Any, processors: int, given_back: list[Booking]) -> tuple[list[services.Offer], int]:
    """
    Let four people give seats back in a random order, 200 strangers in eight threads press "buy", and processors offer.

    Returns the offers that were made, and how many strangers got a seat.
    """
    strangers = [UserFactory() for _ in range(STRANGERS)]
    everything_is_back = Flag()
    done = Barrier(4, action=everything_is_back.set)
    order = random.Random(7).sample(given_back, len(given_back))

    def give_back(mine: list[Booking]) -> None:
        for booking in mine:
            bookings.cancel_booking(booking_id=booking.pk, by="staff")
        done.wait(60)

    def press_buy(mine: list[Any]) -> int:
        """Press once more for everybody after the last seat came back."""
        got = 0
        last_round = False
        while not last_round:
            last_round = everything_is_back.is_set()
            for person in mine:
                try:
                    hold(category, person)
                    got += 1
                except (SoldOut, HoldExists, AlreadyBooked):
                    continue
        return got

    def process() -> list[services.Offer]:
        made = []
        last_round = False
        while not last_round:
            last_round = everything_is_back.is_set()
            made += offer_all(category)
        return made

    buyers: list[Callable[[], Any]] = [partial(press_buy, strangers[start::8]) for start in range(8)]
    givers: list[Callable[[], Any]] = [partial(give_back, order[start::4]) for start in range(4)]
    outcomes = race([*buyers, *givers, *[process] * processors], seconds=90)
    assert errors(outcomes) == []
    found = results(outcomes)
    return [offer for offers in found[12:] for offer in offers], sum(found[:8])


def sold_out_event(queue: int) -> tuple[Any, list[Booking], list[WaitlistEntry]]:
    """Return a category whose seats are sold, the bookings, and the list: every tenth on it is not verified."""
    category = TicketCategoryFactory(capacity=SEATS, price_minor=0)
    sold = [hold(category) for _ in range(SEATS)]
    entries = [
        services.join(user_id=UserFactory().pk, event_id=category.event_id, eligible=False)
        if number % 10 == 3
        else join(category)
        for number in range(queue)
    ]
    return category, sold, entries


def test_every_seat_that_comes_back_goes_to_the_next_who_may_have_it_and_none_to_who_presses_fastest():
    category, sold, entries = sold_out_event(WAIT)
    eligible = [entry.pk for entry in entries if entry.eligible]

    offers, got = crowd(category, 2, sold)
    offers += offer_all(category)

    assert got == 0
    assert sorted(offer.entry_id for offer in offers) == sorted(eligible[:SEATS])
    by_time = sorted(offers, key=lambda offer: WaitlistEntry.objects.get(pk=offer.entry_id).offered_at)
    assert [offer.entry_id for offer in by_time] == eligible[:SEATS]
    assert line(category) == [entry.pk for entry in entries if entry.pk not in eligible[:SEATS]]
    assert counters(category) == (0, 0, SEATS, 0, WAIT - WAIT // 10 - SEATS)
    assert broken() == []


def test_the_same_crowd_takes_seats_where_the_list_keeps_none():
    """The control: the same crowd, and a list that does not count."""
    category, sold, _ = sold_out_event(0)
    for _ in range(20):
        entry = services.join(user_id=UserFactory().pk, event_id=category.event_id)
        WaitlistEntry.objects.filter(pk=entry.pk).update(aside_since=entry.joined_at, aside_for="too_few_together")

    _, got = crowd(category, 0, sold)

    assert got > 0
