"""Staff's doors to codes and gifts: what each code does and who used it; made, changed and given one by one or many at once."""

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from bookings import services
from bookings.codes import normalise_code, spoken_code
from bookings.codes_csv import codes_csv
from bookings.codes_forms import WRITTEN, ChangeCodeForm, GiftForm, ManyCodesForm, ManyGiftsForm, NewCodeForm
from bookings.gift_rows import MOST, GiftRow, as_csv, give_rows, read_gifts
from bookings.models import Booking, SaleCode
from bookings.queries import given_away
from bookings.references import spoken
from common.admin import ReadOnlyInline, redirect_from_dialog
from common.admin_actions import ServiceAdmin, dialog_action
from common.errors import FairseatError, Invalid
from common.money import display as money
from common.pages import add_refusal
from events.models import Event


def try_again(request: HttpRequest, act: Any, form: BaseDialogForm, error: FairseatError, field: str) -> HttpResponse:
    """Show a dialog again with what the service said, at `field` if it names none, and everything as it was written."""
    add_refusal(form, error, WRITTEN)
    for text in form.non_field_errors():  # a dialog shows those of its fields only
        form.add_error(field, text)
    context = {"dialog": act.dialog, "form": form, "form_submit_text": act.dialog["form_submit_text"]}
    return render(request, "unfold/helpers/dialog.html", context)


class SellingActions:
    """The event's actions about codes and gifts; events.admin lies below and is extended from here."""

    @dialog_action(
        "New code",
        path="new-code",
        icon="sell",
        title="A code for this event",
        submit="Make it",
        form=NewCodeForm,
        permissions=["codes"],
    )
    def new_code(self, request: HttpRequest, form: NewCodeForm, object_id: str) -> HttpResponse:
        def make() -> str:
            who = {"event_id": UUID(object_id), "actor_id": request.user.pk}
            made = services.create_code(code=form.cleaned_data["code"], terms=form.terms(), **who)
            return f"{spoken_code(made.code)} is there."

        return self.make(request, self.new_code, form, make)

    @dialog_action(
        "Many codes",
        path="many-codes",
        icon="confirmation_number",
        title="Codes to give out, one each",
        submit="Make them",
        form=ManyCodesForm,
        permissions=["codes"],
    )
    def many_codes(self, request: HttpRequest, form: ManyCodesForm, object_id: str) -> HttpResponse:
        def make() -> str:
            who = {"event_id": UUID(object_id), "actor_id": request.user.pk}
            made = services.generate_codes(count=form.cleaned_data["count"], terms=form.terms(), **who)
            return f"{len(made)} codes are there. Mark them and take them as CSV."

        return self.make(request, self.many_codes, form, make)

    def make(
        self, request: HttpRequest, act: Any, form: NewCodeForm | ManyCodesForm, do: Callable[[], str]
    ) -> HttpResponse:
        """Make codes and go to where they are listed."""
        try:
            done = do()
        except FairseatError as error:
            return try_again(request, act, form, error, next(iter(form.fields)))
        self.message_user(request, done, messages.SUCCESS)  # type: ignore[attr-defined]
        listed = f"{reverse('admin:bookings_salecode_changelist')}?event__id__exact={form.object_id}"
        return redirect_from_dialog(request, listed)

    @dialog_action(
        "Give tickets",
        path="give-tickets",
        icon="redeem",
        title="Give tickets away",
        about="They cost nothing and take seats like all others.",
        submit="Give them",
        form=GiftForm,
        permissions=["comps"],
    )
    def give_tickets(self, request: HttpRequest, form: GiftForm, object_id: str) -> HttpResponse:
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
            return try_again(
                request, self.give_tickets, form, error, "email" if error.code == "comp_exists" else "quantity"
            )
        self.message_user(request, "Given. The tickets are on their way by mail.", messages.SUCCESS)  # type: ignore[attr-defined]
        return redirect_from_dialog(request, reverse("admin:bookings_booking_change", args=[booking.pk]))

    @action(description="Give to many", url_path="give-to-many", permissions=["comps"], icon="group_add")
    def give_to_many(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """A table of people: what is wrong with each line first, then the deed, then what is left to put right."""
        event = Event.objects.get(pk=object_id)
        form = ManyGiftsForm(request.POST or None, request.FILES or None)
        rows: list[GiftRow] = []
        given = False
        if form.is_valid():
            text, reason = form.cleaned_data["rows"], form.cleaned_data["reason"]
            try:
                rows = read_gifts(text, event=event, reason=reason)
            except Invalid as error:
                form.add_error(None, error.text)
            given = bool(rows) and request.POST.get("checked") == digest(text, reason)
            if given:
                rows = give_rows(rows, actor_id=request.user.pk)
                text = as_csv(left) if (left := [row for row in rows if row.given is None]) else ""
            form = ManyGiftsForm(initial={"rows": text, "reason": reason}) if rows else form
        context = admin.site.each_context(request) | {
            "title": f"Give tickets of {event}",
            "opts": Event._meta,
            "original": event,
            "event": event,
            "form": form,
            "rows": rows,
            "given": given,
            "done": [row for row in rows if row.given is not None],
            "wrong": [row for row in rows if row.problem],
            "ready": [row for row in rows if not row.problem and row.given is None],
            "checked": digest(text, reason) if rows and not given else "",
            "most": MOST,
        }
        return TemplateResponse(request, "admin/bookings/give_to_many.html", context)

    @display(description="Given away")
    def given_away(self, event: Event) -> str:
        """Gifts are counted by themselves: they take seats, and are no revenue."""
        tickets, worth = given_away(event.pk)
        if not tickets:
            return "–"
        listed = f"{reverse('admin:bookings_booking_changelist')}?event__id__exact={event.pk}&comp__exact=1"
        words = f"{tickets} ticket{'' if tickets == 1 else 's'}, worth {money(worth, event.currency)}"
        return format_html('<a href="{}">{}</a>', listed, words)

    def has_codes_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("bookings.add_salecode") and self.in_scope(request, object_id)  # type: ignore[attr-defined]

    def has_comps_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("bookings.issue_comps") and self.in_scope(request, object_id)  # type: ignore[attr-defined]


def digest(text: str, reason: str) -> str:
    """Return what says that these lines, and no others, were looked at before they are given."""
    lines = "\n".join(f"{text}\n{reason}".split())
    return hashlib.sha256(lines.encode()).hexdigest()


class UseInline(ReadOnlyInline):
    """Who used a code, and what it took off."""

    model = Booking
    verbose_name_plural = "used by"
    fields = ["spoken_reference", "user", "quantity", "status", "discount", "paid", "created_at"]
    readonly_fields = fields
    ordering = ["-created_at", "id"]
    show_change_link = True
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Booking]:
        return super().get_queryset(request).select_related("user")

    @display(description="Reference")
    def spoken_reference(self, booking: Booking) -> str:
        return spoken(booking.reference)

    def discount(self, booking: Booking) -> str:
        return money(booking.discount_minor, booking.currency) if booking.discount_minor else "–"

    def paid(self, booking: Booking) -> str:
        return money(booking.amount_minor, booking.currency)


@admin.register(SaleCode)
class SaleCodeAdmin(ServiceAdmin):
    organiser_path = "event__created_by"
    list_display = ["written", "event", "does", "used", "valid_from", "valid_until", "state", "note"]
    list_select_related = ["event", "counter"]
    list_filter = ["active", "presale", "created_at"]
    search_fields = ["code", "note", "event__name"]
    search_help_text = "Code, note or event"
    ordering = ["-created_at", "code"]
    actions = ["switch_off", "switch_on", "as_csv"]
    actions_detail = ["change_code", "switch_one", "delete_code"]
    inlines = [UseInline]
    fields = [
        "written",
        "event",
        "does",
        "for_categories",
        "used",
        "per_person",
        "valid_from",
        "valid_until",
        "state",
        "note",
        "link",
        "created_by",
        "created_at",
    ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SaleCode], search_term: str
    ) -> tuple[QuerySet[SaleCode], bool]:
        """Find codes however they were read out."""
        found, doubled = super().get_search_results(request, queryset, search_term)
        word = normalise_code(search_term)
        return (found | queryset.filter(code=word), doubled) if word else (found, doubled)

    @display(description="Code", ordering="code")
    def written(self, code: SaleCode) -> str:
        return spoken_code(code.code)

    @display(description="Does")
    def does(self, code: SaleCode) -> str:
        off = f"{code.percent} % off" if code.percent else ""
        off = f"{money(code.off_minor, code.event.currency)} off" if code.off_minor else off
        return ", ".join(part for part in (off, "presale" if code.presale else "") if part)

    @display(description="For")
    def for_categories(self, code: SaleCode) -> str:
        names = [kind.name for kind in code.event.categories.all() if code.is_for(kind.pk)]
        return ", ".join(names) if code.category_ids else "Every category"

    @display(description="Used", ordering="counter__uses")
    def used(self, code: SaleCode) -> str:
        return str(code.counter)

    @display(description="State", label={"on": "success", "off": "default"})
    def state(self, code: SaleCode) -> str:
        return "on" if code.active else "off"

    @display(description="Link to give out")
    def link(self, code: SaleCode) -> str:
        return f"{settings.SITE_URL}{reverse('event', args=[code.event_id])}?code={spoken_code(code.code)}"

    @dialog_action(
        "Change",
        path="change-code",
        icon="edit",
        title="Change what this code does",
        about="Bookings that were made with it keep their price.",
        submit="Change it",
        form=ChangeCodeForm,
    )
    def change_code(self, request: HttpRequest, form: ChangeCodeForm, object_id: str) -> HttpResponse:
        try:
            services.update_code(code_id=UUID(object_id), actor_id=request.user.pk, **form.changes())
        except FairseatError as error:
            return try_again(request, self.change_code, form, error, "max_uses")
        self.message_user(request, "The code is changed.", messages.SUCCESS)
        return self.back_to(request, object_id)

    @dialog_action(
        "Switch on or off",
        path="switch",
        icon="toggle_on",
        title="Switch this code on or off",
        about="Holds and bookings that were made with it stay.",
        submit="Switch it",
        form=BaseDialogForm,
    )
    def switch_one(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        is_on = SaleCode.objects.values_list("active", flat=True).get(pk=object_id)
        self.switch(request, SaleCode.objects.filter(pk=object_id), active=not is_on)
        return self.back_to(request, object_id)

    @dialog_action(
        "Delete",
        path="remove",
        icon="delete",
        title="Delete this code",
        about="Possible while nobody has used it; otherwise switch it off.",
        submit="Delete it",
        form=BaseDialogForm,
    )
    def delete_code(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        gone = self.attempt(
            request,
            "The code is deleted.",
            services.delete_code,
            code_id=UUID(object_id),
            actor_id=request.user.pk,
        )
        return self.back_to_list(request) if gone else self.back_to(request, object_id)

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
    extended.actions_detail = [*known.actions_detail, "new_code", "many_codes", "give_tickets", "give_to_many"]  # type: ignore[attr-defined]
    extended.fieldsets = [*known.fieldsets, ("Gifts", {"fields": ["given_away"]})]  # type: ignore[attr-defined]
    extended.readonly_fields = [*known.readonly_fields, "given_away"]  # type: ignore[attr-defined]
    admin.site.register(Event, extended)
