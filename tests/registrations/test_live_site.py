"""The face check on a running site: real web server, real prefork worker, real HTTP, ten clients at once."""

import json
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.utils import timezone

from accounts.authentication import issue_access_token
from common.invariants import INVARIANTS
from registrations.models import VerificationAttempt
from tests.registrations.scenes import OTHER, enrolled, face_category, registered, selfie
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def post(site, person, path, body, **headers):
    """Send one request as this person and return status and body."""
    token = issue_access_token(user=person, now=timezone.now())
    request = Request(
        site.url + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {token}", **headers},
        method="POST",
    )
    try:
        with urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def test_ten_verifies_at_once_with_a_mismatch_are_three_tries_and_seven_refusals(live_site):
    registration = registered(enrolled(), face_category().event)
    keys = [selfie(registration.user, drawn=OTHER, variant=variant) for variant in range(10)]
    path = f"/api/registrations/{registration.pk}/verify-face"

    with ThreadPoolExecutor(10) as clients:
        answers = list(clients.map(lambda key: post(live_site, registration.user, path, {"faceImageKey": key}), keys))

    statuses = sorted(status for status, _ in answers)
    assert statuses.count(429) == 7
    assert {status for status in statuses if status != 429} <= {400, 202}  # 202: the worker took longer than we wait
    eventually(lambda: not VerificationAttempt.objects.filter(status="reserved").exists())
    registration.refresh_from_db()
    assert (registration.verification_attempts, registration.face_verification_status) == (3, "failed")
    assert registration.attempts.filter(status="mismatch").count() == registration.attempts.count() == 3
    assert registration.review_requested_at is not None
    assert list(INVARIANTS["registrations.attempts"]()) == []


def test_worker_compares_and_the_client_that_waits_gets_its_ticket(live_site):
    registration = registered(enrolled(), face_category().event)
    path = f"/api/registrations/{registration.pk}/verify-face"

    status, body = post(live_site, registration.user, path, {"faceImageKey": selfie(registration.user)})

    if status == 202:  # a busy machine
        eventually(lambda: not VerificationAttempt.objects.filter(status="reserved").exists())
    else:
        assert (status, body["data"]["action"]) == (200, "TICKET_ISSUED")
    registration.refresh_from_db()
    assert registration.status == "verified"
