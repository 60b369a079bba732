import json
import re
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from common import jobs, outbox, ratelimit
from common.models import Heartbeat, OutboxMessage
from config import health

pytestmark = pytest.mark.django_db


@pytest.fixture
def all_well():
    """A worker and beat that were seen just now."""
    health.beat_lives()
    jobs.run("common.deliver_outbox")


def ready(client, path="/readyz"):
    response = client.get(path)
    return response.status_code, json.loads(response.content)


def test_healthz_says_alive(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "alive"})


def test_readyz_is_green_when_everything_works(client, all_well):
    status, body = ready(client)

    assert (status, body["status"], body["wrong"]) == (200, "ready", [])
    assert set(body["checks"]) == {"postgresql", "redis", "migrations", "worker", "beat", "outbox"}


def test_readyz_names_a_worker_and_a_beat_that_were_never_seen(client):
    status, body = ready(client)

    assert (status, body["wrong"], body["degraded"]) == (503, ["worker", "beat"], ["worker", "beat"])


@pytest.mark.parametrize(("name", "wrong"), [("beat", "beat"), ("common.deliver_outbox", "worker")])
def test_readyz_names_what_has_gone_silent(client, all_well, name, wrong):
    Heartbeat.objects.filter(name=name).update(at=Now() - timedelta(seconds=300))

    status, body = ready(client)

    assert (status, body["wrong"]) == (503, [wrong])
    assert "for 300 s" in body["checks"][wrong]["detail"]


def test_readyz_for_a_load_balancer_does_not_ask_about_worker_and_beat(client):
    status, body = ready(client, "/readyz?scope=web")

    assert (status, set(body["checks"])) == (200, {"postgresql", "redis", "migrations"})


def test_readyz_names_an_outbox_that_nobody_empties(client, all_well):
    outbox.put(topic="mail", dedupe_key="old")
    OutboxMessage.objects.update(due_at=Now() - timedelta(seconds=600))

    status, body = ready(client)

    assert (status, body["wrong"]) == (503, ["outbox"])


def test_readyz_names_redis_when_it_is_away(client, all_well, settings, tmp_path):
    ratelimit.connection.cache_clear()
    settings.REDIS_URL = f"unix://{tmp_path}/nobody.sock"
    try:
        status, body = ready(client)
    finally:
        ratelimit.connection.cache_clear()

    assert (status, body["wrong"], body["degraded"]) == (503, ["redis"], [])


def test_readyz_names_migrations_that_are_not_applied(client, all_well, monkeypatch):
    from django.db.migrations.recorder import MigrationRecorder

    monkeypatch.setattr(health, "_migrated", False)
    MigrationRecorder.Migration.objects.filter(app="bookings").delete()

    status, body = ready(client)

    assert (status, body["wrong"]) == (503, ["migrations"])


def test_metrics_count_requests_by_route(client):
    client.get("/api/v1/nothing-here")

    response = client.get("/metrics")

    assert response.status_code == 200
    assert re.search(
        r'fairseat_requests_total{method="GET",route="[^"]*",status="404"} [1-9]', response.content.decode()
    )


@pytest.mark.parametrize(
    ("token", "extra", "status"),
    [
        ("", {}, 200),
        ("", {"REMOTE_ADDR": "10.1.2.3"}, 200),
        ("", {"REMOTE_ADDR": "93.184.216.34"}, 403),
        ("", {"HTTP_X_FORWARDED_FOR": "93.184.216.34"}, 403),
        ("s3cret", {}, 403),
        ("s3cret", {"HTTP_AUTHORIZATION": "Bearer wrong"}, 403),
        ("s3cret", {"HTTP_AUTHORIZATION": "Bearer s3cret", "REMOTE_ADDR": "93.184.216.34"}, 200),
    ],
)
def test_metrics_are_for_the_token_or_the_neighbourhood(client, settings, token, extra, status):
    settings.METRICS_TOKEN = token

    assert client.get("/metrics", **extra).status_code == status
