import pytest
from django.urls import reverse

from tests.factories import OrganiserFactory, UserFactory
from webhooks import services
from webhooks.models import WebhookDelivery, WebhookEndpoint

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(receiver):
    return services.create_endpoint(organiser_id=OrganiserFactory().pk, url=receiver.url).endpoint


@pytest.fixture
def admin(client):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def act(client, model, action, *rows):
    where = reverse(f"admin:webhooks_{model}_changelist")
    return client.post(where, {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True)


def test_staff_see_endpoints_and_never_a_secret(admin, endpoint):
    for where in ("changelist", "change"):
        arguments = [endpoint.pk] if where == "change" else []
        page = admin.get(reverse(f"admin:webhooks_webhookendpoint_{where}", args=arguments)).content.decode()
        assert endpoint.url.split("?")[0] in page
        assert endpoint.secret_sealed not in page


def test_staff_switch_off_and_on_and_try_out(admin, endpoint):
    act(admin, "webhookendpoint", "switch_off", endpoint)
    assert not WebhookEndpoint.objects.get().enabled
    assert "switched off" in act(admin, "webhookendpoint", "try_out", endpoint).content.decode()

    act(admin, "webhookendpoint", "switch_on", endpoint)
    act(admin, "webhookendpoint", "try_out", endpoint)
    assert WebhookDelivery.objects.get().message.kind == "webhook.test"


def test_staff_send_again(admin, endpoint):
    delivery = services.send_test(endpoint=endpoint)
    WebhookDelivery.objects.update(status="failed")

    act(admin, "webhookdelivery", "send_again", delivery)

    assert WebhookDelivery.objects.get().status == "waiting"
    page = admin.get(reverse("admin:webhooks_webhookdelivery_change", args=[delivery.pk]))
    assert "webhook.test" in page.content.decode()


def test_who_is_not_staff_finds_nothing(client, endpoint):
    client.force_login(OrganiserFactory())

    assert client.get(reverse("admin:webhooks_webhookendpoint_changelist")).status_code == 404
