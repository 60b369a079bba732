"""The refund screen and the reconcile screen, as each role of staff uses them."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import StaffAction
from events.models import Event
from payments import services
from payments.models import Comparison, Payment, Refund
from tests.factories import OrganiserFactory, StaffFactory
from tests.payments.test_returns import come_in, sell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sold(provider, shop):
    """Three tickets of 49.00, paid."""
    return sell(provider, shop, 3)


@pytest.fixture
def organiser(shop):
    """The event's organiser, whom staff let into the admin."""
    person = OrganiserFactory(is_staff=True, role="organiser")
    Event.objects.filter(pk=shop.category.event_id).update(created_by=person)
    return person


def screen(booking):
    return f"/admin/payments/payment/refund/{booking.pk}/"


def ids(booking, *numbers):
    return [str(pk) for pk in booking.tickets.filter(number__in=numbers).values_list("pk", flat=True)]


def press(client, booking, *, confirmed="", **sent):
    """Send the form; look at it first to have a token as the page gives it."""
    sent = {"reason": "Fell ill", "confirmed": confirmed} | sent
    return client.post(screen(booking), {name: value for name, value in sent.items() if value != ""})


def token_of(page):
    return re.search(r'name="token" value="([^"]+)"', page.content.decode()).group(1)


def test_page_says_what_was_paid_and_offers_each_ticket(client_for, sold):
    page = client_for(StaffFactory()).get(screen(sold)).content.decode()

    assert ("€147.00" in page, page.count('name="tickets"'), "Each cost €49.00" in page) == (True, 3, True)


def test_first_press_says_what_would_happen_and_does_nothing(client_for, sold):
    page = press(client_for(StaffFactory()), sold, tickets=ids(sold, 2)).content.decode()

    assert "€49.00 goes back to the card that paid" in page
    assert "Ticket 2: void at once" in page
    assert "The booking goes on with 2 tickets." in page
    assert (Refund.objects.count(), StaffAction.objects.count()) == (0, 0)


def test_second_press_does_it_once_however_often(client_for, sold):
    client = client_for(StaffFactory())
    token = token_of(press(client, sold, tickets=ids(sold, 2)))

    pages = [press(client, sold, tickets=ids(sold, 2), confirmed="1", token=token) for _ in range(3)]

    assert [(page.status_code, page.headers.get("Location")) for page in pages[:1]] == [(302, f"{screen(sold)}?done=1")]
    assert (Refund.objects.count(), StaffAction.objects.count()) == (1, 1)


def test_outcome_is_shown_and_looked_at_again_until_it_is_known(client_for, sold, provider):
    client = client_for(StaffFactory())
    press(client, sold, tickets=ids(sold, 2), confirmed="1", token="t")
    waiting = client.get(f"{screen(sold)}?done=1")
    services.deliver_due_refunds()
    done = client.get(f"{screen(sold)}?done=1")

    assert ("on its way" in waiting.content.decode(), waiting.headers["Refresh"]) == (True, "3")
    assert ("arrived" in done.content.decode(), "Refresh" in done.headers) == (True, False)


def test_refund_that_came_back_is_listed_and_sent_again_with_a_reason(client_for, sold, provider):
    client = client_for(StaffFactory())
    provider.control(refund_outcome="failed")
    press(client, sold, tickets=ids(sold, 2), confirmed="1", token="t")
    services.deliver_due_refunds()
    provider.control(refund_outcome="succeeded")
    key = Refund.objects.get().key

    found = client.get("/admin/payments/payment/refund/").content.decode()
    client.post(screen(sold), {"again": key, "reason": " "})
    nothing = Refund.objects.count()
    client.post(screen(sold), {"again": key, "reason": "New card"})
    services.deliver_due_refunds()

    assert (sold.reference in found, nothing) == (True, 1)
    assert sorted(Refund.objects.values_list("status", flat=True)) == ["failed", "succeeded"]
    assert "sent again" in client.get(screen(sold)).content.decode()


def test_box_office_refunds_what_tickets_cost_and_nothing_else(client_for, sold):
    client = client_for(StaffFactory(role="box_office"))

    page = client.get(screen(sold)).content.decode()
    other = press(client, sold, tickets=ids(sold, 1), amount="10", confirmed="1", token="a")
    gesture = press(client, sold, amount="10", confirmed="1", token="b")
    usual = press(client, sold, tickets=ids(sold, 1), confirmed="1", token="c")

    assert ('name="amount"' in page, other.status_code, gesture.status_code) == (False, 400, 400)
    assert (usual.status_code, Refund.objects.get().amount_minor) == (302, 4900)


def test_who_came_in_is_an_override_of_a_manager(client_for, sold, shop):
    starts = timezone.now() + timedelta(hours=1)
    Event.objects.filter(pk=shop.category.event_id).update(starts_at=starts, ends_at=starts + timedelta(hours=3))
    come_in(sold.tickets.get(number=1), StaffFactory(role="gate"))
    wish = {"tickets": ids(sold, 1), "confirmed": "1"}

    desk = press(client_for(StaffFactory(role="box_office")), sold, **wish, used_too="on", token="a")
    boss = client_for(StaffFactory())
    unmarked = press(boss, sold, **wish, token="b")
    marked = press(boss, sold, **wish, used_too="on", token="c")

    assert [page.status_code for page in (desk, unmarked, marked)] == [400, 400, 302]
    assert "Somebody came in" in unmarked.content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"tickets": ["abc"]},
        {"tickets": ["00000000-0000-0000-0000-000000000000"]},
        {"amount": "nonsense"},
        {"amount": "-1"},
        {"amount": "1.005"},
        {"amount": "9" * 40},
        {"amount": "NaN"},
        {"amount": "500"},
        {"amount": "5", "reason": ""},
        {"amount": "5", "reason": "a\x00b"},
    ],
)
@pytest.mark.parametrize("confirmed", ["", "1"])
def test_what_can_not_be_is_said_on_the_page(client_for, sold, wrong, confirmed):
    client = client_for(StaffFactory())

    page = client.post(screen(sold), {"reason": "x", "token": "t"} | ({"confirmed": "1"} if confirmed else {}) | wrong)

    assert (page.status_code, b'role="alert"' in page.content, Refund.objects.count()) == (400, True, 0)


def test_retry_reaches_no_refund_of_another_booking(client_for, provider, shop, sold):
    other = sell(provider, shop, 1)
    services.request_refund(payment=Payment.objects.get(booking=other), amount_minor=1, reason="staff", cause="x")

    page = client_for(StaffFactory()).post(screen(sold), {"again": Refund.objects.get().key, "reason": "x"})

    assert page.status_code == 404


def test_organiser_refunds_bookings_of_their_own_event_and_sees_no_other(client_for, provider, shop, sold, organiser):
    own = client_for(organiser)
    stranger = client_for(OrganiserFactory(is_staff=True, role="organiser"))
    done = press(own, sold, tickets=ids(sold, 1), confirmed="1", token="a")

    assert (done.status_code, Refund.objects.get().amount_minor) == (302, 4900)
    assert stranger.get(screen(sold)).status_code == 404
    assert press(stranger, sold, tickets=ids(sold, 2), confirmed="1", token="b").status_code == 404
    found = [client.get("/admin/payments/payment/refund/", {"reference": sold.reference}) for client in (own, stranger)]
    assert [page.status_code for page in found] == [302, 200]


@pytest.mark.parametrize("role", ["support", "gate"])
def test_other_roles_refund_nothing(client_for, sold, role):
    client = client_for(StaffFactory(role=role))

    assert client.get(screen(sold)).status_code == 404
    assert client.get("/admin/payments/payment/refund/").status_code == 404


@pytest.mark.parametrize("asked", ["K7YA-4XNE", "\x00", "%" * 200, "'"])
def test_reference_that_is_none_is_said(client_for, sold, asked):
    page = client_for(StaffFactory()).get("/admin/payments/payment/refund/", {"reference": asked})

    assert page.status_code == 200


def test_ways_to_the_screen(client_for, sold):
    client = client_for(StaffFactory())
    payment = Payment.objects.get()

    for way in (f"/admin/bookings/booking/{sold.pk}/refund/", f"/admin/payments/payment/{payment.pk}/refund/"):
        assert client.get(way).headers["Location"] == screen(sold)
    for reference in (sold.reference, sold.tickets.get(number=1).code):
        found = client.get("/admin/payments/payment/refund/", {"reference": reference})
        assert found.headers["Location"] == screen(sold)


def test_hold_is_sent_to_be_cancelled(client_for, shop):
    hold = shop.hold()

    assert "Nothing is paid yet." in client_for(StaffFactory()).get(screen(hold)).content.decode()


def test_page_costs_the_same_for_one_ticket_and_for_three(client_for, provider, shop, django_assert_max_num_queries):
    client = client_for(StaffFactory())
    one, three = sell(provider, shop, 1), sell(provider, shop, 3)
    client.get(screen(one))

    with django_assert_max_num_queries(30) as first:
        client.get(screen(one))
    with django_assert_max_num_queries(30) as second:
        client.get(screen(three))

    assert len(first) == len(second)


def today(**changed):
    day = f"{timezone.now():%Y-%m-%d}"
    return {"first": day, "last": day} | changed


def test_staff_compare_a_day_and_put_a_line_right(client_for, provider, sold):
    client = client_for(StaffFactory())
    provider.call("POST", "/v1/refunds", payment_intent=Payment.objects.get().intent_id, amount=500)

    asked = client.post("/admin/payments/comparison/begin/", today())
    comparison = Comparison.objects.get()
    page = asked.headers["Location"]
    waiting = client.get(page)
    services.compare(comparison_id=comparison.pk)
    shown = client.get(page).content.decode()
    line = {"line": comparison.differences.get().pk, "do": "fix"}
    nothing = client.post(f"/admin/payments/comparison/{comparison.pk}/line/", line | {"reason": ""}, follow=True)
    done = client.post(f"/admin/payments/comparison/{comparison.pk}/line/", line | {"reason": "Books"}, follow=True)

    assert (waiting.headers["Refresh"], "This page looks again" in waiting.content.decode()) == ("3", True)
    assert ("Refund at the provider, unknown here" in shown, "Write it down" in shown) == (True, True)
    assert "Write a reason" in nothing.content.decode()
    assert "Our refunds are as the provider has them." in done.content.decode()
    assert (Refund.objects.get().amount_minor, StaffAction.objects.get().action) == (500, "fix_difference")


def test_line_is_left_with_a_reason(client_for, provider, sold):
    client = client_for(StaffFactory())
    made = provider.call("POST", "/v1/payment_intents", amount=4200, currency="eur").json()["id"]
    provider.call("POST", f"/v1/payment_intents/{made}/confirm", payment_method="pm_card_visa")
    now = timezone.now()
    comparison = services.begin_comparison(since=now - timedelta(days=1), until=now, staff_id=None, by_worker=False)
    services.compare(comparison_id=comparison.pk)
    line = {"line": comparison.differences.get().pk, "do": "leave", "reason": "The bar's"}

    page = client.post(f"/admin/payments/comparison/{comparison.pk}/line/", line, follow=True).content.decode()

    assert ("It stays as it is." in page, "Left as it is: The bar" in page) == (True, True)


@pytest.mark.parametrize(
    "wrong", [{"first": "abc"}, {"first": "\x00"}, {"last": ""}, {"first": "2020-01-01"}, {"last": "9999-12-31"}]
)
def test_period_that_is_none_is_said(client_for, sold, wrong):
    page = client_for(StaffFactory()).post("/admin/payments/comparison/begin/", today(**wrong))

    assert (page.status_code, Comparison.objects.count()) == (400, 0)


@pytest.mark.parametrize("line", ["abc", "", "9" * 40, "\x00", "-1"])
def test_line_that_is_none_is_no_page(client_for, sold, line):
    now = timezone.now()
    comparison = services.begin_comparison(since=now - timedelta(days=1), until=now, staff_id=None, by_worker=False)
    address = f"/admin/payments/comparison/{comparison.pk}/line/"

    assert client_for(StaffFactory()).post(address, {"line": line, "do": "fix", "reason": "x"}).status_code == 404


@pytest.mark.parametrize("role", ["box_office", "support", "gate", "organiser"])
def test_other_roles_compare_nothing(client_for, sold, role):
    client = client_for(StaffFactory(role=role))

    assert client.get("/admin/payments/comparison/begin/").status_code == 404
    assert client.post("/admin/payments/comparison/begin/", today()).status_code == 404
