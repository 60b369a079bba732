"""
Lists as files, from the admin: what staff have filtered, as CSV or XLSX.

Who took which list, and how many rows of it, is in the staff's audit. A cell that a spreadsheet would take for a formula is
written so that it stays text (OWASP: CSV injection). Times are in UTC, and their columns' names say so.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from itertools import chain
from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import FieldDoesNotExist
from django.db import transaction
from django.db.models import DateTimeField, Model, QuerySet
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.utils import timezone
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from unfold.decorators import action

from accounts.services import record_staff_action

MOST_ROWS = {"csv": 500_000, "xlsx": 25_000}  # a workbook is made as a whole before it is sent
BATCH = 2_000
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Column = tuple[str, str | Callable[[Any], Any]]


class Line:
    """A file for csv.writer that gives each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


class ExportableAdmin:
    """
    Mix into a ModelAdmin: adds "Export as CSV" and "Export as XLSX" for the selected rows, or all that the filters leave.

    `export_columns` are pairs of a header and a dotted path of attributes (or a function of the row). Name no face, code or
    secret there.
    """

    export_columns: ClassVar[Sequence[Column]] = ()
    export_related: ClassVar[Sequence[str]] = ()

    @action(description="Export as CSV", permissions=["view"])
    def export_csv(self, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse | None:
        """Send the rows as CSV, one batch after the other: a long list is never in memory as a whole."""
        rows = self.exported(request, queryset, "csv")
        if rows is None:
            return None
        writer = csv.writer(Line())
        lines = (writer.writerow([text(cell) for cell in row]) for row in chain([self.export_header()], rows))
        return StreamingHttpResponse(
            (line.encode() for line in chain([BOM], lines)),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": f'attachment; filename="{self.export_name()}.csv"',
                "Cache-Control": "no-store",
            },
        )

    @action(description="Export as XLSX", permissions=["view"])
    def export_xlsx(self, request: HttpRequest, queryset: QuerySet[Any]) -> FileResponse | None:
        """Send the rows as a workbook with one sheet."""
        rows = self.exported(request, queryset, "xlsx")
        if rows is None:
            return None
        book = Workbook(write_only=True)
        sheet = book.create_sheet(self.export_name()[:31])
        sheet.freeze_panes = "A2"
        sheet.append(self.export_header())
        for row in rows:
            sheet.append([native(cell) for cell in row])
        content = BytesIO()
        book.save(content)
        content.seek(0)
        return FileResponse(
            content,
            as_attachment=True,
            filename=f"{self.export_name()}.xlsx",
            content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            headers={"Cache-Control": "no-store"},
        )

    @transaction.atomic
    def exported(self, request: HttpRequest, queryset: QuerySet[Any], form: str) -> Iterator[list[Any]] | None:
        """Write the export down in the audit and return its rows; None, with words about it, when there are too many."""
        count, most = queryset.count(), MOST_ROWS[form]
        if count > most:
            advice = "Filter the list first, by time for example" + (
                ", or export it as CSV." if form == "xlsx" else "."
            )
            self.message_user(  # type: ignore[attr-defined]
                request, f"These are {count:,} rows; {form.upper()} takes {most:,} at most. {advice}", messages.ERROR
            )
            return None
        opts = queryset.model._meta
        record_staff_action(
            actor_id=request.user.pk,  # type: ignore[arg-type]
            action="export",
            object_type=opts.model_name or "",
            object_id="",
            after={"rows": count, "format": form},
        )
        chosen = queryset.select_related(*self.export_related) if self.export_related else queryset
        return self.export_rows(chosen[:most])

    def export_header(self) -> list[str]:
        """Return the columns' names, with the zone of those that are times."""
        return [f"{name} (UTC)" if is_time(self.model, path) else name for name, path in self.export_columns]  # type: ignore[attr-defined]

    def export_rows(self, queryset: QuerySet[Any]) -> Iterator[list[Any]]:
        """Yield each row's cells."""
        for row in queryset.iterator(chunk_size=BATCH):
            yield [value_of(row, path) for _, path in self.export_columns]

    def export_name(self) -> str:
        """Return the file's name: what it holds, and of which day."""
        return f"{self.opts.verbose_name_plural}-{timezone.now():%Y-%m-%d}".replace(" ", "-")  # type: ignore[attr-defined]


BOM = "\ufeff"  # by which spreadsheets know UTF-8


def is_time(model: type[Model], path: str | Callable[[Any], Any]) -> bool:
    """Whether a time stands at a dotted path of attributes."""
    if callable(path):
        return False
    *way, last = path.split(".")
    for step in way:
        model = model._meta.get_field(step).related_model  # type: ignore[assignment]
    try:
        return isinstance(model._meta.get_field(last), DateTimeField)
    except FieldDoesNotExist:  # a property
        return False


def value_of(row: Model, path: str | Callable[[Any], Any]) -> Any:
    """Return what stands at a dotted path of attributes, or what the function makes of the row; None past an empty step."""
    if callable(path):
        return path(row)
    found: Any = row
    for step in path.split("."):
        if found is None:
            return None
        found = getattr(found, step)
    return found


def text(cell: Any) -> str:
    """Return a cell as text for CSV, times in ISO 8601 UTC, never a formula."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    written = str(cell)
    risky = written.startswith(FORMULA) or written.lstrip().startswith(FORMULA)
    return f"'{written}" if risky and not is_number(cell) else written


def native(cell: Any) -> Any:
    """Return a cell as a workbook holds it: numbers as numbers, times in UTC without zone, everything else as safe text."""
    if cell is None or is_number(cell):
        return cell
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    return ILLEGAL_CHARACTERS_RE.sub("", text(cell))


def is_number(cell: Any) -> bool:
    """Whether a cell is a number, which no spreadsheet takes for a formula."""
    return isinstance(cell, int | float | Decimal) and not isinstance(cell, bool)
