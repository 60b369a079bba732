"""
Staff's console of the waitlist: per event the list in its order, offers with the time left, who was passed over and why, and
what staff may do about it. Everything they do calls a service with a reason, and leaves a row in their audit for each entry.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextareaWidget

from accounts.exports import ExportableAdmin
from accounts.models import StaffAction
from common.admin import ReadOnlyAdmin, ReadOnlyInline, redirect_from_dialog
from common.errors import FairseatError
from events.models import Event
from waitlist import queries, services
from waitlist.console import LIVE, events_with_lists, released_by_day, rows_of
from waitlist.models import WaitlistEntry, WaitlistSkip
from waitlist.services.staff import clean_up_by_staff, offer_next_by_staff, set_eligible

STATUS_COLOURS = {
    "waiting": "warning",
    "offered": "info",
    "accepted": "success",
    "rejected": "default",
    "expired": "default",
    "left": "default",
}
PER_PAGE = 50
MOST = 1_000
SHOWN = [(LIVE, "Live"), *[(value, value.capitalize()) for value in WaitlistEntry.Status.values], ("all", "All")]


class ReasonForm(BaseDialogForm):
    """Why staff does this; it is kept in the audit."""

    reason = forms.CharField(
        max_length=500, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="Kept with your name."
    )


class OfferForm(ReasonForm):
    """An offer to one person, past whoever stands before them."""

    quantity = forms.IntegerField(
        min_value=1,
        max_value=100,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Empty: as many as they wait for, or as are free.",
    )
    field_order = ["quantity", "reason"]


class NextForm(forms.Form):
    """How many people the list's own order is offered to."""

    people = forms.IntegerField(min_value=1, max_value=MOST)
    reason = forms.CharField(max_length=500, required=False)


class ManyForm(forms.Form):
    """What is done to the chosen entries, and why."""

    what = forms.ChoiceField(choices=[(name, name) for name in ("offer", "expire", "eligible", "ineligible")])
    reason = forms.CharField(max_length=500, error_messages={"required": "Write a reason: it is kept with your name."})
    chosen = forms.TypedMultipleChoiceField(
        coerce=UUID,
        error_messages={"required": "Choose at least one person.", "invalid_choice": "Choose from the list."},
    )

    def __init__(self, *args: Any, event_id: UUID, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sent = self.data.getlist("chosen") if hasattr(self.data, "getlist") else []
        known = WaitlistEntry.objects.filter(event_id=event_id, pk__in=[value for value in sent if is_id(value)])
        self.fields["chosen"].choices = [(str(pk), str(pk)) for pk in known.values_list("pk", flat=True)]  # type: ignore[attr-defined]


def is_id(text: str) -> bool:
    """Whether this is a UUID."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


class SkipInline(ReadOnlyInline):
    model = WaitlistSkip
    verbose_name_plural = "passed over"
    hide_title = True
    fields = ["reason", "category", "wanted", "free", "times", "first_at", "at"]
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[WaitlistSkip]:
        return super().get_queryset(request).select_related("category")


@admin.register(WaitlistEntry)
class WaitlistEntryAdmin(ExportableAdmin, ReadOnlyAdmin):
    organiser_path = "event__created_by"
    list_display = [
        "position",
        "event",
        "user",
        "quantity",
        "all_together",
        "coloured_status",
        "reason",
        "eligible",
        "joined_at",
        "offer_expires_at",
    ]
    list_select_related = ["event", "user"]
    list_filter = ["status", "reason", "eligible", "joined_at"]
    search_fields = ["event__name", "user__email", "user__name"]
    search_help_text = "Event, mail or name"
    ordering = ["event_id", "joined_at", "id"]
    inlines = [SkipInline]
    actions = ["export_csv", "export_xlsx"]
    export_related = ["event", "user"]
    export_columns = [
        ("event", "event.name"),
        ("person", "user.name"),
        ("e-mail", "user.email"),
        ("tickets", "quantity"),
        ("status", "status"),
        ("reason", "reason"),
        ("joined at", "joined_at"),
        ("offered at", "offered_at"),
        ("offer until", "offer_expires_at"),
        ("ended at", "ended_at"),
    ]
    actions_list = ["consoles"]
    actions_detail = ["offer", "expire", "make_eligible", "make_ineligible", "console_of"]
    change_form_after_template = "admin/waitlist/history.html"
    fieldsets = [
        (None, {"fields": ["event", "user", "coloured_status", "position", "reason", "eligible"]}),
        ("Wish", {"fields": ["quantity", "all_together", "kinds"]}),
        ("Offers", {"fields": ["booking", "offered_at", "offer_expires_at", "offers", "lapses", "unpaid"]}),
        ("Times", {"fields": ["joined_at", "kept_since", "aside_since", "aside_for", "ended_at"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WaitlistEntry]:
        return queries.with_position(super().get_queryset(request))

    @display(description="Position")
    def position(self, entry: Any) -> str:
        return str(entry.position) if entry.status == WaitlistEntry.Status.WAITING else "–"

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def coloured_status(self, entry: WaitlistEntry) -> str:
        return entry.status

    @display(description="Waits for")
    def kinds(self, entry: WaitlistEntry) -> str:
        return queries.wish_in_words(entry, entry.event.categories.all())

    # -- One entry ----------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        audit = StaffAction.objects.filter(object_type="waitlist_entry", object_id=object_id).select_related("actor")
        context = {"audit": audit.order_by("-id")[:50]}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @action(
        description="Offer to this person",
        url_path="offer",
        permissions=["act"],
        icon="local_activity",
        dialog={
            "title": "Offer to this person",
            "description": "They are asked before everybody who joined earlier; that is written down for each of them.",
            "form_class": OfferForm,
            "form_submit_text": "Make the offer",
        },
    )
    def offer(self, request: HttpRequest, form: OfferForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        return self.do_one(request, object_id, "offer", wish["reason"], quantity=wish["quantity"])

    @action(
        description="End the offer",
        url_path="expire",
        permissions=["act"],
        icon="timer_off",
        dialog={
            "title": "End this offer now",
            "description": "As if its time were over: the seats go to the next, the person waits again behind the others.",
            "form_class": ReasonForm,
            "form_submit_text": "End it",
        },
    )
    def expire(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self.do_one(request, object_id, "expire", form.cleaned_data["reason"])

    @action(
        description="Make eligible",
        url_path="eligible",
        permissions=["act"],
        icon="check_circle",
        dialog={
            "title": "Let them be offered seats",
            "description": "With the time they have. An event that checks faces asks for the check before they can accept.",
            "form_class": ReasonForm,
            "form_submit_text": "Make eligible",
        },
    )
    def make_eligible(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self.do_one(request, object_id, "eligible", form.cleaned_data["reason"])

    @action(
        description="Make ineligible",
        url_path="ineligible",
        permissions=["act"],
        icon="block",
        dialog={
            "title": "Offer them nothing for now",
            "description": "They keep their time, and everybody behind them is asked first.",
            "form_class": ReasonForm,
            "form_submit_text": "Make ineligible",
        },
    )
    def make_ineligible(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self.do_one(request, object_id, "ineligible", form.cleaned_data["reason"])

    @action(description="Console", url_path="console-of", permissions=["view"], icon="format_list_numbered")
    def console_of(self, request: HttpRequest, object_id: str) -> HttpResponse:
        entry = self.get_object(request, object_id)
        if not isinstance(entry, WaitlistEntry):
            raise Http404
        return redirect("admin:waitlist_console", entry.event_id)

    def do_one(self, request: HttpRequest, object_id: str, what: str, reason: str, **wish: Any) -> HttpResponse:
        """Do one thing to one entry and tell what came of it."""
        try:
            done = self.doing(request, what, reason, **wish)(UUID(object_id))
        except FairseatError as error:
            self.message_user(request, error.text, messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return redirect_from_dialog(request, reverse("admin:waitlist_waitlistentry_change", args=[object_id]))

    def doing(self, request: HttpRequest, what: str, reason: str, quantity: int | None = None) -> Callable[[UUID], str]:
        """Return what does `what` to an entry as this member of staff and says what was done."""
        staff_id = request.user.pk

        def offer(entry_id: UUID) -> str:
            made = services.offer_to(entry_id=entry_id, staff_id=staff_id, reason=reason, quantity=quantity)
            return f"{made.quantity} offered until {made.expires_at:%d %B, %H:%M} UTC."

        def expire(entry_id: UUID) -> str:
            services.expire_offer(entry_id=entry_id, staff_id=staff_id, reason=reason)
            return "The offer is ended."

        def set_to(eligible: bool) -> Callable[[UUID], str]:
            def change(entry_id: UUID) -> str:
                set_eligible(entry_id=entry_id, staff_id=staff_id, eligible=eligible, reason=reason)
                return "They can be offered seats now." if eligible else "They are offered nothing for now."

            return change

        return {"offer": offer, "expire": expire, "eligible": set_to(True), "ineligible": set_to(False)}[what]

    # -- The console --------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("console/", self.admin_site.admin_view(self.console_list), name="waitlist_consoles"),
            path("console/<uuid:event_id>/", self.admin_site.admin_view(self.console), name="waitlist_console"),
        ]
        return own + super().get_urls()

    @action(description="Consoles by event", url_path="consoles", permissions=["view"], icon="format_list_numbered")
    def consoles(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:waitlist_consoles")

    def console_list(self, request: HttpRequest) -> HttpResponse:
        """Every event that has a list."""
        self.check_may_look(request)
        shown = Paginator(self.scoped(request, events_with_lists(), "created_by"), PER_PAGE).get_page(
            request.GET.get("page")
        )
        context = self.admin_site.each_context(request) | {"title": "Waitlists", "events": shown, "is_fullwidth": "1"}
        return TemplateResponse(request, "admin/waitlist/consoles.html", context)

    def console(self, request: HttpRequest, event_id: UUID) -> HttpResponse:
        """One event's list with what staff may do; every deed is a POST that comes back here."""
        self.check_may_look(request)
        events = self.scoped(request, Event.objects.filter(deleted_at=None), "created_by")
        event = events.filter(pk=event_id).first()
        if event is None:
            raise Http404
        if request.method == "POST":
            if not self.has_act_permission(request):
                raise Http404
            self.act(request, event)
            return redirect(request.get_full_path())
        facts = queries.console(event_id=event_id)
        show, search = request.GET.get("show", LIVE), request.GET.get("search", "").strip()
        rows = Paginator(rows_of(event_id, show=show, search=search), PER_PAGE).get_page(request.GET.get("page"))
        days = released_by_day(event_id)
        context = self.admin_site.each_context(request) | {
            "title": f"Waitlist: {event.name}",
            "event": event,
            "facts": facts,
            "tallies": [
                ("People waiting", facts.people, f"{facts.ineligible} not verified"),
                ("Seats they want", facts.seats, f"{facts.aside} people put aside"),
                ("Seats free", facts.free, "in open categories"),
                ("Offers open", facts.offers, f"{sum(one.inventory.offered for one in facts.categories)} seats"),
                ("Seats that came back", sum(seats for _, seats in days), f"in {len(days)} days"),
            ],
            "days": days,
            "most_released": max([1, *[seats for _, seats in days]]),
            "rows": rows,
            "shown": SHOWN,
            "show": show,
            "search": search,
            "may_act": self.has_act_permission(request),
            "now": timezone.now(),
            "opts": None,
            "is_fullwidth": "1",
        }
        return TemplateResponse(request, "admin/waitlist/console.html", context)

    def check_may_look(self, request: HttpRequest) -> None:
        """Show the console to nobody who may not see entries."""
        if not self.has_view_permission(request):
            raise Http404

    def act(self, request: HttpRequest, event: Event) -> None:
        """Do what the console's form asks for, and tell what came of it."""
        asked = request.POST.get("do", "")
        if asked == "next":
            self.offer_next(request, event)
        elif asked == "clean_up":
            moved = clean_up_by_staff(staff_id=request.user.pk, reason=request.POST.get("reason", ""))
            told = "1 offer that was over is ended." if moved == 1 else f"{moved} offers that were over are ended."
            self.message_user(request, told)
        elif asked == "many":
            self.do_many(request, event)

    def offer_next(self, request: HttpRequest, event: Event) -> None:
        """Offer what is free to the next people of the list."""
        form = NextForm(request.POST)
        if not form.is_valid():
            self.message_user(request, f"Write how many people, 1 to {MOST}.", messages.ERROR)
            return
        wish = form.cleaned_data
        offers = offer_next_by_staff(
            event_id=event.pk, staff_id=request.user.pk, limit=wish["people"], reason=wish["reason"]
        )
        if offers:
            seats = sum(offer.quantity for offer in offers)
            told = f"{seats} {'seat' if seats == 1 else 'seats'} offered to "
            told += "1 person." if len(offers) == 1 else f"{len(offers)} people."
            self.message_user(request, told, messages.SUCCESS)
        else:
            self.message_user(request, "Nothing is free that somebody can be offered.", messages.WARNING)

    def do_many(self, request: HttpRequest, event: Event) -> None:
        """Do one thing to every chosen entry, each with its own row in the audit, and tell which did not work."""
        form = ManyForm(request.POST, event_id=event.pk)
        if not form.is_valid():
            for texts in form.errors.values():
                self.message_user(request, texts[0], messages.ERROR)
            return
        wish = form.cleaned_data
        do, done, failed = self.doing(request, wish["what"], wish["reason"]), 0, []
        for entry in (
            WaitlistEntry.objects.filter(pk__in=wish["chosen"]).select_related("user").order_by("joined_at", "id")
        ):
            try:
                do(entry.pk)
                done += 1
            except FairseatError as error:
                failed.append(f"{entry.user.email}: {error.text}")
        if done:
            self.message_user(request, f"Done for {done}.", messages.SUCCESS)
        for words in failed[:20]:
            self.message_user(request, words, messages.ERROR)
