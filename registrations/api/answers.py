"""Answers about a face check: waiting for the worker a little, then what came of it in S1's words."""

import threading
import time
from typing import Any
from uuid import UUID

from django.conf import settings

from common.api import Answer
from common.errors import FairseatError
from faceverify import refusals as faces
from registrations import queries, refusals
from registrations.api.serializers import render_claims, render_miss, render_registration, render_status
from registrations.models import Registration, VerificationAttempt
from registrations.queries import Journey

POLL_SECONDS = 0.05
# Threads that wait serve nobody else: at most half of a process may.
waiting_room = threading.BoundedSemaphore(max(1, settings.WEB_THREADS // 2))
MESSAGES = {
    "TICKET_ISSUED": "Registration completed successfully. Ticket issued!",
    "PAYMENT_REQUIRED": "Face verification successful. Your ticket is held: pay to get it.",
    "ADDED_TO_WAITLIST": "Face verification successful, but tickets are sold out. Added to waitlist.",
    "VERIFIED": "Face verification successful. Take your tickets when the sale lets you.",
}
RETURNED = {
    kind.code: kind
    for module in (faces, refusals)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, FairseatError)
}


def answer_for(attempt_id: UUID, *, wait: bool) -> Answer:
    """
    Return what came of an attempt, waiting up to FACE_WAIT_SECONDS for it if `wait`; else that it is under way.

    :raises FaceMismatch: if the face did not match
    :raises FairseatError: if the attempt was given back, the reason for it
    """
    attempt = await_decision(attempt_id) if wait else queries.decided_attempt(attempt_id=attempt_id)
    if attempt is None:
        registration = queries.registrations_with_all().get(attempts__pk=attempt_id)
        journey = queries.journey_of(registration)
        where = f"/api/v1/registrations/{registration.pk}/status"
        headers = {"Location": where, "Preference-Applied": "respond-async", "Retry-After": "1"}
        return Answer(render_status(journey), status=202, headers=headers)
    journey = queries.journey_of(queries.registrations_with_all().get(pk=attempt.registration_id))
    return decided(journey, attempt)


def await_decision(attempt_id: UUID) -> VerificationAttempt | None:
    """Look until the attempt is decided, but not for longer than FACE_WAIT_SECONDS, and not with every thread there is."""
    until = time.monotonic() + settings.FACE_WAIT_SECONDS
    if not waiting_room.acquire(blocking=False):
        return queries.decided_attempt(attempt_id=attempt_id)
    try:
        while True:
            attempt = queries.decided_attempt(attempt_id=attempt_id)
            if attempt is not None or time.monotonic() >= until:
                return attempt
            time.sleep(POLL_SECONDS)
    finally:
        waiting_room.release()


def decided(journey: Journey, attempt: VerificationAttempt) -> Answer:
    """Return the answer to a decided attempt, or raise what it was refused with."""
    if attempt.status == VerificationAttempt.Status.MISMATCH:
        raise refusals.FaceMismatch(data=render_miss(journey, attempt))
    if attempt.status == VerificationAttempt.Status.RETURNED:
        raise RETURNED.get(attempt.failure_code, refusals.CheckInterrupted)()
    action = action_of(journey)
    return Answer(render_outcome(journey, message=MESSAGES[action], action=action))


def action_of(journey: Journey) -> str:
    """Return what being verified led to."""
    if journey.ticket_issued:
        return "TICKET_ISSUED"
    if journey.booking is not None:
        return "PAYMENT_REQUIRED"
    waits = journey.entry is not None and journey.registration.status == Registration.Status.VERIFIED
    return "ADDED_TO_WAITLIST" if waits else "VERIFIED"


def render_outcome(journey: Journey, *, message: str, action: str = "", for_staff: bool = False) -> dict[str, Any]:
    """Return S1's body of a success."""
    found = {"success": True, "message": message}
    if action:
        found["action"] = action
    return found | {"registration": render_registration(journey, for_staff=for_staff)} | render_claims(journey)
