"""Staff's view of the waitlist: facts, in the order of the list."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from common.admin import ReadOnlyAdmin
from waitlist.models import WaitlistEntry
from waitlist.queries import with_position

STATUS_COLOURS = {
    "waiting": "warning",
    "offered": "info",
    "accepted": "success",
    "rejected": "default",
    "expired": "default",
    "left": "default",
}


@admin.register(WaitlistEntry)
class WaitlistEntryAdmin(ReadOnlyAdmin):
    list_display = [
        "position",
        "event",
        "user",
        "quantity",
        "coloured_status",
        "reason",
        "eligible",
        "joined_at",
    ]
    list_select_related = ["event", "user"]
    list_filter = ["status", "reason", "eligible", "joined_at"]
    search_fields = ["event__name", "user__email", "user__name"]
    search_help_text = "Event, mail or name"
    ordering = ["event_id", "joined_at", "id"]
    fields = [
        "event",
        "user",
        "quantity",
        "coloured_status",
        "reason",
        "eligible",
        "position",
        "joined_at",
        "offered_at",
        "offer_expires_at",
        "offers",
        "booking",
        "ended_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WaitlistEntry]:
        return with_position(super().get_queryset(request))

    @display(description="Position")
    def position(self, entry: WaitlistEntry) -> str:
        return str(entry.position) if entry.status == WaitlistEntry.Status.WAITING else "–"

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def coloured_status(self, entry: WaitlistEntry) -> str:
        return entry.status
