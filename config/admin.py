"""The admin of what belongs to no app: the outbox, heartbeats, idempotency keys, and which models staff see at all."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django_celery_beat import models as beat
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from accounts.services import record_staff_action
from common import outbox
from common.admin import ReadOnlyAdmin
from common.admin_actions import ReasonForm, ServiceAdmin, dialog_action, reason_field
from common.models import Heartbeat, IdempotencyKey, OutboxMessage, SentMail
from config import schedule

# Periodic jobs are written in code (common.jobs) and have one kind of schedule; staff see and change them below.
for hidden in (
    beat.ClockedSchedule,
    beat.CrontabSchedule,
    beat.IntervalSchedule,
    beat.PeriodicTask,
    beat.SolarSchedule,
):
    if admin.site.is_registered(hidden):
        admin.site.unregister(hidden)

admin.site.index_title = "Today"
OUTBOX_COLOURS = {"waiting": "info", "retrying": "warning", "given up": "danger", "done": "success"}


def environment(request: HttpRequest) -> list[str] | None:
    """Return the note beside the admin's name."""
    return ["Test mode", "warning"] if settings.PAYMENTS_SANDBOX else None


def icon(request: HttpRequest) -> str:
    """Return the address of the site's icon."""
    return static("img/icon.svg")


def script(request: HttpRequest) -> str:
    """Return the address of the script of our own beside unfold's."""
    return static("js/admin.js")


def stylesheet(request: HttpRequest) -> str:
    """Return the address of the few rules of our own beside unfold's."""
    return static("css/admin.css")


class OutboxState(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"
    STATES = {
        "waiting": {"done_at__isnull": True, "failed_at__isnull": True, "attempts": 0},
        "retrying": {"done_at__isnull": True, "failed_at__isnull": True, "attempts__gt": 0},
        "given_up": {"failed_at__isnull": False},
        "done": {"done_at__isnull": False},
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.replace("_", " ")) for name in self.STATES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> QuerySet[OutboxMessage]:
        return queryset.filter(**self.STATES.get(self.value() or "", {}))


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ServiceAdmin):
    list_display = ["topic", "dedupe_key", "state", "attempts", "created_at", "due_at", "done_at", "last_error"]
    list_filter = [OutboxState, "topic", "created_at"]
    search_fields = ["dedupe_key", "topic", "last_error"]
    search_help_text = "Topic, key or error"
    ordering = ["-id"]
    actions = ["try_again_selected"]
    actions_detail = ["try_again"]
    # Not the payload: it may hold what was mailed to whom.
    fields = ["topic", "dedupe_key", "state", "attempts", "last_error", "created_at", "due_at", "done_at", "failed_at"]

    @display(description="State", label=OUTBOX_COLOURS)
    def state(self, message: OutboxMessage) -> str:
        if message.done_at:
            return "done"
        if message.failed_at:
            return "given up"
        return "retrying" if message.attempts else "waiting"

    @dialog_action(
        "Try again now",
        path="try-again",
        icon="refresh",
        title="Try again now",
        about="Its tries are counted from zero again, and a worker takes it next.",
        submit="Try again",
        form=BaseDialogForm,
    )
    def try_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self.retry(request, self.get_queryset(request).filter(pk=object_id))
        return self.back_to(request, object_id)

    @action(description="Try again now", permissions=["act"])
    def try_again_selected(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> None:
        self.retry(request, queryset)

    @transaction.atomic
    def retry(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> None:
        """Make what has not left due now, and write down who wanted it."""
        retried = outbox.try_again(ids=list(queryset.values_list("pk", flat=True)))
        for message_id in retried:
            record_staff_action(
                actor_id=request.user.pk, action="retry_message", object_type="outboxmessage", object_id=str(message_id)
            )
        if retried:
            self.message_user(request, f"{len(retried)} messages are tried again now.", messages.SUCCESS)
        else:
            self.message_user(request, "These messages have left already.", messages.WARNING)


class JobReasonForm(ReasonForm):
    """Why staff change when a job runs."""

    reason = reason_field(most=200, rows=2)


class PeriodForm(JobReasonForm):
    """How often a job runs."""

    seconds = forms.IntegerField(
        min_value=1, max_value=schedule.LONGEST, label="Every … seconds", widget=UnfoldAdminIntegerFieldWidget
    )
    field_order = ["seconds", "reason"]

    def __init__(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> None:
        known = beat.PeriodicTask.objects.filter(pk=object_id).select_related("interval").first()
        if known is not None and known.interval is not None:
            kwargs["initial"] = {"seconds": known.interval.every, **(kwargs.get("initial") or {})}
        super().__init__(request, object_id, *args, **kwargs)


@admin.register(beat.PeriodicTask)
class PeriodicJobAdmin(ServiceAdmin):
    """The periodic jobs: when each runs, when it last did, and what came of it. Beat follows a change within seconds."""

    list_display = ["name", "state", "period", "standard", "last_run", "result", "total_run_count"]
    search_fields = ["name"]
    search_help_text = "Name of the job"
    ordering = ["name"]
    actions_detail = ["change_period", "pause", "resume", "back_to_standard"]
    fields = ["name", "state", "period", "standard", "last_run", "result", "total_run_count", "description"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[beat.PeriodicTask]:
        beats = Heartbeat.objects.filter(name=OuterRef("name"))
        tasks = super().get_queryset(request).filter(task=schedule.TASK).select_related("interval")
        return tasks.annotate(
            beat_at=Subquery(beats.values("at")[:1]), beat_result=Subquery(beats.values("result")[:1])
        )

    @display(description="State", label={"runs": "success", "changed": "info", "paused": "warning"})
    def state(self, task: Any) -> str:
        if not task.enabled:
            return "paused"
        return "changed" if schedule.is_staffs(task) else "runs"

    @display(description="Every")
    def period(self, task: Any) -> str:
        return f"{task.interval.every} {task.interval.period}" if task.interval else str(task.schedule)

    @display(description="Standard")
    def standard(self, task: Any) -> str:
        return f"{schedule.standard_seconds(task.name)} seconds" if task.name in schedule.JOBS else "–"

    @display(description="Last finished", ordering="beat_at")
    def last_run(self, task: Any) -> Any:
        return task.beat_at or "–"

    @display(description="Did")
    def result(self, task: Any) -> str:
        return task.beat_result or "–"

    @dialog_action(
        "Change the period",
        path="period",
        icon="schedule",
        title="How often does it run?",
        submit="Change it",
        form=PeriodForm,
    )
    def change_period(self, request: HttpRequest, form: PeriodForm, object_id: str) -> HttpResponse:
        wish = form.cleaned_data
        return self.reschedule(
            request, object_id, schedule.set_schedule, reason=wish["reason"], seconds=wish["seconds"]
        )

    @dialog_action(
        "Pause",
        path="pause",
        icon="pause",
        title="Pause this job",
        about="Nothing is lost: what is due is found from the rows when it runs again. Until then it waits.",
        submit="Pause it",
        form=JobReasonForm,
    )
    def pause(self, request: HttpRequest, form: JobReasonForm, object_id: str) -> HttpResponse:
        return self.reschedule(
            request, object_id, schedule.set_schedule, reason=form.cleaned_data["reason"], enabled=False
        )

    @dialog_action(
        "Let it run",
        path="resume",
        icon="play_arrow",
        title="Let this job run",
        submit="Let it run",
        form=JobReasonForm,
    )
    def resume(self, request: HttpRequest, form: JobReasonForm, object_id: str) -> HttpResponse:
        return self.reschedule(
            request, object_id, schedule.set_schedule, reason=form.cleaned_data["reason"], enabled=True
        )

    @dialog_action(
        "Back to the standard",
        path="standard",
        icon="undo",
        title="Run as the settings say",
        submit="Back to it",
        form=JobReasonForm,
    )
    def back_to_standard(self, request: HttpRequest, form: JobReasonForm, object_id: str) -> HttpResponse:
        return self.reschedule(request, object_id, schedule.set_standard, reason=form.cleaned_data["reason"])

    def reschedule(self, request: HttpRequest, object_id: str, change: Any, **wish: Any) -> HttpResponse:
        """Call the service and tell what came of it."""
        task = self.get_object(request, object_id)
        name = task.name if task else ""
        self.attempt(request, "The schedule is changed.", change, name=name, actor_id=request.user.pk, **wish)
        return self.back_to(request, object_id)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["name", "at", "took", "result"]
    search_fields = ["name"]
    search_help_text = "Name of the job"
    ordering = ["name"]

    @display(description="Took", ordering="seconds")
    def took(self, heartbeat: Heartbeat) -> str:
        return f"{heartbeat.seconds:.3f} s"


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ["key", "owner", "method", "path", "status", "created_at"]
    list_filter = ["method", "status", "created_at"]
    search_fields = ["key", "owner"]
    search_help_text = "Key or owner"
    ordering = ["-id"]
    # Not the answer: it is the owner's, not the staff's.
    fields = ["key", "owner", "method", "path", "status", "created_at"]


if settings.DEBUG:

    @admin.register(SentMail)
    class SentMailAdmin(ReadOnlyAdmin):
        """Mails exist as rows in development only."""

        list_display = ["sent_at", "to", "subject"]
        search_fields = ["to", "subject"]
        search_help_text = "Address or subject"
        fields = ["to", "subject", "sent_at", "text"]


if admin.site.is_registered(Group) and not isinstance(admin.site.get_model_admin(Group), ReadOnlyAdmin):
    admin.site.unregister(Group)
