"""The face check: tries are reserved before the engine is asked, counted by the database, given back when nobody failed."""

from datetime import timedelta

import pytest
from django.conf import settings as current
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from bookings.models import Booking
from bookings.services import hold_seats
from common import jobs
from common.errors import IllegalTransition
from common.invariants import INVARIANTS
from events.models import SeatInventory
from faceverify import drawings
from faceverify import services as faces
from faceverify.models import FaceImage
from faceverify.refusals import ConsentRequired, ImageNotFound, ProfilePhotoMissing, SamePhoto
from registrations import queries, refusals, services
from registrations.models import Registration, VerificationAttempt
from registrations.services import checks
from tests.factories import TicketCategoryFactory, UserFactory
from tests.races import errors, race, results
from tests.registrations.scenes import (
    OTHER,
    agree,
    check,
    enrolled,
    face_category,
    face_event,
    registered,
    reserve,
    selfie,
)
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


def journey(registration):
    return queries.journey_of(queries.registrations_with_all().get(pk=registration.pk))


def expire(attempt):
    VerificationAttempt.objects.filter(pk=attempt.pk).update(expires_at=Now() - timedelta(seconds=1))


def test_face_that_matches_gets_the_free_ticket_at_once():
    category = face_category()
    registration = registered(enrolled(), category.event)

    attempt = check(registration)

    assert (attempt.status, attempt.engine) == ("passed", "local")
    assert attempt.similarity >= attempt.threshold == 80
    assert attempt.milliseconds > 0
    assert (registration.status, registration.face_verification_status) == ("verified", "success")
    assert (registration.passed_by, registration.verification_attempts) == ("face", 1)
    assert registration.reference == faces.current_reference(user_id=registration.user_id)
    assert journey(registration).next_step == "TICKET_ISSUED"
    assert SeatInventory.objects.get(category=category).sold == 1
    assert FaceImage.objects.get(pk=attempt.image_id).deleted_at is not None


def test_at_the_door_is_a_ticket_and_online_is_a_hold_to_pay():
    door = face_category(price_minor=4900, payment_collection="at_door")
    online = face_category(price_minor=4900)
    person = enrolled()

    first, second = registered(person, door.event), registered(person, online.event)
    check(first, variant=1)
    check(second, variant=2)

    assert journey(first).next_step == "TICKET_ISSUED"
    assert journey(second).next_step == "PAY"
    assert journey(second).booking.amount_minor == 4900


def test_sold_out_leads_to_the_waitlist_and_an_earlier_miss_keeps_its_time():
    category = face_category(capacity=1)
    registration = registered(enrolled(), category.event)
    check(registration, drawn=OTHER, variant=1)
    first_try = WaitlistEntry.objects.get()
    assert (first_try.reason, first_try.eligible) == ("face_verification_failed", False)
    assert SeatInventory.objects.get(category=category).waiting == 0
    check(registered(enrolled(), category.event), variant=2)

    check(registration, variant=3)

    entry = WaitlistEntry.objects.get()
    assert (entry.joined_at, entry.reason, entry.eligible) == (first_try.joined_at, "tickets_sold_out", True)
    assert SeatInventory.objects.get(category=category).waiting == 1
    assert journey(registration).next_step == "WAITLISTED"
    assert journey(registration).ticket_availability == "unavailable"


def test_verified_before_the_sale_or_with_a_choice_to_make_is_only_verified():
    later = face_category(sale_starts_at=Now() + timedelta(days=1))
    queued = face_category(queue_enabled=True)
    choice = face_category()
    TicketCategoryFactory(event=choice.event)
    several = face_category(max_tickets_per_booking=4)
    person = enrolled()

    steps = []
    for variant, category in enumerate((later, queued, choice, several), start=1):
        registration = registered(person, category.event)
        check(registration, variant=variant)
        steps.append(journey(registration).next_step)

    assert steps == ["CHOOSE_TICKETS", "JOIN_QUEUE", "CHOOSE_TICKETS", "CHOOSE_TICKETS"]
    assert not Booking.objects.exists()
    assert not WaitlistEntry.objects.exists()


def test_who_may_have_several_tickets_says_how_many_and_waits_when_there_are_none():
    category = face_category(capacity=3, max_tickets_per_booking=3)
    first, second = registered(enrolled(), category.event), registered(enrolled(), category.event)
    check(first, variant=1)
    booking = hold_seats(user_id=first.user_id, category_id=category.pk, quantity=3)

    check(second, variant=2)

    assert (booking.status, booking.quantity) == ("confirmed", 3)
    assert journey(second).next_step == "WAITLISTED"


def test_miss_before_the_sale_takes_no_place_on_a_list_that_does_not_exist_yet():
    category = face_category(sale_starts_at=Now() + timedelta(days=1))
    registration = registered(enrolled(), category.event)

    check(registration, drawn=OTHER)

    assert not WaitlistEntry.objects.exists()
    assert journey(registration).next_step == "RETRY_VERIFICATION"


def test_three_misses_go_to_staff_with_their_pictures():
    registration = registered(enrolled(), face_category().event)

    for variant in range(3):
        assert check(registration, drawn=OTHER, variant=variant).status == "mismatch"

    assert (registration.status, registration.face_verification_status) == ("rejected", "failed")
    assert registration.review_requested_at is not None
    assert journey(registration).next_step == "WAIT_FOR_REVIEW"
    with pytest.raises(refusals.AttemptsExceeded, match="Maximum verification attempts exceeded"):
        reserve(registration, variant=4)
    kept = FaceImage.objects.filter(owner_id=registration.user_id, deleted_at=None, consumed_at__isnull=False)
    assert kept.count() == 3


@pytest.mark.parametrize(
    ("picture", "code"),
    [
        (drawings.nobody, "face_none"),
        (lambda: drawings.two_people(9, 5), "face_many"),
        (lambda: drawings.blurred(9, 9), "face_blurry"),
        (lambda: drawings.photo(5), "same_photo"),
    ],
    ids=["nobody", "two people", "blurred", "the profile photo"],
)
def test_picture_that_will_not_do_uses_up_no_try(picture, code):
    registration = registered(enrolled(), face_category().event)
    key = str(faces.store_probe(user_id=registration.user_id, content=picture()).pk)

    attempt = services.verify_face(registration=registration, image_key=key)
    services.run_check(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    registration.refresh_from_db()
    assert (attempt.status, attempt.similarity) == ("returned", None)
    assert attempt.failure_code == code
    assert (registration.verification_attempts, registration.face_verification_status) == (0, "pending")
    assert registration.status == "pending"
    assert FaceImage.objects.get(pk=key).deleted_at is not None


def test_try_whose_face_data_went_meanwhile_is_given_back():
    registration = registered(enrolled(), face_category().event)
    attempt = reserve(registration)
    faces.withdraw_consent(user_id=registration.user_id)

    services.run_check(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    registration.refresh_from_db()
    assert (attempt.status, attempt.failure_code) == ("returned", "profile_photo_missing")
    assert registration.verification_attempts == 0


def test_worker_that_died_burns_no_try_and_the_registration_recovers_by_itself():
    registration = registered(enrolled(), face_category().event)
    attempt = reserve(registration)
    VerificationAttempt.objects.filter(pk=attempt.pk).update(starts=1)  # a worker began, and was never heard of again
    registration.refresh_from_db()
    assert (registration.verification_attempts, registration.face_verification_status) == (1, "processing")
    assert jobs.run("registrations.give_back_attempts") == 0
    expire(attempt)

    assert jobs.run("registrations.give_back_attempts") == 1

    attempt.refresh_from_db()
    registration.refresh_from_db()
    assert (attempt.status, attempt.failure_code) == ("returned", "check_interrupted")
    assert (registration.verification_attempts, registration.face_verification_status) == (0, "pending")
    services.run_check(attempt_id=attempt.pk)  # its task comes again after all
    attempt.refresh_from_db()
    assert attempt.status == "returned"


def test_next_try_recovers_what_no_sweep_has_yet():
    registration = registered(enrolled(), face_category().event)
    for variant in range(3):
        expire(reserve(registration, variant=variant))

    assert check(registration, variant=4).status == "passed"


def test_time_in_which_a_dead_worker_is_noticed_is_under_a_minute():
    # Waiting for a worker, then comparing, then until the next sweep.
    assert 2 * current.FACE_CHECK_SECONDS + current.OUTBOX_SECONDS < 60


def test_result_of_a_worker_that_was_taken_for_dead_changes_nothing():
    registration = registered(enrolled(), face_category().event)
    attempt = reserve(registration)
    late = VerificationAttempt.objects.select_related("image", "reference", "registration__event").get(pk=attempt.pk)
    found = faces.compare(reference=late.reference, image=late.image)
    expire(attempt)
    services.give_back_expired()

    checks.record(attempt=late, found=found)

    registration.refresh_from_db()
    assert (registration.status, registration.verification_attempts) == ("pending", 0)


def test_picture_that_kills_two_workers_is_not_given_to_a_third():
    registration = registered(enrolled(), face_category().event)
    attempt = reserve(registration)
    VerificationAttempt.objects.filter(pk=attempt.pk).update(starts=checks.MOST_STARTS)

    services.run_check(attempt_id=attempt.pk)

    attempt.refresh_from_db()
    assert (attempt.status, attempt.starts) == ("reserved", checks.MOST_STARTS)


def test_pictures_no_worker_was_told_of_are_compared_by_the_sweep():
    registration = registered(enrolled(), face_category().event)
    attempt = reserve(registration)
    assert jobs.run("registrations.check_faces") == 0
    VerificationAttempt.objects.filter(pk=attempt.pk).update(reserved_at=F("reserved_at") - timedelta(seconds=10))

    assert jobs.run("registrations.check_faces") == 1

    attempt.refresh_from_db()
    assert attempt.status == "passed"


def test_client_can_make_the_threshold_stricter_and_never_looser():
    category = face_category()
    lax = registered(enrolled(), category.event)
    strict = registered(enrolled(), category.event)

    lowered = check(lax, drawn=OTHER, similarity_threshold=1)
    raised = check(strict, variant=2, similarity_threshold=100)

    assert (lowered.status, lowered.threshold) == ("mismatch", 80)
    assert (raised.status, raised.threshold) == ("mismatch", 100)


def test_event_may_be_stricter_than_the_engine_and_not_looser():
    loose, strict = face_event(similarity_threshold=10), face_event(similarity_threshold=97)
    person = enrolled()

    assert reserve(registered(person, loose), variant=1).threshold == 80
    assert reserve(registered(person, strict), variant=2).threshold == 97


def test_somebody_elses_picture_a_used_one_and_nonsense_are_not_found():
    event = face_category().event
    registration, stranger = registered(enrolled(), event), enrolled()
    used = selfie(registration.user)
    attempt = services.verify_face(registration=registration, image_key=used)
    services.run_check(attempt_id=attempt.pk)
    other = registered(stranger, event)

    for key in (selfie(registration.user, variant=2), used, "probe/1.jpg", str(other.pk)):
        with pytest.raises(ImageNotFound):
            services.verify_face(registration=other, image_key=key)
    other.refresh_from_db()
    assert other.verification_attempts == 0


def test_selfie_used_before_is_refused_without_a_try():
    event = face_category().event
    registration = registered(enrolled(), event)
    check(registration, drawn=OTHER, variant=1)

    with pytest.raises(SamePhoto):
        selfie(registration.user, drawn=OTHER, variant=1)


def test_nothing_is_compared_without_consent_and_profile_photo():
    event = face_category().event
    agreed = UserFactory()
    agree(agreed)
    registration = registered(agreed, event)
    assert journey(registration).next_step == "UPLOAD_PHOTO"
    key = selfie(agreed)

    with pytest.raises(ProfilePhotoMissing):
        services.verify_face(registration=registration, image_key=key)
    with pytest.raises(ConsentRequired):
        services.verify_face(registration=registered(UserFactory(), event), image_key=key)
    registration.refresh_from_db()
    assert registration.verification_attempts == 0


def test_check_is_refused_where_none_is_wanted():
    person = enrolled()
    plain = registered(person, TicketCategoryFactory().event)
    with pytest.raises(refusals.FaceCheckNotNeeded):
        reserve(plain, variant=1)
    done = registered(person, face_category().event)
    check(done, variant=2)
    with pytest.raises(refusals.TicketAlreadyIssued, match=r"^Ticket already issued$"):
        reserve(done, variant=3)
    waiting = registered(person, face_category(sale_starts_at=Now() + timedelta(days=1)).event)
    check(waiting, variant=4)
    with pytest.raises(refusals.AlreadyVerified):
        reserve(waiting, variant=5)


def test_profile_photo_changed_later_does_not_change_who_passed():
    registration = registered(enrolled(), face_category().event)
    check(registration)
    passed = registration.reference

    faces.enrol(user_id=registration.user_id, photos=[drawings.photo(5, 2)])

    registration.refresh_from_db()
    assert registration.reference == passed
    passed.refresh_from_db()
    assert (passed.forgotten_at, passed.kept_until) == (None, registration.event.ends_at)
    assert faces.current_reference(user_id=registration.user_id) != passed


@pytest.mark.django_db(transaction=True)
def test_of_ten_tries_at_once_three_are_counted():
    registration = registered(enrolled(), face_category().event)
    keys = [selfie(registration.user, drawn=OTHER, variant=variant) for variant in range(10)]

    outcomes = race(
        [lambda key=key: services.verify_face(registration=registration, image_key=key) for key in keys],
        gate="registrations_registration",
    )

    assert len(results(outcomes)) == 3
    assert {type(error) for error in errors(outcomes)} == {refusals.AttemptsExceeded}
    for attempt in results(outcomes):
        services.run_check(attempt_id=attempt.pk)
    registration.refresh_from_db()
    assert (registration.verification_attempts, registration.face_verification_status) == (3, "failed")
    assert registration.review_requested_at is not None
    assert list(INVARIANTS["registrations.attempts"]()) == []


@pytest.mark.django_db(transaction=True)
def test_naive_counting_lets_all_ten_through_in_the_same_race():
    """The control: read the counter, decide, write it."""
    registration = registered(enrolled(), face_category().event)

    def naive():
        seen = Registration.objects.get(pk=registration.pk)
        if seen.verification_attempts >= current.MAX_VERIFICATION_ATTEMPTS:
            raise refusals.AttemptsExceeded
        seen.verification_attempts += 1
        seen.save(update_fields=["verification_attempts"])

    outcomes = race([naive for _ in range(10)], gate="registrations_registration")

    assert len(results(outcomes)) > 3


@pytest.mark.django_db(transaction=True)
def test_passing_twice_at_once_is_one_ticket():
    category = face_category()
    registration = registered(enrolled(), category.event)
    attempts = [reserve(registration, variant=variant) for variant in (1, 2)]

    race([lambda attempt=attempt: services.run_check(attempt_id=attempt.pk) for attempt in attempts])

    assert Booking.objects.filter(user_id=registration.user_id, status="confirmed").count() == 1
    assert SeatInventory.objects.get(category=category).sold == 1


@pytest.mark.django_db(transaction=True)
def test_last_seat_goes_to_one_of_two_who_pass_at_once_and_the_other_waits():
    category = face_category(capacity=1)
    registrations = [registered(enrolled(), category.event) for _ in range(2)]
    attempts = [reserve(registration) for registration in registrations]

    outcomes = race([lambda attempt=attempt: services.run_check(attempt_id=attempt.pk) for attempt in attempts])

    assert errors(outcomes) == []
    assert sorted(journey(registration).next_step for registration in registrations) == ["TICKET_ISSUED", "WAITLISTED"]


@pytest.mark.parametrize("status", VerificationAttempt.Status.values)
@pytest.mark.parametrize("name", VerificationAttempt.TRANSITIONS)
def test_attempt_moves_only_along_its_table(name, status):
    registration = registered(UserFactory(), face_event())
    decided = {} if status == "reserved" else {"decided_at": Now(), "similarity": 90, "failure_code": "x"}
    attempt = VerificationAttempt.objects.create(
        registration=registration, epoch=0, threshold=80, expires_at=Now(), status=status, **decided
    )
    changes = {"decided_at": Now(), "similarity": 90, "failure_code": "x"}

    if status == "reserved":
        attempt.transition(name, **changes)
        target = VerificationAttempt.TRANSITIONS[name].target
        assert VerificationAttempt.objects.get(pk=attempt.pk).status == target
    else:
        with pytest.raises(IllegalTransition):
            attempt.transition(name, **changes)


@pytest.mark.parametrize("status", Registration.Status.values)
@pytest.mark.parametrize("name", Registration.TRANSITIONS)
def test_registration_moves_only_along_its_table(name, status):
    how = {"passed_by": "face", "verified_at": Now()}
    registration = Registration.objects.create(
        user=UserFactory(), event=face_event(), status=status, **(how if status == "verified" else {})
    )
    step = Registration.TRANSITIONS[name]
    changes = how if step.target == "verified" else {"passed_by": "", "verified_at": None}

    if status in step.sources:
        registration.transition(name, **changes)
        assert Registration.objects.get(pk=registration.pk).status == step.target
    else:
        with pytest.raises(IllegalTransition):
            registration.transition(name, **changes)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "gone"}, "registration_status_is_known"),
        ({"face_verification_status": "gone"}, "face_status_is_known"),
        ({"status": "verified"}, "verified_registration_says_how_and_when"),
        ({"passed_by": "face"}, "verified_registration_says_how_and_when"),
        ({"admin_booked": True}, "staff_booking_has_a_reason"),
    ],
)
def test_constraints_of_registrations_hold(values, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Registration.objects.create(user=UserFactory(), event=face_event(), **values)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "gone", "decided_at": Now()}, "attempt_status_is_known"),
        ({"decided_at": Now()}, "decided_attempt_has_its_time"),
        ({"status": "mismatch", "decided_at": Now()}, "scored_attempt_has_its_score"),
        ({"status": "passed", "similarity": 79.9, "decided_at": Now()}, "passed_attempt_reached_its_mark"),
        ({"status": "returned", "decided_at": Now()}, "returned_attempt_says_why"),
    ],
)
def test_constraints_of_attempts_hold(values, constraint):
    registration = registered(UserFactory(), face_event())

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        VerificationAttempt.objects.create(registration=registration, epoch=0, threshold=80, expires_at=Now(), **values)
