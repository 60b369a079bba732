"""The ways a payment may be refused, each with its stable code."""

from common.errors import Conflict, Forbidden, Invalid, PaymentRequired


class NothingToPay(Conflict):
    code = "nothing_to_pay"
    message = "There is nothing to pay for this booking."


class AlreadyPaid(Conflict):
    code = "already_paid"
    message = "This booking is paid. Your tickets are ready."


class PaymentNotCompleted(PaymentRequired):
    code = "payment_not_completed"
    message = "The payment is not complete yet. Nothing is lost: finish it or try another card."


class PaymentUnderReview(Conflict):
    code = "payment_under_review"
    message = "Your payment arrived but does not match this booking. A person is looking at it; you need to do nothing."


class PaymentChanged(Conflict):
    code = "payment_changed"
    message = "This payment was changed from another window. Try again."


class BadSignature(Invalid):
    code = "bad_signature"
    message = "The signature does not match."


class BadEvent(Invalid):
    code = "malformed_body"
    message = "That is no event."


class RefundRefused(Conflict):
    code = "refund_refused"
    message = "There is not that much left to send back."


class StillOpen(Conflict):
    code = "still_open"
    message = "This money still waits. Send it back; that answers the question."


class NothingChosen(Invalid):
    code = "nothing_chosen"
    message = "Choose the tickets to cancel, or write how much goes back."


class AmountIsFixed(Forbidden):
    code = "amount_is_fixed"
    message = "What the tickets cost goes back. Another amount is for a manager to decide."


class NothingDiffers(Conflict):
    code = "nothing_differs"
    message = "Nothing can be put right here by itself. Write down why it stays, or ask the provider."
