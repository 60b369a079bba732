"""Events in the admin: what is on, how it sells, and its life from draft to the end."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action, display

from common.admin import ReadOnlyInline
from common.admin_actions import ReasonForm, dialog_action
from common.money import display as money
from common.money import to_minor
from events import services
from events.admin.acting import CatalogueAdmin, when_sold
from events.admin.forms import DetailsForm, EventForm, NewCategoryForm, SellingForm, as_we_write_it, to_the_minute
from events.models import Event, TicketCategory
from events.services import NewCategory
from events.services.categories import RULES

STATUS_COLOURS = {"draft": "default", "published": "success", "completed": "info", "cancelled": "danger"}
# What only an event of some statuses is offered; who asks for it all the same (a page left open) is told why not.
ONLY_WHEN = {"publish": {"draft"}, "complete": {"published"}, "cancel": {"draft", "published"}}
CANCELLING = "Every booking is cancelled, everybody is told, and what was paid goes back. There is no way back."


class CategoryInline(ReadOnlyInline):
    model = TicketCategory
    fields = [
        "name",
        "price",
        "sells",
        "numbered",
        "closed",
        "capacity",
        "held",
        "offered",
        "sold",
        "waiting",
        "free",
    ]
    readonly_fields = fields
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketCategory]:
        return super().get_queryset(request).select_related("inventory", "event")

    def price(self, category: TicketCategory) -> str:
        return money(category.price_minor, category.event.currency)

    def sells(self, category: TicketCategory) -> str:
        return when_sold(category)

    def capacity(self, category: TicketCategory) -> int:
        return category.inventory.capacity

    def held(self, category: TicketCategory) -> int:
        return category.inventory.held

    def offered(self, category: TicketCategory) -> int:
        return category.inventory.offered

    def sold(self, category: TicketCategory) -> int:
        return category.inventory.sold

    def waiting(self, category: TicketCategory) -> int:
        return category.inventory.waiting

    def free(self, category: TicketCategory) -> int:
        return category.inventory.free


@admin.register(Event)
class EventAdmin(CatalogueAdmin):
    organiser_path = "created_by"
    change_form_before_template = "admin/events/event_links.html"
    list_display = ["name", "coloured_status", "starts_at", "location", "taken", "price_from", "created_by"]
    list_filter = ["status", "requires_face_verification", "queue_enabled", "starts_at"]
    search_fields = ["name", "location", "created_by__email"]
    search_help_text = "Name, place or organiser"
    date_hierarchy = "starts_at"
    ordering = ["-starts_at", "id"]
    inlines = [CategoryInline]
    actions = ["publish_selected", "cancel_selected", "complete_selected"]
    actions_detail = [
        "change_details",
        "change_selling",
        "add_category",
        "waitlist",
        "publish",
        "complete",
        "cancel",
        "delete",
    ]
    fieldsets = [
        (None, {"fields": ["name", "coloured_status", "description", "location", "created_by"]}),
        ("When", {"fields": ["timezone", "starts_at", "ends_at", "sale_starts_at", "sale_ends_at"]}),
        (
            "Selling",
            {
                "fields": [
                    "currency",
                    "max_tickets_per_booking",
                    "payment_collection",
                    "allow_hold_extension",
                    "queue_enabled",
                    "max_active_users",
                ]
            },
        ),
        (
            "Face check",
            {"fields": ["requires_face_verification", "face_necessity", "similarity_threshold", "liveness"]},
        ),
        ("History", {"fields": ["created_at", "updated_at", "cancelled_reason"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        events = super().get_queryset(request).filter(deleted_at=None).select_related("created_by")
        return events.prefetch_related("categories__inventory")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> list[UnfoldAction]:
        """Return the buttons of an event's page: those that its status allows."""
        status = Event.objects.filter(pk=object_id).values_list("status", flat=True).first()
        offered = super().get_actions_detail(request, object_id)
        return [one for one in offered if status in ONLY_WHEN.get(one.path or "", {status})]

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def coloured_status(self, event: Event) -> str:
        return event.status

    @display(description="Taken")
    def taken(self, event: Event) -> str:
        stock = [category.inventory for category in event.categories.all()]
        return f"{sum(row.taken for row in stock)} of {sum(row.capacity for row in stock)}"

    @display(description="From")
    def price_from(self, event: Event) -> str:
        return money(event.from_price_minor, event.currency)

    @dialog_action(
        "Change details",
        path="change-details",
        icon="edit",
        title="Change the event",
        submit="Change it",
        form=DetailsForm,
    )
    def change_details(self, request: HttpRequest, form: DetailsForm, object_id: str) -> HttpResponse:
        return self.change(request, form, object_id)

    @dialog_action(
        "Selling rules",
        path="change-selling",
        icon="rule",
        title="How this event sells",
        submit="Change it",
        form=SellingForm,
    )
    def change_selling(self, request: HttpRequest, form: SellingForm, object_id: str) -> HttpResponse:
        return self.change(request, form, object_id)

    def change(self, request: HttpRequest, form: EventForm, object_id: str) -> HttpResponse:
        """Change what differs; a form shows minutes, so a time that reads the same was not changed."""
        known = Event.objects.values(*form.columns).get(pk=object_id)
        wanted = {name: as_we_write_it(value) for name, value in form.cleaned_data.items()}
        changes = {
            name: wanted[name]
            for name in form.columns
            if (wanted[name] or None) != (to_the_minute(known[name]) or None)
        }
        self.act(
            request,
            UUID(object_id),
            "change_event",
            lambda: services.update_event(event_id=UUID(object_id), **changes),
            reason=wanted["reason"],
            done="The event is changed.",
        )
        return self.back_to(request, object_id)

    @dialog_action(
        "Add a category",
        path="add-category",
        icon="add",
        title="Add a ticket category",
        submit="Add it",
        form=NewCategoryForm,
    )
    def add_category(self, request: HttpRequest, form: NewCategoryForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        currency = Event.objects.values_list("currency", flat=True).get(pk=object_id)
        self.act(
            request,
            UUID(object_id),
            "add_category",
            lambda: services.add_category(
                event_id=UUID(object_id),
                new=NewCategory(
                    name=wish["name"],
                    price_minor=to_minor(wish["price"], currency),
                    capacity=wish["capacity"] or 0,
                    rows=wish["rows"] or 0,
                    seats_per_row=wish["seats_per_row"] or 0,
                    **{name: wish[name] for name in RULES},
                ),
            ),
            reason=wish["reason"],
            done=f"{wish['name']} is part of the event.",
        )
        return self.back_to(request, object_id)

    @action(description="Waitlist", url_path="waitlist", permissions=["view"], icon="format_list_numbered")
    def waitlist(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:waitlist_console", object_id)

    @dialog_action(
        "Publish",
        path="publish",
        icon="publish",
        title="Publish this event",
        submit="Publish it",
    )
    def publish(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        self.publish_one(request, UUID(object_id), form.cleaned_data["reason"])
        return self.back_to(request, object_id)

    @dialog_action(
        "Complete",
        path="complete",
        icon="check_circle",
        title="Complete this event",
        submit="It is over",
    )
    def complete(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        self.complete_one(request, UUID(object_id), form.cleaned_data["reason"])
        return self.back_to(request, object_id)

    @dialog_action(
        "Cancel",
        path="cancel",
        icon="cancel",
        title="Cancel this event",
        about=CANCELLING,
        submit="Cancel the event",
    )
    def cancel(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        self.cancel_one(request, UUID(object_id), form.cleaned_data["reason"])
        return self.back_to(request, object_id)

    @dialog_action(
        "Delete",
        path="remove",
        icon="delete",
        title="Delete this event",
        about="Possible while nobody has tickets for it.",
        submit="Delete it",
    )
    def delete(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        gone = self.act(
            request,
            UUID(object_id),
            "delete_event",
            lambda: services.delete_event(event_id=UUID(object_id)),
            reason=form.cleaned_data["reason"],
            done="The event is deleted.",
        )
        if gone:
            return self.back_to_list(request)
        return self.back_to(request, object_id)

    @action(description="Publish", permissions=["act"])
    def publish_selected(self, request: HttpRequest, events: QuerySet[Event]) -> HttpResponse | None:
        return self.each(request, events, "publish_selected", "Publish them", self.publish_one)

    @action(description="Cancel and refund everybody", permissions=["act"])
    def cancel_selected(self, request: HttpRequest, events: QuerySet[Event]) -> HttpResponse | None:
        return self.each(request, events, "cancel_selected", "Cancel them", self.cancel_one, about=CANCELLING)

    @action(description="Complete", permissions=["act"])
    def complete_selected(self, request: HttpRequest, events: QuerySet[Event]) -> HttpResponse | None:
        return self.each(request, events, "complete_selected", "They are over", self.complete_one)

    def each(
        self,
        request: HttpRequest,
        events: QuerySet[Event],
        action_name: str,
        title: str,
        do: Callable[[HttpRequest, UUID, str], None],
        *,
        about: str = "",
    ) -> HttpResponse | None:
        """Ask for the reason, then do it to every marked event, each with a row of its own in the audit."""
        reason = self.reason_for_many(request, events, action_name=action_name, title=title, about=about)
        if isinstance(reason, HttpResponse):
            return reason
        for event in events:
            do(request, event.pk, reason)
        return None

    def publish_one(self, request: HttpRequest, event_id: UUID, reason: str) -> None:
        self.act(
            request,
            event_id,
            "publish_event",
            lambda: services.publish_event(event_id=event_id),
            reason=reason,
            done="The event is published.",
        )

    def complete_one(self, request: HttpRequest, event_id: UUID, reason: str) -> None:
        self.act(
            request,
            event_id,
            "complete_event",
            lambda: services.complete_event(event_id=event_id),
            reason=reason,
            done="The event is completed.",
        )

    def cancel_one(self, request: HttpRequest, event_id: UUID, reason: str) -> None:
        self.act(
            request,
            event_id,
            "cancel_event",
            lambda: services.cancel_event(event_id=event_id, reason=reason),
            reason=reason,
            done="The event is cancelled; its bookings follow.",
        )
