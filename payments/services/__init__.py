"""Every write to payments, by noun: intents, settlement, webhooks, refunds, reconciling."""

from payments.services.comparing import (
    begin_comparison,
    compare,
    fix_difference,
    leave_difference,
    open_differences,
)
from payments.services.intents import IntentView, checkout_url, claim_payment, create_intent, hosted_payment_url
from payments.services.reconciling import grant_graces, reconcile_due, reconcile_intent
from payments.services.refunds import deliver_due_refunds, failed_refunds, request_refund, retry_refund, return_payment
from payments.services.returns import Plan, plan_return, refund_booking, where_seats_go
from payments.services.settlement import close_payment, confirm_by_client, end_payments, resolve, settle_intent
from payments.services.staff import resolve_by_staff, retry_refund_by_staff, return_payment_by_staff
from payments.services.webhooks import handle_webhook

__all__ = [
    "IntentView",
    "Plan",
    "begin_comparison",
    "checkout_url",
    "claim_payment",
    "close_payment",
    "compare",
    "confirm_by_client",
    "create_intent",
    "deliver_due_refunds",
    "end_payments",
    "failed_refunds",
    "fix_difference",
    "grant_graces",
    "handle_webhook",
    "hosted_payment_url",
    "leave_difference",
    "open_differences",
    "plan_return",
    "reconcile_due",
    "reconcile_intent",
    "refund_booking",
    "request_refund",
    "resolve",
    "resolve_by_staff",
    "retry_refund",
    "retry_refund_by_staff",
    "return_payment",
    "return_payment_by_staff",
    "settle_intent",
    "where_seats_go",
]
