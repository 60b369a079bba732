"""The payment pages against the running sandbox, without a browser."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.conf import settings
from django.test import Client, override_settings

from accounts.models import User
from bookings.models import Booking, Ticket
from bookings.services import give_up_hold
from events.models import Event, SeatInventory
from payments.models import Payment, Refund
from tests.pages.scenes import buy, category, hold, lapse

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("live_site")]
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def shop_client(client_for: Callable) -> Callable[[User], Client]:
    """A browser-like client that uses the site's own name, to which the sandbox sends people back."""

    def shop_client(person: User) -> Client:
        client = client_for(person)
        client.defaults["HTTP_HOST"] = urlsplit(settings.SITE_URL).netloc
        return client

    return shop_client


def pay_with(number: str, page: str) -> requests.Response:
    """Fill the sandbox's own card form, as a browser without JavaScript does."""
    return requests.post(
        page, data={"number": number, "expiry": "12 / 34", "cvc": "123"}, allow_redirects=False, timeout=60
    )


def test_the_page_offers_the_way_without_javascript_and_says_what_it_costs(
    shop_client, ana: User, concert: Event
) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)

    html = client.get(f"/bookings/{booking.pk}/pay").content.decode()
    answer = client.post(f"/bookings/{booking.pk}/pay/checkout")

    assert "<title>Step 2 of 3, pay: Night Swim – Fairseat</title>" in html
    assert "Pay €98.00" in html
    assert "Test mode: use a test card." in html
    target = urlsplit(answer["Location"])
    assert f"{target.scheme}://{target.netloc}" == settings.SANDBOX_URL
    assert target.path == f"/pay/{Payment.objects.get().intent_id}"
    assert urlsplit(parse_qs(target.query)["return_url"][0]).path == f"/bookings/{booking.pk}/pay/return"


def test_opening_the_page_again_asks_for_the_money_once(shop_client, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)

    for _ in range(3):
        assert client.get(f"/bookings/{booking.pk}/pay").status_code == 200

    assert Payment.objects.count() == 1


def paid(client: Client, booking: Booking, number: str) -> None:
    page = client.post(f"/bookings/{booking.pk}/pay/checkout")["Location"]
    assert pay_with(number, page).status_code in {303, 402}


def test_coming_back_paid_leads_to_the_tickets(shop_client, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)
    paid(client, booking, "4242424242424242")

    for _ in range(2):
        assert client.get(f"/bookings/{booking.pk}/pay/return")["Location"] == f"/bookings/{booking.pk}/done"

    assert Ticket.objects.filter(booking=booking).count() == 2
    assert client.get(f"/bookings/{booking.pk}/pay")["Location"] == f"/bookings/{booking.pk}/done"


def test_coming_back_declined_says_so_and_keeps_the_tickets(shop_client, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)
    paid(client, booking, "4000000000000002")

    answer = client.get(f"/bookings/{booking.pk}/pay/return", follow=True)

    html = answer.content.decode()
    assert answer.redirect_chain == [(f"/bookings/{booking.pk}/pay?problem=declined", 302)]
    assert "<title>Error: Your card was declined – Step 2 of 3, pay: Night Swim" in html
    assert "Nothing was charged and your tickets are still held." in html
    booking.refresh_from_db()
    assert booking.status == "pending"


def test_coming_back_without_paying_leads_to_the_page_again(shop_client, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)
    client.get(f"/bookings/{booking.pk}/pay")

    assert client.get(f"/bookings/{booking.pk}/pay/return")["Location"] == f"/bookings/{booking.pk}/pay"


def test_while_the_bank_checks_the_page_looks_again_by_itself(shop_client, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)
    paid(client, booking, "4000000000007007")

    answer = client.get(f"/bookings/{booking.pk}/pay/return")

    html = answer.content.decode()
    assert answer.status_code == 200
    assert "Your bank is still checking" in html
    assert '<noscript><meta http-equiv="refresh"' in html
    assert client.get(f"/bookings/{booking.pk}/pay")["Location"] == f"/bookings/{booking.pk}/pay/return"


def test_money_for_seats_that_are_gone_goes_back_in_words(shop_client, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)
    page = client.post(f"/bookings/{booking.pk}/pay/checkout")["Location"]
    lapse(booking)
    Booking.objects.filter(pk=booking.pk).update(status="expired", end_reason="lapsed")
    SeatInventory.objects.filter(category=category(concert)).update(waiting=1)
    assert pay_with("4242424242424242", page).status_code == 303

    answer = client.get(f"/bookings/{booking.pk}/pay/return", follow=True)

    assert "on its way back" in answer.content.decode()
    assert Refund.objects.get().amount_minor == 9800


def test_a_payment_service_that_is_away_leaves_the_tickets_held(shop_client, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)

    with override_settings(STRIPE_API_BASE=NOWHERE):
        opened = client.get(f"/bookings/{booking.pk}/pay")
        sent = client.post(f"/bookings/{booking.pk}/pay/checkout")

    for answer in (opened, sent):
        html = answer.content.decode()
        assert answer.status_code == 503
        assert "<title>Error: The payment service does not answer" in html
        assert "held until" in html
        assert ">Try again<" in html
    assert client.get(f"/bookings/{booking.pk}/pay").status_code == 200


def test_a_paid_booking_is_never_asked_for_money_again(shop_client, ana: User, concert: Event) -> None:
    booking = buy(ana, concert)
    client = shop_client(ana)

    assert client.get(f"/bookings/{booking.pk}/pay")["Location"] == f"/bookings/{booking.pk}/done"
    assert client.post(f"/bookings/{booking.pk}/pay/checkout")["Location"] == f"/bookings/{booking.pk}/done"
    assert Payment.objects.count() == 0


def test_tickets_that_were_given_up_can_not_be_paid(shop_client, ana: User, concert: Event) -> None:
    booking = hold(ana, concert)
    give_up_hold(booking_id=booking.pk)
    client = shop_client(ana)

    assert client.get(f"/bookings/{booking.pk}/pay")["Location"] == f"/bookings/{booking.pk}"
    assert client.post(f"/bookings/{booking.pk}/pay/checkout")["Location"] == f"/bookings/{booking.pk}"


def test_with_stripe_the_card_field_is_stripes_and_the_plain_way_its_checkout(
    shop_client, ana: User, concert: Event
) -> None:
    booking = hold(ana, concert)
    client = shop_client(ana)

    with override_settings(PAYMENTS_SANDBOX=False):
        html = client.get(f"/bookings/{booking.pk}/pay").content.decode()
        answer = client.post(f"/bookings/{booking.pk}/pay/checkout")

    assert "js/stripe-pay" in html
    assert "js/test-pay" not in html
    assert 'id="number"' not in html
    assert "at Stripe" in html
    assert urlsplit(answer["Location"]).path.startswith("/pay/cs_")
    assert pay_with("4242424242424242", answer["Location"]).status_code == 303
    assert client.get(f"/bookings/{booking.pk}/pay/return")["Location"] == f"/bookings/{booking.pk}/done"
