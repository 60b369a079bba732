"""
Staff's review of registrations: scores against thresholds, both photos side by side on request, decisions with a reason.

Lists show no face. A photo is served by a view that asks for the permission to review faces and writes down every look.
"""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from accounts.exports import ExportableAdmin
from bookings.references import spoken
from common.admin import ReadOnlyAdmin, ReadOnlyInline, redirect_from_dialog
from common.errors import FairseatError
from events.models import TicketCategory
from faceverify import services as faces
from faceverify.services.review import PERMISSION
from registrations import queries, services
from registrations.models import BatchItem, BatchRun, Registration, ReviewDecision, VerificationAttempt

STATUS_COLOURS = {"pending": "warning", "verified": "success", "rejected": "danger"}
FACE_COLOURS = {"pending": "default", "processing": "info", "success": "success", "failed": "danger"}
ATTEMPT_COLOURS = {"reserved": "info", "passed": "success", "mismatch": "danger", "returned": "default"}
ITEM_COLOURS = {"waiting": "default", "done": "success", "unchanged": "info", "failed": "danger"}
SELECTED = "_selected_action"


class ReasonForm(BaseDialogForm):
    """Why staff decides this; it is kept in the audit."""

    reason = forms.CharField(
        max_length=2000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept with your name.",
    )


class OverrideForm(ReasonForm):
    """A ticket without a face check."""

    category = forms.ModelChoiceField(
        queryset=TicketCategory.objects.none(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        empty_label="The ticket they were given, or the only category",
    )
    exceed_capacity = forms.BooleanField(
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        label="Raise the capacity by one if no seat is free",
        help_text="Needs a permission of its own, and is written into the event's history.",
    )
    field_order = ["category", "reason", "exceed_capacity"]

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, object_id, *args, **kwargs)
        of_event = TicketCategory.objects.filter(event__registrations__pk=object_id)
        self.fields["category"].queryset = of_event  # type: ignore[attr-defined]


class BatchForm(forms.Form):
    reason = forms.CharField(
        max_length=2000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="Kept with your name."
    )


class ToReviewFilter(admin.SimpleListFilter):
    title = "review"
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("waiting", "Waits for a decision"), ("decided", "Decided by staff")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Registration]) -> QuerySet[Registration]:
        if self.value() == "waiting":
            return queryset.filter(review_requested_at__isnull=False)
        if self.value() == "decided":
            return queryset.filter(decisions__isnull=False).distinct()
        return queryset


class AttemptInline(ReadOnlyInline):
    model = VerificationAttempt
    verbose_name_plural = "attempts"
    fields = [
        "reserved_at",
        "coloured_status",
        "score",
        "threshold",
        "brightness",
        "sharpness",
        "confidence",
        "failure_code",
        "engine",
        "milliseconds",
        "epoch",
    ]
    readonly_fields = fields
    ordering = ["-reserved_at"]

    @display(description="Outcome", label=ATTEMPT_COLOURS)
    def coloured_status(self, attempt: VerificationAttempt) -> str:
        return attempt.status

    @display(description="Similarity")
    def score(self, attempt: VerificationAttempt) -> str:
        return "–" if attempt.similarity is None else f"{attempt.similarity:.1f}"


class DecisionInline(ReadOnlyInline):
    model = ReviewDecision
    verbose_name_plural = "decisions"
    fields = ["at", "staff", "action", "reason"]
    readonly_fields = fields


@admin.register(Registration)
class RegistrationAdmin(ExportableAdmin, ReadOnlyAdmin):
    organiser_path = "event__created_by"
    list_display = [
        "event",
        "user",
        "coloured_status",
        "coloured_face",
        "identity_method",
        "verification_attempts",
        "review_requested_at",
        "last_verification_attempt",
    ]
    list_select_related = ["event", "user"]
    list_filter = [ToReviewFilter, "status", "face_verification_status", "identity_method", "passed_by", "created_at"]
    search_fields = ["user__email", "user__name", "event__name"]
    search_help_text = "Mail, name or event"
    ordering = ["-review_requested_at", "-created_at", "id"]
    inlines = [AttemptInline, DecisionInline]
    actions = ["approve_many", "let_retry_many", "recheck_many", "export_csv", "export_xlsx"]
    export_related = ["event", "user"]
    export_columns = [
        ("event", "event.name"),
        ("person", "user.name"),
        ("e-mail", "user.email"),
        ("status", "status"),
        ("identity by", "identity_method"),
        ("verified by", "passed_by"),
        ("checks", "verification_attempts"),
        ("registered at", "created_at"),
        ("verified at", "verified_at"),
        ("to review since", "review_requested_at"),
    ]
    actions_detail = ["approve", "override", "let_retry", "reject"]
    change_form_before_template = "admin/registrations/review.html"
    fieldsets = [
        (
            None,
            {"fields": ["event", "user", "coloured_status", "coloured_face", "step", "ticket", "identity_method"]},
        ),
        (
            "Check",
            {
                "fields": [
                    "verification_attempts",
                    "last_verification_attempt",
                    "passed_by",
                    "verified_at",
                    "review_requested_at",
                ]
            },
        ),
        ("Staff", {"fields": ["admin_booked", "admin_override_reason", "closed_by_staff"]}),
    ]

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def coloured_status(self, registration: Registration) -> str:
        return registration.status

    @display(description="Face", ordering="face_verification_status", label=FACE_COLOURS)
    def coloured_face(self, registration: Registration) -> str:
        return registration.face_verification_status

    @display(description="Next step")
    def step(self, registration: Registration) -> str:
        return queries.journey_of(registration).next_step.replace("_", " ").capitalize()

    @display(description="Booking")
    def ticket(self, registration: Registration) -> str:
        booking = queries.journey_of(registration).booking
        return f"{spoken(booking.reference)} ({booking.status})" if booking else "–"

    def get_urls(self) -> list[URLPattern]:
        photo = self.admin_site.admin_view(self.photo)
        own = [path("<uuid:registration_id>/photo/<str:kind>", photo, name="registrations_registration_photo")]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        registration = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if isinstance(registration, Registration):
            pictured = pictured_attempt(registration)
            context |= {
                "pictured": pictured,
                "reference": pictured.reference if pictured else None,
                "may_see_faces": request.user.has_perm(PERMISSION),
                "show_photos": request.GET.get("photos") == "1",
            }
        return super().change_view(request, object_id, form_url, context)

    def photo(self, request: HttpRequest, registration_id: UUID, kind: str) -> HttpResponse:
        """Serve one of the two photos of a case to somebody who may review faces; the look is written down."""
        registration = self.get_queryset(request).filter(pk=registration_id).first()
        attempt = pictured_attempt(registration) if registration else None
        why = f"Review of registration {registration_id}"
        if attempt is None or kind not in {"selfie", "profile"} or not self.has_view_permission(request):
            raise Http404
        try:
            if kind == "selfie":
                jpeg = faces.image_for_review(image_id=attempt.image_id, staff=request.user, reason=why)
            else:
                jpeg = faces.crop_for_review(reference_id=attempt.reference_id, staff=request.user, reason=why)
        except FairseatError as error:
            return HttpResponse(error.text, status=error.status, content_type="text/plain; charset=utf-8")
        headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
        return HttpResponse(jpeg, content_type="image/jpeg", headers=headers)

    @action(
        description="Approve",
        url_path="approve",
        permissions=["act"],
        icon="check",
        dialog={
            "title": "Approve this person",
            "description": "As if their face had passed: a ticket, a hold to pay, or the waitlist with the time they had.",
            "form_class": ReasonForm,
            "form_submit_text": "Approve",
        },
    )
    def approve(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self.review(request, object_id, "approve", form.cleaned_data["reason"], "Approved.")

    @action(
        description="Request retry",
        url_path="retry",
        permissions=["act"],
        icon="refresh",
        dialog={
            "title": "Let this person try again",
            "description": "Their tries are counted anew.",
            "form_class": ReasonForm,
            "form_submit_text": "Let them try",
        },
    )
    def let_retry(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self.review(request, object_id, "request_retry", form.cleaned_data["reason"], "They can try again.")

    @action(
        description="Reject",
        url_path="reject",
        permissions=["act"],
        icon="block",
        dialog={
            "title": "Reject this person",
            "description": "The registration is closed. You can still approve it later.",
            "form_class": ReasonForm,
            "form_submit_text": "Reject",
        },
    )
    def reject(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self.review(request, object_id, "reject", form.cleaned_data["reason"], "Rejected.")

    @action(
        description="Issue a ticket",
        url_path="override",
        permissions=["act"],
        icon="confirmation_number",
        dialog={
            "title": "Issue a ticket without a face check",
            "description": "You answer for this person, for example because you have seen an ID.",
            "form_class": OverrideForm,
            "form_submit_text": "Issue the ticket",
        },
    )
    def override(self, request: HttpRequest, form: OverrideForm, object_id: str) -> HttpResponse:
        try:
            booking = services.override_ticket(
                actor=request.user,
                registration_id=UUID(object_id),
                reason=form.cleaned_data["reason"],
                category_id=form.cleaned_data["category"] and form.cleaned_data["category"].pk,
                exceed_capacity=form.cleaned_data["exceed_capacity"],
            )
        except FairseatError as error:
            self.message_user(request, error.text, messages.ERROR)
        else:
            self.message_user(request, f"Ticket issued: booking {spoken(booking.reference)}.", messages.SUCCESS)
        return redirect_from_dialog(request, reverse("admin:registrations_registration_change", args=[object_id]))

    def review(self, request: HttpRequest, object_id: str, decision: str, reason: str, done: str) -> HttpResponse:
        """Call the service, tell what came of it and go back to the case."""
        try:
            services.review_failure(actor=request.user, registration_id=UUID(object_id), action=decision, reason=reason)
        except FairseatError as error:
            self.message_user(request, error.text, messages.ERROR)
        else:
            self.message_user(request, done, messages.SUCCESS)
        return redirect_from_dialog(request, reverse("admin:registrations_registration_change", args=[object_id]))

    @admin.action(description="Approve the selected", permissions=["act"])
    def approve_many(self, request: HttpRequest, queryset: QuerySet[Registration]) -> HttpResponse:
        return self.batch(request, queryset, BatchRun.Action.APPROVE, "approve_many", "Approve many registrations")

    @admin.action(description="Let the selected try again", permissions=["act"])
    def let_retry_many(self, request: HttpRequest, queryset: QuerySet[Registration]) -> HttpResponse:
        return self.batch(
            request, queryset, BatchRun.Action.REQUEST_RETRY, "let_retry_many", "Let many people try again"
        )

    @admin.action(description="Compare the last pictures of the selected again", permissions=["act"])
    def recheck_many(self, request: HttpRequest, queryset: QuerySet[Registration]) -> HttpResponse:
        return self.batch(request, queryset, BatchRun.Action.RECHECK, "recheck_many", "Compare many pictures again")

    def batch(
        self, request: HttpRequest, queryset: QuerySet[Registration], what: str, name: str, title: str
    ) -> HttpResponse:
        """Ask for the reason, then queue the batch and show its progress."""
        form = BatchForm(request.POST if "confirmed" in request.POST else None)
        if form.is_valid():
            try:
                run = services.start_batch(
                    actor=request.user,
                    action=what,
                    registration_ids=list(queryset.values_list("pk", flat=True)),
                    reason=form.cleaned_data["reason"],
                )
            except FairseatError as error:
                self.message_user(request, error.text, messages.ERROR)
                return redirect("admin:registrations_registration_changelist")
            return redirect("admin:registrations_batchrun_change", run.pk)
        context = self.admin_site.each_context(request) | {
            "title": title,
            "opts": self.opts,
            "form": form,
            "action_name": name,
            "selected_name": SELECTED,
            "selected": queryset,
            "select_across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/registrations/batch_reason.html", context)


def pictured_attempt(registration: Registration) -> VerificationAttempt | None:
    """Return the newest miss whose picture is still kept, with the face it was compared with."""
    kept = registration.attempts.filter(image__isnull=False, image__deleted_at=None).exclude(status="reserved")
    return kept.select_related("image", "reference").order_by("-reserved_at").first()


class ItemInline(ReadOnlyInline):
    model = BatchItem
    verbose_name_plural = "registrations"
    hide_title = True
    fields = ["person", "coloured_outcome", "detail", "done_at"]
    readonly_fields = fields
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[BatchItem]:
        return super().get_queryset(request).select_related("registration__user")

    @display(description="Person")
    def person(self, item: BatchItem) -> str:
        return item.registration.user.email

    @display(description="Outcome", label=ITEM_COLOURS)
    def coloured_outcome(self, item: BatchItem) -> str:
        return item.outcome


@admin.register(BatchRun)
class BatchRunAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "action", "staff", "progress", "finished_at"]
    list_select_related = ["staff"]
    list_filter = ["action", "created_at"]
    ordering = ["-created_at"]
    inlines = [ItemInline]
    fields = ["action", "reason", "staff", "created_at", "finished_at", "progress"]
    change_form_before_template = "admin/registrations/progress.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[BatchRun]:
        counts = {value: Count("items", filter=Q(items__outcome=value)) for value in BatchItem.Outcome.values}
        return super().get_queryset(request).annotate(total=Count("items"), **counts)

    @display(description="Progress")
    def progress(self, run: Any) -> str:
        worked = run.total - run.waiting
        return f"{worked} of {run.total}: {run.done} done, {run.unchanged} unchanged, {run.failed} failed"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().change_view(request, object_id, form_url, extra_context)
        run = BatchRun.objects.filter(pk=object_id).first()
        if run is not None and run.finished_at is None:
            response.headers["Refresh"] = "2"
        return response
