"""The reconcile screen: a period is compared with the provider, and each line that differs says what to do about it."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminTextInputWidget

from common.admin_actions import ServiceAdmin
from common.errors import FairseatError
from payments import services
from payments.models import Comparison, Difference
from payments.services.comparing import ADVICE, FIXABLE

PER_PAGE = 50
LOOK_AGAIN_SECONDS = 3
COLOURS = {"waiting": "info", "running": "info", "done": "success", "failed": "danger"}
UNDER_WAY = (Comparison.Status.WAITING, Comparison.Status.RUNNING)


def day(label: str) -> forms.DateField:
    """Return the field of a day."""
    widget = forms.DateInput(attrs=UnfoldAdminTextInputWidget().attrs | {"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, widget=widget)


class PeriodForm(forms.Form):
    """Whole days, in UTC, as the provider's dashboard can show them."""

    first = day("First day")
    last = day("Last day")

    def period(self) -> tuple[datetime, datetime]:
        """Return where the period begins and ends: at the end of its last day, or now."""
        begins = datetime.combine(self.cleaned_data["first"], time(), UTC)
        ends = datetime.combine(self.cleaned_data["last"], time(), UTC) + timedelta(days=1)
        return begins, min(ends, timezone.now())

    def clean_last(self) -> Any:
        last = self.cleaned_data["last"]
        if last.year > timezone.now().year + 1:
            raise forms.ValidationError("That day is too far ahead.")
        return last


@admin.register(Comparison)
class ComparisonAdmin(ServiceAdmin):
    list_display = ["created_at", "period", "coloured_status", "intents", "refunds", "open_lines", "by"]
    list_select_related = ["staff"]
    list_filter = ["status", "created_at"]
    ordering = ["-created_at", "id"]
    actions_list = ["new"]
    fields = ["period", "coloured_status", "read", "by", "created_at", "finished_at"]
    change_form_outer_before_template = "admin/payments/differences.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Comparison]:
        still = Count("differences", filter=Q(differences__answered_at__isnull=True))
        return super().get_queryset(request).annotate(still=still)

    @display(description="Period (UTC)", ordering="since")
    def period(self, comparison: Comparison) -> str:
        return f"{comparison.since:%d %b %Y, %H:%M} – {comparison.until:%d %b %Y, %H:%M}"

    @display(description="Status", ordering="status", label=COLOURS)
    def coloured_status(self, comparison: Comparison) -> str:
        return comparison.status

    @display(description="To do", ordering="still")
    def open_lines(self, comparison: Any) -> int:
        return int(comparison.still)

    @display(description="Looked at")
    def read(self, comparison: Comparison) -> str:
        return f"{comparison.intents} payments and {comparison.refunds} refunds at Stripe, {comparison.payments} payments here"

    @display(description="Asked for by", ordering="staff__email")
    def by(self, comparison: Comparison) -> str:
        return comparison.staff.email if comparison.staff else "an operator"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("begin/", view(self.begin), name="payments_reconcile"),
            path("<uuid:comparison_id>/line/", view(self.line), name="payments_reconcile_line"),
        ]
        return [*own, *super().get_urls()]

    @action(description="Compare a period", url_path="new", permissions=["act"], icon="balance")
    def new(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:payments_reconcile")

    def begin(self, request: HttpRequest) -> HttpResponse:
        """Ask for the period, then let a worker compare it."""
        if not self.has_act_permission(request):
            raise Http404
        today = timezone.now().date()
        form = PeriodForm(request.POST or None, initial={"first": today - timedelta(days=6), "last": today})
        if request.method == "POST" and form.is_valid():
            since, until = form.period()
            try:
                asked = services.begin_comparison(since=since, until=until, staff_id=request.user.pk)
            except services.comparing.PeriodTooLong as error:
                form.add_error(None, error.text)
            else:
                return redirect("admin:payments_comparison_change", asked.pk)
        context = self.admin_site.each_context(request) | {"title": "Compare our books with Stripe", "form": form}
        status = 400 if form.errors else 200
        return TemplateResponse(request, "admin/payments/period.html", context, status=status)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        lines = Difference.objects.filter(comparison=object_id).select_related("payment__booking", "refund")
        page = Paginator(lines.order_by("answered_at", "id"), PER_PAGE).get_page(request.GET.get("page"))
        context = {
            "lines": page,
            "rows": [
                (line, ADVICE[Difference.Kind(line.kind)], FIXABLE.get(Difference.Kind(line.kind))) for line in page
            ],
            "may_act": self.has_act_permission(request),
        }
        reply = super().change_view(request, object_id, form_url, context | (extra_context or {}))
        comparison = self.find(request, object_id)
        if comparison is not None and comparison.status in UNDER_WAY:
            reply.headers["Refresh"] = str(LOOK_AGAIN_SECONDS)
        return reply

    def line(self, request: HttpRequest, comparison_id: UUID) -> HttpResponse:
        """Put one line right, or leave it, with a reason; come back to the list."""
        line_id = request.POST.get("line", "")
        rows = Difference.objects.filter(comparison=self.find(request, comparison_id))
        line = rows.filter(pk=line_id).first() if line_id.isdecimal() and len(line_id) < 19 else None
        if request.method != "POST" or line is None or not self.has_act_permission(request):
            raise Http404
        given = {"actor_id": request.user.pk, "reason": request.POST.get("reason", "").replace("\x00", "")[:400]}
        if request.POST.get("do") == "fix":
            try:
                messages.success(request, services.fix_difference(difference_id=line.pk, **given))
            except FairseatError as error:
                messages.error(request, error.text)
        else:
            left = "It stays as it is."
            self.attempt(request, left, services.leave_difference, difference_id=line.pk, **given)
        return redirect(reverse("admin:payments_comparison_change", args=[comparison_id]))
