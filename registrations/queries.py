"""Reads of registrations, what their journey's next step is, and who may see them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.authentication import Principal
from accounts.models import User
from accounts.permissions import may
from bookings.models import Booking, Ticket, TicketHandover
from bookings.queries import bookings_with_all, tickets_with_all
from bookings.services.handovers import get_invitation
from events.models import Event
from faceverify.models import FaceReference
from registrations.models import Registration, VerificationAttempt
from registrations.refusals import RegistrationNotFound
from waitlist.models import WaitlistEntry
from waitlist.queries import with_position

VIEW = "registrations.view_registration"
STEPS = (
    "UPLOAD_PHOTO",
    "VERIFY_FACE",
    "RETRY_VERIFICATION",
    "WAIT_FOR_REVIEW",
    "JOIN_QUEUE",
    "CHOOSE_TICKETS",
    "PAY",
    "ACCEPT_OFFER",
    "WAITLISTED",
    "TICKET_ISSUED",
    "CLOSED",
)
# The status and the sentence that go with a next step.
WORDS = {
    "UPLOAD_PHOTO": ("PENDING", "Upload a profile photo first"),
    "VERIFY_FACE": ("PENDING", "Registration in progress"),
    "RETRY_VERIFICATION": ("VERIFICATION_FAILED", "Face verification failed. You can try again."),
    "WAIT_FOR_REVIEW": ("UNDER_REVIEW", "A person is looking at your case."),
    "JOIN_QUEUE": ("VERIFIED", "You are verified. Join the queue to buy."),
    "CHOOSE_TICKETS": ("VERIFIED", "You are verified. Choose your tickets."),
    "PAY": ("PAYMENT_REQUIRED", "Your ticket is held for you. Pay for it before the hold ends."),
    "ACCEPT_OFFER": ("OFFERED", "A ticket is offered to you."),
    "WAITLISTED": ("WAITLISTED", "You are verified and on the waitlist."),
    "TICKET_ISSUED": ("TICKET_ISSUED", "Ticket already issued. Registration complete."),
    "CLOSED": ("CLOSED", "This registration is closed."),
}
PRECEDENCE = (Booking.Status.CONFIRMED, Booking.Status.PENDING, Booking.Status.OFFERED)


@dataclass(frozen=True)
class Journey:
    """A registration with everything that decides what comes next."""

    registration: Registration
    booking: Booking | None
    entry: WaitlistEntry | None
    has_reference: bool
    now: datetime
    given: Ticket | None = None  # a ticket that somebody else bought and they hold
    handover: TicketHandover | None = None  # such a ticket that they accepted and have yet to take

    @property
    def ticket_issued(self) -> bool:
        """Whether the person has a ticket, bought or taken."""
        if self.given is not None:
            return True
        return self.booking is not None and self.booking.status == Booking.Status.CONFIRMED

    @property
    def ticket_availability(self) -> str:
        """S0's `ticketAvailabilityStatus`: read from the seats, never stored."""
        if self.booking is not None or self.given is not None:
            return "available"
        return "unavailable" if self.entry is not None and self.entry.eligible else "pending"

    @property
    def attempts_left(self) -> int:
        """How many tries are left."""
        return max(0, settings.MAX_VERIFICATION_ATTEMPTS - self.registration.verification_attempts)

    @property
    def is_over(self) -> bool:
        """Whether nobody gets a ticket for the event any more."""
        event = self.registration.event
        return event.status in {Event.Status.CANCELLED, Event.Status.COMPLETED} or event.ends_at <= self.now

    @property
    def next_step(self) -> str:
        """What the person does next, one of STEPS."""
        if self.ticket_issued:
            return "TICKET_ISSUED"
        if self.is_over or self.registration.closed_by_staff:
            return "CLOSED"
        if self.booking is not None and self.booking.status == Booking.Status.PENDING:
            return "PAY"
        needs_face = self.registration.event.requires_face_verification
        if needs_face and self.registration.status != Registration.Status.VERIFIED:
            return self.step_of_check  # an offer waits for it: nobody else can accept one
        if self.booking is not None:
            return "ACCEPT_OFFER"
        if self.entry is not None and self.entry.eligible:
            return "WAITLISTED"
        sale_ends = self.registration.event.sale_ends_at or self.registration.event.starts_at
        if sale_ends <= self.now:
            return "CLOSED"
        return "JOIN_QUEUE" if self.registration.event.queue_enabled else "CHOOSE_TICKETS"

    @property
    def step_of_check(self) -> str:
        """What comes next for somebody who is not verified."""
        registration = self.registration
        if registration.review_requested_at is not None:
            return "WAIT_FOR_REVIEW"
        if not self.has_reference:
            return "UPLOAD_PHOTO"
        failed = registration.face_verification_status == Registration.FaceStatus.FAILED
        return "RETRY_VERIFICATION" if failed else "VERIFY_FACE"

    @property
    def words(self) -> tuple[str, str]:
        """The status and the sentence for a person."""
        status, message = WORDS[self.next_step]
        if self.registration.face_verification_status == Registration.FaceStatus.PROCESSING and status not in {
            "TICKET_ISSUED",
            "PAYMENT_REQUIRED",
        }:
            return "PROCESSING", "Your face is being compared."
        if self.next_step == "CHOOSE_TICKETS" and not self.registration.event.requires_face_verification:
            return "PENDING", "This event checks no faces. Choose your tickets."
        return status, message


def registrations_with_all() -> QuerySet[Registration]:
    """Return registrations with their person and event."""
    return Registration.objects.select_related("user", "event")


def get_registration_for(*, viewer: Principal | User, registration_id: UUID) -> Registration:
    """
    Load a registration for its owner or for staff.

    :raises RegistrationNotFound: if there is none, or the viewer may not see it
    """
    registration = registrations_with_all().filter(pk=registration_id).first()
    if registration is None:
        raise RegistrationNotFound
    organiser_id = registration.event.created_by_id
    if registration.user_id != viewer.pk and not may(viewer, VIEW, organiser_id=organiser_id):
        raise RegistrationNotFound
    return registration


def get_own_registration(*, user_id: UUID, registration_id: UUID) -> Registration:
    """
    Load a person's own registration: only they show their face.

    :raises RegistrationNotFound: if there is none, or it is somebody else's
    """
    registration = registrations_with_all().filter(pk=registration_id, user_id=user_id).first()
    if registration is None:
        raise RegistrationNotFound
    return registration


def find_registration(*, user_id: UUID, event_id: UUID) -> Registration | None:
    """Return a person's registration for an event, or None."""
    return registrations_with_all().filter(user_id=user_id, event_id=event_id).first()


def list_registrations_for(*, user_id: UUID) -> QuerySet[Registration]:
    """Return a person's registrations, newest first."""
    return registrations_with_all().filter(user_id=user_id).order_by("-created_at", "id")


def list_failed_verifications(*, event_id: UUID | None = None) -> QuerySet[Registration]:
    """Return, for staff, who failed and who asked for a person instead; who has waited longest comes first."""
    waiting = Q(review_requested_at__isnull=False) | Q(face_verification_status=Registration.FaceStatus.FAILED)
    failed = registrations_with_all().filter(waiting).exclude(status=Registration.Status.VERIFIED)
    if event_id is not None:
        failed = failed.filter(event_id=event_id)
    return failed.order_by("closed_by_staff", "review_requested_at", "last_verification_attempt", "id")


def journey_of(registration: Registration) -> Journey:
    """Return one registration with what decides its next step."""
    return journeys_of([registration])[0]


def journeys_of(registrations: Sequence[Registration]) -> list[Journey]:
    """Return registrations with what decides their next steps, in a few more statements however many there are."""
    pairs = pairs_of(registrations)
    live = Q(status=Booking.Status.CONFIRMED) | Q(
        status__in=(Booking.Status.PENDING, Booking.Status.OFFERED), expires_at__gt=Now()
    )
    bookings = best_of(bookings_with_all().filter(live).filter(pairs))
    waiting = WaitlistEntry.objects.filter(pairs, status__in=WaitlistEntry.LIVE).select_related("event", "user")
    entries = {(entry.user_id, entry.event_id): entry for entry in with_position(waiting)}
    given = tickets_with_all().filter(pairs_of(registrations, "holder_id"), status__in=Ticket.OPENS)
    tickets = {(ticket.holder_id, ticket.event_id): ticket for ticket in given.exclude(booking__user_id=F("holder_id"))}
    accepted = TicketHandover.objects.filter(
        pairs_of(registrations, "invitee_id", "ticket__event_id"),
        status=TicketHandover.Status.ACCEPTED,
        expires_at__gt=Now(),
    ).select_related("named_by", "ticket")
    handovers = {(handover.invitee_id, handover.ticket.event_id): handover for handover in accepted}
    known = FaceReference.objects.filter(
        user_id__in=[registration.user_id for registration in registrations], replaced_at=None, forgotten_at=None
    )
    enrolled = set(known.values_list("user_id", flat=True))
    now = timezone.now()
    return [
        Journey(
            registration=registration,
            booking=bookings.get((registration.user_id, registration.event_id)),
            entry=entries.get((registration.user_id, registration.event_id)),
            has_reference=registration.user_id in enrolled,
            now=now,
            given=tickets.get((registration.user_id, registration.event_id)),
            handover=handovers.get((registration.user_id, registration.event_id)),
        )
        for registration in registrations
    ]


def pairs_of(registrations: Sequence[Registration], person: str = "user_id", event: str = "event_id") -> Q:
    """Return the condition that a row is of one of these registrations' people and events."""
    pairs = Q(pk__in=[])
    for registration in registrations:
        pairs |= Q(**{person: registration.user_id, event: registration.event_id})
    return pairs


def best_of(bookings: Iterable[Booking]) -> dict[tuple[UUID, UUID], Booking]:
    """Return for each person and event the booking that matters most: a ticket, then a hold, then an offer."""
    found: dict[tuple[UUID, UUID], Booking] = {}
    for booking in bookings:
        key = (booking.user_id, booking.event_id)
        if key not in found or PRECEDENCE.index(booking.status) < PRECEDENCE.index(found[key].status):
            found[key] = booking
    return found


def decided_attempt(*, attempt_id: UUID) -> VerificationAttempt | None:
    """Return an attempt once it is decided; None while its comparison is under way."""
    reserved = VerificationAttempt.Status.RESERVED
    return VerificationAttempt.objects.filter(pk=attempt_id).exclude(status=reserved).first()


def get_invitation_with_all(token: str) -> TicketHandover:
    """
    Load the invitation behind a mailed link with who sent it and what it is for.

    :raises InvitationNotFound, InvitationOver: if there is none (any more)
    """
    found = TicketHandover.objects.select_related(
        "named_by", "ticket__event", "ticket__booking__category", "ticket__seat", "invitee"
    )
    return found.get(pk=get_invitation(token).pk)
