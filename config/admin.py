"""The admin of what belongs to no app: the outbox, heartbeats, idempotency keys, and which models staff see at all."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import reverse
from django_celery_beat import models as beat
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm

from accounts.services import record_staff_action
from common import outbox
from common.admin import ReadOnlyAdmin, redirect_from_dialog
from common.models import Heartbeat, IdempotencyKey, OutboxMessage, SentMail

# Periodic jobs are written in code (common.jobs); a schedule edited by hand would be overwritten at the next start.
for hidden in (
    beat.ClockedSchedule,
    beat.CrontabSchedule,
    beat.IntervalSchedule,
    beat.PeriodicTask,
    beat.SolarSchedule,
):
    if admin.site.is_registered(hidden):
        admin.site.unregister(hidden)

OUTBOX_COLOURS = {"waiting": "info", "retrying": "warning", "given up": "danger", "done": "success"}


def environment(request: HttpRequest) -> list[str] | None:
    """Return the note beside the admin's name."""
    return ["Test mode", "warning"] if settings.PAYMENTS_SANDBOX else None


def icon(request: HttpRequest) -> str:
    """Return the address of the site's icon."""
    return static("img/icon.svg")


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
class OutboxMessageAdmin(ReadOnlyAdmin):
    list_display = ["topic", "dedupe_key", "state", "attempts", "created_at", "due_at", "done_at", "last_error"]
    list_filter = [OutboxState, "topic", "created_at"]
    search_fields = ["dedupe_key", "topic", "last_error"]
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

    @action(
        description="Try again now",
        url_path="try-again",
        permissions=["act"],
        icon="refresh",
        dialog={
            "title": "Try again now",
            "description": "Its tries are counted from zero again, and a worker takes it next.",
            "form_class": BaseDialogForm,
            "form_submit_text": "Try again",
        },
    )
    def try_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        self.retry(request, self.get_queryset(request).filter(pk=object_id))
        return redirect_from_dialog(request, reverse("admin:common_outboxmessage_change", args=[object_id]))

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


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ["name", "at", "took", "result"]
    search_fields = ["name"]
    ordering = ["name"]

    @display(description="Took", ordering="seconds")
    def took(self, heartbeat: Heartbeat) -> str:
        return f"{heartbeat.seconds:.3f} s"


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ["key", "owner", "method", "path", "status", "created_at"]
    list_filter = ["method", "status", "created_at"]
    search_fields = ["key", "owner"]
    ordering = ["-id"]
    # Not the answer: it is the owner's, not the staff's.
    fields = ["key", "owner", "method", "path", "status", "created_at"]


if settings.DEBUG:

    @admin.register(SentMail)
    class SentMailAdmin(ReadOnlyAdmin):
        """Mails exist as rows in development only."""

        list_display = ["sent_at", "to", "subject"]
        search_fields = ["to", "subject"]
        fields = ["to", "subject", "sent_at", "text"]


if admin.site.is_registered(Group) and not isinstance(admin.site.get_model_admin(Group), ReadOnlyAdmin):
    admin.site.unregister(Group)
