import pytest

from tests.factories import OrganiserFactory, UserFactory
from webhooks import services
from webhooks.models import WebhookEndpoint

pytestmark = pytest.mark.django_db

BASE = "/api/v1/webhooks"


@pytest.fixture
def organiser():
    return OrganiserFactory()


@pytest.fixture
def mine(api, organiser):
    return api.as_user(organiser)


def test_organiser_makes_one_and_sees_its_secret_once(mine, receiver):
    status, body = mine.post(BASE, {"url": receiver.url, "kinds": ["booking.confirmed"], "description": "till"})

    assert status == 201
    assert body["data"]["secret"].startswith("whsec_")
    assert body["message"] == "Keep the secret now: it is not shown again."
    status, body = mine.get(f"{BASE}/{body['data']['id']}")
    assert (status, body["data"]["kinds"], "secret" in body["data"]) == (200, ["booking.confirmed"], False)
    assert "secret" not in mine.get(BASE).body["data"][0]


def test_what_was_sent_can_be_looked_at_and_sent_again(mine, organiser, receiver, transactional_db):
    endpoint = services.create_endpoint(organiser_id=organiser.pk, url=receiver.url).endpoint
    receiver.status, receiver.answer = 500, b"no"

    status, body = mine.post(f"{BASE}/{endpoint.pk}/test", {})
    assert (status, body["data"]["status"]) == (202, "waiting")
    services.deliver_due()
    status, body = mine.get(f"{BASE}/{endpoint.pk}/deliveries?status=waiting")
    (delivery,) = body["data"]
    assert [(one["statusCode"], one["said"]) for one in delivery["attempts"]] == [(500, "no")]
    receiver.status = 200
    assert mine.post(f"{BASE}/{endpoint.pk}/deliveries/{delivery['id']}/resend", {}).status == 202
    services.deliver_due()
    assert mine.get(f"{BASE}/{endpoint.pk}/deliveries").body["data"][0]["status"] == "delivered"
    assert body["pagination"]["count"] == 1


def test_secret_can_be_made_new(mine, organiser, receiver):
    made = services.create_endpoint(organiser_id=organiser.pk, url=receiver.url)

    status, body = mine.post(f"{BASE}/{made.endpoint.pk}/rotate-secret", {})

    assert status == 200
    assert body["data"]["secret"] not in {made.secret, ""}


def test_it_is_changed_switched_off_and_deleted(mine, organiser, receiver):
    endpoint = services.create_endpoint(organiser_id=organiser.pk, url=receiver.url).endpoint

    status, body = mine.patch(f"{BASE}/{endpoint.pk}", {"enabled": False, "description": "door"})
    assert (status, body["data"]["enabled"], body["data"]["description"]) == (200, False, "door")
    assert mine.post(f"{BASE}/{endpoint.pk}/test", {}).body["code"] == "webhook_disabled"
    assert mine.delete(f"{BASE}/{endpoint.pk}").status == 204
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"url": "https://10.0.0.1/"}, "webhook_address_refused"),
        ({"url": "nonsense"}, "webhook_address_refused"),
        ({"url": "https://10.0.0.1/", "secret": "mine"}, "protected_field"),
        ({"url": "https://10.0.0.1/", "kinds": ["ticket.eaten"]}, "invalid"),
        ({}, "invalid"),
    ],
)
def test_bad_input_is_told(mine, given, code):
    status, body = mine.post(BASE, given)

    assert (status, body["code"]) == (400, code)
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("patch", ""),
        ("delete", ""),
        ("post", "/test"),
        ("post", "/rotate-secret"),
        ("get", "/deliveries"),
        ("post", "/deliveries/0e0f8f6e-5b7e-4c57-9b5e-6a8d8c1d7a11/resend"),
    ],
)
def test_another_organiser_finds_nothing_there(api, organiser, receiver, method, path):
    endpoint = services.create_endpoint(organiser_id=organiser.pk, url=receiver.url).endpoint
    address = f"{BASE}/{endpoint.pk}{path}"

    for somebody, expected in ((OrganiserFactory(), 404), (OrganiserFactory(is_staff=True), 404), (UserFactory(), 403)):
        arguments = [] if method in {"get", "delete"} else [{}]
        assert getattr(api.as_user(somebody), method)(address, *arguments).status == expected
    assert getattr(api, method)(address, *([] if method in {"get", "delete"} else [{}])).status == 401
    assert WebhookEndpoint.objects.filter(enabled=True).count() == 1


def test_id_that_is_none_is_told(mine):
    assert mine.get(f"{BASE}/7").body["message"] == "Invalid webhook ID format"
