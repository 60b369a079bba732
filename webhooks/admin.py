"""Outgoing webhooks for staff: what is where, how it does, what was said; and the few things to do about it."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action, display

from common.admin import ReadOnlyAdmin, ReadOnlyInline
from common.errors import FairseatError
from webhooks import services
from webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint

COLOURS = {"waiting": "info", "delivered": "success", "failed": "danger"}


@admin.register(WebhookEndpoint)
class EndpointAdmin(ReadOnlyAdmin):
    """Endpoints of all organisers; secrets are shown to nobody."""

    organiser_path = "organiser"
    where_rows_come_from = "Organisers add their endpoints through the API."
    list_display = ["url", "organiser", "shown_kinds", "shown_state", "failing_since", "created_at"]
    list_filter = ["enabled"]
    search_fields = ["url", "organiser__email"]
    search_help_text = "Address or organiser"
    list_select_related = ["organiser"]
    fields = [
        ("url", "organiser"),
        "description",
        "kinds",
        ("enabled", "disabled_because", "failing_since"),
        ("created_at", "old_secret_until"),
    ]
    readonly_fields = ["organiser", "enabled", "disabled_because", "failing_since", "created_at", "old_secret_until"]
    actions = ["switch_on", "switch_off", "try_out"]

    @display(description="Kinds")
    def shown_kinds(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.kinds) or "everything"

    @display(description="State", label={"on": "success", "failing": "warning", "off": "danger"})
    def shown_state(self, endpoint: WebhookEndpoint) -> str:
        if not endpoint.enabled:
            return "off"
        return "failing" if endpoint.failing_since else "on"

    @action(description="Switch on", permissions=["act"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        self.switch(request, queryset, enabled=True)

    @action(description="Switch off", permissions=["act"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        self.switch(request, queryset, enabled=False)

    def switch(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint], *, enabled: bool) -> None:
        """Switch endpoints and say how many."""
        for endpoint in queryset:
            services.change_endpoint(endpoint=endpoint, enabled=enabled)
        messages.success(request, f"{queryset.count()} switched {'on' if enabled else 'off'}.")

    @action(description="Send a test message", permissions=["act"])
    def try_out(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        for endpoint in queryset:
            try:
                services.send_test(endpoint=endpoint)
            except FairseatError as refusal:
                messages.error(request, f"{endpoint}: {refusal.text}")
            else:
                messages.success(request, f"{endpoint}: a test message is on its way.")


class AttemptInline(ReadOnlyInline):
    model = WebhookAttempt
    fields = ["at", "status_code", "milliseconds", "problem", "said"]
    readonly_fields = fields
    verbose_name_plural = "tries"


@admin.register(WebhookDelivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """What was sent where, and what the receiver said."""

    organiser_path = "endpoint__organiser"
    list_display = ["kind", "endpoint", "shown_status", "attempts", "due_at", "delivered_at"]
    list_filter = ["status", "message__kind"]
    search_fields = ["endpoint__url", "endpoint__organiser__email"]
    search_help_text = "Address or organiser"
    list_select_related = ["message", "endpoint"]
    fields = [("kind", "endpoint"), ("status", "attempts"), ("due_at", "delivered_at"), "payload"]
    readonly_fields = ["kind", "endpoint", "status", "attempts", "due_at", "delivered_at", "payload"]
    inlines = [AttemptInline]
    actions = ["send_again"]

    @display(description="Kind", ordering="message__kind")
    def kind(self, delivery: WebhookDelivery) -> str:
        return delivery.message.kind

    @display(description="Payload")
    def payload(self, delivery: WebhookDelivery) -> Any:
        return delivery.message.payload

    @display(description="Status", label=COLOURS)
    def shown_status(self, delivery: WebhookDelivery) -> str:
        return delivery.status

    @action(description="Send again", permissions=["act"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        for delivery in queryset.select_related("endpoint"):
            try:
                services.resend(delivery=delivery)
            except FairseatError as refusal:
                messages.error(request, f"{delivery.endpoint}: {refusal.text}")
            else:
                messages.success(request, f"{delivery.message.kind} is on its way again.")
