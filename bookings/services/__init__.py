"""Every write to bookings, by noun: holds, sales, endings, handovers."""

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
from bookings.services.staff import cancel_booking_by_staff

__all__ = [
    "Held",
    "accept_invitation",
    "cancel_booking",
    "cancel_booking_by_staff",
    "cancel_event_bookings",
    "confirm_booking",
    "decline_invitation",
    "expire_booking",
    "expire_due",
    "expire_handovers",
    "extend_hold",
    "forget_handovers",
    "give_up_hold",
    "grant_payment_grace",
    "hold_or_wait",
    "hold_seats",
    "name_holder",
    "recall_handover",
    "record_refund",
    "settle_paid_booking",
    "take_ticket",
]
