"""The ways the waitlist refuses, each with its stable code."""

from bookings.refusals import EventCancelled, OfferExpired, SaleClosed, SaleNotOpen, TicketLimit, TooManyTickets
from common.errors import Conflict, Invalid, NotFound

__all__ = [
    "AlreadyWaiting",
    "BadWish",
    "CanNotOffer",
    "EventCancelled",
    "NoSeatToOffer",
    "NotOnWaitlist",
    "OfferExpired",
    "OfferNotFound",
    "ReasonRequired",
    "SaleClosed",
    "SaleNotOpen",
    "TicketLimit",
    "TicketsAvailable",
    "TooManyTickets",
]


class NotOnWaitlist(NotFound):
    code = "not_on_waitlist"
    message = "User not found on waitlist"


class OfferNotFound(NotFound):
    code = "offer_not_found"
    message = "There is no such offer, or it is not yours."


class AlreadyWaiting(Conflict):
    code = "already_waiting"
    message = "You are on this waitlist already."


class TicketsAvailable(Conflict):
    code = "tickets_available"
    message = "Tickets are on sale: nobody has to wait for them."


class BadWish(Invalid):
    code = "bad_wish"
    message = "Choose one ticket or more, of categories that this event has."


class NoSeatToOffer(Conflict):
    code = "no_seat_to_offer"
    message = "No free seat of a category that this person waits for."


class CanNotOffer(Conflict):
    code = "can_not_offer"
    message = "Nothing can be offered to this person now."


class ReasonRequired(Invalid):
    code = "reason_required"
    message = "Write a reason: it is kept with your name."
