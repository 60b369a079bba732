"""I2, the money: every payment received is used in exactly one way, and the books add up. Recounted from the rows."""

from collections.abc import Iterable

from common.invariants import invariant, rows


@invariant("payments.use")
def received_money_has_one_use() -> Iterable[str]:
    """What was received pays for a confirmed booking of that amount, or goes back in full, or waits for a person."""
    yield from rows(
        """
        SELECT payment.id, payment.received_minor, payment.currency, booking.reference, booking.status,
            booking.amount_minor, booking.currency, payment.released_minor
        FROM payments_payment payment JOIN bookings_booking booking ON booking.id = payment.booking_id
        WHERE payment.use = 'booking' AND (
            booking.status <> 'confirmed' OR booking.amount_minor <> payment.received_minor - payment.released_minor
            OR booking.currency <> payment.currency
        )
        """,
        "payment {0} of {1} {2}, less {7} for cancelled tickets, pays for booking {3}, which is {4} and costs {5} {6}",
    )
    yield from rows(
        """
        SELECT payment.id, payment.received_minor, coalesce(sum(refund.amount_minor), 0), payment.kept_minor
        FROM payments_payment payment
        LEFT JOIN payments_refund refund ON refund.payment_id = payment.id AND refund.status <> 'failed'
        WHERE payment.use = 'return' AND NOT EXISTS (
            SELECT 1 FROM payments_attention question
            WHERE question.payment_id = payment.id AND question.resolved_at IS NULL
        )
        GROUP BY payment.id
        HAVING coalesce(sum(refund.amount_minor), 0) + payment.kept_minor <> payment.received_minor
        """,
        "payment {0} goes back: {1} came in, refunds of {2} are written, {3} is kept, and nobody is asked about the rest",
    )
    yield from rows(
        """
        SELECT payment.id, payment.received_minor FROM payments_payment payment
        WHERE payment.use = 'review' AND NOT EXISTS (
            SELECT 1 FROM payments_attention question
            WHERE question.payment_id = payment.id AND question.resolved_at IS NULL
        )
        """,
        "payment {0} of {1} waits for a person and is on nobody's list",
    )


@invariant("payments.refunds")
def refunds_add_up() -> Iterable[str]:
    """The sum on each payment is that of its refunds, and never more than what was received."""
    yield from rows(
        """
        SELECT payment.id, payment.refunded_minor, coalesce(sum(refund.amount_minor), 0), payment.received_minor
        FROM payments_payment payment
        LEFT JOIN payments_refund refund ON refund.payment_id = payment.id AND refund.status <> 'failed'
        GROUP BY payment.id
        HAVING payment.refunded_minor <> coalesce(sum(refund.amount_minor), 0)
            OR coalesce(sum(refund.amount_minor), 0) > payment.received_minor
        """,
        "payment {0} says {1} went back; its refunds add up to {2}, of {3} received",
    )
    yield from rows(
        """
        SELECT refund.id, refund.currency, payment.currency
        FROM payments_refund refund JOIN payments_payment payment ON payment.id = refund.payment_id
        WHERE refund.currency <> payment.currency
        """,
        "refund {0} is in {1}, its payment in {2}",
    )


@invariant("payments.balance")
def books_balance() -> Iterable[str]:
    """Σ received = Σ paying for confirmed bookings + Σ gone back + Σ kept by staff + Σ open questions, per currency."""
    return rows(
        """
        SELECT * FROM (
            SELECT payment.currency, sum(payment.received_minor) AS received,
                coalesce(sum(payment.received_minor - payment.refunded_minor) FILTER (WHERE payment.use = 'booking'), 0)
                    AS paying,
                sum(payment.refunded_minor) AS gone_back,
                coalesce(sum(payment.kept_minor) FILTER (WHERE payment.use <> 'booking'), 0) AS kept,
                coalesce(sum(payment.received_minor - payment.refunded_minor - payment.kept_minor)
                    FILTER (WHERE payment.use <> 'booking' AND EXISTS (
                        SELECT 1 FROM payments_attention question
                        WHERE question.payment_id = payment.id AND question.resolved_at IS NULL
                    )), 0) AS asked
            FROM payments_payment payment WHERE payment.status = 'succeeded' GROUP BY payment.currency
        ) books WHERE received <> paying + gone_back + kept + asked
        """,
        "{0}: received {1}, but bookings {2} + refunds {3} + kept {4} + open questions {5} are something else",
    )
