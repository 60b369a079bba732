"""What staff decide, each with a reason, in the history and the audit; and the last seat, which only one of two gets."""

import pytest
from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction

from accounts.models import StaffAction, User
from accounts.notifications.queries import Shown, list_for
from bookings.models import Booking
from bookings.refusals import SaleClosed
from bookings.services.staff import ReasonRequired
from common.invariants import INVARIANTS
from events.models import Event, SeatInventory
from faceverify.models import FaceImage
from registrations import queries, refusals, services
from registrations.models import Registration, ReviewDecision
from registrations.services import checks
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from tests.races import errors, race, results
from tests.registrations.scenes import OTHER, check, enrolled, face_category, face_event, registered, reserve
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db


def override(registration, staff=None, **wish):
    return services.override_ticket(
        actor=staff or StaffFactory(), registration_id=registration.pk, **{"reason": "Saw the ID", **wish}
    )


def review(registration, action, staff=None, reason="Looked at both photos"):
    reviewed = services.review_failure(
        actor=staff or StaffFactory(), registration_id=registration.pk, action=action, reason=reason
    )
    registration.refresh_from_db()
    return reviewed


def step(registration):
    return queries.journey_of(queries.registrations_with_all().get(pk=registration.pk)).next_step


def failed(category):
    registration = registered(enrolled(), category.event)
    for variant in range(3):
        check(registration, drawn=OTHER, variant=variant)
    return registration


def may_exceed(staff):
    staff.user_permissions.add(Permission.objects.get(codename="exceed_capacity"))
    return User.objects.get(pk=staff.pk)


def test_override_issues_a_ticket_and_says_who_and_why():
    category, staff = face_category(price_minor=4900), StaffFactory()
    registration = registered(UserFactory(), category.event)

    booking = override(registration, staff)

    registration.refresh_from_db()
    assert (booking.status, booking.source, booking.tickets.count()) == ("confirmed", "staff", 1)
    assert (registration.status, registration.passed_by) == ("verified", "staff")
    assert (registration.admin_booked, registration.admin_override_reason) == (True, "Saw the ID")
    assert step(registration) == "TICKET_ISSUED"
    decision = ReviewDecision.objects.get()
    assert (decision.staff, decision.action, decision.reason) == (staff, "override", "Saw the ID")
    noted = StaffAction.objects.get(action="registration_override")
    assert (noted.actor, noted.object_id, noted.reason) == (staff, str(registration.pk), "Saw the ID")
    assert (noted.before["status"], noted.after["status"]) == ("pending", "verified")


def test_override_without_a_reason_or_for_who_has_a_ticket_is_refused():
    registration = registered(UserFactory(), face_category().event)

    with pytest.raises(ReasonRequired):
        override(registration, reason="  ")
    override(registration)
    with pytest.raises(refusals.TicketAlreadyIssued, match="Ticket already issued"):
        override(registration)


def test_override_of_a_sold_out_event_needs_leave_to_exceed_and_is_in_the_events_history():
    category = face_category(capacity=1)
    override(registered(UserFactory(), category.event))
    registration, plain, chief = registered(UserFactory(), category.event), StaffFactory(), may_exceed(StaffFactory())

    with pytest.raises(refusals.NoTicketsAvailable, match="No tickets available"):
        override(registration, chief)
    with pytest.raises(refusals.MayNotExceedCapacity):
        override(registration, plain, exceed_capacity=True)
    registration.refresh_from_db()
    assert registration.status == "pending"
    override(registration, chief, exceed_capacity=True)

    inventory = SeatInventory.objects.get(category=category)
    assert (inventory.capacity, inventory.sold) == (2, 2)
    raised = StaffAction.objects.get(action="exceed_capacity")
    assert (raised.actor, raised.object_id, raised.reason) == (chief, str(category.event_id), "Saw the ID")
    assert raised.after[f"category {category.pk}"]["capacity"] == 2
    noted = StaffAction.objects.get(action="registration_override", object_id=str(registration.pk))
    assert noted.after["capacity_raised_by"] == 1


def test_leave_to_exceed_raises_nothing_while_a_seat_is_free():
    category = face_category(capacity=2)

    override(registered(UserFactory(), category.event), may_exceed(StaffFactory()), exceed_capacity=True)

    assert SeatInventory.objects.get(category=category).capacity == 2


def test_override_of_a_numbered_hall_adds_a_seat():
    category = TicketCategoryFactory(event=face_event(), rows={"A": 1})
    override(registered(UserFactory(), category.event))

    booking = override(registered(UserFactory(), category.event), may_exceed(StaffFactory()), exceed_capacity=True)

    assert booking.tickets.get().seat.label == "Row B · Seat 1"


def test_override_takes_the_place_of_the_persons_own_hold():
    category = face_category(price_minor=4900, capacity=1)
    registration = registered(enrolled(), category.event)
    check(registration)
    assert step(registration) == "PAY"

    booking = override(registration)

    assert booking.source == "staff"
    assert Booking.objects.get(source="public").status == "cancelled"
    assert SeatInventory.objects.get(category=category).sold == 1


def test_approving_gives_what_a_face_that_passed_would_have_given():
    free, priced, full = face_category(), face_category(price_minor=4900), face_category(capacity=1)
    override(registered(UserFactory(), full.event))

    steps = []
    for category in (free, priced, full):
        registration = failed(category)
        review(registration, "approve")
        steps.append(step(registration))
        assert (registration.status, registration.passed_by) == ("verified", "staff")
        assert registration.review_requested_at is None

    assert steps == ["TICKET_ISSUED", "PAY", "WAITLISTED"]
    assert not FaceImage.objects.filter(deleted_at=None, consumed_at__isnull=False).exists()


def test_approved_person_keeps_the_time_of_their_first_miss():
    category = face_category(capacity=1)
    registration = failed(category)
    since = WaitlistEntry.objects.get().joined_at
    override(registered(UserFactory(), category.event))

    review(registration, "approve")

    entry = WaitlistEntry.objects.get()
    assert (entry.joined_at, entry.eligible) == (since, True)


def test_rejecting_closes_the_registration_and_ends_the_waiting():
    registration = failed(face_category())

    review(registration, "reject")

    assert (registration.status, registration.face_verification_status) == ("rejected", "failed")
    assert step(registration) == "CLOSED"
    assert WaitlistEntry.objects.get().status == "left"
    with pytest.raises(refusals.RegistrationClosed):
        check(registration, variant=4)


def test_requested_retry_begins_a_new_epoch_with_all_tries():
    registration = failed(face_category())

    review(registration, "request_retry")

    assert (registration.status, registration.face_verification_status) == ("pending", "pending")
    assert (registration.verification_attempts, registration.attempts_epoch) == (0, 1)
    assert step(registration) == "VERIFY_FACE"
    assert check(registration, variant=4).status == "passed"
    assert registration.attempts.filter(epoch=1).count() == 1
    assert list(INVARIANTS["registrations.attempts"]()) == []


def test_verified_person_has_nothing_to_review_and_a_past_event_nothing_to_give():
    done = registered(enrolled(), face_category().event)
    check(done)
    late = registered(UserFactory(), face_category().event)
    Event.objects.filter(pk=late.event_id).update(status="completed")

    with pytest.raises(refusals.NothingToReview):
        review(done, "reject")
    with pytest.raises(SaleClosed):
        review(late, "approve")


def test_asking_a_person_costs_nothing_and_comes_to_staff():
    category = face_category()
    registration = registered(UserFactory(), category.event)

    services.ask_a_person(registration=registration)
    services.ask_a_person(registration=registration)

    registration.refresh_from_db()
    assert (registration.identity_method, registration.verification_attempts) == ("manual_id", 0)
    assert step(registration) == "WAIT_FOR_REVIEW"
    assert list(queries.list_failed_verifications(event_id=category.event_id)) == [registration]
    override(registration, reason="Passport")
    assert step(registration) == "TICKET_ISSUED"


def test_asking_a_person_is_refused_where_there_is_nothing_to_ask():
    with pytest.raises(refusals.FaceCheckNotNeeded):
        services.ask_a_person(registration=registered(UserFactory(), TicketCategoryFactory().event))
    verified = registered(enrolled(), face_category().event)
    check(verified)
    with pytest.raises(refusals.AlreadyVerified):
        services.ask_a_person(registration=verified)


def test_staff_register_somebody_and_may_give_them_a_ticket_at_once():
    category, staff, person = face_category(), StaffFactory(), UserFactory()

    registration = services.register_as_staff(
        actor=staff,
        user_id=person.pk,
        event_id=category.event_id,
        override_reason="Guest of the band",
        issue_ticket=True,
    )

    assert step(registration) == "TICKET_ISSUED"
    assert set(StaffAction.objects.values_list("action", flat=True)) == {"register_person", "registration_override"}
    with pytest.raises(ReasonRequired):
        services.register_as_staff(actor=staff, user_id=UserFactory().pk, event_id=category.event_id, issue_ticket=True)
    assert Registration.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_staff_and_one_last_seat_one_gets_it():
    category = face_category(capacity=1)
    cases = [registered(UserFactory(), category.event) for _ in range(2)]
    people = [StaffFactory(), StaffFactory()]

    outcomes = race(
        [lambda pair=pair: override(*pair) for pair in zip(cases, people, strict=True)], gate="bookings_booking"
    )

    assert len(results(outcomes)) == 1
    assert [type(error) for error in errors(outcomes)] == [refusals.NoTicketsAvailable]
    inventory = SeatInventory.objects.get(category=category)
    assert (inventory.capacity, inventory.sold) == (1, 1)
    assert sorted(Registration.objects.values_list("status", flat=True)) == ["pending", "verified"]


@pytest.mark.django_db(transaction=True)
def test_two_staff_who_may_exceed_raise_the_capacity_by_what_is_needed():
    category = face_category(capacity=1)
    cases = [registered(UserFactory(), category.event) for _ in range(3)]
    chief = may_exceed(StaffFactory())

    outcomes = race([lambda case=case: override(case, chief, exceed_capacity=True) for case in cases])

    assert errors(outcomes) == []
    inventory = SeatInventory.objects.get(category=category)
    assert (inventory.capacity, inventory.sold) == (3, 3)


@pytest.mark.django_db(transaction=True)
def test_naive_override_sells_the_last_seat_twice_in_the_same_race():
    """The control: look whether a seat is free, then set the counter."""
    category = face_category(capacity=1)
    sold = []

    def naive():
        inventory = SeatInventory.objects.get(category=category)
        if inventory.free:
            SeatInventory.objects.filter(pk=inventory.pk).update(sold=inventory.sold + 1)
            sold.append(1)

    race([naive, naive], gate="events_seatinventory")

    assert len(sold) == 2


def test_review_decision_without_a_reason_can_not_be_written():
    registration = registered(UserFactory(), face_event())
    with pytest.raises(IntegrityError, match="review_decision_has_a_reason"), transaction.atomic():
        ReviewDecision.objects.create(registration=registration, staff=StaffFactory(), action="reject", reason="")


def test_review_of_a_check_under_way_is_not_undone_by_it():
    registration = registered(enrolled(), face_category().event)
    attempt = reserve(registration, drawn=OTHER)
    review(registration, "request_retry")

    services.run_check(attempt_id=attempt.pk)

    registration.refresh_from_db()
    assert (registration.status, registration.verification_attempts) == ("pending", 0)
    assert checks.face_status(registration.pk) == "pending"


def test_each_decision_of_staff_is_told_once():
    registration = failed(face_category())
    person = registration.user_id

    review(registration, "request_retry")
    review(registration, "reject")
    review(registration, "approve")

    told = [Shown.of(row) for row in list_for(person, groups=["verification"])]
    assert [notice.kind for notice in told] == [
        "verification_approved",
        "verification_rejected",
        "verification_retry",
    ]
    assert told[0].url == f"/registrations/{registration.pk}"
    assert "Looked at both photos" not in str(told)
