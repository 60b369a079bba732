"""What staff give back: single tickets, whole bookings, a part of the price; once, and never more than was paid."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from accounts.models import Notification, StaffAction
from accounts.notifications.kinds import KINDS
from bookings import services as bookings
from bookings.models import Booking, Ticket
from bookings.refusals import TicketUsed
from bookings.services.staff import ReasonRequired
from common.errors import IllegalTransition, NotFound
from events.models import Event, SeatInventory
from gate.services import scan_ticket
from payments import services
from payments.models import Attention, Payment, Refund
from payments.refusals import AmountIsFixed, NothingChosen, RefundRefused
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def boss(books):
    return StaffFactory()


@pytest.fixture
def sold(provider, shop):
    """Three tickets of 49.00, paid."""
    return sell(provider, shop, 3)


def sell(provider, shop, quantity):
    hold = shop.hold(quantity=quantity)
    provider.pay(shop.intent(hold))
    return services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)


@pytest.fixture
def give_back(boss):
    """`give_back(booking, numbers, …)` refunds as staff would."""

    def give_back(booking, *numbers, token="", reason="Fell ill", **wish):
        chosen = booking.tickets.exclude(status="void").filter(number__in=numbers).values_list("pk", flat=True)
        return services.refund_booking(
            booking_id=booking.pk,
            ticket_ids=list(chosen),
            actor_id=boss.pk,
            reason=reason,
            token=token or str(uuid4()),
            **wish,
        )

    return give_back


def come_in(ticket, staff):
    """Scan the ticket at a gate that is open; whether it let somebody in."""
    return bool(scan_ticket(event_id=ticket.event_id, staff_id=staff.pk, gate="North", code=ticket.code).let_in)


@pytest.fixture
def tonight(shop):
    """The shop's event begins in an hour, so that its gate is open."""
    starts = timezone.now() + timedelta(hours=1)
    Event.objects.filter(pk=shop.category.event_id).update(starts_at=starts, ends_at=starts + timedelta(hours=3))


def made_at(provider):
    return sorted(refund["amount"] for refund in provider.call("GET", "/v1/refunds", limit=100).json()["data"])


def figures(booking):
    """Quantity and price of a booking, the seats sold, and what its payment has given back, released and kept."""
    now = Booking.objects.get(pk=booking.pk)
    payment = Payment.objects.get(booking=booking)
    sold = SeatInventory.objects.get(category=booking.category).sold
    return (now.quantity, now.amount_minor, sold, payment.refunded_minor, payment.released_minor, payment.kept_minor)


def test_one_ticket_of_three_goes_back_and_the_others_stay_good(provider, sold, give_back, boss):
    plan = give_back(sold, 2)
    services.deliver_due_refunds()

    assert (plan.amount_minor, plan.kept_minor, plan.ends) == (4900, 0, False)
    assert figures(sold) == (2, 9800, 2, 4900, 4900, 0)
    assert list(sold.tickets.order_by("number").values_list("number", "status")) == [
        (1, "active"),
        (2, "void"),
        (3, "active"),
    ]
    assert made_at(provider) == [4900]
    [kept] = StaffAction.objects.all()
    assert (kept.action, kept.actor_id, kept.reason, kept.after["tickets"], kept.after["refund_minor"]) == (
        "refund_booking",
        boss.pk,
        "Fell ill",
        [2],
        4900,
    )


def test_buyer_is_told_which_ticket_is_over_and_what_goes_back(sold, give_back):
    give_back(sold, 2)

    told = Notification.objects.get(user_id=sold.user_id, kind="tickets_cancelled")
    _, body = KINDS[told.kind].words(told.context)
    assert "Ticket 2 is cancelled" in body
    assert "€49.00 goes back to the card you paid with." in body


def test_last_ticket_ends_the_booking_and_the_rest_goes_back(provider, sold, give_back):
    give_back(sold, 1)
    plan = give_back(sold, 2, 3)
    services.deliver_due_refunds()

    sold.refresh_from_db()
    assert (plan.ends, sold.status, sold.refund_minor, made_at(provider)) == (True, "cancelled", 14700, [4900, 9800])
    assert SeatInventory.objects.get(category=sold.category).sold == 0


def test_buyer_who_cancels_the_rest_gets_the_rest(provider, sold, give_back):
    give_back(sold, 1)
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    services.deliver_due_refunds()

    assert made_at(provider) == [4900, 9800]


def test_part_of_the_price_goes_back_and_every_seat_stays(provider, sold, give_back):
    plan = give_back(sold, amount_minor=1000, freely=True)
    services.deliver_due_refunds()

    assert (plan.ends, figures(sold), made_at(provider)) == (False, (3, 14700, 3, 1000, 0, 0), [1000])
    sold.refresh_from_db()
    assert (sold.status, sold.refund_minor, sold.refund_status) == ("confirmed", 1000, "succeeded")


def test_all_of_the_price_may_go_back_without_a_seat(provider, sold, give_back):
    give_back(sold, amount_minor=14700, freely=True)
    services.deliver_due_refunds()
    services.reconcile_intent(payment_id=Payment.objects.get().pk)

    sold.refresh_from_db()
    assert (sold.status, made_at(provider)) == ("confirmed", [14700])


def test_what_is_kept_of_a_ticket_stays_kept_when_the_rest_is_cancelled(provider, sold, give_back):
    give_back(sold, 1, amount_minor=4000, freely=True)
    between = figures(sold)
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    services.deliver_due_refunds()

    assert between == (2, 9800, 2, 4000, 4900, 900)
    assert made_at(provider) == [4000, 9800]


def test_booking_may_end_without_any_money_and_the_mail_does_not_promise_some(provider, sold, give_back):
    from bookings.mails import refund_state

    give_back(sold, 1, 2, 3, amount_minor=0, freely=True)

    sold.refresh_from_db()
    assert (sold.status, refund_state(sold), Refund.objects.count()) == ("cancelled", "kept", 0)
    assert Payment.objects.get().kept_minor == 14700


def test_what_was_kept_can_go_back_later(provider, sold, give_back):
    give_back(sold, 1, 2, 3, amount_minor=10000, freely=True)
    give_back(sold, amount_minor=700, freely=True)
    services.deliver_due_refunds()

    assert (made_at(provider), Payment.objects.get().kept_minor) == ([700, 10000], 4000)


def test_ticket_that_let_somebody_in_is_refused_but_for_who_may_override(tonight, sold, give_back, boss):
    come_in(sold.tickets.get(number=1), boss)

    with pytest.raises(TicketUsed):
        give_back(sold, 1)
    with pytest.raises(TicketUsed):
        give_back(sold, 1, used_too=True)
    give_back(sold, 2)
    plan = give_back(sold, 1, used_too=True, freely=True, reason="Sent away by mistake")

    assert (plan.used, figures(sold)[:3]) == (1, (1, 4900, 1))
    assert StaffAction.objects.order_by("-id").first().after["used"] == 1


def test_cancelling_a_whole_booking_respects_who_came_in(tonight, sold, boss):
    come_in(sold.tickets.get(number=3), boss)

    with pytest.raises(TicketUsed):
        bookings.cancel_booking_by_staff(booking_id=sold.pk, actor_id=boss.pk, reason="Asked")


def test_another_amount_is_not_for_everybody(sold, give_back):
    for numbers, amount in [((1,), 4800), ((1,), 5000), ((), 100)]:
        with pytest.raises(AmountIsFixed):
            give_back(sold, *numbers, amount_minor=amount)
    assert give_back(sold, 1, amount_minor=4900).amount_minor == 4900


def test_nothing_and_too_much_are_refused(sold, give_back):
    with pytest.raises(NothingChosen):
        give_back(sold)
    with pytest.raises(RefundRefused, match=r"€147\.00 is left"):
        give_back(sold, amount_minor=14701, freely=True)
    with pytest.raises(ReasonRequired):
        give_back(sold, 1, reason="  ")


def test_ticket_of_another_booking_is_not_reached(provider, shop, sold, give_back):
    other = sell(provider, shop, 1)

    with pytest.raises(NotFound):
        services.refund_booking(
            booking_id=sold.pk,
            ticket_ids=[other.tickets.get().pk],
            token="t",
            actor_id=StaffFactory().pk,
            reason="x",
        )


def test_hold_and_ended_booking_have_no_tickets_to_cancel(shop, boss):
    hold = shop.hold()

    with pytest.raises(IllegalTransition):
        bookings.cancel_tickets(booking_id=hold.pk, ticket_ids=[uuid4()])


def test_free_and_unpaid_tickets_are_cancelled_without_money(shop, give_back):
    category = TicketCategoryFactory(price_minor=0)
    booking = bookings.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=2)

    plan = give_back(booking, 1)

    booking.refresh_from_db()
    assert (plan.amount_minor, booking.quantity, booking.status) == (0, 1, "confirmed")
    with pytest.raises(RefundRefused, match="Nothing was paid"):
        give_back(booking, 2, amount_minor=100, freely=True)


def test_numbered_seat_of_a_cancelled_ticket_is_free_again(shop, give_back):
    category = TicketCategoryFactory(price_minor=0, rows={"A": 3})
    booking = bookings.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=3)
    given_up = booking.tickets.get(number=2).seat

    give_back(booking, 2)
    next_one = bookings.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)

    assert next_one.tickets.get().seat == given_up


def test_code_counts_the_tickets_that_are_left(shop, give_back):
    from bookings.services import Terms

    category = TicketCategoryFactory(price_minor=1000)
    terms = Terms(percent=100, max_uses=3)
    code = bookings.create_code(event_id=category.event_id, actor_id=StaffFactory().pk, terms=terms, code="GIFT2026")
    booking = bookings.hold_seats(
        user_id=UserFactory().pk, category_id=category.pk, quantity=3, event_id=category.event_id, code="GIFT2026"
    )

    give_back(booking, 1)

    code.counter.refresh_from_db()
    booking.refresh_from_db()
    assert (code.counter.uses, booking.discount_minor) == (2, 2000)


def test_same_token_refunds_once_however_often_it_is_sent(provider, sold, give_back):
    outcomes = race([lambda: give_back(sold, 2, token="once")] * 4)
    services.deliver_due_refunds()

    assert (errors(outcomes), sum(plan is not None for plan in results(outcomes))) == ([], 1)
    assert (made_at(provider), StaffAction.objects.count(), figures(sold)[0]) == ([4900], 1, 2)


def naive_refund(payment_id):
    """Look what is left, then write the refund: what the service would do without lock and constraint."""
    payment = Payment.objects.get(pk=payment_id)
    if payment.received_minor - payment.refunded_minor >= 6000:
        Refund.objects.create(payment=payment, key=str(uuid4()), amount_minor=6000, currency="EUR", reason="staff")


@pytest.mark.parametrize("careful", [True, False], ids=["guarded", "control"])
def test_refunds_at_the_same_moment_never_sum_to_more_than_was_paid(sold, give_back, books, careful):
    """Of five refunds of 60.00 each, two fit into 147.00. The control has neither lock nor constraint."""
    payment_id = Payment.objects.get().pk
    if careful:
        act = lambda: give_back(sold, amount_minor=6000, freely=True)  # noqa: E731
    else:
        books.broken_on_purpose = True
        drop_guards()
        act = lambda: naive_refund(payment_id)  # noqa: E731
    try:
        outcomes = race([act] * 5, gate="payments_refund")
        given = sum(Refund.objects.values_list("amount_minor", flat=True))
    finally:
        if not careful:
            Refund.objects.all().delete()
            restore_guards()

    if careful:
        assert (given, {type(error) for error in errors(outcomes)}) == (12000, {RefundRefused})
    else:
        assert given == 30000


GUARDS = {
    "never_refund_more_than_received": "CHECK (refunded_minor <= received_minor)",
    "what_is_kept_is_not_refunded": "CHECK (received_minor >= refunded_minor + kept_minor)",
}


def drop_guards():
    with connection.cursor() as cursor:
        for name in GUARDS:
            cursor.execute(f"ALTER TABLE payments_payment DROP CONSTRAINT {name}")


def restore_guards():
    with connection.cursor() as cursor:
        for name, check in GUARDS.items():
            cursor.execute(f"ALTER TABLE payments_payment ADD CONSTRAINT {name} {check}")


@pytest.mark.parametrize("name", sorted(GUARDS))
def test_database_refuses_by_name(sold, name):
    change = {"refunded_minor": 14701} if name.startswith("never") else {"refunded_minor": 10000, "kept_minor": 4701}

    with pytest.raises(IntegrityError, match=name):
        Payment.objects.update(**change)
    with pytest.raises(IntegrityError, match="never_release_more_than_received"):
        Payment.objects.update(released_minor=14701)


def test_coming_in_and_refunding_at_the_same_moment_is_one_of_them(provider, shop, tonight, give_back, boss):
    """The door and the refund take the booking's lock, so nobody is inside with a ticket that was paid back."""
    for _ in range(4):
        booking = sell(provider, shop, 1)
        ticket = booking.tickets.get()
        outcomes = race([lambda t=ticket: come_in(t, boss), lambda b=booking: give_back(b, 1)])

        inside = outcomes[0].result
        assert (inside, type(outcomes[1].error)) in [(True, TicketUsed), (False, type(None))]
        assert Ticket.objects.get(pk=ticket.pk).status == ("used" if inside else "void")


def test_failed_refund_of_a_part_is_sent_again_as_that_part(provider, sold, give_back):
    provider.control(refund_outcome="failed")
    give_back(sold, 1)
    services.deliver_due_refunds()
    failed = Refund.objects.get()
    asked = Attention.objects.filter(resolved_at=None).count()
    provider.control(refund_outcome="succeeded")

    again = services.retry_refund(refund_id=failed.pk, by="staff")
    same = services.retry_refund(refund_id=failed.pk, by="staff")
    services.deliver_due_refunds()

    assert (asked, again.amount_minor, again.replaces, same) == (1, 4900, failed, again)
    assert (figures(sold)[3], Attention.objects.filter(resolved_at=None).count()) == (4900, 0)
    assert Booking.objects.get(pk=sold.pk).status == "confirmed"


def test_question_stays_while_another_refund_has_failed(provider, sold, give_back):
    provider.control(refund_outcome="failed")
    give_back(sold, 1)
    services.deliver_due_refunds()
    give_back(sold, 2)
    services.deliver_due_refunds()

    services.retry_refund(refund_id=Refund.objects.order_by("created_at").first().pk, by="staff")

    assert Attention.objects.filter(kind="refund_failed", resolved_at=None).count() == 1
