"""The ways a line may refuse."""

from common.errors import Conflict, NotFound, Unavailable


class NoLine(NotFound):
    code = "no_line"
    message = "This event has no line: go straight to its tickets."


class NotInLine(NotFound):
    code = "not_in_line"
    message = "You are not in this line. Join it to get a place."


class LineClosed(Conflict):
    code = "queue_closed"
    message = "This line is not open yet."


class LineEnded(Conflict):
    code = "sale_closed"
    message = "The sale is over."


class LineSoldOut(Conflict):
    code = "sold_out"
    message = "Every ticket is sold. You can join the waitlist."


class HoldRuns(Conflict):
    code = "hold_exists"
    message = "Tickets are held for you. Pay for them or give them up first; your place ends with them."


class NotYourTurn(Conflict):
    code = "slot_over"
    message = "It is not your turn, or it is over. Your place in line says when it is."


class SlotExtensionRefused(Conflict):
    code = "extension_refused"
    message = "Your turn can not be made any longer. Choose now; what you choose is then held for you."


class LineRestoring(Unavailable):
    code = "queue_restoring"
    message = "We are restoring the line. Nobody loses their place. Try again in a few seconds."


class LineAway(Unavailable):
    code = "queue_unavailable"
    message = "The line does not answer right now. Your place is kept. Try again in a few seconds."
