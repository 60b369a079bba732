"""Staff's view of money: facts to read, a list of open questions to work through, and actions that call services."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.exports import ExportableAdmin
from bookings.references import spoken
from common.admin import ReadOnlyAdmin, ReadOnlyInline
from common.admin_actions import ReasonForm, ServiceAdmin, dialog_action
from common.money import display as money
from common.money import to_decimal
from payments import (
    books,  # noqa: F401
    services,
)
from payments.desk import REFUND, RefundDesk
from payments.models import Attention, Payment, Refund, StripeEvent

PAYMENT_COLOURS = {
    "created": "default",
    "processing": "info",
    "failed": "warning",
    "succeeded": "success",
    "cancelled": "default",
}
REFUND_COLOURS = {"requested": "warning", "sent": "info", "succeeded": "success", "failed": "danger"}


class RefundInline(ReadOnlyInline):
    model = Refund
    fields = ["created_at", "amount_minor", "currency", "reason", "status", "attempts", "last_error", "finished_at"]
    readonly_fields = fields


class AttentionInline(ReadOnlyInline):
    model = Attention
    verbose_name_plural = "open and answered questions"
    fields = ["created_at", "kind", "detail", "resolved_at", "resolution"]
    readonly_fields = fields


@admin.register(Payment)
class PaymentAdmin(RefundDesk, ExportableAdmin, ServiceAdmin):
    organiser_path = "booking__event__created_by"
    actions = ["export_csv", "export_xlsx"]
    export_related = ["booking__event"]
    export_columns = [
        ("payment", "intent_id"),
        ("booking", "booking.reference"),
        ("event", "booking.event.name"),
        ("status", "status"),
        ("asked", lambda payment: to_decimal(payment.amount_minor, payment.currency)),
        ("received", lambda payment: to_decimal(payment.received_minor, payment.currency)),
        ("returned", lambda payment: to_decimal(payment.refunded_minor, payment.currency)),
        ("currency", "currency"),
        ("use", "use"),
        ("created at", "created_at"),
        ("settled at", "settled_at"),
    ]
    list_display = [
        "intent_id",
        "booking_reference",
        "coloured_status",
        "asked",
        "received",
        "returned",
        "use",
        "created_at",
    ]
    list_select_related = ["booking"]
    list_filter = ["status", "use", "door", "created_at"]
    search_fields = ["intent_id", "checkout_id", "booking__reference", "booking__user__email"]
    search_help_text = "Intent, booking reference or mail"
    ordering = ["-created_at", "id"]
    inlines = [RefundInline, AttentionInline]
    actions_list = ["refund_one"]
    actions_detail = ["refund_its_booking", "compare", "send_back"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "booking_reference",
                    "attempt",
                    "door",
                    "intent_id",
                    "checkout_id",
                    "coloured_status",
                    "last_error",
                ]
            },
        ),
        ("Money", {"fields": ["asked", "received", "returned", "kept", "use"]}),
        ("Times", {"fields": ["created_at", "settled_at", "next_check_at", "tries"]}),
    ]

    @display(description="Booking", ordering="booking__reference")
    def booking_reference(self, payment: Payment) -> str:
        return spoken(payment.booking.reference)

    @display(description="Status", ordering="status", label=PAYMENT_COLOURS)
    def coloured_status(self, payment: Payment) -> str:
        return payment.status

    @display(description="Asked for", ordering="amount_minor")
    def asked(self, payment: Payment) -> str:
        return money(payment.amount_minor, payment.currency)

    @display(description="Received", ordering="received_minor")
    def received(self, payment: Payment) -> str:
        return money(payment.received_minor, payment.currency) if payment.received_minor else "–"

    @display(description="Gone back", ordering="refunded_minor")
    def returned(self, payment: Payment) -> str:
        return money(payment.refunded_minor, payment.currency) if payment.refunded_minor else "–"

    @display(description="Kept by staff", ordering="kept_minor")
    def kept(self, payment: Payment) -> str:
        return money(payment.kept_minor, payment.currency) if payment.kept_minor else "–"

    def has_refund_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(REFUND) and self.in_scope(request, obj)

    @action(description="Refund a booking", url_path="find", permissions=["refund"], icon="undo")
    def refund_one(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:payments_refund_find")

    @action(description="Refund", url_path="refund", permissions=["refund"], icon="undo")
    def refund_its_booking(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:payments_refund_booking", self.find(request, object_id).booking_id)

    @dialog_action(
        "Compare with the provider",
        path="compare",
        icon="sync",
        title="Compare with the provider",
        about="The provider is asked how this payment and its refunds stand, and our rows follow.",
        form=BaseDialogForm,
        submit="Compare",
    )
    def compare(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self.attempt(request, "Compared.", services.reconcile_intent, payment_id=UUID(object_id))
        return self.back_to(request, object_id)

    @dialog_action(
        "Send the money back",
        path="send-back",
        icon="currency_exchange",
        title="Send the money back",
        about="All that is left of this payment goes back to the card. A booking that stands is refunded instead.",
        submit="Send it back",
    )
    def send_back(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        given = {"actor_id": request.user.pk, "reason": form.cleaned_data["reason"]}
        self.attempt(request, "On its way.", services.return_payment_by_staff, payment_id=UUID(object_id), **given)
        return self.back_to(request, object_id)


@admin.register(Refund)
class RefundAdmin(ExportableAdmin, ServiceAdmin):
    organiser_path = "payment__booking__event__created_by"
    actions = ["export_csv", "export_xlsx"]
    export_related = ["payment__booking__event"]
    export_columns = [
        ("booking", "payment.booking.reference"),
        ("event", "payment.booking.event.name"),
        ("amount", lambda refund: to_decimal(refund.amount_minor, refund.currency)),
        ("currency", "currency"),
        ("why", "reason"),
        ("status", "status"),
        ("problem", "last_error"),
        ("asked for at", "created_at"),
        ("finished at", "finished_at"),
    ]
    list_display = [
        "key",
        "booking_reference",
        "amount",
        "reason",
        "coloured_status",
        "attempts",
        "last_error",
        "created_at",
    ]
    list_select_related = ["payment__booking"]
    list_filter = ["status", "reason", "created_at"]
    search_fields = ["stripe_id", "payment__intent_id", "payment__booking__reference"]
    search_help_text = "Id at Stripe, or booking"
    ordering = ["-created_at", "id"]
    actions_detail = ["try_again"]

    @display(description="Booking", ordering="payment__booking__reference")
    def booking_reference(self, refund: Refund) -> str:
        return spoken(refund.payment.booking.reference)

    @display(description="Amount", ordering="amount_minor")
    def amount(self, refund: Refund) -> str:
        return money(refund.amount_minor, refund.currency)

    @display(description="Status", ordering="status", label=REFUND_COLOURS)
    def coloured_status(self, refund: Refund) -> str:
        return refund.status

    @dialog_action(
        "Try again",
        path="retry",
        icon="replay",
        title="Try this refund again",
        about="It is sent now. One that the bank sent back is replaced by a new one.",
        submit="Try again",
    )
    def try_again(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        given = {"actor_id": request.user.pk, "reason": form.cleaned_data["reason"]}
        self.attempt(request, "It is tried again.", services.retry_refund_by_staff, refund_id=UUID(object_id), **given)
        return self.back_to_list(request)


@admin.register(Attention)
class AttentionAdmin(ServiceAdmin):
    list_display = ["kind", "intent_id", "amount", "detail", "created_at", "resolved_at", "resolution"]
    list_filter = [("resolved_at", admin.EmptyFieldListFilter), "kind", "created_at"]
    search_fields = ["intent_id", "payment__booking__reference"]
    search_help_text = "Intent or booking"
    ordering = ["-created_at", "-id"]
    actions_detail = ["answer"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attention]:
        return super().get_queryset(request).select_related("payment")

    @display(description="Amount", ordering="amount_minor")
    def amount(self, question: Attention) -> str:
        return money(question.amount_minor, question.currency) if question.amount_minor and question.currency else "–"

    @dialog_action(
        "Answer",
        path="answer",
        icon="check",
        title="What was done about it?",
        about="It leaves the list of open questions.",
        submit="Take it off the list",
    )
    def answer(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        given = {"actor_id": request.user.pk, "reason": form.cleaned_data["reason"]}
        self.attempt(request, "Answered.", services.resolve_by_staff, attention_id=int(object_id), **given)
        return self.back_to_list(request)


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    list_display = ["stripe_id", "type", "intent_id", "received_at"]
    list_filter = ["type", "received_at"]
    search_fields = ["stripe_id", "intent_id"]
    search_help_text = "Id at Stripe"
    ordering = ["-id"]
