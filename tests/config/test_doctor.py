import json
import socket
from datetime import timedelta
from io import StringIO

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now

from common import jobs, ratelimit
from common.models import Heartbeat, OutboxMessage
from config import doctor, health, vitals
from config.doctor import DOUBTFUL, WELL, WRONG
from payments.models import StripeEvent
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def free_tcp_port():
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(autouse=True)
def _tests_cluster(settings):
    """The tests' own PostgreSQL keeps nothing through a crash, which only a site that is not for development may not do."""
    settings.DEBUG = True


def look(name):
    (found,) = doctor.examine(only=[name])
    return found


def doctor_says(*arguments):
    """Run the command; return what it printed and how it ended."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out, no_color=True)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


@pytest.mark.parametrize("name", ["database", "migrations", "storage", "disk", "mail", "faces", "clock"])
def test_part_that_works_is_well_and_needs_no_advice(name):
    found = look(name)

    assert (found.state, found.advice) == (WELL, "")
    assert found.detail


def test_every_look_has_a_name_of_its_own_and_advice():
    assert len({each.name for each in doctor.LOOKS}) == len(doctor.LOOKS)
    assert all(each.advice.endswith(".") for each in doctor.LOOKS)


def test_database_without_connections_left_is_doubtful(monkeypatch):
    monkeypatch.setattr(doctor, "CONNECTIONS", 0.0)

    assert look("database").state == DOUBTFUL


def test_database_that_keeps_nothing_through_a_crash_is_wrong_on_a_real_site(settings):
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('fsync') = 'on'")
        keeps = cursor.fetchone()[0]
    settings.DEBUG = False

    assert look("database").state == (WELL if keeps else WRONG)


def test_database_that_is_too_old_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor, "OLDEST_POSTGRESQL", 990_000)

    assert "is older than" in look("database").detail


@pytest.mark.parametrize(
    ("chosen", "state"),
    [
        ({"maxmemory": "200mb", "maxmemory-policy": "allkeys-lru"}, WRONG),
        ({"maxmemory": "0", "appendonly": "no"}, DOUBTFUL),
    ],
)
def test_redis_that_may_forget_is_told(chosen, state):
    client = ratelimit.connection()
    before = {name: client.config_get(name)[name] for name in chosen}
    try:
        for name, value in chosen.items():
            client.config_set(name, value)
        found = look("redis")
    finally:
        for name, value in before.items():
            client.config_set(name, value)

    assert found.state == state
    assert found.advice


def test_a_new_site_is_told_in_few_words_that_no_job_has_run():
    assert (look("jobs").state, look("jobs").detail) == (DOUBTFUL, "none has ever run, as on a new site")


def test_jobs_that_were_never_run_are_named():
    jobs.run("common.deliver_outbox")

    found = look("jobs")

    assert found.state == DOUBTFUL
    assert "bookings.expire_due" in found.detail
    assert "common.deliver_outbox" not in found.detail


def test_jobs_are_well_once_each_has_run():
    Heartbeat.objects.bulk_create(Heartbeat(name=name, at=Now(), seconds=0, result="0") for name in jobs.JOBS)
    health.beat_lives()

    assert {look(name).state for name in ("jobs", "worker", "beat")} == {WELL}

    Heartbeat.objects.filter(name="bookings.expire_due").update(at=Now() - timedelta(hours=1))
    assert look("jobs").detail == "silent: bookings.expire_due"


def test_message_that_was_given_up_is_doubtful():
    OutboxMessage.objects.create(topic="mail", dedupe_key="a", failed_at=Now())

    found = look("outbox")

    assert (found.state, found.detail) == (DOUBTFUL, "1 messages were given up, 0 wait")


class ForgetfulStorage(FileSystemStorage):
    """Does not delete."""

    def delete(self, name):
        return None


def test_storage_that_does_not_delete_is_wrong(settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "faces": {"BACKEND": "tests.config.test_doctor.ForgetfulStorage", "OPTIONS": {"location": tmp_path}}
    }

    assert (look("storage").state, look("storage").detail) == (WRONG, "does not delete")


def test_storage_that_can_not_be_written_is_wrong(settings, tmp_path):
    tmp_path.joinpath("file").write_text("in the way")
    settings.STORAGES = settings.STORAGES | {
        "faces": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "file"},
        }
    }

    assert look("storage").state == WRONG


@pytest.mark.django_db(transaction=True)
def test_card_provider_that_does_not_answer_is_wrong(settings, free_tcp_port):
    settings.STRIPE_API_BASE = f"http://127.0.0.1:{free_tcp_port}"

    found = look("stripe")

    assert (found.state, "payment_provider_unavailable" in found.detail) == (WRONG, True)


def test_webhook_is_doubtful_until_an_event_came(settings):
    assert look("webhook").state == DOUBTFUL

    StripeEvent.objects.create(stripe_id="evt_1")
    assert look("webhook").state == WELL

    settings.STRIPE_WEBHOOK_SECRETS = []
    assert look("webhook").state == WRONG


def test_mail_server_that_does_not_answer_is_wrong(settings, free_tcp_port):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", free_tcp_port, 2

    assert look("mail").state == WRONG


def test_address_in_mails_must_be_https_in_production(settings):
    settings.DEBUG, settings.SITE_URL = False, "http://tickets.example"

    assert look("address").state == WRONG

    settings.SITE_URL = "https://tickets.example"
    assert look("address").state == WELL


def test_clock_that_is_off_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor, "CLOCK_SECONDS", -1.0)

    assert "apart from the database's" in look("clock").detail


def test_command_prints_every_part_with_what_to_do_and_exits_1():
    printed, error = doctor_says("--only", "database", "--only", "beat")

    assert error == "Not well: beat."
    assert "well      database" in printed
    assert "→ Start beat" in printed


def test_command_prints_json_and_exits_0_when_nothing_is_wrong():
    printed, error = doctor_says("--json", "--only", "database", "--only", "webhook")

    assert error == ""
    found = json.loads(printed)
    assert found["ok"] is True
    assert [(each["name"], each["state"]) for each in found["findings"]] == [("database", WELL), ("webhook", DOUBTFUL)]


def test_command_names_the_parts_when_asked_for_another():
    assert "There are: database, migrations" in doctor_says("--only", "cellar")[1]


def test_health_for_staff_has_findings_machine_and_requests(api):
    status, body = api.as_user(UserFactory(is_staff=True)).get("/api/v1/admin/health")

    assert status == 200
    data = body["data"]
    names = [found["name"] for found in data["findings"]]
    assert "database" in names
    assert "faces" not in names  # would load the engine into the web process
    assert data["machine"]["memoryAvailableMb"] > 0
    assert set(data["requests"]) == {"answered", "failed", "errorRate", "p50Ms", "p95Ms", "p99Ms"}


def test_health_is_for_staff_alone(api):
    assert api.get("/api/v1/admin/health").status == 401
    assert api.as_user(UserFactory(is_organiser=True)).get("/api/v1/admin/health").status == 403


def test_quantiles_come_from_cumulative_buckets():
    buckets = {0.01: 50.0, 0.1: 95.0, 1.0: 99.0, float("inf"): 100.0}

    assert [vitals.quantile(buckets, share) for share in (0.5, 0.95, 0.99, 1)] == [10.0, 100.0, 1000.0, None]
    assert vitals.quantile({}, 0.5) is None


def test_requests_count_answers_and_failures(client):
    before = vitals.requests()
    client.get("/nowhere")

    after = vitals.requests()

    assert after["answered"] == before["answered"] + 1
    assert after["failed"] == before["failed"]
    assert after["p50_ms"] > 0
