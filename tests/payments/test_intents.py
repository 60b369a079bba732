"""Opening a payment: one intent per hold, whoever asks how often."""

import pytest
from django.conf import settings

from bookings import services as bookings
from bookings.models import Booking
from bookings.refusals import HoldExpired
from common.errors import NotFound
from events.models import Event
from payments import services
from payments.gateway import Gateway, ProviderUnavailable, gateway
from payments.models import Payment
from payments.refusals import AlreadyPaid, NothingToPay, PaymentUnderReview
from tests.factories import TicketCategoryFactory, UserFactory
from tests.races import race, results

pytestmark = pytest.mark.django_db(transaction=True)


def test_intent_asks_for_what_the_booking_costs(provider, shop):
    hold = shop.hold(quantity=2)

    view = shop.intent(hold)

    asked = provider.call("GET", f"/v1/payment_intents/{view.payment_intent_id}").json()
    assert (view.amount_minor, view.currency, view.status) == (9800, "EUR", "requires_payment_method")
    assert (asked["amount"], asked["currency"], asked["payment_method_types"]) == (9800, "eur", ["card"])
    assert asked["metadata"]["booking"] == str(hold.pk)
    assert asked["metadata"]["title"] == f"2 × {shop.category.name}, {shop.category.event.name}"


def test_asking_again_returns_the_same_intent(provider, shop):
    hold = shop.hold()

    assert shop.intent(hold) == shop.intent(hold)
    assert Payment.objects.count() == 1


def test_ten_windows_get_one_intent(provider, shop):
    hold = shop.hold()

    views = results(race([lambda: shop.intent(hold)] * 10))

    assert {view.payment_intent_id for view in views} == {Payment.objects.get().intent_id}
    assert len(views) == 10
    assert len(provider.call("GET", "/v1/payment_intents").json()["data"]) == 1


def test_strangers_hold_is_not_found(provider, shop):
    hold = shop.hold()

    with pytest.raises(NotFound):
        services.create_intent(booking_id=hold.pk, user_id=UserFactory().pk)


def test_free_and_at_door_bookings_never_touch_the_provider(provider, shop):
    free = TicketCategoryFactory(price_minor=0)
    door = TicketCategoryFactory(event__payment_collection=Event.Collection.AT_DOOR)
    for category in (free, door):
        booking = bookings.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=1)
        with pytest.raises(NothingToPay):
            shop.intent(booking)

    assert provider.events() == []


def test_lapsed_hold_gets_no_intent(provider, shop):
    hold = shop.hold()
    shop.lapse(hold)

    with pytest.raises(HoldExpired):
        shop.intent(hold)
    assert provider.events() == []


def test_paid_booking_gets_no_second_intent(provider, shop):
    hold = shop.hold()
    provider.pay(shop.intent(hold))

    with pytest.raises(AlreadyPaid):
        shop.intent(hold)
    assert shop.status(hold) == "confirmed"
    with pytest.raises(AlreadyPaid):
        shop.intent(hold)


def test_hold_about_to_end_is_extended(provider, shop, set_time_left):
    hold = shop.hold()
    set_time_left(hold, settings.PAYMENT_MARGIN_SECONDS - 5)

    shop.intent(hold)

    assert Booking.objects.get(pk=hold.pk).extensions == 1


def test_hold_about_to_end_that_can_not_be_extended_is_refused(provider, shop, set_time_left):
    Event.objects.update(allow_hold_extension=False)
    hold = shop.hold()
    set_time_left(hold, settings.PAYMENT_MARGIN_SECONDS - 5)

    with pytest.raises(HoldExpired, match="too little time"):
        shop.intent(hold)
    assert provider.events() == []


def test_cancelled_intent_is_replaced(provider, shop):
    hold = shop.hold()
    first = shop.intent(hold)
    provider.call("POST", f"/v1/payment_intents/{first.payment_intent_id}/cancel")

    second = shop.intent(hold)

    assert second.payment_intent_id != first.payment_intent_id
    assert list(Payment.objects.order_by("attempt").values_list("attempt", "status")) == [
        (1, "cancelled"),
        (2, "created"),
    ]


def test_intent_for_another_amount_is_closed_and_replaced(provider, shop):
    hold = shop.hold(quantity=2)
    first = shop.intent(hold)
    Booking.objects.filter(pk=hold.pk).update(quantity=1, amount_minor=4900)

    second = shop.intent(hold)

    old = provider.call("GET", f"/v1/payment_intents/{first.payment_intent_id}").json()
    assert (old["status"], second.amount_minor) == ("canceled", 4900)


def test_intent_the_provider_forgot_is_replaced(provider, shop):
    hold = shop.hold()
    first = shop.intent(hold)
    with provider.sandbox.store.transaction():
        provider.sandbox.store.connection.execute("DELETE FROM objects")

    assert shop.intent(hold).payment_intent_id != first.payment_intent_id


def test_provider_that_fails_is_unavailable_and_the_next_try_works(provider, shop):
    hold = shop.hold()
    provider.control(faults=[{"path": "/v1/payment_intents", "kind": "fail_after", "times": 1}])

    with pytest.raises(ProviderUnavailable):
        shop.intent(hold)
    view = shop.intent(hold)

    made = provider.call("GET", "/v1/payment_intents").json()["data"]
    assert len(made) == 2  # the first is lost: its secret never left, so nobody can pay it
    assert Payment.objects.get().intent_id == view.payment_intent_id


def test_lost_answer_is_found_by_the_sdks_own_retry(provider, shop):
    hold = shop.hold()
    provider.control(faults=[{"path": "/v1/payment_intents", "kind": "fail_after", "replays": "answer"}])

    view = shop.intent(hold)

    assert [made["id"] for made in provider.call("GET", "/v1/payment_intents").json()["data"]] == [
        view.payment_intent_id
    ]


def test_no_provider_at_all_is_unavailable(shop):
    with pytest.raises(ProviderUnavailable):
        shop.intent(shop.hold())


def test_wrong_key_is_unavailable_not_a_crash(provider, shop, settings):
    settings.STRIPE_SECRET_KEY = "sk_test_wrong"

    with pytest.raises(ProviderUnavailable):
        shop.intent(shop.hold())


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.get_intent("pi_1"),
        lambda api: api.cancel_intent("pi_1"),
        lambda api: api.create_intent(amount_minor=1, currency="EUR", metadata={}, key="k"),
        lambda api: api.create_refund(intent_id="pi_1", amount_minor=1, metadata={}, key="k"),
    ],
)
def test_provider_is_never_called_inside_a_transaction(call):
    from django.db import transaction

    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        call(gateway())


def test_booking_that_ends_while_the_intent_is_made_keeps_its_secret(provider, shop, monkeypatch):
    hold = shop.hold()
    create = Gateway.create_intent

    def end_meanwhile(self, **asked):
        intent = create(self, **asked)
        shop.expire(hold)
        services.close_payment(payment_id=Payment.objects.get().pk)
        return intent

    monkeypatch.setattr(Gateway, "create_intent", end_meanwhile)

    with pytest.raises(HoldExpired):
        shop.intent(hold)
    assert Payment.objects.get().status == "cancelled"


def test_money_under_review_blocks_a_new_intent(provider, shop):
    hold = shop.hold()
    view = shop.intent(hold)
    provider.call("POST", f"/v1/payment_intents/{view.payment_intent_id}", amount=100)
    provider.pay(view)
    with pytest.raises(PaymentUnderReview):
        services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id)

    with pytest.raises(PaymentUnderReview):
        shop.intent(hold)


def test_hosted_page_is_the_sandboxes_in_test_mode(provider, shop):
    hold = shop.hold()
    back = f"{settings.SITE_URL}/bookings/done"

    url = services.hosted_payment_url(booking_id=hold.pk, user_id=hold.user_id, return_url=back)

    form = provider.http.get(url, timeout=60)
    assert (form.status_code, "Pay €98.00" in form.text) == (200, True)


def test_checkout_is_the_hosted_page_with_real_keys(provider, shop, settings):
    settings.PAYMENTS_SANDBOX = False
    hold = shop.hold()
    back = f"{settings.SITE_URL}/bookings/done"

    url = services.hosted_payment_url(booking_id=hold.pk, user_id=hold.user_id, return_url=back)
    again = services.hosted_payment_url(booking_id=hold.pk, user_id=hold.user_id, return_url=back)
    paid = provider.http.post(
        url, data={"number": "4242424242424242", "expiry": "12/40", "cvc": "123"}, allow_redirects=False, timeout=60
    )

    assert (url == again, paid.status_code) == (True, 303)
    assert services.confirm_by_client(booking_id=hold.pk, user_id=hold.user_id).status == "confirmed"


def test_checkout_closes_with_the_hold(provider, shop, settings):
    settings.PAYMENTS_SANDBOX = False
    hold = shop.hold()
    url = services.hosted_payment_url(booking_id=hold.pk, user_id=hold.user_id, return_url=settings.SITE_URL)
    shop.expire(hold)

    services.close_payment(payment_id=Payment.objects.get().pk)

    assert (Payment.objects.get().status, provider.http.get(url, timeout=60).status_code) == ("cancelled", 410)


def test_the_other_door_closes_the_first(provider, shop, settings):
    hold = shop.hold()
    first = shop.intent(hold)
    settings.PAYMENTS_SANDBOX = False

    services.hosted_payment_url(booking_id=hold.pk, user_id=hold.user_id, return_url=settings.SITE_URL)

    old = provider.call("GET", f"/v1/payment_intents/{first.payment_intent_id}").json()
    assert old["status"] == "canceled"
    assert list(Payment.objects.order_by("attempt").values_list("door", "status")) == [
        ("intent", "cancelled"),
        ("checkout", "created"),
    ]


@pytest.fixture
def set_time_left():
    from datetime import timedelta

    from django.db.models.functions import Now

    def set_time_left(booking, seconds):
        Booking.objects.filter(pk=booking.pk).update(expires_at=Now() + timedelta(seconds=seconds))

    return set_time_left
