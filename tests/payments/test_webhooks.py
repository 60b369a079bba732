"""Announcements of the provider: signed, stored once, and worth only what the provider says when asked."""

import json
import time

import pytest

from bookings import services as bookings
from bookings.models import Ticket
from payments import services
from payments.gateway import ProviderUnavailable
from payments.models import Attention, Payment, Refund, StripeEvent
from payments.refusals import BadEvent, BadSignature
from payments.sandbox.webhooks import signature
from tests.races import errors, race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paid(provider, shop):
    """A hold whose intent is paid, and nobody has told us yet."""
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    assert provider.pay(view).status_code == 200
    return hold, view


def test_webhook_before_the_client_confirms(provider, shop, paid, announce):
    hold, view = paid

    announce(provider.event("payment_intent.succeeded", view.payment_intent_id))

    assert shop.status(hold) == "confirmed"
    assert services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id).tickets.count() == 2


def test_webhook_after_the_client_confirms(provider, shop, paid, announce):
    hold, view = paid
    services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)

    announce(provider.event("payment_intent.succeeded", view.payment_intent_id))

    assert (shop.status(hold), Ticket.objects.count(), StripeEvent.objects.count()) == ("confirmed", 2, 1)


def test_three_copies_at_once_have_one_effect(provider, shop, paid, announce):
    hold, view = paid
    event = provider.event("payment_intent.succeeded", view.payment_intent_id)

    outcomes = race([lambda: announce(event)] * 3)

    assert errors(outcomes) == []
    assert (shop.status(hold), Ticket.objects.count(), StripeEvent.objects.count()) == ("confirmed", 2, 1)


def test_webhooks_and_client_at_once_have_one_effect(provider, shop, paid, announce):
    hold, view = paid
    intent, charge = (
        provider.event(kind, view.payment_intent_id) for kind in ("payment_intent.succeeded", "charge.succeeded")
    )

    def client():
        return services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)

    outcomes = race([lambda: announce(intent), lambda: announce(charge), client, client])

    assert errors(outcomes) == []
    assert (shop.status(hold), Ticket.objects.count(), Payment.objects.get().status) == ("confirmed", 2, "succeeded")


def test_old_news_of_a_failure_does_not_undo_a_success(provider, shop, announce):
    hold = shop.hold()
    view = shop.intent(hold)
    provider.pay(view, "pm_card_chargeDeclined")
    failure = provider.event("payment_intent.payment_failed", view.payment_intent_id)
    provider.pay(view)
    announce(provider.event("payment_intent.succeeded", view.payment_intent_id))

    announce(failure)

    assert (shop.status(hold), Payment.objects.get().status) == ("confirmed", "succeeded")


def test_announced_state_is_not_believed(provider, shop, announce):
    hold = shop.hold()
    view = shop.intent(hold)
    event = provider.event("payment_intent.created", view.payment_intent_id)
    event |= {"id": "evt_lie", "type": "payment_intent.succeeded"}
    event["data"]["object"] |= {"status": "succeeded", "amount_received": 9800}

    announce(event)

    assert (shop.status(hold), Payment.objects.get().status) == ("pending", "created")


def test_money_for_a_dead_hold_by_webhook_goes_back_once(provider, shop, paid, announce):
    hold, view = paid
    shop.expire(hold)
    shop.sell_out()
    for kind in ("payment_intent.succeeded", "charge.succeeded"):
        announce(provider.event(kind, view.payment_intent_id))
    services.deliver_due_refunds()

    assert list(Refund.objects.values_list("status", "amount_minor")) == [("succeeded", 9800)]
    assert len(provider.call("GET", "/v1/refunds", payment_intent=view.payment_intent_id).json()["data"]) == 1


@pytest.mark.parametrize(
    "break_it",
    [
        lambda payload, header: (payload, ""),
        lambda payload, header: (payload, "garbage"),
        lambda payload, header: (payload, "t=abc,v1=00"),
        lambda payload, header: (payload, header[:-1] + ("0" if header[-1] != "0" else "1")),
        lambda payload, header: (payload.replace(b"eur", b"usd"), header),
        lambda payload, header: (payload + b" ", header),
        lambda payload, header: (b"\xff\xfe" + payload, header),
        lambda payload, header: (payload, signature(payload, "whsec_other", at=int(time.time()))),
        lambda payload, header: (payload, signature(payload, "whsec_sandbox", at=int(time.time()) - 301)),
        lambda payload, header: (payload, header.replace("v1=", "v0=")),
    ],
    ids=["none", "garbage", "no time", "wrong", "changed", "longer", "not utf-8", "other secret", "old", "scheme"],
)
def test_bad_signature_stores_nothing(provider, shop, paid, break_it):
    hold, view = paid
    payload = json.dumps(provider.event("payment_intent.succeeded", view.payment_intent_id)).encode()
    payload, header = break_it(payload, signature(payload, "whsec_sandbox", at=int(time.time())))

    with pytest.raises(BadSignature):
        services.handle_webhook(payload=payload, signature=header)
    assert (shop.status(hold), StripeEvent.objects.count()) == ("pending", 0)


@pytest.mark.parametrize("secret", ["whsec_old", "whsec_new"])
def test_both_secrets_of_a_rotation_are_accepted(provider, shop, paid, announce, settings, secret):
    settings.STRIPE_WEBHOOK_SECRETS = ["whsec_new", "whsec_old"]
    hold, view = paid

    announce(provider.event("payment_intent.succeeded", view.payment_intent_id), secret=secret)

    assert shop.status(hold) == "confirmed"


def test_signature_of_almost_five_minutes_ago_is_accepted(provider, shop, paid, announce):
    hold, view = paid

    announce(provider.event("payment_intent.succeeded", view.payment_intent_id), age=290)

    assert shop.status(hold) == "confirmed"


def test_announcement_of_the_other_mode_is_ignored(provider, shop, paid, announce):
    hold, view = paid

    announce(provider.event("payment_intent.succeeded", view.payment_intent_id) | {"livemode": True})

    assert (shop.status(hold), StripeEvent.objects.count()) == ("pending", 0)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"id": 1, "type": "x", "data": {"object": {}}}', b"[" * 100_000, b'{"id": "e"}'],
    ids=["empty", "null", "list", "object", "number", "deep", "half"],
)
def test_signed_nonsense_is_no_event(books, body):
    with pytest.raises(BadEvent):
        services.handle_webhook(payload=body, signature=signature(body, "whsec_sandbox", at=int(time.time())))
    assert StripeEvent.objects.count() == 0


def test_unknown_types_are_taken_and_stored(books, announce):
    announce({"id": "evt_1", "type": "customer.created", "livemode": False, "data": {"object": {"id": "cus_1"}}})

    assert StripeEvent.objects.get().type == "customer.created"


def test_money_of_an_intent_that_is_not_ours_is_put_before_a_person(provider, shop, announce):
    foreign = provider.call("POST", "/v1/payment_intents", amount=700, currency="usd").json()
    provider.pay(services.IntentView(foreign["id"], foreign["client_secret"], 700, "USD", ""))

    for kind in ("payment_intent.created", "payment_intent.succeeded", "charge.succeeded"):
        announce(provider.event(kind, foreign["id"]))

    question = Attention.objects.get()
    assert (question.kind, question.amount_minor, question.currency) == ("unknown_intent", 700, "USD")


def test_intent_that_the_provider_does_not_know_is_put_before_a_person(provider, shop, announce):
    event = {
        "id": "evt_1",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "data": {"object": {"id": "pi_none"}},
    }

    announce(event)

    assert Attention.objects.get().intent_id == "pi_none"


def test_wrong_amount_by_webhook_never_confirms(provider, shop, announce):
    hold = shop.hold(quantity=2)
    view = shop.intent(hold)
    provider.call("POST", f"/v1/payment_intents/{view.payment_intent_id}", amount=1)
    provider.pay(view)

    announce(provider.event("payment_intent.succeeded", view.payment_intent_id))

    assert (shop.status(hold), Attention.objects.get().kind) == ("pending", "wrong_amount")


def test_announcement_that_overtakes_our_own_note_is_adopted(provider, shop, announce):
    hold = shop.hold()
    view = shop.intent(hold)
    Payment.objects.update(intent_id=None)
    provider.pay(view)

    announce(provider.event("payment_intent.succeeded", view.payment_intent_id))

    assert (shop.status(hold), Payment.objects.get().intent_id) == ("confirmed", view.payment_intent_id)


def test_provider_that_does_not_answer_leaves_the_announcement_for_later(provider, shop, paid, announce):
    hold, view = paid
    event = provider.event("payment_intent.succeeded", view.payment_intent_id)
    provider.control(faults=[{"path": "/v1/payment_intents", "method": "GET", "kind": "fail_before", "times": 2}])

    with pytest.raises(ProviderUnavailable):
        announce(event)
    assert StripeEvent.objects.count() == 0
    announce(event)
    assert shop.status(hold) == "confirmed"


def test_refund_made_at_the_provider_ends_the_booking(provider, shop, paid, announce):
    hold, view = paid
    services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)
    provider.call("POST", "/v1/refunds", payment_intent=view.payment_intent_id)

    announce(provider.event("charge.refunded", view.payment_intent_id))

    assert (shop.status(hold), Refund.objects.get().reason, Refund.objects.get().status) == (
        "cancelled",
        "provider",
        "succeeded",
    )
    assert Ticket.objects.exclude(status="void").count() == 0


def test_partial_refund_made_at_the_provider_is_put_before_a_person(provider, shop, paid, announce):
    hold, view = paid
    services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)
    provider.call("POST", "/v1/refunds", payment_intent=view.payment_intent_id, amount=100)

    announce(provider.event("charge.refunded", view.payment_intent_id))
    announce(provider.event("refund.created", view.payment_intent_id))

    assert (shop.status(hold), Refund.objects.get().amount_minor) == ("confirmed", 100)
    assert Attention.objects.get().kind == "refunded_elsewhere"
    bookings.cancel_booking(booking_id=hold.pk, by="buyer")
    assert sum(Refund.objects.values_list("amount_minor", flat=True)) == 9800


def test_dispute_is_put_before_a_person(provider, shop, paid, announce):
    hold, view = paid
    services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)
    dispute = {"id": "dp_1", "object": "dispute", "amount": 9800, "payment_intent": view.payment_intent_id}

    announce(
        {
            "id": "evt_d",
            "type": "charge.dispute.created",
            "livemode": False,
            "data": {"object": dispute | {"reason": "fraudulent"}},
        }
    )

    assert (Attention.objects.get().kind, shop.status(hold)) == ("disputed", "confirmed")


def test_refund_that_comes_back_later_is_put_before_a_person(provider, shop, paid, announce):
    hold, view = paid
    services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)
    bookings.cancel_booking(booking_id=hold.pk, by="buyer")
    services.deliver_due_refunds()
    refund = Refund.objects.get()
    provider.call("POST", f"/sandbox/refunds/{refund.stripe_id}", status="failed")

    announce(provider.event("refund.failed", view.payment_intent_id))

    refund.refresh_from_db()
    hold.refresh_from_db()
    assert (refund.status, Attention.objects.get().kind, hold.refund_status) == ("failed", "refund_failed", "failed")
    services.retry_refund(refund_id=refund.pk, by="staff@demo.test")
    services.deliver_due_refunds()
    hold.refresh_from_db()
    assert (hold.refund_status, Attention.objects.filter(resolved_at=None).count()) == ("succeeded", 0)
