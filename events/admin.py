"""
Staff's view of the catalogue. Status and counters are facts; every change is an action that calls a service, one event at a
time, and is kept with its reason.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.forms.models import fields_for_model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from common.admin import ReadOnlyAdmin, ReadOnlyInline, redirect_from_dialog
from common.errors import FairseatError
from common.money import display as money
from common.money import to_decimal, to_minor
from events import services
from events.models import Event, Seat, SeatInventory, TicketCategory
from events.services import NewCategory
from events.services.categories import RULES

STATUS_COLOURS = {"draft": "default", "published": "success", "completed": "info", "cancelled": "danger"}
DETAILS = ["name", "description", "location", "timezone", "starts_at", "ends_at", "sale_starts_at", "sale_ends_at"]
SELLING = [
    "max_tickets_per_booking",
    "payment_collection",
    "allow_hold_extension",
    "queue_enabled",
    "max_active_users",
    "requires_face_verification",
    "face_necessity",
    "similarity_threshold",
    "liveness",
]


def dialog_field(column: models.Field, **options: Any) -> forms.Field:
    """Return the form field of a column, dressed for a dialog. Times are written in UTC, like everywhere in the admin."""
    if isinstance(column, models.DateTimeField):
        local = forms.DateTimeInput(attrs=UnfoldAdminTextInputWidget().attrs | {"type": "datetime-local"})
        local.format = "%Y-%m-%dT%H:%M"
        return column.formfield(widget=local, help_text=f"UTC. {column.help_text}".strip())
    if column.choices:
        return column.formfield(widget=UnfoldAdminSelectWidget)
    if isinstance(column, models.BooleanField):
        return column.formfield(widget=UnfoldBooleanSwitchWidget)
    if isinstance(column, models.TextField):
        return column.formfield(widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}))
    if isinstance(column, models.IntegerField):
        return column.formfield(widget=UnfoldAdminIntegerFieldWidget)
    return column.formfield(widget=UnfoldAdminTextInputWidget)


class ReasonForm(BaseDialogForm):
    """Why staff does this; it is kept in the audit."""

    reason = forms.CharField(
        max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text="Kept with your name."
    )


class EventForm(ReasonForm):
    """Some columns of an event, filled with what is so now."""

    columns: list[str] = []

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        known = Event.objects.filter(pk=object_id).values(*self.columns).first() or {}
        kwargs["initial"] = known | (kwargs.get("initial") or {})
        super().__init__(request, object_id, *args, **kwargs)


class DetailsForm(EventForm):
    columns = DETAILS
    field_order = [*DETAILS, "reason"]
    locals().update(fields_for_model(Event, DETAILS, formfield_callback=dialog_field))


class SellingForm(EventForm):
    columns = SELLING
    field_order = [*SELLING, "reason"]
    locals().update(fields_for_model(Event, SELLING, formfield_callback=dialog_field))


class CategoryForm(ReasonForm):
    """A category's name, price, capacity and whether it sells."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    price = forms.DecimalField(
        min_value=0,
        max_digits=12,
        decimal_places=3,
        widget=UnfoldAdminTextInputWidget,
        help_text="In the event's currency. A new price is for new bookings.",
    )
    capacity = forms.IntegerField(min_value=1, widget=UnfoldAdminIntegerFieldWidget)
    closed = forms.BooleanField(required=False, label="Closed to new buyers", widget=UnfoldBooleanSwitchWidget)
    locals().update(fields_for_model(TicketCategory, RULES, formfield_callback=dialog_field))
    field_order = ["name", "price", "capacity", "closed", *RULES, "reason"]

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        known = TicketCategory.objects.filter(pk=object_id).select_related("event", "inventory").first()
        if known is not None:
            kwargs["initial"] = {
                "name": known.name,
                "price": to_decimal(known.price_minor, known.event.currency),
                "capacity": known.inventory.capacity,
                "closed": known.closed,
                **{name: getattr(known, name) for name in RULES},
                **(kwargs.get("initial") or {}),
            }
        super().__init__(request, object_id, *args, **kwargs)


class NewCategoryForm(ReasonForm):
    """A category to add: so many tickets, or rows of numbered seats."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    price = forms.DecimalField(min_value=0, max_digits=12, decimal_places=3, widget=UnfoldAdminTextInputWidget)
    capacity = forms.IntegerField(min_value=1, required=False, widget=UnfoldAdminIntegerFieldWidget)
    rows = forms.IntegerField(
        min_value=1,
        max_value=200,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="For numbered seats, instead of a capacity.",
    )
    seats_per_row = forms.IntegerField(min_value=1, max_value=500, required=False, widget=UnfoldAdminIntegerFieldWidget)
    field_order = ["name", "price", "capacity", "rows", "seats_per_row", "reason"]


class CategoryInline(ReadOnlyInline):
    model = TicketCategory
    fields = ["name", "price", "numbered", "closed", "capacity", "held", "offered", "sold", "waiting", "free"]
    readonly_fields = fields
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketCategory]:
        return super().get_queryset(request).select_related("inventory", "event")

    def price(self, category: TicketCategory) -> str:
        return money(category.price_minor, category.event.currency)

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


class ActingAdmin(ReadOnlyAdmin):
    """An admin whose actions call a service as this member of staff and tell what came of it."""

    def act(
        self,
        request: HttpRequest,
        event_id: UUID,
        action_name: str,
        do: Callable[[], object],
        *,
        reason: str,
        done: str,
    ) -> bool:
        try:
            services.as_staff(actor_id=request.user.pk, action=action_name, event_id=event_id, reason=reason, do=do)
        except FairseatError as error:
            self.message_user(request, error.text, messages.ERROR)
            return False
        self.message_user(request, done, messages.SUCCESS)
        return True


@admin.register(Event)
class EventAdmin(ActingAdmin):
    organiser_path = "created_by"
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

    def back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect_from_dialog(request, reverse("admin:events_event_change", args=[object_id]))

    @action(
        description="Change details",
        url_path="change-details",
        permissions=["act"],
        icon="edit",
        dialog={"title": "Change the event", "form_class": DetailsForm, "form_submit_text": "Change it"},
    )
    def change_details(self, request: HttpRequest, form: DetailsForm, object_id: str) -> HttpResponse:
        return self.change(request, form, object_id)

    @action(
        description="Selling rules",
        url_path="change-selling",
        permissions=["act"],
        icon="rule",
        dialog={"title": "How this event sells", "form_class": SellingForm, "form_submit_text": "Change it"},
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
        return self.back(request, object_id)

    @action(
        description="Add a category",
        url_path="add-category",
        permissions=["act"],
        icon="add",
        dialog={"title": "Add a ticket category", "form_class": NewCategoryForm, "form_submit_text": "Add it"},
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
                ),
            ),
            reason=wish["reason"],
            done=f"{wish['name']} is on sale with the event.",
        )
        return self.back(request, object_id)

    @action(description="Waitlist", url_path="waitlist", permissions=["view"], icon="format_list_numbered")
    def waitlist(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect("admin:waitlist_console", object_id)

    @action(
        description="Publish",
        url_path="publish",
        permissions=["act"],
        icon="publish",
        dialog={"title": "Publish this event", "form_class": ReasonForm, "form_submit_text": "Publish it"},
    )
    def publish(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        self.publish_one(request, UUID(object_id), form.cleaned_data["reason"])
        return self.back(request, object_id)

    @action(
        description="Complete",
        url_path="complete",
        permissions=["act"],
        icon="check_circle",
        dialog={"title": "Complete this event", "form_class": ReasonForm, "form_submit_text": "It is over"},
    )
    def complete(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        self.complete_one(request, UUID(object_id), form.cleaned_data["reason"])
        return self.back(request, object_id)

    @action(
        description="Cancel",
        url_path="cancel",
        permissions=["act"],
        icon="cancel",
        dialog={
            "title": "Cancel this event",
            "description": "Every booking is cancelled, everybody is told, and what was paid goes back. There is no way back.",
            "form_class": ReasonForm,
            "form_submit_text": "Cancel the event",
        },
    )
    def cancel(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        self.cancel_one(request, UUID(object_id), form.cleaned_data["reason"])
        return self.back(request, object_id)

    @action(
        description="Delete",
        url_path="remove",
        permissions=["act"],
        icon="delete",
        dialog={
            "title": "Delete this event",
            "description": "Possible while nobody has tickets for it.",
            "form_class": ReasonForm,
            "form_submit_text": "Delete it",
        },
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
            return redirect_from_dialog(request, reverse("admin:events_event_changelist"))
        return self.back(request, object_id)

    @action(description="Publish", permissions=["act"])
    def publish_selected(self, request: HttpRequest, events: QuerySet[Event]) -> None:
        for event in events:
            self.publish_one(request, event.pk, "Published from the list.")

    @action(description="Cancel and refund everybody", permissions=["act"])
    def cancel_selected(self, request: HttpRequest, events: QuerySet[Event]) -> None:
        for event in events:
            self.cancel_one(request, event.pk, "Cancelled from the list.")

    @action(description="Complete", permissions=["act"])
    def complete_selected(self, request: HttpRequest, events: QuerySet[Event]) -> None:
        for event in events:
            self.complete_one(request, event.pk, "Completed from the list.")

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


def as_we_write_it(value: Any) -> Any:
    """Give a text the line ends it has in the database; browsers send others."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def to_the_minute(value: Any) -> Any:
    """Cut what a form does not show off a time."""
    return value.replace(second=0, microsecond=0) if hasattr(value, "microsecond") else value


class InventoryInline(ReadOnlyInline):
    model = SeatInventory
    verbose_name_plural = "seats, as the database counts them"
    fields = ["capacity", "held", "offered", "sold", "waiting", "free"]
    readonly_fields = fields


class SeatInline(ReadOnlyInline):
    model = Seat
    verbose_name_plural = "numbered seats, best first"
    fields = ["row", "number", "rank"]
    readonly_fields = fields
    per_page = 50


@admin.register(TicketCategory)
class TicketCategoryAdmin(ActingAdmin):
    organiser_path = "event__created_by"
    list_display = ["name", "event", "price", "numbered", "closed", "taken", "waiting"]
    list_select_related = ["event", "inventory"]
    list_filter = ["closed", "numbered", "event__status"]
    search_fields = ["name", "event__name"]
    ordering = ["-event__starts_at", "position"]
    inlines = [InventoryInline, SeatInline]
    actions_detail = ["change_category"]
    fields = ["name", "event", "description", "price", "numbered", "closed", *RULES, "position", "created_at"]

    @display(description="Price", ordering="price_minor")
    def price(self, category: TicketCategory) -> str:
        return money(category.price_minor, category.event.currency)

    @display(description="Taken")
    def taken(self, category: TicketCategory) -> str:
        return str(category.inventory)

    @display(description="Waiting", ordering="inventory__waiting")
    def waiting(self, category: TicketCategory) -> int:
        return category.inventory.waiting

    @action(
        description="Change category",
        url_path="change-category",
        permissions=["act"],
        icon="edit",
        dialog={
            "title": "Change the category",
            "description": "The capacity is never lower than what is taken.",
            "form_class": CategoryForm,
            "form_submit_text": "Change it",
        },
    )
    def change_category(self, request: HttpRequest, form: CategoryForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        category = TicketCategory.objects.select_related("event").get(pk=object_id)
        self.act(
            request,
            category.event_id,
            "change_category",
            lambda: services.update_category(
                category_id=category.pk,
                name=wish["name"],
                price_minor=to_minor(wish["price"], category.event.currency),
                capacity=wish["capacity"],
                closed=wish["closed"],
                **{name: wish[name] for name in RULES if wish[name] != to_the_minute(getattr(category, name))},
            ),
            reason=wish["reason"],
            done="The category is changed.",
        )
        return redirect_from_dialog(request, reverse("admin:events_ticketcategory_change", args=[object_id]))


@admin.register(Seat)
class SeatAdmin(ReadOnlyAdmin):
    organiser_path = "category__event__created_by"
    list_display = ["label", "category", "event", "rank"]
    list_select_related = ["category__event"]
    search_fields = ["row", "category__name", "category__event__name"]
    ordering = ["category", "rank", "number"]
    fields = ["category", "row", "number", "rank"]

    @display(description="Event", ordering="category__event__name")
    def event(self, seat: Seat) -> str:
        return seat.category.event.name
