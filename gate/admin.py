"""The gate for staff at a desk: every scan and every comparison, read-only. What is done is done at the gate's own page."""

from django.contrib import admin
from unfold.decorators import display

from accounts.exports import ExportableAdmin
from common.admin import ReadOnlyAdmin
from gate.models import FaceCheck, Scan

COLOURS = {"in": "success", "red": "danger", "taken back": "default", "case": "warning"}
CHECK_COLOURS = {"reserved": "info", "passed": "success", "mismatch": "danger", "returned": "default"}


@admin.register(Scan)
class ScanAdmin(ExportableAdmin, ReadOnlyAdmin):
    """Every answer at every gate."""

    organiser_path = "event__created_by"
    list_display = ["scanned_at", "event", "gate", "shown", "reason", "method", "offline", "staff"]
    list_filter = ["result", "reason", "offline"]
    search_fields = ["event__name", "ticket__holder_name", "ticket__booking__reference"]
    search_help_text = "Event, holder or booking"
    list_select_related = ["event", "device", "staff"]
    actions = ["export_csv", "export_xlsx"]
    export_related = ["event", "device", "staff", "ticket__booking"]
    export_columns = [
        ("scanned at", "scanned_at"),
        ("event", "event.name"),
        ("gate", "device.gate"),
        ("staff", "staff.name"),
        ("answer", "result"),
        ("reason", "reason"),
        ("by", "method"),
        ("without network", "offline"),
        ("booking", "ticket.booking.reference"),
        ("ticket", "ticket.number"),
        ("undone at", "undone_at"),
        ("why undone", "undo_reason"),
        ("resolved at", "resolved_at"),
        ("resolution", "resolution"),
    ]
    fields = [
        "event",
        "gate",
        "staff",
        "result",
        "reason",
        "method",
        "scanned_at",
        "at",
        "offline",
        "let_in",
        "ticket",
        "note",
        "undone_at",
        "undone_by",
        "undo_reason",
        "resolved_at",
        "resolved_by",
        "resolution",
    ]
    readonly_fields = ["gate"]

    @display(description="Gate", ordering="device__gate")
    def gate(self, scan: Scan) -> str:
        return scan.device.gate

    @display(description="Answer", label=COLOURS)
    def shown(self, scan: Scan) -> str:
        if scan.undone_at is not None:
            return "taken back"
        if scan.is_case:
            return "case"
        return "in" if scan.result == Scan.Result.ACCEPTED else "red"


@admin.register(FaceCheck)
class FaceCheckAdmin(ReadOnlyAdmin):
    """Every comparison at a door, without a picture."""

    organiser_path = "event__created_by"
    list_display = ["reserved_at", "event", "shown_status", "failure_code", "staff"]
    list_filter = ["status"]
    search_fields = ["event__name"]
    search_help_text = "Event"
    list_select_related = ["event", "staff"]
    fields = [
        ("event", "staff"),
        ("status", "failure_code"),
        ("engine", "milliseconds"),
        ("reserved_at", "decided_at"),
    ]

    @display(description="Status", label=CHECK_COLOURS)
    def shown_status(self, check: FaceCheck) -> str:
        return check.status
