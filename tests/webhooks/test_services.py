import json
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.models import Notification
from bookings import services as bookings
from common import sealing
from events import services as events
from tests.factories import OrganiserFactory, TicketCategoryFactory, UserFactory
from tests.races import race, results
from webhooks import services, wire
from webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def organiser():
    return OrganiserFactory()


@pytest.fixture
def category(organiser):
    return TicketCategoryFactory(event__created_by=organiser, price_minor=0, capacity=10)


@pytest.fixture
def made(organiser, receiver):
    """An endpoint at the receiver, with its secret."""
    return services.create_endpoint(organiser_id=organiser.pk, url=receiver.url)


def sell(category):
    return bookings.hold_seats(user_id=UserFactory().pk, category_id=category.pk, quantity=2)


def make_due():
    WebhookDelivery.objects.filter(status="waiting").update(due_at=Now())


# -- News from the rows -----------------------------------------------------------------------------------------------


def test_a_sale_and_its_cancellation_are_told_signed(category, made, receiver):
    booking = sell(category)
    bookings.cancel_booking(booking_id=booking.pk, by="staff")

    services.collect()
    assert services.deliver_due() == 2

    assert receiver.kinds() == ["booking.confirmed", "booking.cancelled"]
    headers, body = receiver.heard[0]
    told = Webhook(made.secret).verify(body, headers)
    assert told["data"]["reference"] == booking.reference
    assert told["data"]["quantity"] == 2
    assert told["data"]["eventId"] == str(category.event_id)
    assert headers["content-type"] == "application/json"
    assert WebhookDelivery.objects.filter(status="delivered").count() == 2


def test_signature_of_another_secret_or_body_does_not_hold(category, made, receiver):
    sell(category)
    services.collect()
    services.deliver_due()
    headers, body = receiver.heard[0]

    with pytest.raises(WebhookVerificationError):
        Webhook(services.new_secret()).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(body.replace("booking", "Booking"), headers)


def test_nothing_personal_is_told(category, made, receiver):
    booking = sell(category)
    services.collect()
    services.deliver_due()

    assert booking.user.email not in receiver.heard[0][1]
    assert booking.user.name not in receiver.heard[0][1]


def test_collecting_again_tells_nothing_twice(category, made, receiver):
    sell(category)

    assert [services.collect() for _ in range(3)] == [1, 0, 0]
    services.deliver_due()
    assert services.deliver_due() == 0
    assert len(receiver.heard) == 1


def test_four_collectors_at_once_make_one_message_a_sale(category, made):
    for _ in range(5):
        sell(category)

    outcomes = race([services.collect] * 4)

    assert sorted(results(outcomes)) == [0, 0, 0, 5]
    assert WebhookDelivery.objects.count() == 5


def test_change_that_is_committed_after_a_later_one_was_read_is_not_missed(category, made, receiver):
    """A transaction that began first and commits last: its row has the lower id and the earlier time."""
    booking = sell(category)
    services.collect()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO bookings_bookingtransition (id, booking_id, from_status, to_status, reason, at)"
            " SELECT id - 1000, booking_id, 'confirmed', 'cancelled', '', at - interval '10 seconds'"
            " FROM bookings_bookingtransition WHERE booking_id = %s",
            [booking.pk],
        )
    WebhookEndpoint.objects.update(created_at=Now() - timedelta(hours=1))

    assert services.collect() == 1
    assert set(WebhookMessage.objects.values_list("kind", flat=True)) == {"booking.confirmed", "booking.cancelled"}


def test_cancelled_event_is_told_once(category, made, receiver):
    events.cancel_event(event_id=category.event_id, reason="Storm")

    services.collect()
    services.collect()

    assert list(WebhookMessage.objects.values_list("kind", flat=True)) == ["event.cancelled"]


def test_organiser_is_told_only_of_their_own_events(made):
    sell(TicketCategoryFactory(event__created_by=OrganiserFactory(), price_minor=0))

    services.collect()

    assert not WebhookMessage.objects.exists()


def test_endpoint_gets_the_kinds_it_wants_and_nothing_older_than_itself(organiser, category, receiver):
    choosy = services.create_endpoint(organiser_id=organiser.pk, url=receiver.url, kinds=["booking.cancelled"]).endpoint
    booking = sell(category)
    bookings.cancel_booking(booking_id=booking.pk, by="staff")
    late = services.create_endpoint(organiser_id=organiser.pk, url=receiver.url).endpoint

    services.collect()

    assert [each.message.kind for each in choosy.deliveries.all()] == ["booking.cancelled"]
    assert not late.deliveries.exists()


def test_without_endpoints_collecting_costs_one_statement(category, django_assert_num_queries):
    sell(category)

    with django_assert_num_queries(1):
        assert services.collect() == 0


def test_announced_news_is_told_once_per_cause(organiser, made):
    for _ in range(2):
        services.announce(organiser_id=organiser.pk, kind="ticket.scanned", cause="scan:1", data={"ticketId": "1"})

    assert WebhookDelivery.objects.count() == 1


# -- Deliveries -------------------------------------------------------------------------------------------------------


def test_refusal_is_tried_again_in_minutes_then_in_hours_and_then_given_up(made, receiver):
    receiver.status = 500
    receiver.answer = b"<b>broken</b>"
    services.send_test(endpoint=made.endpoint)
    delivery = WebhookDelivery.objects.get()
    waits = []
    for _ in services.SCHEDULE:
        make_due()
        services.deliver_due()
        delivery.refresh_from_db()
        waits.append(round((delivery.due_at - timezone.now()).total_seconds()))
    make_due()
    services.deliver_due()
    delivery.refresh_from_db()

    assert all(abs(found - meant) <= 2 for found, meant in zip(waits, services.SCHEDULE, strict=True))
    assert (delivery.status, delivery.attempts) == ("failed", len(services.SCHEDULE) + 1)
    assert services.deliver_due() == 0
    log = WebhookAttempt.objects.filter(delivery=delivery)
    assert log.count() == len(services.SCHEDULE) + 1
    assert (log[0].status_code, log[0].said) == (500, "<b>broken</b>")
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1


def test_receiver_that_is_back_gets_everything_and_is_well_again(made, receiver):
    receiver.status = 503
    services.send_test(endpoint=made.endpoint)
    services.deliver_due()
    assert WebhookEndpoint.objects.get().failing_since is not None

    receiver.status = 204
    receiver.answer = b""
    make_due()
    services.deliver_due()

    assert WebhookEndpoint.objects.get().failing_since is None
    assert WebhookDelivery.objects.get().status == "delivered"


def test_failing_receiver_is_asked_once_a_turn(made, receiver):
    receiver.status = 500
    for _ in range(5):
        services.send_test(endpoint=made.endpoint)

    assert services.deliver_due() == 1
    assert len(receiver.heard) == 1


def test_redirect_is_no_way(made, receiver):
    receiver.status = 302
    receiver.headers = {"Location": "http://127.0.0.1:1/elsewhere"}
    services.send_test(endpoint=made.endpoint)

    services.deliver_due()

    assert WebhookAttempt.objects.get().problem == "redirects are not followed"
    assert len(receiver.heard) == 1


def test_receiver_that_hangs_is_cut_off_and_holds_nobody_else_up(organiser, made, receiver, monkeypatch):
    import threading

    monkeypatch.setattr(wire, "TOTAL_SECONDS", 1.0)
    receiver.hold = threading.Event()
    services.send_test(endpoint=made.endpoint)

    services.deliver_due()

    assert WebhookAttempt.objects.get().problem == "no answer within 10 seconds"
    assert WebhookDelivery.objects.get().status == "waiting"


def test_one_process_delivers_at_a_time(made, receiver):
    for _ in range(10):
        services.send_test(endpoint=made.endpoint)

    outcomes = race([services.deliver_due] * 4)

    assert sum(results(outcomes)) == 10
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == len(receiver.heard) == 10


def test_endpoint_that_says_gone_is_switched_off_at_once_and_its_organiser_told(organiser, made, receiver):
    receiver.status = 410
    services.send_test(endpoint=made.endpoint)

    services.deliver_due()

    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.enabled, endpoint.disabled_because) == (False, "it answered 410 Gone")
    assert Notification.objects.get(user=organiser).kind == "webhook_disabled"
    make_due()
    assert services.deliver_due() == 0


def test_endpoint_that_fails_for_days_is_switched_off_once(organiser, made, receiver, settings):
    receiver.status = 500
    services.send_test(endpoint=made.endpoint)
    services.deliver_due()
    assert WebhookEndpoint.objects.get().enabled

    WebhookEndpoint.objects.update(failing_since=Now() - timedelta(days=settings.WEBHOOK_DISABLE_DAYS, minutes=1))
    make_due()
    services.deliver_due()

    assert not WebhookEndpoint.objects.get().enabled
    assert Notification.objects.filter(user=organiser, kind="webhook_disabled").count() == 1


def test_switched_on_again_it_begins_with_a_clean_slate(made, receiver):
    receiver.status = 410
    services.send_test(endpoint=made.endpoint)
    services.deliver_due()
    endpoint = services.change_endpoint(endpoint=made.endpoint, enabled=True)
    receiver.status = 200

    services.resend(delivery=WebhookDelivery.objects.get())
    services.deliver_due()

    assert (endpoint.disabled_because, endpoint.failing_since) == ("", None)
    assert WebhookDelivery.objects.get().status == "delivered"


def test_worker_that_dies_gives_its_delivery_back(made, receiver):
    services.send_test(endpoint=made.endpoint)
    services.claim(made.endpoint.pk)  # and dies
    assert services.deliver_due() == 0

    make_due()
    assert services.deliver_due() == 1


# -- Secrets ----------------------------------------------------------------------------------------------------------


def test_secret_is_kept_sealed(made):
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(e)::text FROM webhooks_webhookendpoint e")
        assert made.secret.removeprefix("whsec_") not in cursor.fetchone()[0]


def test_new_secret_signs_beside_the_old_one_for_a_day(made, receiver):
    newer = services.rotate_secret(endpoint=made.endpoint)
    services.send_test(endpoint=made.endpoint)
    services.deliver_due()
    headers, body = receiver.heard[0]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (made.secret, newer.secret):
        assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"

    WebhookEndpoint.objects.update(old_secret_until=Now() - timedelta(seconds=1))
    services.send_test(endpoint=made.endpoint)
    services.deliver_due()
    headers, body = receiver.heard[1]
    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret).verify(body, headers)
    assert Webhook(newer.secret).verify(body, headers)


def test_key_that_changed_is_told_instead_of_signing_wrongly(made, receiver, settings):
    settings.SECRET_KEY = "another-key-of-fifty-characters-and-more-than-that-12345"
    services.send_test(endpoint=made.endpoint)

    services.deliver_due()

    assert receiver.heard == []
    assert "make a new secret" in WebhookAttempt.objects.get().problem


def test_older_secret_key_still_opens(settings):
    token = sealing.seal("text", purpose="a")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a-new-one"

    assert sealing.unseal(token, purpose="a") == "text"
    with pytest.raises(sealing.Unsealable):
        sealing.unseal(token, purpose="b")


# -- Endpoints --------------------------------------------------------------------------------------------------------


def test_organiser_has_at_most_ten_even_at_once(organiser, receiver):
    def add():
        return services.create_endpoint(organiser_id=organiser.pk, url=receiver.url)

    outcomes = race([add] * 14)

    assert len(results(outcomes)) == WebhookEndpoint.objects.count() == services.MOST_ENDPOINTS


def test_unknown_kind_is_refused_with_those_there_are(organiser, receiver):
    with pytest.raises(services.UnknownKind, match=r"There is no ticket.eaten. There are: booking.confirmed"):
        services.create_endpoint(organiser_id=organiser.pk, url=receiver.url, kinds=["ticket.eaten"])


def test_old_messages_go_with_their_log_and_those_on_their_way_stay(made, receiver, settings, monkeypatch):
    monkeypatch.setattr(services, "FORGOTTEN_AT_ONCE", 1)
    for _ in range(2):
        services.send_test(endpoint=made.endpoint)
        services.deliver_due()
    services.send_test(endpoint=made.endpoint)
    WebhookMessage.objects.update(created_at=Now() - timedelta(days=settings.WEBHOOK_LOG_DAYS, minutes=1))

    assert services.forget_old() == 2
    assert WebhookDelivery.objects.get().status == "waiting"
    assert not WebhookAttempt.objects.exists()


# -- Addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/hook",
        "https://user:pass@example.com/",
        "https:///hook",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "https://0.0.0.0/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://example.com:99999/",
        "https://no-such-name.invalid/",
    ],
)
def test_address_that_is_not_public_is_refused(url, organiser):
    with pytest.raises(wire.BadAddress):
        services.create_endpoint(organiser_id=organiser.pk, url=url)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_address_is_allowed(address):
    assert wire.is_public(address)


def test_name_that_turned_private_is_not_called(made, receiver, settings):
    """The address is checked again at every call, and the call goes to what was checked."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    services.send_test(endpoint=made.endpoint)

    services.deliver_due()

    assert receiver.heard == []
    assert WebhookAttempt.objects.get().problem == "That name leads to a machine inside a private network."


def test_message_ids_are_the_messages(made, receiver):
    delivery = services.send_test(endpoint=made.endpoint)
    services.deliver_due()

    assert receiver.heard[0][0]["webhook-id"] == f"msg_{delivery.message_id.hex}"
    assert json.loads(receiver.heard[0][1])["data"] == {"endpointId": str(made.endpoint.pk)}
