"""The ways a booking may be refused, each with its stable code, and the database's refusals turned into them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DatabaseError, IntegrityError

from common.errors import Conflict, Forbidden, Gone, IllegalTransition, Invalid, NotFound, TooMany


class CategoryNotFound(NotFound):
    message = "This event does not sell such tickets."


class SoldOut(Conflict):
    code = "sold_out"
    message = "The last of these tickets just went."


class PartlyAvailable(Conflict):
    code = "partial"
    message = "There are not that many left."


class SaleNotOpen(Conflict):
    code = "sale_not_open"
    message = "The sale has not opened yet."


class SaleClosed(Conflict):
    code = "sale_closed"
    message = "The sale is over."


class EventCancelled(Conflict):
    code = "event_cancelled"
    message = "This event was cancelled."


class AlreadyBooked(Conflict):
    code = "already_booked"
    message = "You already have tickets for this event. Cancel them first if you want others."


class HoldExists(Conflict):
    code = "hold_exists"
    message = "Tickets for this event are already held for you. Pay for them or give them up first."


class TooManyTickets(Invalid):
    code = "too_many_tickets"
    message = "That is more than one booking may have."


class TicketLimit(Conflict):
    code = "ticket_limit"
    message = "That is more than one person may have for this event."


class TooManyHolds(TooMany):
    code = "too_many_holds"
    message = "You held tickets for this event many times within an hour. Try again later."


class QueueRequired(Forbidden):
    code = "queue_required"
    message = "This sale has a line. Join it to buy."


class VerificationRequired(Forbidden):
    code = "verification_required"
    message = "This event checks faces. Get verified first, then take your tickets."


class AccountInactive(Forbidden):
    code = "account_inactive"
    message = "This account can not buy tickets."


class PriceChanged(Conflict):
    code = "price_changed"
    message = "The price has changed since you looked. Here is the new one: nothing was taken yet."


class CodeUnknown(Invalid):
    code = "code_unknown"
    message = "This event has no such code. Check how it is written, and that it is for this event."


class CodeNotYet(Conflict):
    code = "code_not_yet"
    message = "This code can not be used yet."


class CodeOver(Conflict):
    code = "code_over"
    message = "This code can not be used any more."


class CodeUsedUp(Conflict):
    code = "code_used_up"
    message = "This code is used up. If somebody lets go of their tickets, it works again."


class CodeNotForThese(Conflict):
    code = "code_not_for_these"
    message = "This code is for other tickets of this event."


class CodeLimit(Conflict):
    code = "code_limit"
    message = "That is more than one person may have with this code."


class CodesNotForWaitlist(Conflict):
    code = "code_not_on_waitlist"
    message = "Codes do not apply to the waitlist: take what is left with your code, or wait without it."


class TooManyCodes(TooMany):
    code = "too_many_codes"
    message = "You tried many codes that do not exist. Wait a few minutes, or buy without one."


class HoldExpired(Gone):
    code = "hold_expired"
    message = "Your hold has ended. If tickets are still free you can take them again. Nothing was charged."


class OfferExpired(Gone):
    code = "offer_expired"
    message = "This offer has ended and went to the next person."


class SeatsGone(Conflict):
    code = "seats_gone"
    message = "Your hold had ended and the seats went to somebody else. What you paid is on its way back."


class CancelTooLate(Conflict):
    code = "cancel_too_late"
    message = "It is too late to cancel."


class TicketUsed(Conflict):
    code = "ticket_used"
    message = "Somebody came in with a ticket of this booking, so it can not be cancelled any more. Ask the organiser."


class ExtensionRefused(Conflict):
    code = "extension_refused"
    message = "This hold can not be extended any further."


class HasTicket(Conflict):
    code = "has_ticket"
    message = "You have a ticket for this event already. Each person holds one."


class NamedOneself(Conflict):
    code = "named_oneself"
    message = "This ticket is yours already. Name somebody else."


class TicketNotGivable(Conflict):
    code = "ticket_not_givable"
    message = "This ticket can not be given to anybody any more."


class TooLateToGive(Conflict):
    code = "too_late_to_give"
    message = "It is too late to pass this ticket on."


class NothingToRecall(Conflict):
    code = "nothing_to_recall"
    message = "There is nothing to take back: nobody is invited, or they have the ticket already."


class TooManyInvitations(TooMany):
    code = "too_many_invitations"
    message = "This ticket was offered to many people today. Try again tomorrow."


class InvitationNotFound(Gone):
    code = "invitation_over"
    message = "This invitation is over: the ticket was taken, taken back or cancelled, or the link is incomplete."


class InvitationOver(Gone):
    code = "invitation_over"
    message = "This invitation is over. Ask the person who sent it for a new one."


class WrongAddressee(Forbidden):
    code = "wrong_addressee"
    message = "This invitation was sent to another address. Log in, or sign up, with the address that got the mail."


BY_OUTCOME = {
    "not_found": CategoryNotFound,
    "event_cancelled": EventCancelled,
    "sale_not_open": SaleNotOpen,
    "sale_closed": SaleClosed,
    "too_many_tickets": TooManyTickets,
    "queue_required": QueueRequired,
    "verification_required": VerificationRequired,
    "account_inactive": AccountInactive,
    "already_booked": AlreadyBooked,
    "hold_exists": HoldExists,
    "too_many_holds": TooManyHolds,
    "partial": PartlyAvailable,
    "sold_out": SoldOut,
    "price_changed": PriceChanged,
    "code_unknown": CodeUnknown,
    "code_not_yet": CodeNotYet,
    "code_over": CodeOver,
    "code_used_up": CodeUsedUp,
    "code_not_for_these": CodeNotForThese,
    "code_limit": CodeLimit,
}
ONE_CLAIM = ("one_live_booking_per_person_event_and_source", "one_waitlist_claim_per_person_and_event")
ONE_TICKET = "one_personal_ticket_per_holder_and_event"
BY_SQLSTATE = {
    "FS001": SoldOut,
    "FS002": IllegalTransition,
    "FS003": TicketLimit,
    "FS006": VerificationRequired,
    "FS008": CodeUsedUp,
}


@contextmanager
def database_refusals() -> Iterator[None]:
    """Turn what the booking table's triggers and constraints refuse into the error a person understands."""
    try:
        yield
    except IntegrityError as error:
        if any(name in str(error) for name in ONE_CLAIM):
            raise HoldExists from error
        if ONE_TICKET in str(error):
            raise HasTicket from error
        raise
    except DatabaseError as error:
        refusal = BY_SQLSTATE.get(getattr(error.__cause__, "sqlstate", None) or "")
        if refusal is None:
            raise
        raise refusal from error
