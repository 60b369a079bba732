"""What no announcement told us is found from the rows."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now

from bookings.models import Booking
from bookings.signals import booking_ended
from common import jobs
from common.invariants import breaches
from payments import services
from payments.models import Payment, Refund
from payments.receivers import end_its_payments
from tests.races import errors, race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def deaf():
    """Nobody hears that a booking ends."""
    booking_ended.disconnect(end_its_payments)
    yield
    booking_ended.connect(end_its_payments)


def look_again() -> int:
    Payment.objects.update(next_check_at=Now())
    return services.reconcile_due()


def test_paid_hold_that_nobody_confirmed_is_found(provider, shop):
    hold = shop.hold()
    provider.pay(shop.intent(hold))

    assert (look_again(), shop.status(hold)) == (1, "confirmed")


def test_unpaid_hold_stays_as_it_is(provider, shop):
    hold = shop.hold()
    shop.intent(hold)

    assert (look_again(), shop.status(hold), Payment.objects.get().status) == (0, "pending", "created")


def test_each_payment_is_asked_about_once_a_period(provider, shop):
    shop.intent(shop.hold())

    look_again()
    provider.control(faults=[{"path": "/v1/payment_intents", "method": "GET", "kind": "fail_before"}])
    services.reconcile_due()

    assert provider.sandbox.switches.faults[0].times == 1


def test_hold_that_ended_unheard_has_its_intent_closed(provider, shop, deaf):
    hold = shop.hold()
    view = shop.intent(hold)
    shop.expire(hold)

    assert look_again() == 1
    assert provider.call("GET", f"/v1/payment_intents/{view.payment_intent_id}").json()["status"] == "canceled"


def test_payment_that_never_reached_the_provider_ends_with_its_hold(shop, deaf):
    hold = shop.hold()
    services.claim_payment(booking_id=hold.pk, user_id=hold.user_id)
    shop.expire(hold)

    assert (look_again(), Payment.objects.get().status) == (1, "cancelled")


def test_cancellation_that_was_not_heard_is_refunded(provider, shop, deaf):
    from bookings import services as bookings

    hold = shop.hold()
    provider.pay(shop.intent(hold))
    services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)
    bookings.cancel_booking(booking_id=hold.pk, by="staff")
    seen = [name for name, found in breaches().items() if found]

    look_again()
    services.deliver_due_refunds()

    assert seen == ["payments.use"]
    assert Refund.objects.get().status == "succeeded"


def test_provider_away_is_survived_and_tried_again(shop, provider):
    hold = shop.hold()
    provider.pay(shop.intent(hold))
    provider.control(faults=[{"path": "/v1/payment_intents", "method": "GET", "kind": "fail_before", "times": 2}])

    assert (look_again(), shop.status(hold)) == (0, "pending")
    assert (look_again(), shop.status(hold)) == (1, "confirmed")


def test_five_sweeps_at_once_do_the_work_once(provider, shop):
    hold = shop.hold()
    provider.pay(shop.intent(hold))

    outcomes = race([services.reconcile_due] * 5)

    assert (errors(outcomes), shop.status(hold)) == ([], "confirmed")
    assert Booking.objects.get(pk=hold.pk).tickets.count() == 2


def test_jobs_are_registered_and_run(provider, shop):
    hold = shop.hold()
    provider.pay(shop.intent(hold))

    done = {name: jobs.run(name) for name in sorted(jobs.JOBS) if name.startswith("payments.")}

    assert done == {"payments.deliver_refunds": 0, "payments.grant_graces": 0, "payments.reconcile": 1}


def test_command_says_what_it_did(provider, shop):
    hold = shop.hold()
    provider.pay(shop.intent(hold))
    only_say, done = StringIO(), StringIO()

    call_command("reconcile_payments", "--dry-run", stdout=only_say)
    call_command("reconcile_payments", stdout=done)

    assert only_say.getvalue() == "1 payments to compare.\n"
    assert done.getvalue() == "1 compared, 1 put right, 0 refunds sent, 0 open questions for a person.\n"
    assert shop.status(hold) == "confirmed"


def test_command_compares_what_is_over_too(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    provider.pay(view)
    services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)
    provider.call("POST", "/v1/refunds", payment_intent=view.payment_intent_id)
    out = StringIO()

    call_command("reconcile_payments", "--all", stdout=out)

    assert (shop.status(hold), Refund.objects.get().reason) == ("cancelled", "provider")


def test_command_fails_when_the_provider_does_not_answer(shop, provider):
    shop.intent(shop.hold())
    provider.control(faults=[{"path": "/v1/payment_intents", "method": "GET", "kind": "fail_before", "times": 4}])

    with pytest.raises(CommandError, match="1 payments could not be compared"):
        call_command("reconcile_payments", stdout=StringIO(), stderr=StringIO())


def test_sandbox_does_not_start_where_it_was_not_asked_for(settings):
    settings.PAYMENTS_SANDBOX = False

    with pytest.raises(CommandError, match="PAYMENTS_SANDBOX=1"):
        call_command("payment_sandbox")


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        ("UPDATE payments_payment SET received_minor = 9799", "payments.use"),
        ("UPDATE payments_payment SET use = 'return'", "payments.use"),
        ("UPDATE payments_payment SET use = 'review'", "payments.use"),
        ("UPDATE payments_payment SET refunded_minor = 1", "payments.refunds"),
        ("UPDATE payments_payment SET use = 'return'", "payments.balance"),
    ],
)
def test_invariants_see_what_they_are_for(provider, shop, books, change, breach):
    from django.db import connection

    hold = shop.hold()
    provider.pay(shop.intent(hold))
    services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)
    books.broken_on_purpose = True

    with connection.cursor() as cursor:
        cursor.execute(change)

    assert breaches()[breach] != []
