"""Forms of staff about codes and gifts, as dialogs of the admin."""

from typing import Any

from django import forms
from django.template.loader import render_to_string
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminEmailInputWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from bookings.codes import spoken_code
from bookings.models import SaleCode
from bookings.services import Terms
from common.admin_actions import reason_field
from common.errors import Invalid
from common.money import to_decimal, to_minor
from events.models import Event, TicketCategory

WRITTEN = {"off_minor": "amount_off", "category_ids": "categories"}  # the services' names of fields → the forms'
SAME = ("percent", "presale", "max_uses", "per_person", "valid_from", "valid_until", "note")
LARGEST_FILE = 1_000_000


def moment(text: str) -> forms.DateTimeField:
    """Return the field of a time that may be left out."""
    widget = forms.DateTimeInput(attrs=UnfoldAdminTextInputWidget().attrs | {"type": "datetime-local"})
    widget.format = "%Y-%m-%dT%H:%M"
    return forms.DateTimeField(required=False, widget=widget, help_text=f"UTC. {text}")


def number(text: str, **limits: int) -> forms.IntegerField:
    """Return the field of a number that may be left out."""
    return forms.IntegerField(required=False, widget=UnfoldAdminIntegerFieldWidget, help_text=text, **limits)


class LongForm(BaseDialogForm):
    """A dialog longer than a screen: what is wrong stands beside its button too, where somebody has just pressed it."""

    def render_after_template(self) -> str:
        return render_to_string("admin/dialog_errors.html", {"form": self}) if self.is_bound and self.errors else ""


class TermsForm(LongForm):
    """What codes do."""

    percent = number("Per cent off each ticket.", min_value=1, max_value=100)
    amount_off = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=3,
        widget=UnfoldAdminTextInputWidget,
        help_text="Instead: so much off each ticket, in the event's currency.",
    )
    presale = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Opens the sale, and hidden categories, before their time.",
    )
    categories = forms.ModelMultipleChoiceField(
        TicketCategory.objects.none(),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What it is for. None marked: every category.",
    )
    max_uses = number("Tickets in all. Empty: without a limit; for codes made at once, one each.", min_value=1)
    per_person = number("Tickets a person. Empty: as the event says.", min_value=1, max_value=30_000)
    valid_from = moment("Empty: from now on.")
    valid_until = moment("Empty: until the sale ends.")
    note = forms.CharField(required=False, max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Who got it.")

    def __init__(self, request: Any, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, object_id, *args, **kwargs)
        self.event = self.event_of(object_id)
        self.fields["categories"].queryset = TicketCategory.objects.filter(event=self.event)

    def event_of(self, object_id: str | None) -> Event | None:
        """Return the event whose codes these are."""
        return Event.objects.filter(pk=object_id).first()

    def clean_amount_off(self) -> int | None:
        """Return the amount in minor units of the event's currency."""
        amount = self.cleaned_data["amount_off"]
        if not amount or self.event is None:
            return None
        try:
            return to_minor(amount, self.event.currency)
        except Invalid as error:
            raise forms.ValidationError(error.text) from error

    def wishes(self) -> dict[str, Any]:
        """Return the terms that were written, as the services name them."""
        wish = self.cleaned_data
        ids = tuple(category.pk for category in wish["categories"])
        return {name: wish[name] for name in SAME} | {"off_minor": wish["amount_off"], "category_ids": ids}

    def terms(self) -> Terms:
        """Return the terms of a code to be."""
        return Terms(**self.wishes())


class NewCodeForm(TermsForm):
    code = forms.CharField(
        required=False, max_length=64, widget=UnfoldAdminTextInputWidget, help_text="Empty: one that nobody guesses."
    )
    field_order = ["code"]


class ManyCodesForm(TermsForm):
    count = forms.IntegerField(min_value=1, max_value=5000, widget=UnfoldAdminIntegerFieldWidget)
    field_order = ["count"]


class ChangeCodeForm(TermsForm):
    """A code's terms, filled with what is so now."""

    def __init__(self, request: Any, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        self.code = SaleCode.objects.filter(pk=object_id).select_related("counter", "event").first()
        if self.code is not None:
            off = self.code.off_minor
            kwargs["initial"] = {
                **{name: getattr(self.code, name) for name in SAME if name != "max_uses"},
                "max_uses": self.code.counter.max_uses,
                "amount_off": to_decimal(off, self.code.event.currency) if off else None,
                "categories": self.code.category_ids,
                **(kwargs.get("initial") or {}),
            }
        super().__init__(request, object_id, *args, **kwargs)

    def event_of(self, object_id: str | None) -> Event | None:
        return self.code.event if self.code is not None else None

    def changes(self) -> dict[str, Any]:
        """Return what differs; the form shows minutes, so a time that reads the same was not changed."""
        assert self.code is not None
        known = {name: getattr(self.code, name) for name in SAME if name != "max_uses"} | {
            "max_uses": self.code.counter.max_uses,
            "off_minor": self.code.off_minor,
            "category_ids": self.code.category_ids,
        }
        wished = self.wishes()
        for name in ("valid_from", "valid_until"):
            if known[name] is not None:
                known[name] = known[name].replace(second=0, microsecond=0)
        wished["category_ids"] = sorted(wished["category_ids"])
        known["category_ids"] = sorted(known["category_ids"])
        return {name: value for name, value in wished.items() if value != known[name]}

    def __str__(self) -> str:
        return spoken_code(self.code.code) if self.code is not None else ""


class GiftForm(LongForm):
    """Whom to give tickets, and why."""

    email = forms.EmailField(
        max_length=254,
        widget=UnfoldAdminEmailInputWidget,
        help_text="Who has no account gets one, and a mail that says so.",
    )
    name = forms.CharField(required=False, max_length=150, widget=UnfoldAdminTextInputWidget)
    category = forms.ModelChoiceField(TicketCategory.objects.none(), widget=UnfoldAdminSelectWidget)
    quantity = forms.IntegerField(min_value=1, max_value=1000, initial=1, widget=UnfoldAdminIntegerFieldWidget)
    reason = reason_field(rows=2)

    def __init__(self, request: Any, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, object_id, *args, **kwargs)
        self.fields["category"].queryset = TicketCategory.objects.filter(event_id=object_id).select_related("event")


class ManyGiftsForm(forms.Form):
    """Whom to give tickets, as lines of a table."""

    file = forms.FileField(
        required=False,
        label="A CSV file",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,text/csv,text/plain"}),
    )
    rows = forms.CharField(
        required=False,
        max_length=LARGEST_FILE,
        label="Or its lines",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 8, "spellcheck": "false"}),
    )
    reason = reason_field(rows=2, help_text="For every line that names none. Kept with your name.")

    def clean(self) -> dict[str, Any]:
        """Put what the file says into the field of lines."""
        found = super().clean() or {}
        file = found.get("file")
        if file is not None:
            if file.size > LARGEST_FILE:
                raise forms.ValidationError("That file is too large.")
            found["rows"] = decoded(file.read())
        if not found.get("rows", "").strip():
            raise forms.ValidationError("Choose a file, or write one line for each person.")
        return found


def decoded(content: bytes) -> str:
    """Return a file as text: UTF-8, or what spreadsheets in the west write instead."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
