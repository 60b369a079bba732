"""Offers: who is next, what they are offered, who is passed over and why, and what keeps seats from whom."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import Notification, StaffAction
from bookings import services as bookings
from bookings.models import Booking, BookingSeat
from bookings.refusals import EventCancelled, SaleClosed, SoldOut
from common import jobs, outbox
from common.models import OutboxMessage
from events.models import Event, SeatInventory
from events.services import NewCategory, add_category, close_category, reopen_category, set_capacity
from tests.factories import EventFactory, StaffFactory, TicketCategoryFactory, UserFactory
from tests.waitlist.worlds import broken, counters, hold, join, let_pass, line, offer_all, skips, sold_out, states
from waitlist import queries, refusals, services
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _sound():
    yield
    assert broken() == []


# -- Who is next ------------------------------------------------------------------------------------------------------


def test_released_seat_goes_to_the_head_of_the_list_and_not_to_the_public():
    category, holds = sold_out()
    first, second = join(category), join(category)

    bookings.give_up_hold(booking_id=holds[0].pk)
    with pytest.raises(SoldOut):
        hold(category)
    offers = offer_all(category)

    assert [(offer.entry_id, offer.quantity) for offer in offers] == [(first.pk, 1)]
    assert states(first, second) == ["offered", "waiting"]
    assert counters(category) == (0, 0, 1, 0, 1)
    booking = Booking.objects.get(pk=offers[0].booking_id)
    assert (booking.status, booking.source, booking.user_id) == ("offered", "waitlist", first.user_id)
    assert (booking.amount_minor, booking.currency) == (4900, "EUR")
    left = booking.expires_at - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)


def test_as_many_offers_as_seats_in_the_order_of_joining():
    category, holds = sold_out(5)
    entries = [join(category) for _ in range(7)]
    for booking in holds[:4]:
        bookings.give_up_hold(booking_id=booking.pk)

    offers = services.offer_next(event_id=category.event_id, limit=3) + offer_all(category)

    assert [offer.entry_id for offer in offers] == [entry.pk for entry in entries[:4]]
    assert offer_all(category) == []


def test_nobody_is_offered_anything_when_nothing_is_free():
    category, _ = sold_out()
    join(category)

    assert offer_all(category) == []


def test_unverified_person_keeps_their_time_and_is_passed_over_with_a_record():
    category, holds = sold_out(2)
    unverified = services.join(user_id=UserFactory().pk, event_id=category.event_id, eligible=False)
    later = join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)

    assert [offer.entry_id for offer in offer_all(category)] == [later.pk]
    assert skips(unverified) == {"not_eligible": (1, 1)}
    services.join(user_id=unverified.user_id, event_id=category.event_id, eligible=True)
    last = join(category)
    bookings.give_up_hold(booking_id=holds[1].pk)

    assert line(category) == [unverified.pk, last.pk]
    assert [offer.entry_id for offer in offer_all(category)] == [unverified.pk]


def test_switched_off_account_is_passed_over_and_keeps_no_seat():
    category, holds = sold_out()
    gone = join(category)
    type(gone.user).objects.filter(pk=gone.user_id).update(is_active=False)
    bookings.give_up_hold(booking_id=holds[0].pk)

    assert offer_all(category) == []
    gone.refresh_from_db()
    assert (gone.aside_for, counters(category)[4]) == ("account_inactive", 0)
    assert hold(category).status == "pending"
    type(gone.user).objects.filter(pk=gone.user_id).update(is_active=True)
    assert services.put_back_in_line() == 1
    assert counters(category)[4] == 1


def test_person_with_as_many_tickets_as_allowed_is_passed_over_until_they_have_fewer():
    category, holds = sold_out(2, event__max_tickets_per_booking=2)
    full, next_one = join(category), join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    [mine] = services.offer_next(event_id=category.event_id)
    assert mine.entry_id == full.pk
    taken = services.accept_offer(entry_id=full.pk, user_id=full.user_id)
    bookings.confirm_booking(booking_id=taken.pk)
    services.follow_bookings()
    again = join(category, full.user, quantity=1)
    Event.objects.filter(pk=category.event_id).update(max_tickets_per_booking=1)
    bookings.give_up_hold(booking_id=holds[1].pk)

    assert [offer.entry_id for offer in offer_all(category)] == [next_one.pk]
    assert skips(again) == {}  # they joined later than the one who got it
    services.reject_offer(entry_id=next_one.pk, user_id=next_one.user_id)
    assert offer_all(category) == []
    again.refresh_from_db()
    assert again.aside_for == "ticket_limit"
    Event.objects.filter(pk=category.event_id).update(max_tickets_per_booking=2)
    assert services.put_back_in_line() == 1
    assert [offer.entry_id for offer in offer_all(category)] == [again.pk]


# -- All together, any number -----------------------------------------------------------------------------------------


def test_who_wants_more_together_than_are_free_is_passed_over_with_a_record_and_keeps_their_place():
    category, holds = sold_out(3)
    family, single = join(category, quantity=3, all_together=True), join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)

    assert [offer.entry_id for offer in offer_all(category)] == [single.pk]
    assert skips(family) == {"too_few_together": (3, 1)}
    assert line(category) == [family.pk]
    for booking in holds[1:]:
        bookings.give_up_hold(booking_id=booking.pk)
    services.reject_offer(entry_id=single.pk, user_id=single.user_id)
    [offer] = offer_all(category)
    assert (offer.entry_id, offer.quantity) == (family.pk, 3)


def test_too_few_seats_are_kept_for_those_who_want_more_together_for_a_bounded_time(settings):
    category, holds = sold_out(3)
    family = join(category, quantity=3, all_together=True)
    bookings.give_up_hold(booking_id=holds[0].pk)

    assert offer_all(category) == []
    with pytest.raises(SoldOut):
        hold(category)
    assert offer_all(category) == []
    settings.WAITLIST_TOGETHER_SECONDS = 0
    assert offer_all(category) == []

    family.refresh_from_db()
    assert (family.status, family.aside_for, counters(category)) == ("waiting", "too_few_together", (1, 2, 0, 0, 0))
    stranger = hold(category)
    for booking in (stranger, *holds[1:]):
        bookings.give_up_hold(booking_id=booking.pk)
    assert [(offer.entry_id, offer.quantity) for offer in offer_all(category)] == [(family.pk, 3)]


def test_time_for_which_seats_are_kept_begins_anew_when_they_are_gone(settings):
    category, holds = sold_out(2)
    pair = join(category, quantity=2, all_together=True)
    bookings.give_up_hold(booking_id=holds[0].pk)
    offer_all(category)
    pair.refresh_from_db()
    assert pair.kept_since is not None

    with_staff = bookings.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1, source="staff")
    offer_all(category)

    pair.refresh_from_db()
    assert (pair.kept_since, pair.aside_since, with_staff.status) == (None, None, "pending")


def test_any_number_is_offered_what_there_is_and_the_rest_waits_with_its_time():
    category, holds = sold_out(5)
    group, behind = join(category, quantity=4), join(category)
    for booking in holds[:2]:
        bookings.give_up_hold(booking_id=booking.pk)

    [offer] = offer_all(category)
    booking = services.accept_offer(entry_id=group.pk, user_id=group.user_id)

    assert (offer.quantity, booking.quantity, booking.status) == (2, 2, "pending")
    group.refresh_from_db()
    assert (group.status, group.quantity, group.unpaid) == ("waiting", 2, True)
    assert line(category) == [group.pk, behind.pk]
    # One claim at a time: while the first part is not paid, the next person gets what comes.
    bookings.give_up_hold(booking_id=holds[2].pk)
    assert [offer.entry_id for offer in offer_all(category)] == [behind.pk]
    assert skips(group) == {"has_a_claim": (2, 1)}
    bookings.confirm_booking(booking_id=booking.pk)
    services.follow_bookings()
    bookings.give_up_hold(booking_id=holds[3].pk)
    [rest] = offer_all(category)
    assert (rest.entry_id, rest.quantity) == (group.pk, 1)
    assert Booking.objects.filter(user=group.user, source="waitlist").count() == 2


def test_first_category_with_enough_seats_is_offered_else_the_one_with_the_most():
    event = EventFactory()
    stalls, circle = (TicketCategoryFactory(event=event, capacity=3, position=place) for place in (1, 2))
    blocks = [hold(stalls, quantity=3), hold(circle, quantity=1), hold(circle, quantity=2)]
    either = services.join_as_buyer(user_id=UserFactory().pk, event_id=event.pk, quantity=2)
    bookings.give_up_hold(booking_id=blocks[1].pk)
    bookings.give_up_hold(booking_id=blocks[2].pk)

    [offer] = offer_all(stalls)

    assert (offer.entry_id, offer.category_id, offer.quantity) == (either.pk, circle.pk, 2)
    assert (counters(stalls)[4], counters(circle)[4]) == (0, 0)


def test_several_acceptable_categories_and_no_other():
    event = EventFactory()
    stalls, circle, box = (TicketCategoryFactory(event=event, capacity=1, position=place) for place in (1, 2, 3))
    holds = {category: hold(category) for category in (stalls, circle, box)}
    picky = services.join_as_buyer(
        user_id=UserFactory().pk, event_id=event.pk, category_ids=[circle.pk, box.pk], quantity=1
    )
    easy = services.join_as_buyer(user_id=UserFactory().pk, event_id=event.pk)
    assert [counters(category)[4] for category in (stalls, circle, box)] == [1, 2, 2]

    bookings.give_up_hold(booking_id=holds[stalls].pk)
    assert [offer.entry_id for offer in offer_all(stalls)] == [easy.pk]
    assert skips(picky) == {}
    bookings.give_up_hold(booking_id=holds[box].pk)
    assert [(offer.entry_id, offer.category_id) for offer in offer_all(stalls)] == [(picky.pk, box.pk)]


def test_numbered_seats_are_offered_and_what_is_not_taken_goes_on():
    category = TicketCategoryFactory(rows={"A": 4})
    block = hold(category, quantity=4)
    group, single = join(category, quantity=3), join(category)
    bookings.give_up_hold(booking_id=block.pk)

    first, second = offer_all(category)

    assert BookingSeat.objects.filter(booking_id=first.booking_id, live=True).count() == 3
    booking = services.accept_offer(entry_id=group.pk, user_id=group.user_id, quantity=2)
    assert (booking.quantity, booking.amount_minor) == (2, 9800)
    seats = BookingSeat.objects.filter(booking=booking, live=True).order_by("seat__number")
    numbers = [taken.seat.number for taken in seats]
    assert numbers[1] - numbers[0] == 1
    bookings.confirm_booking(booking_id=booking.pk)
    assert second.entry_id == single.pk
    assert counters(category) == (1, 0, 1, 2, 0)


# -- Categories, capacity, the end ------------------------------------------------------------------------------------


def test_closed_category_is_not_offered_from_and_its_people_keep_their_place():
    event = EventFactory()
    stalls, circle = TicketCategoryFactory(event=event, capacity=1), TicketCategoryFactory(event=event, capacity=1)
    holds = [hold(stalls), hold(circle)]
    waits, other = join(stalls), join(circle)
    close_category(category_id=stalls.pk)
    for booking in holds:
        bookings.give_up_hold(booking_id=booking.pk)

    assert [offer.entry_id for offer in offer_all(stalls)] == [other.pk]
    assert skips(waits) == {"category_closed": (1, 0)}
    reopen_category(category_id=stalls.pk)
    assert [offer.entry_id for offer in offer_all(stalls)] == [waits.pk]


def test_more_capacity_is_offered_to_those_who_wait():
    category, _ = sold_out(2)
    entries = [join(category) for _ in range(3)]

    set_capacity(category_id=category.pk, capacity=4)
    with pytest.raises(SoldOut):
        hold(category)

    assert [offer.entry_id for offer in offer_all(category)] == [entry.pk for entry in entries[:2]]


def test_who_waits_for_any_category_waits_for_one_that_is_added_later():
    category, _ = sold_out()
    anything = services.join_as_buyer(user_id=UserFactory().pk, event_id=category.event_id)

    added = add_category(event_id=category.event_id, new=NewCategory("Balcony", 2000, capacity=5))

    assert SeatInventory.objects.get(category=added).waiting == 1
    with pytest.raises(SoldOut):
        hold(added)
    assert [(offer.entry_id, offer.category_id) for offer in offer_all(category)] == [(anything.pk, added.pk)]
    assert hold(added).status == "pending"


def test_nothing_is_offered_once_the_sale_is_over_and_the_list_closes():
    category, holds = sold_out()
    entry = join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    Event.objects.filter(pk=category.event_id).update(sale_ends_at=Now())

    assert offer_all(category) == []
    assert jobs.run("waitlist.close_over") == 1
    assert states(entry) == ["expired"]
    assert Notification.objects.filter(user=entry.user, kind="waitlist_closed").count() == 1


def test_offer_ends_with_the_sale_if_that_is_sooner():
    category, holds = sold_out()
    join(category)
    ends = timezone.now() + timedelta(hours=2)
    Event.objects.filter(pk=category.event_id).update(sale_ends_at=ends)
    bookings.give_up_hold(booking_id=holds[0].pk)

    [offer] = offer_all(category)

    assert offer.expires_at == ends


def test_cancelled_event_closes_its_list_and_takes_offers_back():
    category, holds = sold_out(2)
    offered, waiting = join(category), join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    offer_all(category)
    Event.objects.filter(pk=category.event_id).update(status="cancelled")

    with pytest.raises(refusals.OfferExpired):
        services.accept_offer(entry_id=offered.pk, user_id=offered.user_id)
    assert jobs.run("waitlist.close_over") == 2

    assert states(offered, waiting) == ["expired", "expired"]
    assert counters(category)[2] == 0
    assert Notification.objects.filter(kind="waitlist_closed").count() == 2


def test_cancelled_booking_and_refund_by_staff_feed_the_list():
    category = TicketCategoryFactory(capacity=2, price_minor=0)
    bought, other = hold(category), hold(category)
    waits = [join(category), join(category)]

    bookings.cancel_booking(booking_id=bought.pk, by="buyer")
    bookings.cancel_booking_by_staff(booking_id=other.pk, actor_id=StaffFactory().pk, reason="They are ill")

    assert [offer.entry_id for offer in offer_all(category)] == [entry.pk for entry in waits]


def test_lapsed_hold_feeds_the_list_by_the_job_alone():
    category, holds = sold_out()
    entry = join(category)
    let_pass(holds[0].pk)

    assert jobs.run("waitlist.process") == 1

    assert states(entry) == ["offered"]
    assert jobs.run("waitlist.process") == 0


# -- Staff ------------------------------------------------------------------------------------------------------------


def test_staff_offer_to_one_person_past_others_with_a_reason_that_is_kept():
    category, holds = sold_out(2)
    first, chosen, staff = join(category), join(category, quantity=3, all_together=True), StaffFactory()
    bookings.give_up_hold(booking_id=holds[0].pk)

    with pytest.raises(refusals.ReasonRequired):
        services.offer_to(entry_id=chosen.pk, staff_id=staff.pk, reason=" ")
    with pytest.raises(refusals.CanNotOffer) as refusal:
        services.offer_to(entry_id=chosen.pk, staff_id=staff.pk, reason="Wheelchair")
    offer = services.offer_to(entry_id=chosen.pk, staff_id=staff.pk, reason="Wheelchair", quantity=1)

    assert refusal.value.extra == {"reason": "too_few_together"}
    assert (offer.entry_id, offer.quantity) == (chosen.pk, 1)
    assert skips(first) == {"staff_choice": (1, 1)}
    done = StaffAction.objects.get(action="waitlist_offer")
    assert (done.actor_id, done.object_id, done.reason) == (staff.pk, str(chosen.pk), "Wheelchair")
    with pytest.raises(refusals.NotOnWaitlist):
        services.offer_to(entry_id=chosen.pk, staff_id=staff.pk, reason="Twice")


def test_staff_can_not_offer_what_is_not_there_or_to_whom_it_may_not_go():
    category, holds = sold_out(2)
    unverified = services.join(user_id=UserFactory().pk, event_id=category.event_id, eligible=False)
    entry, staff = join(category), StaffFactory()

    with pytest.raises(refusals.NoSeatToOffer):
        services.offer_to(entry_id=entry.pk, staff_id=staff.pk, reason="Please")
    bookings.give_up_hold(booking_id=holds[0].pk)
    with pytest.raises(refusals.CanNotOffer, match="verified"):
        services.offer_to(entry_id=unverified.pk, staff_id=staff.pk, reason="Please")
    Event.objects.filter(pk=category.event_id).update(sale_ends_at=Now())
    with pytest.raises(SaleClosed):
        services.offer_to(entry_id=entry.pk, staff_id=staff.pk, reason="Please")
    Event.objects.filter(pk=category.event_id).update(status="cancelled")
    with pytest.raises(EventCancelled):
        services.offer_to(entry_id=entry.pk, staff_id=staff.pk, reason="Please")
    assert not StaffAction.objects.exists()


def test_staff_end_an_offer_before_its_time():
    category, holds = sold_out()
    first, second, staff = join(category), join(category), StaffFactory()
    bookings.give_up_hold(booking_id=holds[0].pk)
    offer_all(category)

    entry = services.expire_offer(entry_id=first.pk, staff_id=staff.pk, reason="Asked by phone")

    assert (entry.status, entry.lapses) == ("waiting", 1)
    assert line(category) == [second.pk, first.pk]
    assert [offer.entry_id for offer in offer_all(category)] == [second.pk]
    with pytest.raises(refusals.OfferNotFound):
        services.expire_offer(entry_id=first.pk, staff_id=staff.pk, reason="Again")
    assert StaffAction.objects.get(action="waitlist_expire_offer").reason == "Asked by phone"


# -- What people are told ---------------------------------------------------------------------------------------------


def test_offer_is_told_once_however_often_its_message_is_handled():
    category, holds = sold_out()
    entry = join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    [offer] = offer_all(category)
    message = OutboxMessage.objects.get(dedupe_key=f"waitlist_offered:{offer.booking_id}")

    for _ in range(2):
        outbox.HANDLERS["waitlist_offered"](message.dedupe_key, message.payload)

    told = Notification.objects.get(user=entry.user, kind="waitlist_offer")
    assert told.url == f"/waitlist/{entry.pk}"
    assert told.context["seats"] == "1 ticket"
    assert Notification.objects.filter(user=entry.user, kind="waitlist_joined").count() == 1


def test_offer_that_was_answered_meanwhile_is_not_told_any_more():
    category, holds = sold_out()
    entry = join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    [offer] = offer_all(category)
    services.reject_offer(entry_id=entry.pk, user_id=entry.user_id)
    message = OutboxMessage.objects.get(dedupe_key=f"waitlist_offered:{offer.booking_id}")

    outbox.HANDLERS["waitlist_offered"](message.dedupe_key, message.payload)

    assert not Notification.objects.filter(kind="waitlist_offer").exists()


def test_offer_s_mail_says_what_is_kept_and_where_to_answer(mailoutbox, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    category, holds = sold_out()
    entry = join(category, quantity=3)
    bookings.give_up_hold(booking_id=holds[0].pk)
    offer_all(category)

    while outbox.deliver_due():
        pass

    joined, offer = (mail for mail in mailoutbox if mail.to == [entry.user.email])
    assert joined.subject == f"You are on the waitlist for {category.event.name}"
    assert offer.subject.startswith(f"1 ticket for {category.event.name}: yours until ")
    assert f"/waitlist/{entry.pk}" in offer.body
    assert "49.00" in offer.body
    assert "You wait on for the other 2" in offer.body


def test_reminders_come_once_each_before_the_end(settings):
    settings.OFFER_REMIND_SECONDS = [7200, 600]
    category, holds = sold_out()
    entry = join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    [offer] = offer_all(category)
    assert jobs.run("waitlist.remind") == 0
    for minutes in (60, 5):
        soon = timezone.now() + timedelta(minutes=minutes)
        WaitlistEntry.objects.filter(pk=entry.pk).update(offer_expires_at=soon, offered_at=Now() - timedelta(hours=23))
        Booking.objects.filter(pk=offer.booking_id).update(expires_at=soon)

        assert [jobs.run("waitlist.remind"), jobs.run("waitlist.remind")] == [1, 0]

    assert Notification.objects.filter(user=entry.user, kind="waitlist_offer_reminder").count() == 2


# -- Where one stands -------------------------------------------------------------------------------------------------


def test_standing_counts_those_before_and_says_nothing_it_did_not_measure():
    category, holds = sold_out(8)
    entries = [join(category, quantity=2) for _ in range(3)]
    last = join(category, quantity=1)

    standing = queries.standing_of(last)

    assert (standing.position, standing.ahead_people, standing.ahead_seats) == (4, 3, 6)
    assert (standing.estimate, standing.estimate_low, standing.estimate_high) == (None, None, None)
    WaitlistEntry.objects.filter(pk=entries[0].pk).update(joined_at=Now() - timedelta(days=2, minutes=-5))
    for booking in holds[:4]:
        bookings.give_up_hold(booking_id=booking.pk)
    offer_all(category)
    standing = queries.standing_of(WaitlistEntry.objects.get(pk=last.pk))
    assert (standing.position, standing.ahead_seats) == (2, 2)
    # Four seats in almost two days: 3 seats take between 3/(4+4) and 3/1 times two days.
    assert (round(standing.estimate_low / 3600), round(standing.estimate_high / 3600)) == (18, 144)
    assert standing.estimate == "1 to 6 days"
    assert queries.released(category.event_id).per_day == pytest.approx(2, rel=0.01)


def test_standing_of_an_offer_shows_it_and_has_no_position():
    category, holds = sold_out()
    entry = join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    [offer] = offer_all(category)
    entry.refresh_from_db()

    standing = queries.standing_of(entry)

    assert (standing.position, standing.offer.pk) == (None, offer.booking_id)
    let_pass(offer.booking_id)
    assert queries.standing_of(entry).offer is None


def test_console_shows_order_time_left_and_why_somebody_was_passed_over(django_assert_num_queries):
    category, holds = sold_out(3)
    family, single = join(category, quantity=3, all_together=True), join(category)
    bookings.give_up_hold(booking_id=holds[0].pk)
    offer_all(category)

    shown = queries.console(event_id=category.event_id)

    assert (shown.people, shown.seats, shown.offers, shown.free) == (1, 3, 1, 0)
    first, second = shown.rows[0:10]
    assert (first.entry.pk, first.place, first.wish) == (family.pk, 1, f"3 together, {category.name}")
    assert first.skipped == "wants 3 together, 1 free"
    assert (second.entry.pk, second.place, second.state) == (single.pk, None, "Has an offer")
    assert timedelta(hours=23) < second.time_left <= timedelta(hours=24)
    for _ in range(3):
        join(category)
    rows = queries.console(event_id=category.event_id).rows
    for count in (1, 5):
        with django_assert_num_queries(3):
            assert len(rows[:count]) == count
