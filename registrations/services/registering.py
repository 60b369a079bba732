"""The beginning of a journey, and the way of equal rank: asking a person."""

from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from bookings.refusals import EventCancelled, SaleClosed
from events.models import Event
from events.refusals import EventNotFound
from registrations.models import Registration
from registrations.refusals import AlreadyRegistered, AlreadyVerified, FaceCheckNotNeeded, RegistrationClosed


@transaction.atomic
def create_registration(*, user_id: UUID, event_id: UUID) -> Registration:
    """
    Register a person for an event.

    :raises EventNotFound: if there is no such event, or it is not published yet
    :raises EventCancelled, SaleClosed: if it does not take place, or is over
    :raises AlreadyRegistered: if they are registered (`extra["registration_id"]` says where)
    """
    refuse_if_over(event_id)
    try:
        with transaction.atomic():
            registration = Registration.objects.create(user_id=user_id, event_id=event_id)
    except IntegrityError as error:
        known = Registration.objects.filter(user_id=user_id, event_id=event_id).values_list("pk", flat=True).first()
        if known is None:
            raise
        raise AlreadyRegistered(registration_id=str(known)) from error
    return registration


@transaction.atomic
def ask_a_person(*, registration: Registration) -> Registration:
    """
    Ask staff to check an ID instead of a face. It costs nothing: place, time and deadlines stay as they are.

    :raises AlreadyVerified: if nothing needs to be checked any more
    :raises FaceCheckNotNeeded: if the event checks no faces
    :raises RegistrationClosed: if staff have said no
    """
    refuse_if_over(registration.event_id)
    locked = Registration.objects.select_for_update(no_key=True, of=("self",)).select_related("event")
    registration = locked.get(pk=registration.pk)
    if not registration.event.requires_face_verification:
        raise FaceCheckNotNeeded
    if registration.closed_by_staff:
        raise RegistrationClosed
    if registration.status == Registration.Status.VERIFIED:
        raise AlreadyVerified
    if registration.identity_method == Registration.IdentityMethod.MANUAL_ID:
        return registration
    return registration.transition(
        "ask_a_person",
        identity_method=Registration.IdentityMethod.MANUAL_ID,
        review_requested_at=Now() if registration.review_requested_at is None else registration.review_requested_at,
    )


def refuse_if_over(event_id: UUID) -> Event:
    """
    Load an event that one can still go to.

    :raises EventNotFound: if there is none, or it is a draft
    :raises EventCancelled, SaleClosed: if it does not take place, or is over
    """
    event = Event.objects.filter(pk=event_id, deleted_at=None).exclude(status=Event.Status.DRAFT).first()
    if event is None:
        raise EventNotFound
    if event.status == Event.Status.CANCELLED:
        raise EventCancelled
    if event.status == Event.Status.COMPLETED or Event.objects.filter(Event.ended(), pk=event_id).exists():
        raise SaleClosed
    return event
