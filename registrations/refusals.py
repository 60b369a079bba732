"""The ways a registration may be refused, each with its stable code; S1's sentences where S1 has one."""

from common.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unavailable


class RegistrationNotFound(NotFound):
    code = "registration_not_found"
    message = "Registration not found"


class AlreadyRegistered(Conflict):
    code = "already_registered"
    message = "There is a registration for this event already."


class TicketAlreadyIssued(Invalid):
    code = "ticket_already_issued"
    message = "Ticket already issued"


class AlreadyVerified(Conflict):
    code = "already_verified"
    message = "You are verified already. Choose your tickets."


class FaceCheckNotNeeded(Conflict):
    code = "face_check_not_needed"
    message = "This event checks no faces. Book your tickets directly."


class LivenessNotAsked(Conflict):
    code = "liveness_off"
    message = "This event does not ask for that check. Send one picture."


class RegistrationClosed(Conflict):
    code = "registration_closed"
    message = "Staff have closed this registration."


class AttemptsExceeded(TooMany):
    code = "attempts_exceeded"
    message = "Maximum verification attempts exceeded. Please contact support."


class FaceMismatch(Invalid):
    code = "face_verification_failed"
    message = "Face verification failed. Please try again or contact support."


class CheckInterrupted(Unavailable):
    code = "check_interrupted"
    message = "Face verification service error"


class NothingToReview(Conflict):
    code = "nothing_to_review"
    message = "This registration is verified already."


class NoTicketsAvailable(Invalid):
    code = "no_tickets_available"
    message = "No tickets available"


class MayNotExceedCapacity(Forbidden):
    code = "may_not_exceed_capacity"
    message = "Only staff with the permission to exceed the capacity may do that."


class NothingSelected(Invalid):
    code = "nothing_selected"
    message = "Choose at least one registration."
