"""The payment doors of the API: what a client that knows only the contract sees."""

import json
import time

import pytest
from django.conf import settings

from payments.models import Payment, StripeEvent
from payments.sandbox.webhooks import signature
from tests.factories import TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

WEBHOOK = "/api/v1/payments/webhook/stripe"


def test_publishable_key_and_where_to_confirm(api):
    status, body = api.get("/api/v1/payments/pub-key")

    assert (status, body["data"]) == (
        200,
        {"publishableKey": settings.STRIPE_PUBLISHABLE_KEY, "apiBase": settings.STRIPE_API_BASE},
    )


def test_client_pays_with_nothing_but_the_contract(provider, shop, api):
    user = UserFactory()
    client = api.as_user(user)
    wish = {"eventId": str(shop.category.event_id), "categoryId": str(shop.category.pk), "quantity": 2}
    booking = client.post("/api/v1/bookings", wish).body["data"]["booking"]
    keys = client.get("/api/v1/payments/pub-key").body["data"]
    early = client.patch(f"/api/v1/bookings/{booking['id']}/confirm")
    intent = client.post("/api/v1/payments/create-intent", {"bookingId": booking["id"]}).body["data"]

    paid = provider.http.post(
        f"{keys['apiBase']}/v1/payment_intents/{intent['paymentIntentId']}/confirm",
        data={"payment_method": "pm_card_visa", "client_secret": intent["clientSecret"]},
        headers={"Authorization": f"Bearer {keys['publishableKey']}"},
        timeout=60,
    )
    status, body = client.patch(f"/api/v1/bookings/{booking['id']}/confirm")

    assert (early.status, early.body["code"]) == (402, "payment_not_completed")
    assert (intent["amountMinor"], intent["currency"]) == (9800, "EUR")
    assert paid.json()["status"] == "succeeded"
    assert (status, body["data"]["status"], len(body["data"]["tickets"])) == (200, "confirmed", 2)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid"),
        ({"bookingId": "x"}, 400, "invalid"),
        ({"bookingId": "00000000-0000-0000-0000-000000000000"}, 404, "not_found"),
        ({"bookingId": "00000000-0000-0000-0000-000000000000", "amount": 1}, 400, "protected_field"),
    ],
)
def test_create_intent_refuses(shop, api, body, status, code):
    answer = api.as_user(UserFactory()).post("/api/v1/payments/create-intent", body)

    assert (answer.status, answer.body["code"]) == (status, code)


def test_payment_needs_its_owner(provider, shop, api):
    hold = shop.hold()
    provider.pay(shop.intent(hold))
    stranger = api.as_user(UserFactory())

    assert api.post("/api/v1/payments/create-intent", {"bookingId": str(hold.pk)}).status == 401
    assert stranger.post("/api/v1/payments/create-intent", {"bookingId": str(hold.pk)}).status == 404
    assert stranger.patch(f"/api/v1/bookings/{hold.pk}/confirm").status == 404
    assert api.patch(f"/api/v1/bookings/{hold.pk}/confirm").status == 401
    assert shop.status(hold) == "pending"


def test_malformed_booking_id_is_named(shop, api):
    answer = api.as_user(UserFactory()).patch("/api/v1/bookings/17/confirm")

    assert (answer.status, answer.body["message"]) == (400, "Invalid booking ID format")


def test_free_booking_has_nothing_to_pay(shop, api):
    free = TicketCategoryFactory(price_minor=0)
    client = api.as_user(UserFactory())
    booking = client.post("/api/v1/bookings", {"categoryId": str(free.pk), "quantity": 1}).body["data"]["booking"]

    answer = client.post("/api/v1/payments/create-intent", {"bookingId": booking["id"]})

    assert (answer.status, answer.body["code"]) == (409, "nothing_to_pay")


def test_lapsed_hold_is_gone(provider, shop, api):
    hold = shop.hold()
    shop.lapse(hold)
    client = api.as_user(hold.user)

    created = client.post("/api/v1/payments/create-intent", {"bookingId": str(hold.pk)})
    confirmed = client.patch(f"/api/v1/bookings/{hold.pk}/confirm")

    assert (created.status, created.body["code"]) == (410, "hold_expired")
    assert (confirmed.status, confirmed.body["code"]) == (410, "hold_expired")


def test_provider_away_is_503_with_retry_after(shop, api):
    hold = shop.hold()
    client = api.as_user(hold.user)

    answer = client.post("/api/v1/payments/create-intent", {"bookingId": str(hold.pk)})

    assert (answer.status, answer.body["code"], client.last.headers["Retry-After"]) == (
        503,
        "payment_provider_unavailable",
        "5",
    )


def test_idempotency_key_gives_the_same_answer_and_refuses_another_body(provider, shop, api):
    hold, other = shop.hold(), shop.hold()
    client = api.as_user(hold.user)
    path = "/api/v1/payments/create-intent"

    first = client.post(path, {"bookingId": str(hold.pk)}, Idempotency_Key="k1")
    again = client.post(path, {"bookingId": str(hold.pk)}, Idempotency_Key="k1")
    replayed = client.last.headers.get("Idempotency-Replayed")
    reused = client.post(path, {"bookingId": str(other.pk)}, Idempotency_Key="k1")

    assert (first, replayed) == (again, "true")
    assert (reused.status, reused.body["code"]) == (422, "idempotency_key_reused")
    assert Payment.objects.count() == 1


def test_webhook_takes_the_raw_body_without_a_login(provider, shop, api):
    hold = shop.hold()
    view = shop.intent(hold)
    provider.pay(view)
    payload = json.dumps(provider.event("payment_intent.succeeded", view.payment_intent_id)).encode()
    header = signature(payload, "whsec_sandbox", at=int(time.time()))

    status, body = api.post(WEBHOOK, payload, Stripe_Signature=header)

    assert (status, body["data"], shop.status(hold)) == (200, {"received": True}, "confirmed")


def test_webhook_refuses_what_is_not_signed(shop, api):
    status, body = api.post(WEBHOOK, {"id": "evt_1", "type": "x", "data": {"object": {}}})

    assert (status, body["code"], StripeEvent.objects.count()) == (400, "bad_signature", 0)


def test_webhook_refuses_more_than_a_megabyte(shop, api):
    status, body = api.post(WEBHOOK, b"x" * 1_048_577, Stripe_Signature="t=1,v1=00")

    assert (status, body["code"]) == (413, "body_too_large")


def test_webhook_is_not_throttled(shop, api, settings):
    settings.THROTTLES = dict.fromkeys(settings.THROTTLES, ((1, 60), (1, 60), True))

    assert [api.post(WEBHOOK, {}).status for _ in range(3)] == [400, 400, 400]


def test_real_webhooks_confirm_while_the_client_is_gone(provider_config, shop, live_server):
    """Sandbox to shop over HTTP: three copies of each announcement, newest first, and one refused at first."""
    from dataclasses import replace

    from tests.payments.peers import Provider, wait_for

    running = Provider(replace(provider_config, webhook_url=live_server.url + WEBHOOK))
    try:
        running.control(webhook_copies=3, webhook_reorder=True)
        hold = shop.hold()
        view = shop.intent(hold)
        running.pay(view)
        wait_for(lambda: shop.status(hold) == "confirmed")
        wait_for(
            lambda: all(
                delivery["state"] == "delivered" for event in running.events() for delivery in event["deliveries"]
            )
        )
        told = [event["type"] for event in running.events()]
    finally:
        running.stop()

    assert shop.status(hold) == "confirmed"
    assert told == ["payment_intent.created", "payment_intent.succeeded", "charge.succeeded"]
    assert StripeEvent.objects.count() == 3
