"""Staff's view of bookings and tickets. Status, seats and money are facts; what staff may do calls a service with a reason."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.decorators import action, display

from accounts.exports import ExportableAdmin
from bookings.codes_admin import extend_event_admin
from bookings.models import Booking, BookingSeat, BookingTransition, Ticket, TicketChange, TicketHandover
from bookings.references import normalise_reference, spoken
from bookings.services import cancel_booking_by_staff
from common.admin import ReadOnlyAdmin, ReadOnlyInline, in_words
from common.admin_actions import ReasonForm, ServiceAdmin, dialog_action, reason_field
from common.money import display as money
from common.money import to_decimal

STATUS_COLOURS = {
    "offered": "info",
    "pending": "warning",
    "confirmed": "success",
    "cancelled": "danger",
    "expired": "default",
}
TICKET_COLOURS = {"unassigned": "warning", "active": "success", "used": "info", "void": "danger"}
HANDOVER_COLOURS = {"open": "info", "accepted": "warning", "taken": "success"}


class CancelForm(ReasonForm):
    reason = reason_field(help_text="Kept with your name. The buyer does not read it.")


class TicketInline(ReadOnlyInline):
    model = Ticket
    fields = ["number", "shown_code", "holder", "holder_name", "seat", "status", "issued_at", "void_at"]
    readonly_fields = fields
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticket]:
        return super().get_queryset(request).select_related("seat", "holder")

    @display(description="Code")
    def shown_code(self, ticket: Ticket) -> str:
        return shown_code(ticket)


def shown_code(ticket: Ticket) -> str:
    """Return a ticket's code; one that is nobody's yet gets its code with its holder."""
    return "–" if ticket.status == Ticket.Status.UNASSIGNED else ticket.code


class BookingSeatInline(ReadOnlyInline):
    model = BookingSeat
    verbose_name_plural = "numbered seats"
    fields = ["seat", "live"]
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[BookingSeat]:
        return super().get_queryset(request).select_related("seat")


class HistoryInline(ReadOnlyInline):
    model = BookingTransition
    verbose_name_plural = "history"
    fields = ["at", "from_status", "to_status", "reason"]
    readonly_fields = fields
    ordering = ["id"]


@admin.register(Booking)
class BookingAdmin(ExportableAdmin, ServiceAdmin):
    organiser_path = "event__created_by"
    list_display = [
        "spoken_reference",
        "coloured_status",
        "event",
        "category",
        "user",
        "quantity",
        "amount",
        "created_at",
        "expires_at",
    ]
    list_select_related = ["event", "category", "user"]
    list_filter = ["status", "source", "event__status", "created_at"]
    search_fields = ["reference", "user__email", "user__name", "event__name", "tickets__code"]
    search_help_text = "Reference, mail, name, event or ticket code"
    date_hierarchy = "created_at"
    ordering = ["-created_at", "id"]
    inlines = [TicketInline, BookingSeatInline, HistoryInline]
    actions = ["export_csv", "export_xlsx"]
    actions_detail = ["refund", "cancel_one"]
    change_form_before_template = "admin/analytics/booking_links.html"
    export_related = ["event", "category", "user"]
    export_columns = [
        ("reference", "reference"),
        ("status", "status"),
        ("source", "source"),
        ("event", "event.name"),
        ("starts at", "event.starts_at"),
        ("category", "category.name"),
        ("quantity", "quantity"),
        ("amount", lambda booking: to_decimal(booking.amount_minor, booking.currency)),
        ("currency", "currency"),
        ("refunded", lambda booking: to_decimal(booking.refund_minor, booking.currency)),
        ("buyer", "user.name"),
        ("e-mail", "user.email"),
        ("created at", "created_at"),
        ("confirmed at", "confirmed_at"),
        ("ended at", "ended_at"),
        ("why it ended", "end_reason"),
    ]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "spoken_reference",
                    "coloured_status",
                    "user",
                    "event",
                    "category",
                    "quantity",
                    "amount",
                    "discount",
                    "code",
                    "comp",
                ]
            },
        ),
        ("Times", {"fields": ["created_at", "expires_at", "extensions", "grace_given", "confirmed_at", "ended_at"]}),
        ("Ending and refund", {"fields": ["end_reason", "source", "refunded", "refund_status"]}),
    ]

    @display(description="Reference", ordering="reference")
    def spoken_reference(self, booking: Booking) -> str:
        return spoken(booking.reference)

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def coloured_status(self, booking: Booking) -> str:
        return booking.status

    @display(description="Amount", ordering="amount_minor")
    def amount(self, booking: Booking) -> str:
        return money(booking.amount_minor, booking.currency)

    @display(description="Discount", ordering="discount_minor")
    def discount(self, booking: Booking) -> str:
        return money(booking.discount_minor, booking.currency) if booking.discount_minor else "–"

    @display(description="Refund", ordering="refund_minor")
    def refunded(self, booking: Booking) -> str:
        return money(booking.refund_minor, booking.currency) if booking.refund_minor else "–"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Booking], search_term: str
    ) -> tuple[QuerySet[Booking], bool]:
        """Find a reference as people read it, with its hyphen."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        reference = normalise_reference(search_term)
        return (found | queryset.filter(reference=reference) if len(reference) == 8 else found), duplicates

    def has_refund_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("payments.refund_payment") and self.in_scope(request, obj)

    @action(description="Refund", url_path="refund", permissions=["refund"], icon="undo")
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:payments_refund_booking", UUID(object_id))

    @dialog_action(
        "Cancel this booking",
        path="cancel",
        icon="cancel",
        title="Cancel this booking",
        about="Its seats are free from now on, its tickets let nobody in, and all that was paid goes back.",
        form=CancelForm,
        submit="Cancel the booking",
    )
    def cancel_one(self, request: HttpRequest, form: CancelForm, object_id: str) -> HttpResponse:
        given = {"actor_id": request.user.pk, "reason": form.cleaned_data["reason"]}
        reference = spoken(self.find(request, object_id).reference)
        done = f"Booking {reference} is cancelled."
        self.attempt(request, done, cancel_booking_by_staff, booking_id=UUID(object_id), **given)
        return self.back_to(request, object_id)


class HandoverInline(ReadOnlyInline):
    model = TicketHandover
    verbose_name_plural = "named holders"
    fields = [
        "created_at",
        "status",
        "named_by",
        "from_holder",
        "email",
        "invitee",
        "sent_at",
        "expires_at",
        "ended_at",
    ]
    readonly_fields = fields
    ordering = ["created_at", "id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketHandover]:
        return super().get_queryset(request).select_related("named_by", "from_holder", "invitee")


class TicketChangeInline(ReadOnlyInline):
    model = TicketChange
    verbose_name_plural = "history"
    fields = ["at", "from_holder", "to_holder", "from_status", "to_status"]
    readonly_fields = fields
    ordering = ["id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketChange]:
        return super().get_queryset(request).select_related("from_holder", "to_holder")


@admin.register(Ticket)
class TicketAdmin(ExportableAdmin, ReadOnlyAdmin):
    organiser_path = "booking__event__created_by"
    actions = ["export_csv", "export_xlsx"]
    export_related = ["booking__event", "booking__category", "seat", "holder"]
    export_columns = [
        ("booking", "booking.reference"),
        ("number", "number"),
        ("status", "status"),
        ("event", "booking.event.name"),
        ("category", "booking.category.name"),
        ("seat", "seat.label"),
        ("holder", "holder_name"),
        ("e-mail", "holder.email"),
        ("issued at", "issued_at"),
        ("void at", "void_at"),
    ]
    list_display = [
        "reference",
        "number",
        "coloured_status",
        "event_name",
        "holder",
        "holder_name",
        "shown_code",
        "seat",
        "issued_at",
    ]
    list_select_related = ["booking__event", "seat", "holder"]
    list_filter = ["status", "personal", "issued_at"]
    search_fields = ["code", "holder_name", "holder__email", "booking__reference", "booking__user__email"]
    search_help_text = "Code, holder, booking or mail"
    ordering = ["-issued_at", "id"]
    inlines = [HandoverInline, TicketChangeInline]
    fields = [
        "shown_code",
        "coloured_status",
        "event_name",
        "booking",
        "number",
        "seat",
        "holder",
        "holder_name",
        "personal",
        "issued_at",
        "void_at",
    ]

    @display(description="Booking", ordering="booking__reference")
    def reference(self, ticket: Ticket) -> str:
        return spoken(ticket.booking.reference)

    @display(description="Status", ordering="status", label=TICKET_COLOURS)
    def coloured_status(self, ticket: Ticket) -> str:
        return ticket.status

    @display(description="Event", ordering="booking__event__name")
    def event_name(self, ticket: Ticket) -> str:
        return ticket.booking.event.name

    @display(description="Code", ordering="code")
    def shown_code(self, ticket: Ticket) -> str:
        return shown_code(ticket)


@admin.register(TicketHandover)
class TicketHandoverAdmin(ReadOnlyAdmin):
    organiser_path = "ticket__booking__event__created_by"
    list_display = [
        "created_at",
        "coloured_status",
        "reference",
        "named_by",
        "invitee",
        "email",
        "expires_at",
        "ended_at",
    ]
    list_select_related = ["ticket__booking", "named_by", "invitee"]
    list_filter = ["status", "created_at"]
    search_fields = ["email", "named_by__email", "invitee__email", "ticket__booking__reference"]
    search_help_text = "Mail of who gives or takes, or booking"
    ordering = ["-created_at", "id"]
    fields = [
        "coloured_status",
        "ticket",
        "named_by",
        "from_holder",
        "email",
        "invitee",
        "created_at",
        "sent_at",
        "accepted_at",
        "expires_at",
        "ended_at",
    ]

    @display(description="Status", ordering="status", label=HANDOVER_COLOURS)
    def coloured_status(self, handover: TicketHandover) -> str:
        return handover.status

    @display(description="Ticket", ordering="ticket__booking__reference")
    def reference(self, handover: TicketHandover) -> str:
        return f"{spoken(handover.ticket.booking.reference)} · {handover.ticket.number}"


@admin.register(BookingTransition)
class BookingTransitionAdmin(ReadOnlyAdmin):
    organiser_path = "booking__event__created_by"
    list_display = ["at", "booking", "from_status", "to_status", in_words("reason")]
    list_select_related = ["booking"]
    list_filter = ["to_status", "reason", "at"]
    search_fields = ["booking__reference"]
    search_help_text = "Reference of the booking"
    ordering = ["-id"]


@admin.register(BookingSeat)
class BookingSeatAdmin(ReadOnlyAdmin):
    organiser_path = "booking__event__created_by"
    list_display = ["seat", "category", "booking", "live"]
    list_select_related = ["seat__category", "booking"]
    list_filter = ["live"]
    search_fields = ["booking__reference", "seat__category__name", "seat__row"]
    search_help_text = "Booking, category or row"
    ordering = ["-id"]

    @display(description="Category", ordering="seat__category__name")
    def category(self, taken: BookingSeat) -> Any:
        return taken.seat.category


extend_event_admin()
