"""Why a gate says no: stable codes for programs, words for whoever stands there."""

from django.db import models


class Reason(models.TextChoices):
    """The stable code of a red answer, and what to say."""

    UNKNOWN = "unknown", "No ticket has this code."
    WRONG_EVENT = "wrong_event", "This ticket is for another event or another day."
    PASSED_ON = "passed_on", "This ticket was passed on. Only its new holder’s code opens the door."
    VOID = "void", "This ticket was cancelled."
    REFUNDED = "refunded", "This ticket was cancelled and its money given back."
    UNASSIGNED = "unassigned", "Nobody holds this ticket yet. Its buyer has to name a holder."
    ALREADY_USED = "already_used", "This ticket is inside already."
    NOT_YET = "not_yet", "The gate is not open yet."
    OVER = "over", "The event is over."
    CANCELLED = "event_cancelled", "This event was cancelled."
    FACE_NEEDED = "face_needed", "Check the face, or an ID."
    ID_NEEDED = "id_needed", "Check an ID: the name on it must be the holder’s."
    FACE_MISMATCH = "face_mismatch", "The face is not the holder’s. Check an ID, or call a supervisor."
    REFUSED = "refused", "A supervisor has refused this person."
    DOUBLE = "double", "Let in at two gates. Call a supervisor."


# A red answer that is not the end: with the right face or ID the person comes in.
CHECKS = (Reason.FACE_NEEDED, Reason.ID_NEEDED, Reason.FACE_MISMATCH)
