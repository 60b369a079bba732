"""People with drawn faces, events that check faces, and the steps of a check as a test writes them."""

from typing import Any

from accounts.models import User
from events.models import Event
from faceverify import services as faces
from faceverify.drawings import photo
from faceverify.drawings import selfie as another
from faceverify.policy import current_policy
from registrations import services
from registrations.models import Registration, VerificationAttempt
from tests.factories import EventFactory, TicketCategoryFactory, UserFactory

SELF, OTHER = 5, 9  # two drawn people whom the engine tells apart
# Person and variant of photos that are not alike to SELF, nor to one another.
STRANGERS = ((9, 0), (31, 0), (38, 0), (0, 0), (18, 0), (27, 0), (14, 0), (1, 0), (12, 0), (9, 1))


def face_event(**details: Any) -> Event:
    """Return an event on sale that checks faces and sells one ticket a person."""
    details = {"requires_face_verification": True, "face_necessity": "Tickets stay with people.", **details}
    return EventFactory(**{"max_tickets_per_booking": 1, **details})


def face_category(*, price_minor: int = 0, capacity: int = 10, **details: Any) -> Any:
    """Return the one category of an event that checks faces; it is free unless priced."""
    return TicketCategoryFactory(event=face_event(**details), price_minor=price_minor, capacity=capacity)


def agree(person: User) -> None:
    """Give consent to the text in force."""
    faces.give_consent(user_id=person.pk, policy_version=current_policy().version, method="api")


def enrolled(person: User | None = None, *, drawn: int = SELF) -> User:
    """Return somebody whose profile photo is that of a drawn person."""
    person = person or UserFactory()
    agree(person)
    faces.enrol(user_id=person.pk, photos=[photo(drawn)])
    return person


def registered(person: User, event: Event) -> Registration:
    """Return their registration, freshly read."""
    return services.create_registration(user_id=person.pk, event_id=event.pk)


def shot(drawn: int = SELF, variant: int = 1) -> bytes:
    """
    Return a JPEG of a drawn person; every variant (0 to 9) is another photo that passes the gate.

    Of OTHER each variant is another stranger: photos of one drawn person are too alike to be ten different selfies.
    """
    if drawn == OTHER:
        return photo(*STRANGERS[variant])
    return another(drawn, variant)


def selfie(person: User, *, drawn: int = SELF, variant: int = 1) -> str:
    """Upload a picture of a drawn person and return its key."""
    return str(faces.store_probe(user_id=person.pk, content=shot(drawn, variant)).pk)


def reserve(registration: Registration, *, drawn: int = SELF, variant: int = 1, **wish: Any) -> VerificationAttempt:
    """Upload a picture and reserve a try for it."""
    key = selfie(registration.user, drawn=drawn, variant=variant)
    return services.verify_face(registration=registration, image_key=key, **wish)


def check(registration: Registration, *, drawn: int = SELF, variant: int = 1, **wish: Any) -> VerificationAttempt:
    """Let a drawn person show their face, compare as a worker does, and return the decided attempt."""
    attempt = reserve(registration, drawn=drawn, variant=variant, **wish)
    services.run_check(attempt_id=attempt.pk)
    attempt.refresh_from_db()
    registration.refresh_from_db()
    return attempt
