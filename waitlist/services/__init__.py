"""Every write to the waitlist, by noun: joining, offers, answers, endings."""

from waitlist.refusals import AlreadyWaiting, NotOnWaitlist, OfferExpired, OfferNotFound, TicketsAvailable
from waitlist.services.answers import accept_offer, reject_offer
from waitlist.services.endings import (
    clean_up,
    close_over,
    expire_offer,
    follow_bookings,
    follow_ended_booking,
    lapse_due,
    lapse_offer,
    serve_late_payers,
)
from waitlist.services.joining import change_wish, join, join_as_buyer, join_rest, leave, serve, waiting_entry
from waitlist.services.offers import (
    Offer,
    event_of_category,
    offer_next,
    offer_to,
    process_due,
    put_back_in_line,
    remind_due,
)

__all__ = [
    "AlreadyWaiting",
    "NotOnWaitlist",
    "Offer",
    "OfferExpired",
    "OfferNotFound",
    "TicketsAvailable",
    "accept_offer",
    "change_wish",
    "clean_up",
    "close_over",
    "event_of_category",
    "expire_offer",
    "follow_bookings",
    "follow_ended_booking",
    "join",
    "join_as_buyer",
    "join_rest",
    "lapse_due",
    "lapse_offer",
    "leave",
    "offer_next",
    "offer_to",
    "process_due",
    "put_back_in_line",
    "reject_offer",
    "remind_due",
    "serve",
    "serve_late_payers",
    "waiting_entry",
]
