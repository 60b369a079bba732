"""
What staff decide: override, approve, reject, request a retry. Each decision is a row with its reason, and one in the staff's
audit, in the same transaction.
"""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.authentication import Principal
from accounts.models import User
from accounts.services import record_staff_action
from bookings.models import Booking
from bookings.queries import only_category_of
from bookings.refusals import SoldOut
from bookings.services import cancel_booking, confirm_booking, hold_seats
from bookings.services.staff import ReasonRequired
from common.errors import NotFound
from events.models import Event, SeatInventory
from events.services import as_staff, set_capacity
from registrations import news
from registrations.models import Registration, ReviewDecision
from registrations.refusals import (
    MayNotExceedCapacity,
    NothingToReview,
    NoTicketsAvailable,
    TicketAlreadyIssued,
)
from registrations.services import seating
from registrations.services.checks import discard_all, lock
from registrations.services.invitations import take_given_ticket, was_invited
from registrations.services.registering import create_registration, refuse_if_over
from waitlist import services as waitlist

Action = ReviewDecision.Action
FaceStatus = Registration.FaceStatus
Staff = User | Principal
EXCEED = "registrations.exceed_capacity"


@transaction.atomic
def register_as_staff(
    *, actor: Staff, user_id: UUID, event_id: UUID, override_reason: str = "", issue_ticket: bool = False
) -> Registration:
    """
    Register somebody else; with `issue_ticket` give them their ticket at once, without a face check, for a reason.

    :raises NotFound: if there is no such person
    :raises ReasonRequired: if a ticket is to be issued for no reason
    """
    if not User.objects.filter(pk=user_id, is_active=True).exists():
        raise NotFound("User not found")
    registration = create_registration(user_id=user_id, event_id=event_id)
    record_staff_action(
        actor_id=actor.pk,
        action="register_person",
        object_type="registration",
        object_id=registration.pk,
        after={"event": str(event_id), "user": str(user_id)},
        reason=override_reason.strip(),
    )
    if issue_ticket:
        override_ticket(actor=actor, registration_id=registration.pk, reason=override_reason)
        registration.refresh_from_db()
    return registration


@transaction.atomic
def override_ticket(
    *,
    actor: Staff,
    registration_id: UUID,
    reason: str,
    category_id: UUID | None = None,
    exceed_capacity: bool = False,
) -> Booking:
    """
    Issue a ticket without a face check, because a member of staff answers for the person.

    A seat must be free. With `exceed_capacity`, and the permission for it, the capacity is raised by one when none is, and the
    event's history says so. Of two who override the last seat, one gets it. Who accepted a ticket that somebody else bought
    gets that one.

    :raises ReasonRequired: if there is no reason
    :raises TicketAlreadyIssued: if the person has a ticket
    :raises NoTicketsAvailable: if no seat is free
    :raises MayNotExceedCapacity: if the member of staff may not raise the capacity
    """
    reason = needed(reason)
    if exceed_capacity and not actor.has_perm(EXCEED):
        raise MayNotExceedCapacity
    registration = lock(registration_id)
    refuse_if_over(registration.event_id)
    if seating.ticketed(user_id=registration.user_id, event_id=registration.event_id):
        raise TicketAlreadyIssued
    before = facts(registration)
    verify_as_staff(registration, admin_booked=True, admin_override_reason=reason)
    waitlist.waiting_entry(registration.user_id, registration.event_id)  # locked before the seats, as everywhere
    if was_invited(registration) and (given := take_given_ticket(registration)) is not None:
        seating.stop_waiting(registration)
        decide(actor, registration, Action.OVERRIDE, reason, before, ticket=given.booking.reference, given=True)
        discard_all(registration)
        return given.booking
    category_id = category_id or only_category_of(event_id=registration.event_id)
    let_go_of_claims(registration)
    raised = False
    try:
        booking = staff_seat(registration, category_id)
    except SoldOut as error:
        if not exceed_capacity:
            raise NoTicketsAvailable from error
        add_one_seat(actor, registration, category_id, reason)
        raised = True
        booking = staff_seat(registration, category_id)
    waitlist.serve(user_id=registration.user_id, event_id=registration.event_id, booking_id=booking.pk)
    after = {"ticket": booking.reference} | ({"capacity_raised_by": 1} if raised else {})
    decide(actor, registration, Action.OVERRIDE, reason, before, **after)
    discard_all(registration)
    return booking


@transaction.atomic
def review_failure(*, actor: Staff, registration_id: UUID, action: str, reason: str) -> Registration:
    """
    Decide a case: `approve`, `reject` or `request_retry`.

    Approving verifies the person as their face would have: they get a ticket, a hold to pay, or the waitlist with the time they
    had. Rejecting closes the registration. A retry begins a new epoch of attempts.

    :raises ReasonRequired: if there is no reason
    :raises NothingToReview: if the person is verified already
    """
    reason = needed(reason)
    registration = lock(registration_id)
    if registration.status == Registration.Status.VERIFIED:
        raise NothingToReview
    refuse_if_over(registration.event_id)
    before = facts(registration)
    if action == Action.APPROVE:
        verify_as_staff(registration)
        seating.take_seat(registration=registration)
    elif action == Action.REJECT:
        registration.transition(
            "reject", face_verification_status=FaceStatus.FAILED, closed_by_staff=True, review_requested_at=None
        )
        seating.stop_waiting(registration)
    else:
        registration.transition(
            "request_retry",
            face_verification_status=FaceStatus.PENDING,
            identity_method=Registration.IdentityMethod.FACE,
            verification_attempts=0,
            attempts_epoch=F("attempts_epoch") + 1,
            closed_by_staff=False,
            review_requested_at=None,
        )
    decide(actor, registration, action, reason, before)
    discard_all(registration)
    registration.refresh_from_db()
    return registration


def verify_as_staff(registration: Registration, **fields: Any) -> None:
    """Take a person as verified because staff say so; who passed by their face before stays verified that way."""
    if registration.status == Registration.Status.VERIFIED:
        if fields:
            Registration.objects.filter(pk=registration.pk).update(**fields)
        return
    registration.transition(
        "approve",
        passed_by=Registration.PassedBy.STAFF,
        verified_at=Now(),
        closed_by_staff=False,
        review_requested_at=None,
        **fields,
    )


def staff_seat(registration: Registration, category_id: UUID) -> Booking:
    """
    Take one seat for somebody as staff: no queue, no waitlist and no opening of the sale stands before it.

    :raises SoldOut: if none is free
    """
    with transaction.atomic():
        booking = hold_seats(
            user_id=registration.user_id,
            category_id=category_id,
            event_id=registration.event_id,
            quantity=1,
            source=Booking.Source.STAFF,
        )
        if booking.is_hold:
            booking = confirm_booking(booking_id=booking.pk)
    return booking


def let_go_of_claims(registration: Registration) -> None:
    """End the person's own hold or offer for this event: staff give them a ticket instead."""
    claims = Booking.objects.filter(
        user_id=registration.user_id,
        event_id=registration.event_id,
        status__in=(Booking.Status.PENDING, Booking.Status.OFFERED),
    )
    for booking_id in claims.order_by("pk").values_list("pk", flat=True):
        cancel_booking(booking_id=booking_id, by="staff", reason="ticket_by_staff")


def add_one_seat(actor: Staff, registration: Registration, category_id: UUID, reason: str) -> None:
    """Raise the capacity of a category by one, in the event's history with the reason."""
    Event.objects.select_for_update(no_key=True).get(
        pk=registration.event_id
    )  # whoever changes a capacity holds this lock
    inventory = SeatInventory.objects.get(category_id=category_id)
    as_staff(
        actor_id=actor.pk,
        action="exceed_capacity",
        event_id=registration.event_id,
        reason=reason,
        do=lambda: set_capacity(category_id=category_id, capacity=inventory.capacity + 1),
    )


def decide(
    actor: Staff, registration: Registration, action: str, reason: str, before: dict[str, Any], **after: Any
) -> None:
    """Write down a decision, where the case is and in the staff's audit, and tell the person."""
    decision = ReviewDecision.objects.create(registration=registration, staff_id=actor.pk, action=action, reason=reason)
    news.decided(registration, decision)
    record_staff_action(
        actor_id=actor.pk,
        action=f"registration_{action}",
        object_type="registration",
        object_id=registration.pk,
        before=before,
        after=facts(Registration.objects.get(pk=registration.pk)) | after,
        reason=reason,
    )


def facts(registration: Registration) -> dict[str, Any]:
    """Return what a decision may change, as JSON without anything personal."""
    return {
        "status": registration.status,
        "face_verification_status": registration.face_verification_status,
        "verification_attempts": registration.verification_attempts,
        "attempts_epoch": registration.attempts_epoch,
        "identity_method": registration.identity_method,
        "passed_by": registration.passed_by,
    }


def needed(reason: str) -> str:
    """
    Return a reason, tidied.

    :raises ReasonRequired: if there is none
    """
    tidy = reason.strip()[:2000]
    if not tidy:
        raise ReasonRequired
    return tidy
