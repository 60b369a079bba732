"""Every write to bookings, by noun: holds, sales, endings, handovers, codes, gifts."""

from bookings.services.codes import (
    Terms,
    create_code,
    delete_code,
    generate_codes,
    switch_code,
    update_code,
)
from bookings.services.comps import give_comp
from bookings.services.endings import cancel_booking, cancel_event_bookings, expire_booking, expire_due, give_up_hold
from bookings.services.handovers import (
    accept_invitation,
    decline_invitation,
    expire_handovers,
    forget_handovers,
    name_holder,
    recall_handover,
    take_ticket,
)
from bookings.services.holds import extend_hold, grant_payment_grace, hold_seats
from bookings.services.partial import Held, hold_or_wait
from bookings.services.sales import confirm_booking, record_refund, settle_paid_booking
from bookings.services.single import Cancelled, cancel_tickets, price_of
from bookings.services.staff import cancel_booking_by_staff

__all__ = [
    "Cancelled",
    "Held",
    "Terms",
    "accept_invitation",
    "cancel_booking",
    "cancel_booking_by_staff",
    "cancel_event_bookings",
    "cancel_tickets",
    "confirm_booking",
    "create_code",
    "decline_invitation",
    "delete_code",
    "expire_booking",
    "expire_due",
    "expire_handovers",
    "extend_hold",
    "forget_handovers",
    "generate_codes",
    "give_comp",
    "give_up_hold",
    "grant_payment_grace",
    "hold_or_wait",
    "hold_seats",
    "name_holder",
    "price_of",
    "recall_handover",
    "record_refund",
    "settle_paid_booking",
    "switch_code",
    "take_ticket",
    "update_code",
]
