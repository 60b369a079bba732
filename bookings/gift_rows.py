"""Gifts for many as lines of a table: what each line says, what is wrong with it, and what came of it."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from accounts.models import User
from accounts.services.rules import BadEmail, clean_email
from bookings.models import Booking
from bookings.services.comps import give_comp
from bookings.states import LIVE, Source
from common.errors import FairseatError, Invalid
from events.models import Event, TicketCategory

COLUMNS = ("email", "name", "category", "quantity", "reason")
MOST = 200

log = structlog.get_logger(__name__)


@dataclass
class GiftRow:
    """One person's line; `problem` says why they get nothing, `given` is their booking once they have it."""

    number: int
    email: str = ""
    name: str = ""
    category: str = ""
    quantity: str = ""
    reason: str = ""
    category_id: UUID | None = None
    count: int = 0
    problem: str = ""
    given: Booking | None = None

    @property
    def cells(self) -> list[str]:
        """Return the line as it was written."""
        return [getattr(self, name) for name in COLUMNS]


def read_gifts(text: str, *, event: Event, reason: str) -> list[GiftRow]:
    """
    Return the lines of a CSV text with what is wrong in each, and nothing given yet.

    Cells are parted by commas, semicolons or tabs. A first line may name the columns, in any order; without one they are an
    address, a name, a category, how many, a reason. Only the address is needed: one ticket, of the event's only category, for
    `reason`.

    :raises Invalid: if there are no lines, or too many, or no column of addresses
    """
    lines = [line for line in cells_of(text) if any(line)]
    names: Sequence[str] = COLUMNS
    if lines and "email" in (first := [cell.lower() for cell in lines[0]]):
        names, lines = first, lines[1:]
    if not 1 <= len(lines) <= MOST:
        raise Invalid(f"Write 1 to {MOST} lines, one for each person.")
    rows = []
    for number, line in enumerate(lines, 1):
        row = GiftRow(number)
        for name, cell in zip(names, line, strict=False):
            if name in COLUMNS:
                setattr(row, name, cell)
        row.reason = row.reason or reason
        rows.append(row)
    check(rows, event)
    return rows


def cells_of(text: str) -> list[list[str]]:
    """Return the cells of every line, without the blanks around them."""
    first = text.lstrip().partition("\n")[0]
    comma = max(",;\t", key=first.count)
    return [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(text), delimiter=comma)]


def check(rows: list[GiftRow], event: Event) -> None:
    """Find what is wrong with each line as things are now: addresses, categories, numbers, seats that are not there."""
    kinds = list(TicketCategory.objects.filter(event=event).select_related("inventory"))
    by_name = {kind.name.casefold(): kind for kind in kinds}
    seen: set[str] = set()
    for row in rows:
        kind = by_name.get(row.category.casefold()) if row.category else kinds[0] if len(kinds) == 1 else None
        row.problem = problem_of(row, kind, event, seen)
        if not row.problem and kind is not None:
            seen.add(row.email)
            row.category, row.category_id, row.count = kind.name, kind.pk, int(row.quantity or 1)
    has = has_gift(event, sorted(seen))
    free = {kind.pk: kind.inventory.free for kind in kinds}
    for row in rows:
        if row.problem or row.category_id is None:
            continue
        left = free[row.category_id]
        if row.email in has:
            row.problem = "Has tickets from staff for this event already."
        elif row.count > left:
            row.problem = f"Only {left} left of {row.category} at this line." if left else f"No {row.category} left."
        else:
            free[row.category_id] -= row.count


def problem_of(row: GiftRow, kind: TicketCategory | None, event: Event, seen: set[str]) -> str:
    """Say what is wrong with a line by itself; "" for nothing."""
    try:
        row.email = clean_email(row.email)
    except BadEmail:
        return "This is no mail address."
    if row.email in seen:
        return "This address stands in a line above."
    if kind is None:
        return f"The event has no category “{row.category}”." if row.category else "Say which category."
    most = event.max_tickets_per_booking
    if not (row.quantity or "1").isdecimal() or not 1 <= int(row.quantity or 1) <= most:
        return f"How many: 1 to {most}."
    if len(row.name) > 150:
        return "This name is too long."
    return "" if 1 <= len(row.reason) <= 500 else "A reason has 1 to 500 letters."


def has_gift(event: Event, emails: list[str]) -> set[str]:
    """Return those of these addresses whose person staff gave tickets of the event already."""
    held = Booking.objects.filter(event=event, source=Source.STAFF, status__in=LIVE, user__email__in=emails)
    return set(User.objects.filter(bookings__in=held).values_list("email", flat=True))


def give_rows(rows: Iterable[GiftRow], *, actor_id: UUID) -> list[GiftRow]:
    """
    Give what the lines without a problem say, each by itself: one that is refused takes nothing from the others.

    A line that was given before is refused, so sending all of them again gives nobody anything twice.
    """
    done = []
    for row in rows:
        if not row.problem and row.category_id is not None:
            try:
                row.given = give_comp(
                    category_id=row.category_id,
                    email=row.email,
                    name=row.name,
                    quantity=row.count,
                    actor_id=actor_id,
                    reason=row.reason,
                )
            except FairseatError as error:
                row.problem = error.text
                log.info("gifts.line_refused", code=error.code)
        done.append(row)
    return done


def as_csv(rows: Iterable[GiftRow]) -> str:
    """Return lines as they were written, with the names of the columns, to be put right and sent again."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(COLUMNS)
    out.writerows(row.cells for row in rows)
    return text.getvalue()
