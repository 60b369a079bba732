"""Staff's doors to codes and gifts: what each code does and how often it was used, made one by one or many at once."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminEmailInputWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from bookings import services
from bookings.codes import spoken_code
from bookings.codes_csv import codes_csv
from bookings.models import SaleCode
from bookings.services import Terms
from common.admin import ReadOnlyAdmin, redirect_from_dialog
from common.errors import FairseatError
from common.money import display as money
from common.money import to_minor
from events.models import Event, TicketCategory


def moment(text: str) -> forms.DateTimeField:
    """Return the field of a time that may be left out."""
    widget = forms.DateTimeInput(attrs=UnfoldAdminTextInputWidget().attrs | {"type": "datetime-local"})
    widget.format = "%Y-%m-%dT%H:%M"
    return forms.DateTimeField(required=False, widget=widget, help_text=f"UTC. {text}")


def number(text: str, **limits: int) -> forms.IntegerField:
    """Return the field of a number that may be left out."""
    return forms.IntegerField(required=False, widget=UnfoldAdminIntegerFieldWidget, help_text=text, **limits)


class TermsForm(BaseDialogForm):
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
    max_uses = number("Tickets in all. Empty: without a limit; for codes made at once, one each.", min_value=1)
    per_person = number("Tickets a person. Empty: as the event says.", min_value=1, max_value=30_000)
    valid_from = moment("Empty: from now on.")
    valid_until = moment("Empty: until the sale ends.")
    note = forms.CharField(required=False, max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Who got it.")

    def terms(self, event: Event) -> Terms:
        """Return the terms that were written."""
        wish = dict(self.cleaned_data)
        off = wish.get("amount_off")
        names = ("percent", "presale", "max_uses", "per_person", "valid_from", "valid_until", "note")
        return Terms(off_minor=to_minor(off, event.currency) if off else None, **{name: wish[name] for name in names})


class NewCodeForm(TermsForm):
    code = forms.CharField(
        required=False, max_length=64, widget=UnfoldAdminTextInputWidget, help_text="Empty: one that nobody guesses."
    )
    field_order = ["code"]


class ManyCodesForm(TermsForm):
    count = forms.IntegerField(min_value=1, max_value=5000, widget=UnfoldAdminIntegerFieldWidget)
    field_order = ["count"]


class CompForm(BaseDialogForm):
    """Whom to give tickets, and why."""

    email = forms.EmailField(
        max_length=254,
        widget=UnfoldAdminEmailInputWidget,
        help_text="Who has no account gets one, and a mail that says so.",
    )
    name = forms.CharField(required=False, max_length=150, widget=UnfoldAdminTextInputWidget)
    category = forms.ModelChoiceField(TicketCategory.objects.none(), widget=UnfoldAdminSelectWidget)
    quantity = forms.IntegerField(min_value=1, max_value=1000, initial=1, widget=UnfoldAdminIntegerFieldWidget)
    reason = forms.CharField(
        max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text="Kept with your name."
    )

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, object_id, *args, **kwargs)
        self.fields["category"].queryset = TicketCategory.objects.filter(event_id=object_id)


class SellingActions:
    """The event's actions about codes and gifts; events.admin lies below and is extended from here."""

    @action(
        description="New code",
        url_path="new-code",
        permissions=["codes"],
        icon="sell",
        dialog={"title": "A code for this event", "form_class": NewCodeForm, "form_submit_text": "Make it"},
    )
    def new_code(self, request: HttpRequest, form: NewCodeForm, object_id: str) -> HttpResponse:
        return make(self, request, form, object_id)

    @action(
        description="Many codes",
        url_path="many-codes",
        permissions=["codes"],
        icon="confirmation_number",
        dialog={"title": "Codes to give out, one each", "form_class": ManyCodesForm, "form_submit_text": "Make them"},
    )
    def many_codes(self, request: HttpRequest, form: ManyCodesForm, object_id: str) -> HttpResponse:
        return make(self, request, form, object_id)

    @action(
        description="Give tickets",
        url_path="give-tickets",
        permissions=["comps"],
        icon="redeem",
        dialog={
            "title": "Give tickets away",
            "description": "They cost nothing and take seats like all others.",
            "form_class": CompForm,
            "form_submit_text": "Give them",
        },
    )
    def give_tickets(self, request: HttpRequest, form: CompForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        try:
            booking = services.give_comp(
                category_id=wish["category"].pk,
                email=wish["email"],
                name=wish["name"],
                quantity=wish["quantity"],
                actor_id=request.user.pk,
                reason=wish["reason"],
            )
        except FairseatError as error:
            self.message_user(request, error.text, messages.ERROR)
            return redirect_from_dialog(request, reverse("admin:events_event_change", args=[object_id]))
        self.message_user(request, "Given. The tickets are on their way by mail.", messages.SUCCESS)
        return redirect_from_dialog(request, reverse("admin:bookings_booking_change", args=[booking.pk]))

    def has_codes_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("bookings.add_salecode") and self.in_scope(request, object_id)  # type: ignore[attr-defined]

    def has_comps_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("bookings.issue_comps") and self.in_scope(request, object_id)  # type: ignore[attr-defined]


def make(
    page: admin.ModelAdmin, request: HttpRequest, form: NewCodeForm | ManyCodesForm, object_id: str
) -> HttpResponse:
    """Make one code, or many, and go to where they are listed."""
    event = Event.objects.get(pk=object_id)
    try:
        terms = form.terms(event)
        who = {"event_id": event.pk, "actor_id": request.user.pk, "terms": terms}
        if isinstance(form, ManyCodesForm):
            made = services.generate_codes(count=form.cleaned_data["count"], **who)
            done = f"{len(made)} codes are there. Mark them and take them as CSV."
        else:
            code = services.create_code(code=form.cleaned_data["code"], **who)
            done = f"{spoken_code(code.code)} is there."
    except FairseatError as error:
        page.message_user(request, error.text, messages.ERROR)
        return redirect_from_dialog(request, reverse("admin:events_event_change", args=[object_id]))
    page.message_user(request, done, messages.SUCCESS)
    return redirect_from_dialog(
        request, f"{reverse('admin:bookings_salecode_changelist')}?event__id__exact={object_id}"
    )


@admin.register(SaleCode)
class SaleCodeAdmin(ReadOnlyAdmin):
    organiser_path = "event__created_by"
    list_display = ["written", "event", "does", "used", "valid_from", "valid_until", "state", "note"]
    list_select_related = ["event", "counter"]
    list_filter = ["active", "presale", "created_at"]
    search_fields = ["code", "note", "event__name"]
    search_help_text = "Code, note or event"
    ordering = ["-created_at", "code"]
    actions = ["switch_off", "switch_on", "as_csv"]
    fields = [
        "written",
        "event",
        "does",
        "used",
        "per_person",
        "valid_from",
        "valid_until",
        "state",
        "note",
        "created_by",
    ]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        return lookup == "event__id__exact" or super().lookup_allowed(lookup, value, request)

    @display(description="Code", ordering="code")
    def written(self, code: SaleCode) -> str:
        return spoken_code(code.code)

    @display(description="Does")
    def does(self, code: SaleCode) -> str:
        off = f"{code.percent} % off" if code.percent else ""
        off = f"{money(code.off_minor, code.event.currency)} off" if code.off_minor else off
        return ", ".join(part for part in (off, "presale" if code.presale else "") if part)

    @display(description="Used", ordering="counter__uses")
    def used(self, code: SaleCode) -> str:
        return str(code.counter)

    @display(description="State", label={"on": "success", "off": "default"})
    def state(self, code: SaleCode) -> str:
        return "on" if code.active else "off"

    @action(description="Switch off", permissions=["act"])
    def switch_off(self, request: HttpRequest, codes: QuerySet[SaleCode]) -> None:
        self.switch(request, codes, active=False)

    @action(description="Switch on", permissions=["act"])
    def switch_on(self, request: HttpRequest, codes: QuerySet[SaleCode]) -> None:
        self.switch(request, codes, active=True)

    def switch(self, request: HttpRequest, codes: QuerySet[SaleCode], *, active: bool) -> None:
        ids: list[UUID] = list(codes.values_list("pk", flat=True))
        for code_id in ids:
            services.switch_code(code_id=code_id, actor_id=request.user.pk, active=active)
        self.message_user(request, f"{len(ids)} switched {'on' if active else 'off'}.", messages.SUCCESS)

    @action(description="As CSV", permissions=["act"])
    def as_csv(self, request: HttpRequest, codes: QuerySet[SaleCode]) -> HttpResponse:
        headers = {"Content-Disposition": 'attachment; filename="codes.csv"', "Cache-Control": "private, no-store"}
        text = codes_csv(codes.select_related("counter"))
        return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=headers)


def extend_event_admin() -> None:
    """Give the event's page in the admin its actions about codes and gifts."""
    known = admin.site._registry[Event]
    name = type(known).__name__
    extended = type(name, (SellingActions, type(known)), {"__module__": type(known).__module__})
    admin.site.unregister(Event)
    extended.actions_detail = [*known.actions_detail, "new_code", "many_codes", "give_tickets"]  # type: ignore[attr-defined]
    admin.site.register(Event, extended)
