"""The dialogs of the catalogue: some columns of an event or a category, filled with what is so now, and the reason."""

from typing import Any

from django import forms
from django.db import models
from django.forms.models import fields_for_model
from django.http import HttpRequest
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from common.admin_actions import ReasonForm
from common.money import to_decimal
from events.models import Event, TicketCategory
from events.refusals import BadCategory
from events.services.categories import RULES, check_rules

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
        self.event = known.event if known is not None else None

    def clean(self) -> dict[str, Any]:
        """Say at once what could never sell, while everything is still there as it was written."""
        return check_window(self, self.event)


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
    locals().update(fields_for_model(TicketCategory, RULES, formfield_callback=dialog_field))
    field_order = ["name", "price", "capacity", "rows", "seats_per_row", *RULES, "reason"]

    def clean(self) -> dict[str, Any]:
        """Say at once what could never sell, while everything is still there as it was written."""
        return check_window(self, Event.objects.filter(pk=self.object_id).first())


def check_window(form: forms.Form, event: Event | None) -> dict[str, Any]:
    """Return what was written of a category, with an error at the end of its sale if it would never sell."""
    wish = form.cleaned_data
    if event is not None and all(name in wish for name in RULES):
        try:
            check_rules({name: wish[name] for name in RULES}, event)
        except BadCategory as error:
            form.add_error("sale_ends_at", error.text)
    return wish


def as_we_write_it(value: Any) -> Any:
    """Give a text the line ends it has in the database; browsers send others."""
    return value.replace("\r\n", "\n") if isinstance(value, str) else value


def to_the_minute(value: Any) -> Any:
    """Cut what a form does not show off a time."""
    return value.replace(second=0, microsecond=0) if hasattr(value, "microsecond") else value
