"""The provider away, slow or dying, and a worker killed in the middle of a comparison: nobody's try is used up by it."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings as current
from django.db import connection

from common import jobs
from faceverify.engines import rekognition
from faceverify.engines.rekognition import Breaker
from registrations import services
from registrations.models import VerificationAttempt
from tests.faceverify.double import Double, Fault
from tests.races import race
from tests.registrations.scenes import OTHER, SELF, check, enrolled, face_category, registered, reserve, selfie
from tests.waiting import eventually

pytestmark = pytest.mark.django_db
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture
def aws(settings, monkeypatch):
    """The double of the provider, and a client of this test's own."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    double = Double()
    settings.FACE_ENGINE = "rekognition"
    settings.AWS_REGION = "eu-central-1"
    settings.REKOGNITION_ENDPOINT_URL = double.url
    rekognition.client_for.cache_clear()
    monkeypatch.setattr(rekognition, "breaker", Breaker(limit=5, seconds=30))
    yield double
    rekognition.client_for.cache_clear()
    double.stop()


def away(double):
    """Let the provider fail for longer than the SDK tries."""
    double.faults = [Fault("InternalServerError", 500) for _ in range(300)]


def test_outage_is_503_with_a_time_to_come_back_and_uses_no_try(aws, api, worker_at_hand):
    registration = registered(enrolled(), face_category().event)
    away(aws)
    client = api.as_user(registration.user)

    status, body = client.post(
        f"/api/registrations/{registration.pk}/verify-face", {"faceImageKey": selfie(registration.user)}
    )

    assert (status, body["status"], body["code"]) == (503, "error", "engine_unavailable")
    assert body["message"] == "Face verification service error"
    assert int(client.last.headers["Retry-After"]) > 0
    registration.refresh_from_db()
    assert (registration.verification_attempts, registration.face_verification_status) == (0, "pending")
    aws.faults = []
    rekognition.breaker.note(worked=True)
    assert check(registration, variant=2).status == "passed"


def test_twenty_outages_count_nothing_and_the_provider_is_left_alone(aws):
    registration = registered(enrolled(), face_category().event)
    away(aws)

    for turn in range(20):
        key = selfie(registration.user, drawn=(SELF, OTHER)[turn // 10], variant=turn % 10)
        attempt = services.verify_face(registration=registration, image_key=key)
        services.run_check(attempt_id=attempt.pk)

    registration.refresh_from_db()
    assert registration.verification_attempts == 0
    assert set(registration.attempts.values_list("status", "failure_code")) == {("returned", "engine_unavailable")}
    assert len(aws.asked("DetectFaces")) < 30


@pytest.mark.django_db(transaction=True)
def test_outage_in_the_middle_of_ten_tries_burns_none(aws):
    registration = registered(enrolled(), face_category().event)
    keys = [selfie(registration.user, drawn=OTHER, variant=variant) for variant in range(10)]
    away(aws)
    reserved = race(
        [lambda key=key: services.verify_face(registration=registration, image_key=key) for key in keys],
        gate="registrations_registration",
    )
    for outcome in reserved:
        if outcome.error is None:
            services.run_check(attempt_id=outcome.result.pk)

    registration.refresh_from_db()
    assert VerificationAttempt.objects.filter(status="returned").count() == 3
    assert registration.verification_attempts == 0


@pytest.mark.django_db(transaction=True)
def test_worker_killed_during_a_comparison_is_recovered_from(aws, settings):
    settings.FACE_CHECK_SECONDS = 10  # long enough for a process to start on a busy machine
    registration = registered(enrolled(), face_category().event)
    attempt = reserve(registration)
    aws.delay = 60  # the worker is in the middle of it for as long as we like
    worker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import django; django.setup(); from registrations.services import run_check; from uuid import UUID;"
            f"run_check(attempt_id=UUID('{attempt.pk}'))",
        ],
        cwd=Path(current.BASE_DIR),
        env={
            **os.environ,
            **KEYS,
            "DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])
            ._replace(path=f"/{connection.settings_dict['NAME']}")
            .geturl(),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "FACE_ENGINE": "rekognition",
            "AWS_REGION": "eu-central-1",
            "REKOGNITION_ENDPOINT_URL": aws.url,
            "FACE_CHECK_SECONDS": "10",
        },
    )
    asked = len(aws.asked("DetectFaces"))
    try:
        eventually(lambda: len(aws.asked("DetectFaces")) > asked, what="the worker did not begin")
    finally:
        worker.kill()
        worker.wait()
    registration.refresh_from_db()
    assert (registration.verification_attempts, registration.face_verification_status) == (1, "processing")

    eventually(lambda: jobs.run("registrations.give_back_attempts"), what="the try was not given back")

    registration.refresh_from_db()
    attempt.refresh_from_db()
    assert (attempt.status, attempt.failure_code, attempt.starts) == ("returned", "check_interrupted", 1)
    assert (registration.verification_attempts, registration.face_verification_status) == (0, "pending")
    aws.delay = 0
    assert check(registration, variant=2).status == "passed"
