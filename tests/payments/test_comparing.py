"""Our books beside the provider's: every way in which they can differ is found, told, and put right once."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import StaffAction
from bookings.services.staff import ReasonRequired
from common import outbox
from payments import services
from payments.models import Attention, Comparison, Difference, Payment, Refund
from payments.refusals import NothingDiffers
from payments.services.comparing import ADVICE, FIXABLE, PeriodTooLong
from tests.factories import StaffFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sold(provider, shop):
    return sell(provider, shop)


@pytest.fixture
def boss(books):
    return StaffFactory()


def sell(provider, shop):
    hold = shop.hold(quantity=2)
    provider.pay(shop.intent(hold))
    return services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)


def look(**period):
    """Compare the last day, and return its lines as (kind, here, there)."""
    now = timezone.now()
    given = {"since": now - timedelta(days=1), "until": now + timedelta(minutes=1)} | period
    comparison = services.begin_comparison(**given, staff_id=None, by_worker=False)
    return services.compare(comparison_id=comparison.pk)


def lines(comparison):
    rows = comparison.differences.filter(answered_at=None)
    return list(rows.values_list("kind", "ours", "theirs"))


def break_books(sql):
    """Change a row past every service, as a hand in the database or an old backup does."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


def fix(comparison, actor, **which):
    line = comparison.differences.get(answered_at=None, **which)
    return services.fix_difference(difference_id=line.pk, actor_id=actor.pk, reason="Monthly books")


def pay_somewhere_else(provider, amount=4200):
    made = provider.call("POST", "/v1/payment_intents", amount=amount, currency="eur").json()
    provider.call("POST", f"/v1/payment_intents/{made['id']}/confirm", payment_method="pm_card_visa")
    return made["id"]


def test_books_that_agree_have_no_line(provider, sold):
    comparison = look()

    assert (lines(comparison), comparison.intents, comparison.payments) == ([], 1, 1)
    assert (comparison.status, comparison.finished_at is None) == ("done", False)


def test_payment_that_nobody_announced_is_found_and_taken_in(provider, shop, boss):
    hold = shop.hold()
    provider.pay(shop.intent(hold))

    comparison = look()

    assert lines(comparison) == [("not_taken_in", "created", "€98.00")]
    assert fix(comparison, boss) == "Taken in: the payment is succeeded."
    assert (shop.status(hold), lines(look())) == ("confirmed", [])


def test_money_for_nothing_of_ours_is_found_and_sent_back_once(provider, sold, boss):
    intent_id = pay_somewhere_else(provider)
    services.settle_intent(intent=services.comparing.ask(intent_id))

    comparison = look()

    assert lines(comparison) == [("unknown_here", "unknown", "€42.00")]
    line = comparison.differences.get()
    done = [services.fix_difference(difference_id=line.pk, actor_id=boss.pk, reason="Not ours") for _ in range(2)]
    assert done == ["€42.00 sent back."] * 2
    made = provider.call("GET", "/v1/refunds", payment_intent=intent_id).json()["data"]
    assert [refund["amount"] for refund in made] == [4200]
    assert (lines(look()), Attention.objects.filter(resolved_at=None).count()) == ([], 0)


def test_unpaid_intent_of_somebody_else_is_nothing_to_us(provider, sold):
    provider.call("POST", "/v1/payment_intents", amount=4200, currency="eur")

    assert lines(look()) == []


def test_payment_that_only_our_books_have_is_put_before_a_person(provider, sold, books, boss):
    books.broken_on_purpose = True
    break_books("UPDATE payments_payment SET intent_id = 'pi_never_was'")

    comparison = look()

    assert lines(comparison) == [("unknown_here", "unknown", "€98.00"), ("not_paid_there", "€98.00", "unknown")]
    fix(comparison, boss, kind="not_paid_there")
    assert Attention.objects.get(kind="not_paid").payment == Payment.objects.get()


def test_another_amount_is_written_as_it_was_received(provider, sold, boss):
    break_books("UPDATE payments_payment SET received_minor = 9900")

    comparison = look()

    assert lines(comparison) == [("amount", "€99.00", "€98.00")]
    assert fix(comparison, boss) == "Our figure is what was received, and pays for the booking."
    assert (Payment.objects.get().received_minor, lines(look())) == (9800, [])


def test_amount_that_does_not_pay_for_the_booking_waits_for_a_person(provider, sold, books, boss):
    books.broken_on_purpose = True
    break_books("UPDATE payments_payment SET received_minor = 9900")
    break_books("UPDATE bookings_booking SET amount_minor = 9900")

    fix(look(), boss)

    assert (Payment.objects.get().use, Attention.objects.get().kind) == ("review", "wrong_amount")


def test_other_currency_is_told_and_never_touched(provider, sold, books, boss):
    books.broken_on_purpose = True
    break_books("UPDATE payments_payment SET currency = 'USD'")

    comparison = look()

    assert lines(comparison) == [("currency", "$98.00", "€98.00")]
    with pytest.raises(NothingDiffers):
        fix(comparison, boss)


def test_intent_that_was_closed_there_is_closed_here(provider, shop, boss):
    view = shop.intent(shop.hold())
    provider.call("POST", f"/v1/payment_intents/{view.payment_intent_id}/cancel")

    comparison = look()

    assert lines(comparison) == [("closed_there", "created", "canceled")]
    fix(comparison, boss)
    assert (Payment.objects.get().status, lines(look())) == ("cancelled", [])


def test_refund_of_the_dashboard_is_found_and_written_down(provider, sold, boss):
    provider.call("POST", "/v1/refunds", payment_intent=Payment.objects.get().intent_id, amount=500)

    comparison = look()

    assert lines(comparison) == [("refund_unknown", "unknown", "€5.00, succeeded")]
    fix(comparison, boss)
    assert (Refund.objects.get().reason, Payment.objects.get().refunded_minor, lines(look())) == ("provider", 500, [])


def test_refund_that_never_reached_the_provider_is_sent_again(provider, sold, boss):
    payment = Payment.objects.get()
    services.request_refund(payment=payment, amount_minor=500, reason="staff", cause="x")
    break_books("UPDATE payments_refund SET status = 'succeeded', stripe_id = 're_never_was', finished_at = now()")

    comparison = look()

    assert lines(comparison) == [("refund_missing", "€5.00, succeeded", "unknown")]
    assert fix(comparison, boss) == "Sent again."
    services.deliver_due_refunds()
    assert sorted(Refund.objects.values_list("status", flat=True)) == ["failed", "succeeded"]
    assert lines(look()) == []


def test_refund_of_another_amount_is_written_as_it_went(provider, sold, boss):
    services.request_refund(payment=Payment.objects.get(), amount_minor=500, reason="staff", cause="x")
    services.deliver_due_refunds()
    Refund.objects.update(amount_minor=700)

    comparison = look()

    assert lines(comparison) == [("refund_amount", "€7.00, succeeded", "€5.00, succeeded")]
    fix(comparison, boss)
    assert (Payment.objects.get().refunded_minor, lines(look())) == (500, [])


def test_refund_that_the_bank_decided_about_since_follows(provider, sold, boss):
    provider.control(refund_outcome="pending")
    services.request_refund(payment=Payment.objects.get(), amount_minor=500, reason="staff", cause="x")
    services.deliver_due_refunds()
    provider.call("POST", f"/sandbox/refunds/{Refund.objects.get().stripe_id}", status="succeeded")

    comparison = look()

    assert lines(comparison) == [("refund_status", "€5.00, sent", "€5.00, succeeded")]
    fix(comparison, boss)
    assert (Refund.objects.get().status, lines(look())) == ("succeeded", [])


def test_line_that_is_left_needs_a_reason_and_is_remembered(provider, sold, boss):
    pay_somewhere_else(provider)
    line = look().differences.get()

    with pytest.raises(ReasonRequired):
        services.leave_difference(difference_id=line.pk, actor_id=boss.pk, reason=" ")
    services.leave_difference(difference_id=line.pk, actor_id=boss.pk, reason="The bar's")

    again = look().differences.get()
    assert (again.answer, again.answered_at is None) == ("Left as it is: The bar's", False)
    assert StaffAction.objects.get().action == "leave_difference"


def test_more_than_a_page_is_read_to_its_end(provider, sold):
    for _ in range(104):
        provider.call("POST", "/v1/payment_intents", amount=100, currency="eur")

    assert look().intents == 105


def test_only_the_period_is_compared(provider, sold):
    pay_somewhere_else(provider)
    earlier = timezone.now() - timedelta(days=10)

    comparison = look(since=earlier - timedelta(days=1), until=earlier)

    assert (lines(comparison), comparison.intents, comparison.payments) == ([], 0, 0)


def test_payment_begun_before_the_period_is_not_missed_at_the_provider(provider, sold):
    Payment.objects.update(created_at=timezone.now() - timedelta(days=5))

    around = Payment.objects.get().created_at
    assert lines(look(since=around - timedelta(hours=1), until=around + timedelta(hours=1))) == []


def test_period_must_be_one(books):
    now = timezone.now()
    for since in (now, now - timedelta(days=94)):
        with pytest.raises(PeriodTooLong):
            services.begin_comparison(since=since, until=now, staff_id=None)


def test_worker_compares_what_staff_asked_for(provider, sold, boss):
    now = timezone.now()
    comparison = services.begin_comparison(since=now - timedelta(days=1), until=now, staff_id=boss.pk)

    outbox.deliver_due()

    comparison.refresh_from_db()
    assert comparison.status == "done"


def test_provider_away_is_told_and_tried_again(provider, sold):
    fault = {"path": "/v1/payment_intents", "method": "GET", "kind": "fail_before", "times": 2}
    provider.control(faults=[fault])
    now = timezone.now()
    comparison = services.begin_comparison(since=now - timedelta(days=1), until=now, staff_id=None, by_worker=False)

    with pytest.raises(services.comparing.FairseatError):
        services.compare(comparison_id=comparison.pk)
    failed = Comparison.objects.get().status
    services.compare(comparison_id=comparison.pk)

    assert (failed, Comparison.objects.get().status) == ("failed", "done")


def test_every_kind_says_what_to_do():
    assert set(ADVICE) == set(Difference.Kind)
    assert set(Difference.Kind) - set(FIXABLE) == {Difference.Kind.CURRENCY}


def run(*arguments):
    """Run the command; return its exit code and what it wrote."""
    out, err = StringIO(), StringIO()
    try:
        call_command("reconcile_stripe", *arguments, stdout=out, stderr=err)
    except CommandError as error:
        return error.returncode, out.getvalue(), f"{err.getvalue()}{error}"
    return 0, out.getvalue(), err.getvalue()


def test_command_puts_right_compares_and_ends_with_0(provider, shop):
    hold = shop.hold()
    provider.pay(shop.intent(hold))

    code, out, _ = run()

    assert (code, shop.status(hold)) == (0, "confirmed")
    assert "1 compared, 1 put right" in out
    assert "1 payments and 0 refunds at the provider" in out


def test_command_ends_with_1_when_something_differs_and_says_what_to_do(provider, sold):
    pay_somewhere_else(provider)

    code, out, err = run("--dry-run")

    assert (code, "1 lines differ" in err) == (1, True)
    assert "paid at the provider, unknown here" in out
    assert "Send it back" in out


def test_command_ends_with_2_when_the_provider_is_away(provider, sold):
    provider.control(faults=[{"path": "/v1/", "method": "GET", "kind": "fail_before", "times": 9}])

    assert run("--dry-run")[0] == 2


def test_command_fixes_in_somebodys_name_and_leaves_what_a_person_must_decide(provider, sold, boss):
    provider.call("POST", "/v1/refunds", payment_intent=Payment.objects.get().intent_id, amount=500)
    pay_somewhere_else(provider)

    nobody = run("--fix")
    code, out, _ = run("--dry-run", "--fix", "--as", boss.email, "--reason", "Books of November", "--json")

    assert (nobody[0], "--as" in nobody[2]) == (1, True)
    assert (code, [line["kind"] for line in json.loads(out)["differences"]]) == (1, ["unknown_here"])
    assert StaffAction.objects.get().reason == "Books of November"


@pytest.mark.parametrize("arguments", [("--from", "nonsense"), ("--from", "2026-13-40"), ("--days", "400")])
def test_command_wants_a_period(provider, sold, arguments):
    assert run(*arguments)[0] == 1


def test_command_takes_days(provider, sold):
    today = f"{timezone.now():%Y-%m-%d}"

    assert run("--from", today, "--to", today)[0] == 0
