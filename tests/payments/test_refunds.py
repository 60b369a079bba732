"""Money goes back once, whatever breaks on the way."""

import pytest
from django.db.models.functions import Now

from bookings import services as bookings
from common import outbox
from payments import services
from payments.gateway import client_for
from payments.models import Attention, Payment, Refund
from payments.refusals import RefundRefused
from payments.services.refunds import claim, send
from tests.payments.peers import wait_for
from tests.races import errors, race, results

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sold(provider, shop):
    """A booking that was paid and confirmed."""
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    provider.pay(view)
    return services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)


@pytest.fixture
def try_again():
    """Let every refund that waits be due."""

    def try_again() -> int:
        Refund.objects.filter(status__in=["requested", "sent"]).update(next_try_at=Now())
        return services.deliver_due_refunds()

    return try_again


@pytest.fixture
def impatient(monkeypatch):
    """Give up waiting for the provider sooner than in earnest."""
    monkeypatch.setattr("payments.gateway.TIMEOUTS", (1.0, 0.3))
    client_for.cache_clear()
    yield
    client_for.cache_clear()


def made_at(provider) -> list[int]:
    """Return the amounts of the refunds that the provider has made."""
    return [refund["amount"] for refund in provider.call("GET", "/v1/refunds", limit=100).json()["data"]]


def test_cancelling_writes_the_refund_in_the_same_transaction(provider, shop, sold):
    cancelled = bookings.cancel_booking(booking_id=sold.pk, by="buyer")

    assert Refund.objects.get().status == "requested"
    assert (cancelled.refund_minor, cancelled.refund_status) == (9800, "requested")
    assert made_at(provider) == []


def test_refund_arrives_and_the_booking_shows_it(provider, shop, sold):
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")

    services.deliver_due_refunds()

    sold.refresh_from_db()
    refund = Refund.objects.get()
    assert (refund.status, refund.key, sold.refund_status) == (
        "succeeded",
        f"refund:{refund.payment_id}:cancelled",
        "succeeded",
    )
    assert made_at(provider) == [9800]


def test_unpaid_hold_has_nothing_to_refund(provider, shop):
    hold = shop.hold()
    shop.intent(hold)
    bookings.give_up_hold(booking_id=hold.pk)

    outbox.deliver_due()

    assert (Refund.objects.count(), Payment.objects.get().status) == (0, "cancelled")


@pytest.mark.parametrize("replays", ["error", "answer"])
def test_refund_that_broke_after_it_was_made_is_made_once(provider, shop, sold, try_again, replays):
    provider.control(faults=[{"path": "/v1/refunds", "kind": "fail_after", "times": 1, "replays": replays}])
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")

    services.deliver_due_refunds()
    try_again()

    assert (Refund.objects.get().status, made_at(provider)) == ("succeeded", [9800])


def test_refund_whose_answer_never_came_is_made_once(provider, shop, sold, impatient):
    provider.control(faults=[{"path": "/v1/refunds", "kind": "hang", "seconds": 5}])
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")

    services.deliver_due_refunds()

    assert (Refund.objects.get().status, made_at(provider)) == ("succeeded", [9800])


def test_refund_that_is_still_under_way_is_made_once(provider, shop, sold, impatient, try_again):
    provider.control(faults=[{"path": "/v1/refunds", "kind": "slow", "seconds": 2}])
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")

    services.deliver_due_refunds()
    between = Refund.objects.get().status
    wait_for(lambda: not provider.sandbox.api.busy)
    try_again()

    assert (between, Refund.objects.get().status, made_at(provider)) == ("sent", "succeeded", [9800])


def test_refund_that_broke_before_it_was_made_is_made_later(provider, shop, sold, try_again):
    provider.control(faults=[{"path": "/v1/refunds", "kind": "fail_before", "times": 2}])
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")

    services.deliver_due_refunds()
    waiting = Refund.objects.get()
    services.deliver_due_refunds()
    try_again()

    assert (waiting.status, waiting.attempts, waiting.last_error != "") == ("sent", 1, True)
    assert (Refund.objects.get().attempts, made_at(provider)) == (2, [9800])


def test_worker_that_dies_between_sending_and_noting_changes_nothing(provider, shop, sold, try_again):
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    refund = claim()
    send(refund)  # and then the worker is gone

    try_again()

    assert (Refund.objects.get().status, made_at(provider)) == ("succeeded", [9800])


def test_failure_that_the_provider_remembers_for_ever_does_not_last_for_ever(provider, shop, sold, try_again):
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    refund = Refund.objects.get()
    params = {
        "payment_intent": refund.payment.intent_id,
        "amount": "9800",
        "metadata": {"key": refund.key, "reason": "cancelled"},
    }
    # As Stripe does after a failure that had no effect: the key answers 500 from now on.
    provider.remember_failure("POST", "/v1/refunds", params, key=refund.key)

    for _ in range(5):
        try_again()
    stuck = Refund.objects.get().status
    try_again()

    assert (stuck, Refund.objects.get().status, made_at(provider)) == ("sent", "succeeded", [9800])


def test_ten_workers_send_a_refund_once(provider, shop, sold):
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")

    outcomes = race([services.deliver_due_refunds] * 6)

    assert (errors(outcomes), sum(results(outcomes)), made_at(provider)) == ([], 1, [9800])


def test_ten_cancellations_make_one_refund(provider, shop, sold):
    outcomes = race([lambda: bookings.cancel_booking(booking_id=sold.pk, by="buyer")] * 6, gate="bookings_booking")

    assert (len(results(outcomes)), Refund.objects.count()) == (1, 1)


def test_two_refunds_that_do_not_both_fit_are_one(provider, shop, sold):
    payment = Payment.objects.get()

    outcomes = race(
        [
            lambda cause=cause: services.request_refund(payment=payment, amount_minor=9000, reason="staff", cause=cause)
            for cause in "ab"
        ]
    )

    assert [type(error) for error in errors(outcomes)] == [RefundRefused]
    assert Refund.objects.count() == 1


def test_refund_the_bank_works_on_waits_and_arrives(provider, shop, sold, try_again):
    provider.control(refund_outcome="pending")
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    services.deliver_due_refunds()
    refund = Refund.objects.get()
    again = services.deliver_due_refunds()
    provider.call("POST", f"/sandbox/refunds/{refund.stripe_id}", status="succeeded")

    try_again()

    assert (refund.status, again, Refund.objects.get().status, made_at(provider)) == ("sent", 0, "succeeded", [9800])


def test_refund_the_bank_sends_back_is_put_before_a_person(provider, shop, sold):
    provider.control(refund_outcome="failed")
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    services.deliver_due_refunds()
    sold.refresh_from_db()

    assert (Refund.objects.get().status, Attention.objects.get().kind, sold.refund_status) == (
        "failed",
        "refund_failed",
        "failed",
    )
    provider.control(refund_outcome="succeeded")
    services.retry_refund(refund_id=Refund.objects.get().pk, by="staff@demo.test")
    services.deliver_due_refunds()
    sold.refresh_from_db()
    assert sorted(Refund.objects.values_list("status", flat=True)) == ["failed", "succeeded"]
    assert (sold.refund_minor, sold.refund_status) == (9800, "succeeded")


def test_refund_the_provider_refuses_is_put_before_a_person(provider, shop, sold):
    # Somebody has sent half of it back in the provider's dashboard, and we have not heard of it.
    payment = Payment.objects.get()
    provider.call("POST", "/v1/refunds", payment_intent=payment.intent_id, amount=4900)
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")

    services.deliver_due_refunds()

    assert (Refund.objects.get().status, Attention.objects.get().kind) == ("failed", "refund_failed")
    services.reconcile_intent(payment_id=payment.pk)
    services.return_payment(payment_id=payment.pk, by="staff@demo.test")
    services.deliver_due_refunds()
    assert sorted(made_at(provider)) == [4900, 4900]


def test_many_failures_ask_a_person_and_go_on(provider, shop, sold, try_again):
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    Refund.objects.update(attempts=11)
    provider.control(faults=[{"path": "/v1/refunds", "kind": "fail_before", "times": 2, "method": "GET"}])

    try_again()
    asked = Attention.objects.get()
    try_again()

    asked.refresh_from_db()
    assert (asked.kind, asked.resolved_at is not None, Refund.objects.get().status) == (
        "refund_failed",
        True,
        "succeeded",
    )


def test_paying_booking_is_not_refunded_behind_its_back(provider, shop, sold):
    with pytest.raises(RefundRefused, match="Refund the booking"):
        services.return_payment(payment_id=Payment.objects.get().pk, by="staff@demo.test")


def test_arrived_refund_can_not_be_retried(provider, shop, sold):
    bookings.cancel_booking(booking_id=sold.pk, by="buyer")
    services.deliver_due_refunds()

    with pytest.raises(RefundRefused):
        services.retry_refund(refund_id=Refund.objects.get().pk, by="staff@demo.test")


def test_cancelled_event_refunds_everybody(provider, shop):
    from events.models import Event

    sales = []
    for _ in range(3):
        hold = shop.hold(quantity=1)
        provider.pay(shop.intent(hold))
        sales.append(services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id))
    open_hold = shop.hold(quantity=1)
    shop.intent(open_hold)
    Event.objects.update(status=Event.Status.CANCELLED)

    bookings.cancel_event_bookings(event_id=shop.category.event_id)
    services.deliver_due_refunds()
    outbox.deliver_due()

    assert made_at(provider) == [4900, 4900, 4900]
    assert Payment.objects.get(booking=open_hold).status == "cancelled"
