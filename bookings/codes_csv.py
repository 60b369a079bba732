"""An event's codes as CSV, for whoever mails them out."""

import csv
import io
from collections.abc import Iterable

from bookings.codes import spoken_code
from bookings.models import SaleCode

COLUMNS = ["code", "percent", "off_minor", "presale", "max_uses", "uses", "valid_from", "valid_until", "active", "note"]


def codes_csv(codes: Iterable[SaleCode]) -> str:
    """Return codes, with their counters loaded, as CSV; no cell begins like a formula of a spreadsheet."""
    text = io.StringIO()
    out = csv.writer(text)
    out.writerow(COLUMNS)
    for code in codes:
        times = [moment.isoformat() if moment else "" for moment in (code.valid_from, code.valid_until)]
        counts = [code.counter.max_uses or "", code.counter.uses]
        note = f"'{code.note}" if code.note[:1] in tuple("=+-@\t\r") and code.note else code.note
        what = [code.percent or "", code.off_minor or "", int(code.presale)]
        out.writerow([spoken_code(code.code), *what, *counts, *times, int(code.active), note])
    return text.getvalue()
