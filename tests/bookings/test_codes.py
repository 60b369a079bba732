"""Codes: what they do to a price and to a sale, how they are counted, and how nobody guesses them."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import StaffAction
from bookings import refusals, services
from bookings.codes import new_code, normalise_code, spoken_code
from bookings.models import Booking, SaleCode, SaleCodeCounter
from bookings.services import Terms
from bookings.services.codes import BadCode, CodeTaken, CodeUsedMore
from common.invariants import breaches
from events.models import SeatInventory, TicketCategory
from tests.factories import OrganiserFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db
LATER = timedelta(days=3)


def make(category, code="SUMMER", **terms):
    return services.create_code(
        event_id=category.event_id, actor_id=OrganiserFactory().pk, terms=Terms(**terms or {"percent": 20}), code=code
    )


def hold(category, user=None, quantity=1, code="SUMMER", **options):
    return services.hold_seats(
        user_id=(user or UserFactory()).pk, category_id=category.pk, quantity=quantity, code=code, **options
    )


def uses(code):
    return SaleCodeCounter.objects.get(code=code).uses


def lapse(booking):
    Booking.objects.filter(pk=booking.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("price", "terms", "each"),
    [
        (4900, {"percent": 20}, 3920),
        (4999, {"percent": 50}, 2499),  # 24.995 off is 25.00 off
        (333, {"percent": 10}, 300),
        (1, {"percent": 50}, 0),
        (4900, {"percent": 100}, 0),
        (99_999_999, {"percent": 33}, 66_999_999),
        (4900, {"off_minor": 1000}, 3900),
        (900, {"off_minor": 1000}, 0),
        (4900, {"presale": True}, 4900),
    ],
)
def test_code_takes_off_each_ticket_and_the_booking_keeps_it(price, terms, each):
    category = TicketCategoryFactory(price_minor=price)
    code = make(category, **terms)

    booking = hold(category, quantity=3 if price < 10_000_000 else 1)

    stored = Booking.objects.get(pk=booking.pk)
    assert stored.amount_minor == each * stored.quantity == booking.amount_minor
    assert stored.discount_minor == (price - each) * stored.quantity == booking.discount_minor
    assert stored.code_id == code.pk == booking.code_id
    assert price - code.off(price) == each  # what is shown before
    assert stored.status == ("confirmed" if each == 0 else "pending")


def test_price_shown_and_price_booked_are_the_same_for_every_price_and_per_cent():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT price, percent, step, sale_code_off(price, percent::smallint, NULL, step)"
            " FROM generate_series(0, 1999, 13) price, generate_series(1, 100) percent, (VALUES (1), (10)) of (step)"
        )
        rows = cursor.fetchall()

    assert all(SaleCode(percent=percent).off(price, step) == off for price, percent, step, off in rows)
    assert all(off % step == 0 or off == price for price, _, step, off in rows)
    assert len(rows) == 30800


def test_what_is_paid_in_three_decimals_ends_in_0_as_cards_want_it():
    category = TicketCategoryFactory(price_minor=4990, event__currency="KWD")
    make(category, percent=33)

    with pytest.raises(BadCode):
        make(category, "OTHER", off_minor=1234)
    assert hold(category).amount_minor == 3340  # 1.6467 off is 1.650 off


def test_hold_with_a_code_is_one_statement(django_assert_num_queries):
    category, person = TicketCategoryFactory(), UserFactory()
    make(category)

    with django_assert_num_queries(1):
        hold(category, person)


@pytest.mark.parametrize("typed", ["summer", " Summer ", "SUM-MER", "s u m m e r", "ｓｕｍｍｅｒ"])
def test_code_is_found_however_it_is_typed(typed):
    category = TicketCategoryFactory()
    make(category)

    assert hold(category, code=typed).discount_minor == 980


def test_unknown_code_is_refused_and_nothing_is_taken():
    category = TicketCategoryFactory()
    make(TicketCategoryFactory())  # another event's

    for typed in ("SUMMER", "!!!"):
        with pytest.raises(refusals.CodeUnknown):
            hold(category, code=typed)
    assert SeatInventory.objects.get(category=category).held == 0


def test_code_before_after_and_outside_its_terms():
    category = TicketCategoryFactory()
    other = TicketCategoryFactory(event=category.event)
    now = timezone.now()
    make(category, "EARLY", percent=10, valid_from=now + LATER)
    make(category, "LATE", percent=10, valid_until=now - LATER)
    make(category, "STOPPED", percent=10, active=False)
    make(category, "OTHERS", percent=10, category_ids=(other.pk,))
    make(category, "PAIR", percent=10, per_person=2)

    with pytest.raises(refusals.CodeNotYet) as early:
        hold(category, code="EARLY")
    assert early.value.extra["opens_at"].startswith((now + LATER).date().isoformat())
    for word in ("LATE", "STOPPED"):
        with pytest.raises(refusals.CodeOver):
            hold(category, code=word)
    with pytest.raises(refusals.CodeNotForThese):
        hold(category, code="OTHERS")
    with pytest.raises(refusals.CodeLimit) as limit:
        hold(category, code="PAIR", quantity=3)
    assert limit.value.extra == {"limit": 2}
    assert hold(other, code="OTHERS").discount_minor == 490


def test_uses_are_counted_in_tickets_and_given_back_when_a_booking_ends():
    category = TicketCategoryFactory()
    code = make(category, percent=10, max_uses=5)
    first, second = hold(category, quantity=3), hold(category, quantity=2)
    assert uses(code) == 5

    with pytest.raises(refusals.CodeUsedUp):
        hold(category)
    services.give_up_hold(booking_id=first.pk)
    services.confirm_booking(booking_id=second.pk)
    assert uses(code) == 2
    with pytest.raises(refusals.CodeUsedUp) as some:
        hold(category, quantity=4)
    assert some.value.extra == {"left": 3}
    services.cancel_booking(booking_id=second.pk, by="staff")
    assert uses(code) == 0


def test_hold_that_lapsed_gives_its_uses_back_before_a_sweep():
    category = TicketCategoryFactory()
    code = make(category, percent=10, max_uses=1)
    lapse(hold(category))

    again = hold(category)

    assert (uses(code), again.discount_minor) == (1, 490)


def test_deleting_a_booking_gives_its_uses_back():
    category = TicketCategoryFactory()
    code = make(category)
    booking = hold(category, quantity=2)

    Booking.objects.filter(pk=booking.pk).delete()

    assert uses(code) == 0


def test_late_money_keeps_the_price_and_takes_its_uses_again():
    category = TicketCategoryFactory()
    code = make(category, percent=50, max_uses=2)
    booking = hold(category, quantity=2)
    lapse(booking)
    services.expire_booking(booking_id=booking.pk)
    assert uses(code) == 0

    settled = services.settle_paid_booking(booking_id=booking.pk)

    assert (settled.status, settled.amount_minor, uses(code)) == ("confirmed", 4900, 2)


def test_late_money_for_a_code_that_is_used_up_goes_back():
    category = TicketCategoryFactory()
    make(category, percent=50, max_uses=1)
    late = hold(category)
    lapse(late)
    services.expire_booking(booking_id=late.pk)
    hold(category)

    with pytest.raises(refusals.SeatsGone):
        services.settle_paid_booking(booking_id=late.pk)


def test_more_time_changes_no_price():
    category, person = TicketCategoryFactory(), UserFactory()
    make(category)
    booking = hold(category, person)

    extended = services.extend_hold(booking_id=booking.pk, user_id=person.pk)

    assert (extended.amount_minor, extended.discount_minor) == (3920, 980)


def test_part_of_an_order_costs_its_part():
    category = TicketCategoryFactory(capacity=3)
    code = make(category)

    booking = hold(category, quantity=5, allow_partial=True)

    assert (booking.quantity, booking.amount_minor, uses(code)) == (3, 3 * 3920, 3)


def test_wish_with_a_code_is_never_split_onto_the_waitlist():
    category = TicketCategoryFactory(capacity=2)
    make(category)
    wish = {"user_id": UserFactory().pk, "category_id": category.pk, "code": "SUMMER"}

    with pytest.raises(refusals.CodesNotForWaitlist) as refusal:
        services.hold_or_wait(quantity=3, **wish)
    assert refusal.value.extra == {"available": 2}
    assert services.hold_or_wait(quantity=2, **wish).booking.amount_minor == 7840


def test_nobody_pays_another_price_than_they_saw():
    category = TicketCategoryFactory(price_minor=4900)
    make(category)
    TicketCategory.objects.filter(pk=category.pk).update(price_minor=5000)

    with pytest.raises(refusals.PriceChanged) as changed:
        hold(category, price_minor=3920)

    assert changed.value.extra == {"price_minor": 4000}
    assert hold(category, price_minor=4000).amount_minor == 4000


def test_presale_opens_the_sale_early_and_what_is_hidden():
    soon = timezone.now() + LATER
    category = TicketCategoryFactory(event__sale_starts_at=soon)
    secret = TicketCategoryFactory(event=category.event, hidden=True)
    make(category, "MEMBERS", presale=True)
    make(category, "CHEAP", percent=10)

    with pytest.raises(refusals.SaleNotOpen):
        hold(category, code="CHEAP")
    with pytest.raises(refusals.CategoryNotFound):
        hold(secret, code="CHEAP")
    with pytest.raises(refusals.CategoryNotFound):
        hold(secret, code="")
    assert hold(category, code="MEMBERS").amount_minor == 4900
    assert hold(secret, code="MEMBERS").amount_minor == 4900


def test_presale_of_some_categories_leaves_the_others_closed():
    category = TicketCategoryFactory(event__sale_starts_at=timezone.now() + LATER)
    secret = TicketCategoryFactory(event=category.event, hidden=True)
    make(category, "FLOOR", presale=True, category_ids=(category.pk,))

    with pytest.raises(refusals.CategoryNotFound):
        hold(secret, code="FLOOR")


def test_presale_stands_in_no_line_before_the_sale_and_in_line_after():
    category = TicketCategoryFactory(event__sale_starts_at=timezone.now() + LATER, event__queue_enabled=True)
    make(category, presale=True)
    assert hold(category).amount_minor == 4900

    type(category.event).objects.filter(pk=category.event_id).update(sale_starts_at=timezone.now() - LATER)
    with pytest.raises(refusals.QueueRequired):
        hold(category)


def test_category_has_a_window_of_its_own():
    now = timezone.now()
    late = TicketCategoryFactory(sale_starts_at=now + LATER)
    over = TicketCategoryFactory(event=late.event, sale_ends_at=now - LATER)
    early = TicketCategoryFactory(event__sale_starts_at=now + LATER, sale_starts_at=now - LATER)

    with pytest.raises(refusals.SaleNotOpen) as closed:
        hold(late, code="")
    assert closed.value.extra["opens_at"].startswith((now + LATER).date().isoformat())
    with pytest.raises(refusals.SaleClosed):
        hold(over, code="")
    assert hold(early, code="").quantity == 1


def test_category_has_a_limit_per_person():
    category = TicketCategoryFactory(max_per_person=2)

    with pytest.raises(refusals.TooManyTickets) as limit:
        hold(category, code="", quantity=3)
    assert limit.value.extra == {"limit": 2}
    assert hold(category, code="", quantity=2).quantity == 2


def test_limit_per_person_counts_what_they_have_already():
    category, person = TicketCategoryFactory(max_per_person=2), UserFactory()
    hold(category, person, code="", source=Booking.Source.WAITLIST, quantity=2)

    with pytest.raises(refusals.TicketLimit):
        hold(category, person, code="", quantity=1)


def test_hidden_seats_are_not_the_waitlists():
    hidden = TicketCategoryFactory(hidden=True)
    SeatInventory.objects.filter(category=hidden).update(waiting=5)
    make(hidden, presale=True)

    assert hold(hidden).quantity == 1


def test_processes_that_run_the_code_before_sell_by_the_same_rules():
    category, person = TicketCategoryFactory(), UserFactory()
    hidden = TicketCategoryFactory(event=category.event, hidden=True)
    before = "SELECT * FROM hold_seats(%s, %s, %s, %s, 2, false, 'public', 600, 6, '{}', false)"

    with connection.cursor() as cursor:
        cursor.execute(before, ["K7M4XT3R", person.pk, None, category.pk])
        held = cursor.fetchone()
        cursor.execute(before, ["K7M4XT3A", UserFactory().pk, None, hidden.pk])
        refused = cursor.fetchone()

    assert (held[0], held[6], len(held)) == ("held", 9800, 17)
    assert refused[0] == "not_found"


def test_guessing_ends_after_some_tries_and_right_codes_cost_none(settings):
    settings.CODE_TRIES = 3
    category, person = TicketCategoryFactory(), UserFactory()
    make(category)
    for _ in range(5):
        services.give_up_hold(booking_id=hold(category, person).pk)
    for word in ("AAAA", "BBBB", "CCCC"):
        with pytest.raises(refusals.CodeUnknown):
            hold(category, person, code=word)

    with pytest.raises(refusals.TooManyCodes):
        hold(category, person)
    assert hold(category).quantity == 1  # somebody else


def test_made_codes_are_single_use_long_and_all_different():
    category = TicketCategoryFactory()

    codes = services.generate_codes(
        event_id=category.event_id, actor_id=OrganiserFactory().pk, terms=Terms(percent=10), count=200
    )

    assert len({code.code for code in codes}) == 200
    assert {len(code.code) for code in codes} == {12}
    assert set(SaleCodeCounter.objects.values_list("max_uses", flat=True)) == {1}
    assert normalise_code(spoken_code(codes[0].code)) == codes[0].code
    assert hold(category, code=spoken_code(codes[0].code).lower()).discount_minor == 490
    assert StaffAction.objects.get().after["count"] == 200
    assert spoken_code("SUMMER") == "SUMMER"
    assert len(new_code()) == 12


@pytest.mark.parametrize(
    ("code", "terms"),
    [
        ("SUMMER", {}),
        ("SUMMER", {"percent": 0}),
        ("SUMMER", {"percent": 101}),
        ("SUMMER", {"percent": 10, "off_minor": 5}),
        ("SUMMER", {"off_minor": 0}),
        ("SUMMER", {"percent": 10, "max_uses": 0}),
        ("SUMMER", {"percent": 10, "per_person": 0}),
        ("SUMMER", {"percent": 10, "valid_from": timezone.now(), "valid_until": timezone.now() - LATER}),
        ("abc", {"percent": 10}),
        ("ÄÖÜßÄ", {"percent": 10}),
    ],
)
def test_code_that_can_not_be_is_refused(code, terms):
    category = TicketCategoryFactory()

    with pytest.raises(BadCode):
        services.create_code(
            event_id=category.event_id, actor_id=OrganiserFactory().pk, terms=Terms(**terms), code=code
        )


def test_code_is_unique_in_its_event_and_not_for_categories_of_another():
    category, elsewhere = TicketCategoryFactory(), TicketCategoryFactory()
    make(category)
    make(elsewhere)

    with pytest.raises(CodeTaken):
        make(category, "sum mer")
    with pytest.raises(BadCode):
        make(category, "OTHER", percent=10, category_ids=(elsewhere.pk,))


def test_terms_change_while_it_is_used_and_bookings_keep_theirs():
    category, actor = TicketCategoryFactory(), OrganiserFactory()
    code = make(category, percent=10, max_uses=10)
    booking = hold(category, quantity=3)

    with pytest.raises(CodeUsedMore) as used:
        services.update_code(code_id=code.pk, actor_id=actor.pk, max_uses=2)
    assert used.value.extra == {"minimum": 3}
    services.update_code(code_id=code.pk, actor_id=actor.pk, max_uses=3, percent=50)
    services.switch_code(code_id=code.pk, actor_id=actor.pk, active=False)

    assert Booking.objects.get(pk=booking.pk).discount_minor == 1470
    with pytest.raises(refusals.CodeOver):
        hold(category)
    last = StaffAction.objects.order_by("-pk").first()
    assert (last.action, last.before, last.after) == ("change_code", {"active": True}, {"active": False})
    with pytest.raises(CodeUsedMore):
        services.delete_code(code_id=code.pk, actor_id=actor.pk)
    services.give_up_hold(booking_id=booking.pk)
    with pytest.raises(CodeUsedMore):
        services.delete_code(code_id=code.pk, actor_id=actor.pk)


def test_database_keeps_a_bookings_code_and_a_counters_limit():
    category = TicketCategoryFactory()
    code, other = make(category, percent=10, max_uses=1), make(category, "OTHER", percent=10)
    booking = hold(category)

    with pytest.raises(Exception, match="never changes"), transaction.atomic():
        Booking.objects.filter(pk=booking.pk).update(code=other)
    with pytest.raises(IntegrityError, match="sale_code_is_never_overused"), transaction.atomic():
        SaleCodeCounter.objects.filter(code=code).update(uses=F("uses") + 1)


@pytest.mark.django_db(transaction=True)
def test_race_for_the_last_uses_of_a_code_has_as_many_winners_as_there_are():
    category = TicketCategoryFactory(capacity=100)
    code = make(category, percent=10, max_uses=3)
    people = [UserFactory() for _ in range(8)]

    outcomes = race([lambda person=person: hold(category, person) for person in people], gate="events_seatinventory")

    assert len(results(outcomes)) == 3
    assert {type(error) for error in errors(outcomes)} == {refusals.CodeUsedUp}
    assert uses(code) == 3 == Booking.objects.filter(code=code, status="pending").count()


@pytest.mark.django_db(transaction=True)
def test_race_for_the_last_uses_is_lost_by_whoever_looks_before_they_count():
    """The control: a look at the counter, then a write, lets everybody through who looked in time."""
    code = make(TicketCategoryFactory(), percent=10, max_uses=3)
    SaleCodeCounter.objects.filter(code=code).update(max_uses=None)

    def naive():
        counter = SaleCodeCounter.objects.get(code=code)
        if counter.uses >= 3:
            raise refusals.CodeUsedUp
        SaleCodeCounter.objects.filter(code=code).update(uses=F("uses") + 1)

    race([naive] * 8, gate="bookings_salecodecounter")

    assert uses(code) > 3


@pytest.mark.django_db(transaction=True)
def test_holds_that_lapsed_with_many_codes_are_ended_by_many_at_once_without_a_deadlock():
    first = TicketCategoryFactory(capacity=4)
    second = TicketCategoryFactory(event=first.event, capacity=4)
    words = ["AAAA", "BBBB", "CCCC", "DDDD"]
    for word in words:
        make(first, word, percent=10)
    for turn, word in enumerate(words):
        lapse(hold(first, code=word))
        lapse(hold(second, code=words[-1 - turn]))

    outcomes = race([lambda category=category: hold(category, code="AAAA") for category in (first, second) * 3])

    assert not errors(outcomes)
    assert sum(SaleCodeCounter.objects.values_list("uses", flat=True)) == 6


def test_invariant_names_a_counter_that_is_wrong():
    category = TicketCategoryFactory()
    code = make(category)
    hold(category, quantity=2)
    assert breaches()["bookings.codes"] == []

    SaleCodeCounter.objects.filter(code=code).update(uses=7)

    assert breaches()["bookings.codes"] == [
        f"code {code.pk} counts 7 uses of at most any, and is in 2 tickets of live bookings"
    ]
