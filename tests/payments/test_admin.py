"""The staff's view of money: facts to read, questions to answer, actions with a reason."""

import pytest

from accounts.models import StaffAction
from payments import services
from payments.models import Attention, Payment, Refund, StripeEvent
from tests.factories import StaffFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def staff(client_for):
    return client_for(StaffFactory())


def listing(model: type) -> str:
    """Return the address of a model's list."""
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def act(client, row, action: str, **fields: str):
    """Use one action on one row."""
    return client.post(
        f"{listing(type(row))}{row.pk}/{action}/", {"_form_submitted": "on"} | fields, follow=True
    ).content.decode()


@pytest.fixture
def under_review(provider, shop):
    """A payment of another amount than asked for."""
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    provider.call("POST", f"/v1/payment_intents/{view.payment_intent_id}", amount=100)
    provider.pay(view)
    services.reconcile_due()
    return Payment.objects.get()


@pytest.mark.parametrize("model", [Payment, Refund, Attention, StripeEvent], ids=lambda model: model.__name__)
def test_rows_are_listed_and_shown_but_never_edited(staff, under_review, model):
    services.return_payment(payment_id=under_review.pk, by="staff")
    StripeEvent.objects.create(stripe_id="evt_1", type="x")
    row = model.objects.first()

    assert staff.get(listing(model)).status_code == 200
    page = staff.get(f"{listing(model)}{row.pk}/change/")
    assert (page.status_code, b'name="_save"' in page.content) == (200, False)
    assert staff.get(f"{listing(model)}add/").status_code == 403
    assert staff.post(f"{listing(model)}{row.pk}/change/", {}).status_code == 403
    assert staff.post(f"{listing(model)}{row.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", [Payment, Refund, Attention], ids=lambda model: model.__name__)
def test_lists_need_the_same_statements_for_one_row_and_for_many(
    provider, shop, staff, model, django_assert_max_num_queries
):
    def trouble():
        hold = shop.hold(quantity=1)
        view = shop.intent(hold)
        provider.call("POST", f"/v1/payment_intents/{view.payment_intent_id}", amount=100)
        provider.pay(view)
        Payment.objects.update(next_check_at="2020-01-01T00:00Z")
        services.reconcile_due()
        services.return_payment(payment_id=Payment.objects.get(booking=hold).pk, by="staff")

    trouble()
    staff.get(listing(model))
    with django_assert_max_num_queries(20) as first:
        staff.get(listing(model))
    trouble()
    trouble()
    with django_assert_max_num_queries(20) as second:
        staff.get(listing(model))

    assert len(second) == len(first)


def test_staff_send_money_under_review_back_with_a_reason(provider, staff, under_review):
    nothing = act(staff, under_review, "send-back", reason="")
    still = Refund.objects.count()
    page = act(staff, under_review, "send-back", reason="Paid the old price")
    services.deliver_due_refunds()

    [kept] = StaffAction.objects.all()
    assert (still, "On its way." in nothing, "On its way." in page) == (0, False, True)
    assert (kept.action, kept.reason, kept.after) == (
        "return_payment",
        "Paid the old price",
        {"use": "return", "refund_minor": 100, "currency": "EUR"},
    )
    assert Refund.objects.get().status == "succeeded"


def test_question_about_money_that_waits_can_not_be_waved_away(staff, under_review):
    page = act(staff, Attention.objects.get(), "answer", reason="Never mind")

    assert "This money still waits." in page
    assert (Attention.objects.get().resolved_at, StaffAction.objects.count()) == (None, 0)


def test_question_that_needs_no_money_is_answered(staff, books):
    question = Attention.objects.create(kind="unknown_intent", intent_id="pi_other")

    act(staff, question, "answer", reason="Belongs to the bar")

    question.refresh_from_db()
    assert (question.resolution, StaffAction.objects.get().action) == ("Belongs to the bar", "resolve_attention")


def test_staff_try_a_failed_refund_again(provider, staff, under_review):
    provider.control(refund_outcome="failed")
    services.return_payment(payment_id=under_review.pk, by="staff")
    services.deliver_due_refunds()
    provider.control(refund_outcome="succeeded")

    page = act(staff, Refund.objects.get(), "retry", reason="New account")
    services.deliver_due_refunds()

    assert "It is tried again." in page
    assert sorted(Refund.objects.values_list("status", flat=True)) == ["failed", "succeeded"]
    assert Attention.objects.filter(resolved_at=None).count() == 0


def test_staff_compare_with_the_provider(provider, shop, staff):
    hold = shop.hold()
    provider.pay(shop.intent(hold))

    page = act(staff, Payment.objects.get(), "compare")

    assert ("Compared." in page, shop.status(hold)) == (True, "confirmed")


def test_provider_away_is_a_message(shop, staff, provider):
    hold = shop.hold()
    shop.intent(hold)
    provider.control(faults=[{"path": "/v1/payment_intents", "method": "GET", "kind": "fail_before", "times": 2}])

    assert "The payment service does not answer." in act(staff, Payment.objects.get(), "compare")


def test_nobody_but_staff_enters(client_for, user_factory, under_review):
    answer = client_for(user_factory()).post(
        f"{listing(Payment)}{under_review.pk}/send-back/", {"_form_submitted": "on", "reason": "x"}
    )

    assert (answer.status_code, Refund.objects.count()) == (404, 0)
