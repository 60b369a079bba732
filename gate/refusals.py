"""What the gate refuses its staff. What it refuses a guest is no error but an answer (`gate.reasons`)."""

from common.errors import Conflict, Forbidden, Invalid, NotFound, TooMany


class GateNotFound(NotFound):
    message = "There is no such event, or its gate is not yours."


class ScanNotFound(NotFound):
    message = "There is no such scan at this event."


class CheckNotFound(NotFound):
    message = "There is no such face check at this event."


class TicketNotFound(NotFound):
    message = "There is no such ticket at this event."


class SupervisorNeeded(Forbidden):
    code = "supervisor_needed"
    message = "A supervisor has to do that."


class ReasonNeeded(Invalid):
    code = "reason_required"
    message = "Write down why."


class NothingToUndo(Conflict):
    code = "nothing_to_undo"
    message = "That scan let nobody in, or was undone already."


class NoCase(Conflict):
    code = "no_case"
    message = "That scan is no open case."


class NoCheckNeeded(Conflict):
    code = "no_check_needed"
    message = "This scan asks for no face and no ID. Scan the ticket again."


class NothingToReview(Conflict):
    code = "nothing_to_review"
    message = "There is nothing to decide: the scan asked for no face and no ID, or the ticket is no longer outside."


class NoFaceToCompare(Conflict):
    code = "no_face_to_compare"
    message = "There is no face to compare with. Check an ID."


class FaceTriesUsedUp(TooMany):
    code = "face_tries_used_up"
    message = "This ticket’s face checks are used up. Check an ID."


class NameOfGate(Invalid):
    code = "gate_name_required"
    message = "Say which gate this is, in 1 to 40 letters."


class SearchTooShort(Invalid):
    code = "search_too_short"
    message = "Type at least 3 letters of the name, or the booking’s reference."
