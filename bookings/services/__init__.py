"""Every write to bookings, by noun: holds, sales, endings."""

from bookings.services.endings import cancel_booking, cancel_event_bookings, expire_booking, expire_due, give_up_hold
from bookings.services.holds import extend_hold, grant_payment_grace, hold_seats
from bookings.services.sales import confirm_booking, record_refund, settle_paid_booking
from bookings.services.staff import cancel_booking_by_staff

__all__ = [
    "cancel_booking",
    "cancel_booking_by_staff",
    "cancel_event_bookings",
    "confirm_booking",
    "expire_booking",
    "expire_due",
    "extend_hold",
    "give_up_hold",
    "grant_payment_grace",
    "hold_seats",
    "record_refund",
    "settle_paid_booking",
]
