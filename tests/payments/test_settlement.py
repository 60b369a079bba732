"""What happens to money: confirmed, taken late, sent back, or put before a person; whoever brings the news, in any order."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pgtrigger
import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from bookings import services as bookings
from bookings.models import Booking, Ticket
from bookings.refusals import HoldExpired, SeatsGone
from common import outbox
from common.invariants import breaches
from common.models import OutboxMessage
from payments import services
from payments.gateway import Intent, gateway
from payments.models import Attention, Payment, Refund
from payments.refusals import PaymentNotCompleted, PaymentUnderReview
from payments.services import settlement
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db(transaction=True)


def gateway_intent(view):
    return gateway().get_intent(view.payment_intent_id)


def confirm(booking):
    return services.confirm_by_client(booking_id=booking.pk, user_id=booking.user_id)


def test_paid_hold_is_confirmed_by_its_client(provider, shop):
    hold = shop.hold(quantity=2)
    provider.pay(shop.intent(hold))

    booking = confirm(hold)

    payment = Payment.objects.get()
    assert (booking.status, booking.tickets.count()) == ("confirmed", 2)
    assert (payment.status, payment.use, payment.received_minor) == ("succeeded", "booking", 9800)


def test_confirming_again_changes_nothing(provider, shop):
    hold = shop.hold()
    provider.pay(shop.intent(hold))

    first, second = confirm(hold), confirm(hold)

    assert [ticket.code for ticket in first.tickets.all()] == [ticket.code for ticket in second.tickets.all()]


def test_unpaid_hold_is_not_confirmed(provider, shop):
    hold = shop.hold()
    with pytest.raises(PaymentNotCompleted) as nothing:
        confirm(hold)
    shop.intent(hold)
    with pytest.raises(PaymentNotCompleted) as begun:
        confirm(hold)

    assert nothing.value.extra == {"payment_status": "not_started"}
    assert begun.value.extra == {"payment_status": "requires_payment_method"}
    assert shop.status(hold) == "pending"


def test_declined_card_says_why_and_the_next_card_pays(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    provider.pay(view, "pm_card_chargeDeclinedInsufficientFunds")

    with pytest.raises(PaymentNotCompleted, match="insufficient funds"):
        confirm(hold)
    assert Payment.objects.get().last_error == "insufficient_funds"
    provider.pay(shop.intent(hold))
    assert confirm(hold).status == "confirmed"


def test_unpaid_lapsed_hold_is_gone(provider, shop):
    hold = shop.hold()
    shop.intent(hold)
    shop.lapse(hold)

    with pytest.raises(HoldExpired):
        confirm(hold)


def test_late_money_takes_the_seats_again_if_they_are_free(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    shop.expire(hold)
    provider.pay(view)

    assert confirm(hold).status == "confirmed"
    assert Refund.objects.count() == 0


def test_late_money_for_seats_that_are_gone_goes_back_and_the_buyer_is_told(provider, shop):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    shop.expire(hold)
    shop.sell_out()
    provider.pay(view)

    with pytest.raises(SeatsGone):
        confirm(hold)
    services.deliver_due_refunds()

    refund = Refund.objects.get()
    assert (refund.status, refund.amount_minor, refund.reason) == ("succeeded", 9800, "seats_gone")
    assert shop.status(hold) == "expired"
    assert OutboxMessage.objects.filter(topic="late_payment_refunded_mail").count() == 1
    with pytest.raises(SeatsGone):
        confirm(hold)


def test_late_money_does_not_pass_the_waitlist(provider, shop):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    shop.expire(hold)
    shop.let_somebody_wait()
    provider.pay(view)

    with pytest.raises(SeatsGone):
        confirm(hold)


def test_late_money_of_somebody_who_holds_seats_anew_goes_back(provider, shop):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    shop.expire(hold)
    shop.hold(user=hold.user, quantity=1)
    provider.pay(view)

    with pytest.raises(SeatsGone):
        confirm(hold)
    assert Refund.objects.get().amount_minor == 9800


def test_money_for_a_hold_that_was_given_up_goes_back(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    bookings.give_up_hold(booking_id=hold.pk)
    provider.pay(view)

    with pytest.raises(SeatsGone):
        confirm(hold)
    assert Refund.objects.get().reason == "seats_gone"


def test_end_of_a_hold_closes_its_intent(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    shop.expire(hold)

    outbox.deliver_due()

    assert Payment.objects.get().status == "cancelled"
    assert provider.call("GET", f"/v1/payment_intents/{view.payment_intent_id}").json()["status"] == "canceled"


def test_end_of_a_hold_that_was_paid_meanwhile_settles_it(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    shop.expire(hold)
    provider.pay(view)

    outbox.deliver_due()

    assert (shop.status(hold), Payment.objects.get().use) == ("confirmed", "booking")


def test_close_that_the_provider_does_not_answer_is_tried_again(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    shop.expire(hold)
    provider.control(
        faults=[{"path": f"/v1/payment_intents/{view.payment_intent_id}/cancel", "kind": "fail_before", "times": 2}]
    )

    outbox.deliver_due()
    before = Payment.objects.get().status
    OutboxMessage.objects.filter(topic="payments.close").update(due_at=Now())
    outbox.deliver_due()

    assert (before, Payment.objects.get().status) == ("created", "cancelled")


def test_close_whose_answer_was_lost_finds_it_closed(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    shop.expire(hold)
    provider.control(
        faults=[{"path": f"/v1/payment_intents/{view.payment_intent_id}/cancel", "kind": "fail_after", "times": 2}]
    )

    outbox.deliver_due()
    OutboxMessage.objects.filter(topic="payments.close").update(due_at=Now())
    outbox.deliver_due()

    assert Payment.objects.get().status == "cancelled"


def test_payment_at_the_bank_stays_open_until_the_bank_decides(provider, shop):
    hold = shop.hold()
    provider.pay(shop.intent(hold), "pm_card_late")
    with pytest.raises(PaymentNotCompleted) as waiting:
        confirm(hold)
    shop.expire(hold)
    outbox.deliver_due()
    between = Payment.objects.get().status
    provider.hasten()
    OutboxMessage.objects.filter(topic="payments.close").update(due_at=Now())
    outbox.deliver_due()

    assert waiting.value.extra == {"payment_status": "processing"}
    assert (between, shop.status(hold)) == ("processing", "confirmed")


def test_payment_at_the_bank_gets_a_grace_near_the_deadline(provider, shop, set_time_left):
    hold = shop.hold()
    provider.pay(shop.intent(hold), "pm_card_delayed")
    with pytest.raises(PaymentNotCompleted):
        confirm(hold)
    early = services.grant_graces()
    set_time_left(hold, 10)

    granted = services.grant_graces()

    booking = Booking.objects.get(pk=hold.pk)
    assert (early, granted, booking.grace_given) == (0, 1, True)
    assert services.grant_graces() == 0


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"received_minor": 9799, "amount_minor": 9799}, "wrong_amount"),
        ({"received_minor": 9801, "amount_minor": 9801}, "wrong_amount"),
        ({"received_minor": 1}, "wrong_amount"),
        ({"currency": "USD"}, "wrong_currency"),
        ({"metadata": {"booking": "00000000-0000-0000-0000-000000000000"}}, "wrong_booking"),
        ({"metadata": {}}, "wrong_booking"),
    ],
)
def test_money_that_is_not_what_was_asked_for_waits_for_a_person(provider, shop, change, kind):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    fields = {
        "id": view.payment_intent_id,
        "status": "succeeded",
        "amount_minor": 9800,
        "currency": "EUR",
        "received_minor": 9800,
        "metadata": {"booking": str(hold.pk)},
    }

    services.settle_intent(intent=Intent(**fields | change))

    assert (shop.status(hold), Payment.objects.get().use, Attention.objects.get().kind) == ("pending", "review", kind)
    with pytest.raises(PaymentUnderReview):
        confirm(hold)


def test_person_sends_money_under_review_back(provider, shop):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    provider.call("POST", f"/v1/payment_intents/{view.payment_intent_id}", amount=100)
    provider.pay(view)
    services.settle_intent(intent=gateway_intent(view))

    services.return_payment(payment_id=Payment.objects.get().pk, by="staff@demo.test")
    services.deliver_due_refunds()

    question = Attention.objects.get()
    assert (Refund.objects.get().amount_minor, Refund.objects.get().status) == (100, "succeeded")
    assert (question.resolved_at is not None, question.resolution) == (True, "Refunded by staff@demo.test.")


def test_second_payment_of_a_booking_goes_back(provider, shop, settings):
    hold = shop.hold()
    first = shop.intent(hold)
    provider.pay(first)
    confirm(hold)
    # A second intent for the same booking, as an old window might still hold one.
    second = Payment.objects.create(booking=hold, attempt=2, amount_minor=9800, currency="EUR", intent_id="pi_second")

    services.settle_intent(
        intent=Intent("pi_second", "succeeded", 9800, "EUR", 9800, metadata={"booking": str(hold.pk)})
    )

    second.refresh_from_db()
    assert (second.use, Refund.objects.get().reason, shop.status(hold)) == ("return", "duplicate", "confirmed")
    assert Booking.objects.get(pk=hold.pk).refund_minor == 0


STATES = {
    "created": Intent("", "requires_payment_method", 9800, "EUR", 0),
    "processing": Intent("", "processing", 9800, "EUR", 0),
    "failed": Intent("", "requires_payment_method", 9800, "EUR", 0, error_code="card_declined"),
    "succeeded": Intent("", "succeeded", 9800, "EUR", 9800),
}


@pytest.mark.parametrize("order", list(itertools.permutations(STATES)), ids="-".join)
def test_any_order_of_news_ends_confirmed_once(provider, shop, order):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)

    for name in order:
        services.settle_intent(
            intent=replace(STATES[name], id=view.payment_intent_id, metadata={"booking": str(hold.pk)})
        )

    assert (shop.status(hold), Payment.objects.get().status, Ticket.objects.count()) == ("confirmed", "succeeded", 2)


def test_confirms_at_once_make_one_set_of_tickets(provider, shop):
    hold = shop.hold(quantity=2)
    provider.pay(shop.intent(hold))

    outcomes = race([lambda: confirm(hold)] * 6)

    assert [booking.status for booking in results(outcomes)] == ["confirmed"] * 6
    assert Ticket.objects.count() == 2


UNTIL_THE_DEADLINE = """
    SELECT pg_sleep(greatest(0, extract(epoch FROM max(expires_at) - clock_timestamp())) + 0.02)
    FROM bookings_booking WHERE expires_at IS NOT NULL
"""


def pass_deadline_then(act):
    """Wait for the hold's deadline by the database's clock, then act: begun earlier it would rightly find nothing."""

    def later():
        with connection.cursor() as cursor:
            cursor.execute(UNTIL_THE_DEADLINE)
        return act()

    return later


@pytest.mark.parametrize("seats_left", [True, False], ids=["seats free", "seats gone"])
@pytest.mark.parametrize("round_", range(3))
def test_confirm_and_expiry_at_one_moment_have_one_outcome(provider, shop, set_time_left, seats_left, round_):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    provider.pay(view)
    intent = gateway_intent(view)
    if not seats_left:
        shop.let_somebody_wait()
    set_time_left(hold, 0.3)

    outcomes = race(
        [
            lambda: services.settle_intent(intent=intent),
            pass_deadline_then(lambda: bookings.expire_booking(booking_id=hold.pk)),
        ],
        gate="bookings_booking",
    )
    outbox.deliver_due()
    services.deliver_due_refunds()

    status, refunds = shop.status(hold), list(Refund.objects.values_list("status", "amount_minor"))
    assert errors(outcomes) == []
    assert (status, refunds) in [("confirmed", []), ("expired", [("succeeded", 9800)])]
    if seats_left:
        assert status == "confirmed"


@pytest.mark.parametrize("seats_left", [True, False], ids=["seats free", "seats gone"])
def test_expiry_between_reading_and_settling_has_one_outcome(provider, shop, set_time_left, monkeypatch, seats_left):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    provider.pay(view)
    if not seats_left:
        shop.let_somebody_wait()
    set_time_left(hold, 0.3)
    expire = pass_deadline_then(lambda: bookings.expire_booking(booking_id=hold.pk))
    find = settlement.find_payment

    def find_and_lose_time(intent):
        found = find(intent)
        assert results(race([expire])) == [True]
        return found

    monkeypatch.setattr(settlement, "find_payment", find_and_lose_time)
    services.settle_intent(intent=gateway_intent(view))

    refunds = list(Refund.objects.values_list("amount_minor", flat=True))
    assert (shop.status(hold), refunds) == (("confirmed", []) if seats_left else ("expired", [9800]))


def test_expiry_without_its_guard_loses_money_and_the_books_say_so(provider, shop, books):
    """The control of the races above: read, then write, with the database's guard off."""
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    provider.pay(view)
    intent = gateway_intent(view)

    status_it_read = Booking.objects.get(pk=hold.pk).status
    assert errors(race([lambda: services.settle_intent(intent=intent)])) == []
    if status_it_read == "pending":
        with pgtrigger.ignore("bookings.Booking:booking_guard"):
            Booking.objects.filter(pk=hold.pk).update(status="expired", ended_at=Now())

    books.broken_on_purpose = True
    assert {"payments.use", "bookings.history"} <= {name for name, found in breaches().items() if found}


def test_cancel_and_success_at_one_moment_have_one_outcome(provider, shop):
    for _ in range(5):
        hold = shop.hold(quantity=1)
        view = shop.intent(hold)
        shop.expire(hold)
        payment = Payment.objects.get(booking=hold)

        race(
            [
                lambda view=view: provider.pay(view),
                lambda payment=payment: services.close_payment(payment_id=payment.pk),
            ]
        )
        services.reconcile_intent(payment_id=payment.pk)

        payment.refresh_from_db()
        real = provider.call("GET", f"/v1/payment_intents/{view.payment_intent_id}").json()["status"]
        assert (payment.status, real, shop.status(hold)) in [
            ("cancelled", "canceled", "expired"),
            ("succeeded", "succeeded", "confirmed"),
        ]


def test_cancel_booking_and_webhook_at_one_moment_do_not_wait_for_each_other(provider, shop):
    for _ in range(3):
        hold = shop.hold(quantity=1)
        view = shop.intent(hold)
        provider.pay(view)
        intent = gateway_intent(view)

        outcomes = race(
            [
                lambda intent=intent: services.settle_intent(intent=intent),
                lambda hold=hold: bookings.cancel_booking(booking_id=hold.pk, by="buyer"),
                lambda intent=intent: services.settle_intent(intent=intent),
            ],
            gate="bookings_booking",
        )

        assert errors(outcomes) == []
        assert shop.status(hold) == "cancelled"
        assert Refund.objects.get(payment__booking=hold).amount_minor == 4900


def test_settling_takes_eight_statements_and_one_commit(provider, shop):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    provider.pay(view)
    intent = gateway_intent(view)

    with CaptureQueriesContext(connection) as taken:
        services.settle_intent(intent=intent)

    verbs = [query["sql"].split()[0] for query in taken]
    assert len([verb for verb in verbs if verb in {"SELECT", "INSERT", "UPDATE"}]) == 8
    assert verbs.count("COMMIT") == 1


@pytest.fixture
def set_time_left():
    def set_time_left(booking, seconds):
        Booking.objects.filter(pk=booking.pk).update(expires_at=Now() + timedelta(seconds=seconds))

    return set_time_left
