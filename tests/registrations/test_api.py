"""S1 over HTTP by a client that knows only S1 and the contract: the whole flow, and every row of its error table."""

from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission

from accounts.models import StaffAction
from analytics import services as analytics
from bookings.models import Ticket
from events.models import SeatInventory
from faceverify import drawings
from faceverify import services as faces
from registrations import services
from registrations.models import Registration, VerificationAttempt
from registrations.refusals import AttemptsExceeded
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from tests.registrations.browser import face_image_key, put_profile_photo
from tests.registrations.scenes import (
    OTHER,
    SELF,
    check,
    enrolled,
    face_category,
    face_event,
    registered,
    selfie,
)

pytestmark = pytest.mark.django_db
BASE = "/api/registrations"


def register(client, event):
    status, body = client.post(BASE, {"eventId": str(event.pk)})
    assert status == 201, body
    return body["data"]["registration"]["id"]


def refused(answer, status, message, code):
    assert answer.status == status, answer.body
    assert (answer.status, answer.body["message"], answer.body["code"]) == (status, message, code)
    assert answer.body["status"] == ("fail" if status < 500 else "error")


def test_whole_flow_from_registration_to_ticket(api, worker_at_hand):
    category, person = face_category(name="Tech Conference"), UserFactory(name="John Doe")
    client = api.as_user(person)

    status, body = client.post(BASE, {"eventId": str(category.event_id)})
    assert (status, body["status"], body["message"]) == (201, "success", "Registration created successfully")
    registration = body["data"]["registration"]
    assert registration["user"] == {"id": str(person.pk), "name": "John Doe", "email": person.email, "phone": ""}
    assert registration["event"]["id"] == registration["eventId"] == str(category.event_id)
    facts = ("status", "faceVerificationStatus", "ticketAvailabilityStatus", "ticketIssued", "verificationAttempts")
    assert [registration[name] for name in facts] == ["pending", "pending", "pending", False, 0]
    path = f"{BASE}/{registration['id']}"
    assert client.get(f"{path}/status").body["data"]["nextStep"] == "UPLOAD_PHOTO"

    assert put_profile_photo(client, SELF).status == 200
    at_first = client.get(f"{path}/status").body["data"]
    assert (at_first["status"], at_first["message"]) == ("PENDING", "Registration in progress")
    assert (at_first["nextStep"], at_first["faceVerificationStatus"]) == ("VERIFY_FACE", "pending")

    wrong = face_image_key(client, OTHER, 1)
    status, body = client.post(f"{path}/validate-face-image", {"faceImageKey": wrong})
    assert (status, body["data"]["success"], body["data"]["message"]) == (200, True, "Face image is valid")
    assert set(body["data"]["quality"]) == {"brightness", "sharpness"}
    assert body["data"]["attributes"] == {"ageRange": None, "eyesOpen": None, "mouthOpen": None, "emotions": None}

    status, body = client.post(f"{path}/verify-face", {"faceImageKey": wrong, "similarityThreshold": 80})
    assert (status, body["status"], body["code"]) == (400, "fail", "face_verification_failed")
    miss = body["data"]
    assert (miss["success"], miss["action"]) == (False, "ADDED_TO_WAITLIST")
    assert miss["message"] == "Face verification failed. Please try again or contact support."
    assert isinstance(miss["similarityScore"], int)
    assert miss["similarityScore"] < miss["threshold"] == 80
    assert (miss["registration"]["status"], miss["registration"]["faceVerificationStatus"]) == ("rejected", "failed")
    assert (miss["waitlist"]["reason"], miss["waitlist"]["eligible"]) == ("face_verification_failed", False)
    place = client.get(f"/api/waitlist/user/{person.pk}/event/{category.event_id}").body["data"]
    assert (place["onWaitlist"], place["position"]["reason"]) == (True, "face_verification_failed")
    assert client.get(f"{path}/status").body["data"]["nextStep"] == "RETRY_VERIFICATION"

    right = face_image_key(client, SELF, 2)
    status, body = client.post(f"{path}/retry-verification", {"faceImageKey": right})
    assert (status, body["data"]["success"], body["data"]["action"]) == (200, True, "TICKET_ISSUED")
    assert body["data"]["message"] == "Registration completed successfully. Ticket issued!"
    assert body["data"]["registration"]["ticketIssued"] is True
    assert body["data"]["registration"]["ticketIssuedDate"].endswith("Z")
    ticket = body["data"]["ticket"]
    assert ticket["ticketId"] == ticket["code"] == Ticket.objects.get().code
    assert (ticket["status"], ticket["price"]) == ("active", "0.00")
    assert client.get(f"{path}/status").body["data"]["nextStep"] == "TICKET_ISSUED"
    assert client.get(f"/api/waitlist/user/{person.pk}/event/{category.event_id}").body["data"]["onWaitlist"] is False
    assert client.get(BASE).body["results"] == 1


def test_priced_event_answers_with_the_hold_to_pay(api, worker_at_hand):
    category, person = face_category(price_minor=9999), enrolled()
    client = api.as_user(person)
    registration = register(client, category.event)

    status, body = client.post(f"{BASE}/{registration}/verify-face", {"faceImageKey": selfie(person)})

    assert (status, body["data"]["action"]) == (200, "PAYMENT_REQUIRED")
    assert (body["data"]["booking"]["status"], body["data"]["booking"]["amountMinor"]) == ("pending", 9999)
    assert body["data"]["registration"]["nextStep"] == "PAY"
    assert body["data"]["registration"]["ticketIssued"] is False


def test_sold_out_event_answers_with_the_place_on_the_waitlist(api, worker_at_hand):
    category = face_category(capacity=1)
    first = enrolled()
    check(registered(first, category.event))
    person = enrolled()
    client = api.as_user(person)

    status, body = client.post(
        f"{BASE}/{register(client, category.event)}/verify-face", {"faceImageKey": selfie(person)}
    )

    assert (status, body["data"]["success"], body["data"]["action"]) == (200, True, "ADDED_TO_WAITLIST")
    assert body["data"]["message"] == "Face verification successful, but tickets are sold out. Added to waitlist."
    place = body["data"]["waitlist"]
    assert (place["position"], place["status"], place["reason"]) == (1, "waiting", "tickets_sold_out")


def test_queued_sale_answers_that_one_is_verified(api, worker_at_hand):
    person = enrolled()
    client = api.as_user(person)
    registration = register(client, face_category(queue_enabled=True).event)

    status, body = client.post(f"{BASE}/{registration}/verify-face", {"faceImageKey": selfie(person)})

    assert (status, body["data"]["action"]) == (200, "VERIFIED")
    assert body["data"]["registration"]["nextStep"] == "JOIN_QUEUE"


def test_client_that_does_not_wait_is_told_to_come_back(api):
    person = enrolled()
    client = api.as_user(person)
    registration = register(client, face_category().event)
    path = f"{BASE}/{registration}"

    status, body = client.post(f"{path}/verify-face", {"faceImageKey": selfie(person)}, Prefer="respond-async")

    assert (status, body["data"]["status"], body["data"]["faceVerificationStatus"]) == (202, "PROCESSING", "processing")
    assert client.last.headers["Location"] == f"/api/v1/registrations/{registration}/status"
    assert client.last.headers["Preference-Applied"] == "respond-async"
    services.run_check(attempt_id=VerificationAttempt.objects.get().pk)
    assert client.get(f"{path}/status").body["data"]["nextStep"] == "TICKET_ISSUED"


def test_client_that_waits_for_nobody_is_told_to_come_back_too(api, settings):
    settings.FACE_WAIT_SECONDS = 0
    person = enrolled()
    client = api.as_user(person)

    status, body = client.post(
        f"{BASE}/{register(client, face_category().event)}/verify-face", {"faceImageKey": selfie(person)}
    )

    assert (status, body["data"]["status"]) == (202, "PROCESSING")


def test_same_key_is_one_try_and_one_answer(api, worker_at_hand):
    person = enrolled()
    client = api.as_user(person)
    path = f"{BASE}/{register(client, face_category().event)}/verify-face"
    wish = {"faceImageKey": selfie(person)}

    first = client.post(path, wish, Idempotency_Key="once")
    again = client.post(path, wish, Idempotency_Key="once")

    assert (first.status, again.status) == (200, 200)
    assert client.last.headers["Idempotency-Replayed"] == "true"
    assert again.body["data"]["ticket"] == first.body["data"]["ticket"]
    assert VerificationAttempt.objects.count() == 1


# -- S1's error table ------------------------------------------------------------------------------------------------


def test_malformed_ids(api):
    staff, client = api.as_user(StaffFactory()), api.as_user(UserFactory())
    event = face_event()

    refused(client.post(BASE, {"eventId": "507f1f77bcf86cd799439011"}), 400, "Invalid event ID format", "invalid_id")
    refused(staff.post(BASE, {"eventId": str(event.pk), "userId": "me"}), 400, "Invalid user ID format", "invalid_id")
    refused(client.get(f"{BASE}/1/status"), 400, "Invalid registration ID format", "invalid_id")
    refused(staff.get(f"{BASE}/stats?eventId=x"), 400, "Invalid event ID format", "invalid_id")


@pytest.mark.parametrize(
    ("picture", "message", "code"),
    [
        (drawings.nobody, "No face detected in the image", "face_none"),
        (lambda: drawings.two_people(9, 5), "Multiple faces detected", "face_many"),
    ],
    ids=["nobody", "two people"],
)
def test_pictures_without_exactly_one_face(api, worker_at_hand, picture, message, code):
    person = enrolled()
    client = api.as_user(person)
    path = f"{BASE}/{register(client, face_category().event)}"
    key = str(faces.store_probe(user_id=person.pk, content=picture()).pk)

    refused(client.post(f"{path}/validate-face-image", {"faceImageKey": key}), 400, message, code)
    refused(client.post(f"{path}/verify-face", {"faceImageKey": key}), 400, message, code)
    assert client.get(f"{path}/status").body["data"]["verificationAttempts"] == 0


def test_ticket_already_issued(api):
    person = enrolled()
    registration = registered(person, face_category().event)
    check(registration)
    override = {"overrideReason": "Customer provided alternative ID verification"}

    refused(
        api.as_user(person).post(f"{BASE}/{registration.pk}/verify-face", {"faceImageKey": selfie(person, variant=2)}),
        400,
        "Ticket already issued",
        "ticket_already_issued",
    )
    refused(
        api.as_user(StaffFactory()).post(f"{BASE}/{registration.pk}/admin/override-ticket", override),
        400,
        "Ticket already issued",
        "ticket_already_issued",
    )


def test_no_tickets_available(api):
    category = face_category(capacity=1)
    check(registered(enrolled(), category.event))
    registration = registered(UserFactory(), category.event)

    answer = api.as_user(StaffFactory()).post(
        f"{BASE}/{registration.pk}/admin/override-ticket", {"overrideReason": "Saw the ID"}
    )

    refused(answer, 400, "No tickets available", "no_tickets_available")


def test_registration_that_does_not_exist_or_is_somebody_elses(api):
    registration = registered(UserFactory(), face_event())
    stranger = api.as_user(UserFactory())

    for which in (registration.pk, uuid4()):
        for method, path in (("GET", "status"), ("POST", "verify-face"), ("POST", "ask-a-person")):
            answer = stranger.send(
                method, f"{BASE}/{which}/{path}", {"faceImageKey": "x"} if method == "POST" else None
            )
            refused(answer, 404, "Registration not found", "registration_not_found")
    # Staff see it, and show no face in somebody else's place.
    staff = api.as_user(StaffFactory())
    assert staff.get(f"{BASE}/{registration.pk}/status").status == 200
    assert staff.post(f"{BASE}/{registration.pk}/verify-face", {"faceImageKey": "x"}).status == 404


def test_attempts_exceeded(api):
    registration = registered(enrolled(), face_category().event)
    for variant in range(3):
        check(registration, drawn=OTHER, variant=variant)
    client = api.as_user(registration.user)

    for path in ("verify-face", "retry-verification"):
        answer = client.post(f"{BASE}/{registration.pk}/{path}", {"faceImageKey": selfie(registration.user, variant=4)})
        refused(answer, 429, AttemptsExceeded.message, "attempts_exceeded")
        assert "Maximum verification attempts exceeded" in answer.body["message"]
        assert int(client.last.headers["Retry-After"]) > 0


def test_event_that_does_not_exist_is_a_draft_or_is_over(api):
    client = api.as_user(UserFactory())

    refused(client.post(BASE, {"eventId": str(uuid4())}), 404, "Event not found", "not_found")
    draft = face_event(status="draft")
    assert client.post(BASE, {"eventId": str(draft.pk)}).status == 404
    assert client.post(BASE, {"eventId": str(face_event(status="cancelled").pk)}).body["code"] == "event_cancelled"
    assert client.post(BASE, {"eventId": str(face_event(status="completed").pk)}).body["code"] == "sale_closed"
    assert client.post(BASE, {}).status == 400
    assert api.post(BASE, {}).status == 401


def test_second_registration_names_the_first(api):
    client, event = api.as_user(UserFactory()), face_event()
    first = register(client, event)

    answer = client.post(BASE, {"eventId": str(event.pk)})

    assert (answer.status, answer.body["code"], answer.body["registrationId"]) == (409, "already_registered", first)


@pytest.mark.parametrize(
    "field", [{"userId": str(uuid4())}, {"adminBooked": True}, {"adminOverrideReason": "I am important"}]
)
def test_what_is_for_staff_is_refused_from_anybody_else(api, field):
    answer = api.as_user(UserFactory()).post(BASE, {"eventId": str(face_event().pk), **field})

    assert (answer.status, answer.body["code"]) == (403, "staff_only")
    assert not Registration.objects.exists()


@pytest.mark.parametrize(
    "field", [{"userId": "x"}, {"similarity": 99}, {"success": True}, {"attempts": 0}, {"engine": "none"}]
)
def test_client_does_not_decide_who_matched(api, field):
    registration = registered(enrolled(), face_category().event)

    answer = api.as_user(registration.user).post(
        f"{BASE}/{registration.pk}/verify-face", {"faceImageKey": "x", **field}
    )

    assert (answer.status, answer.body["code"]) == (400, "protected_field")


def test_another_persons_key_is_not_found(api):
    event = face_category().event
    victim, thief = enrolled(), registered(enrolled(drawn=OTHER), event)
    client = api.as_user(thief.user)

    for path in ("validate-face-image", "verify-face"):
        answer = client.post(
            f"{BASE}/{thief.pk}/{path}", {"faceImageKey": selfie(victim, variant=3 if path[0] == "v" else 4)}
        )
        assert (answer.status, answer.body["code"]) == (404, "image_not_found")
        VerificationAttempt.objects.all().delete()


# -- Staff -----------------------------------------------------------------------------------------------------------


def test_override_answers_as_the_contract_says(api):
    staff = StaffFactory()
    registration = registered(UserFactory(), face_category().event)

    status, body = api.as_user(staff).post(
        f"{BASE}/{registration.pk}/admin/override-ticket",
        {"overrideReason": "Customer provided alternative ID verification"},
    )

    assert (status, body["data"]["success"], body["data"]["message"]) == (200, True, "Ticket issued by admin override")
    shown = body["data"]["registration"]
    assert (shown["status"], shown["adminBooked"], shown["ticketIssued"]) == ("verified", True, True)
    assert shown["adminOverrideReason"] == "Customer provided alternative ID verification"
    assert body["data"]["ticket"]["status"] == "active"
    owner = api.as_user(registration.user).get(f"{BASE}/{registration.pk}/status").body["data"]["registration"]
    assert owner["adminOverrideReason"] is None


def test_exceeding_the_capacity_needs_its_own_permission(api):
    category, staff = face_category(capacity=1), StaffFactory()
    check(registered(enrolled(), category.event))
    registration = registered(UserFactory(), category.event)
    path = f"{BASE}/{registration.pk}/admin/override-ticket"
    wish = {"overrideReason": "Promised", "exceedCapacity": True}

    assert api.as_user(staff).post(path, wish).status == 403
    staff.user_permissions.add(Permission.objects.get(codename="exceed_capacity"))
    assert api.as_user(staff).post(path, wish).status == 200

    assert SeatInventory.objects.get(category=category).capacity == 2
    assert StaffAction.objects.filter(action="exceed_capacity", actor=staff).count() == 1


@pytest.mark.parametrize(
    ("action", "message", "status"),
    [
        ("approve", "Ticket approved and issued by admin", "verified"),
        ("reject", "Registration rejected by admin", "rejected"),
        ("request_retry", "User can retry verification", "pending"),
    ],
)
def test_review_answers_as_the_contract_says(api, action, message, status):
    registration = registered(enrolled(), face_category().event)
    check(registration, drawn=OTHER)
    staff = api.as_user(StaffFactory())

    reply = staff.post(
        f"{BASE}/{registration.pk}/admin/review-failure", {"action": action, "reason": "Looked at both photos"}
    )

    assert (reply.status, reply.body["message"], reply.body["data"]["success"]) == (200, message, True)
    assert reply.body["data"]["registration"]["status"] == status
    assert ("ticket" in reply.body["data"]) is (action == "approve")
    blank = staff.post(f"{BASE}/{registration.pk}/admin/review-failure", {"action": "reject", "reason": " "})
    assert blank.status == 400
    assert (
        staff.post(f"{BASE}/{registration.pk}/admin/review-failure", {"action": "pardon", "reason": "x"}).status == 400
    )


def test_failed_verifications_are_listed_for_staff(api, django_assert_num_queries):
    category = face_category()
    for _ in range(2):
        check(registered(enrolled(), category.event), drawn=OTHER)
    elsewhere = registered(UserFactory(), face_category().event)
    services.ask_a_person(registration=elsewhere)
    staff = api.as_user(StaffFactory())

    status, body = staff.get(f"{BASE}/admin/failed-verifications?eventId={category.event_id}")

    assert (status, body["results"]) == (200, 2)
    row = body["data"]["failedVerifications"][0]
    assert (row["status"], row["faceVerificationStatus"], row["verificationAttempts"]) == ("rejected", "failed", 1)
    assert {"name", "email"} <= set(row["user"])
    assert row["lastVerificationAttempt"]
    assert staff.get(f"{BASE}/admin/failed-verifications").body["results"] == 3
    with django_assert_num_queries(9):
        staff.get(f"{BASE}/admin/failed-verifications?pageSize=1")
    with django_assert_num_queries(9):
        staff.get(f"{BASE}/admin/failed-verifications?pageSize=3")


def test_statistics_have_s1s_shape_and_how_checks_went(api):
    category = face_category()
    check(registered(enrolled(), category.event))
    check(registered(enrolled(), category.event), drawn=OTHER)
    services.override_ticket(
        actor=StaffFactory(), registration_id=registered(UserFactory(), category.event).pk, reason="Saw the ID"
    )
    registered(UserFactory(), face_event())

    body = api.as_user(StaffFactory()).get(f"{BASE}/stats").body["data"]

    assert {group["_id"]: group["count"] for group in body["statusStats"]} == {
        "pending": 1,
        "rejected": 1,
        "verified": 2,
    }
    faces_of = {group["id"]: group["count"] for group in body["faceVerificationStats"]}
    assert faces_of == {"failed": 1, "pending": 2, "success": 1}
    assert body["ticketStats"] == {"totalRegistrations": 4, "ticketsIssued": 2, "adminBooked": 1}
    assert (body["verification"]["successRate"], body["verification"]["passed"]) == (0.5, 1)
    assert body["verification"]["failureReasons"] == [{"reason": "face_mismatch", "count": 1}]
    assert [day["passed"] + day["mismatched"] for day in body["verification"]["trend"]] == [2]
    one = api.as_user(StaffFactory()).get(f"{BASE}/stats?eventId={category.event_id}").body["data"]
    assert one["ticketStats"]["totalRegistrations"] == 3


def test_batch_over_the_api_shows_its_progress(api, worker_at_hand):
    category, staff = face_category(), StaffFactory()
    cases = [registered(UserFactory(), category.event) for _ in range(3)]

    status, body = api.as_user(staff).post(
        f"{BASE}/admin/batches",
        {"action": "approve", "registrationIds": [str(case.pk) for case in cases], "reason": "IDs seen at the door"},
    )

    assert status == 202
    shown = api.as_user(staff).get(f"{BASE}/admin/batches/{body['data']['id']}").body["data"]
    assert (shown["total"], shown["done"], shown["waiting"]) == (3, 3, 0)
    assert shown["finishedAt"]
    assert api.as_user(staff).get(f"{BASE}/admin/batches/{uuid4()}").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "stats"),
        ("GET", "admin/failed-verifications"),
        ("POST", "admin/batches"),
        ("GET", "admin/batches/1"),
        ("POST", "1/admin/override-ticket"),
        ("POST", "1/admin/review-failure"),
    ],
)
def test_staffs_doors_are_for_staff(api, method, path):
    assert api.send(method, f"{BASE}/{path}").status == 401
    assert api.as_user(UserFactory()).send(method, f"{BASE}/{path}").status == 403
    assert api.as_user(UserFactory(is_organiser=True)).send(method, f"{BASE}/{path}").status == 403


def test_event_without_face_check_sends_to_the_tickets(api):
    client = api.as_user(UserFactory())
    registration = register(client, TicketCategoryFactory().event)

    assert client.get(f"{BASE}/{registration}/status").body["data"]["nextStep"] == "CHOOSE_TICKETS"
    answer = client.post(f"{BASE}/{registration}/verify-face", {"faceImageKey": str(uuid4())})
    assert (answer.status, answer.body["code"]) == (409, "face_check_not_needed")


def test_organiser_sees_the_outcomes_of_checks_in_the_events_figures(api):
    category = face_category()
    check(registered(enrolled(), category.event))
    check(registered(enrolled(), category.event), drawn=OTHER)
    analytics.refresh()

    body = api.as_user(StaffFactory()).get(f"/api/v1/events/{category.event_id}/stats").body["data"]

    assert body["verification"] == {
        "registrations": 2,
        "verified": 1,
        "rejected": 1,
        "toReview": 0,
        "passed": 1,
        "mismatched": 1,
        "returned": 0,
    }
