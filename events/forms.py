"""The search form of the catalogue."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms

from events.models import Event
from events.queries import EventFilters

PER_PAGE = 12
WHEN = {
    "": "All",
    "weekend": "Weekend",
    "month": "Next 30 days",
    "past": "Past",
}
ORDER = {"": "Soonest first", "price": "Lowest price first", "name": "Name"}
STILL_ON = timedelta(hours=12)
LARGEST_PAGE = 10_000


class SearchForm(forms.Form):
    """Every field is optional; what can not be read is reported and left out of the search."""

    search = forms.CharField(label="Search", required=False, max_length=100)
    location = forms.CharField(label="Place", required=False, max_length=100)
    since = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    until = forms.DateField(
        label="Until", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    max_price = forms.DecimalField(
        label="Price up to",
        required=False,
        min_value=0,
        max_digits=10,
        decimal_places=2,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    ordering = forms.ChoiceField(label="Order", required=False, choices=ORDER.items())
    available = forms.BooleanField(label="Only with tickets left", required=False)
    when = forms.ChoiceField(required=False, choices=WHEN.items(), widget=forms.HiddenInput)
    page = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_PAGE, widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        since, until = found.get("since"), found.get("until")
        if since and until and until < since:
            self.add_error("until", "Choose a day after the first one.")
        return found

    @property
    def is_narrowed(self) -> bool:
        """Whether the fields behind "Filters" hold anything."""
        names = ("location", "since", "until", "max_price", "ordering", "available")
        return any(self.cleaned_data.get(name) not in (None, "", False) for name in names)

    @property
    def is_searched(self) -> bool:
        """Whether anything at all was asked for, but a page."""
        return self.is_narrowed or any(self.cleaned_data.get(name) for name in ("search", "when"))

    def filters(self, *, now: datetime) -> EventFilters:
        """Return what to look for; the fields with errors are left out."""
        found = self.cleaned_data
        past = found.get("when") == "past"
        since, until = window(found.get("when") or "", now)
        if found.get("since"):
            since = midnight(found["since"]) if past else max(since or now, midnight(found["since"]))
        if found.get("until"):
            last = midnight(found["until"] + timedelta(days=1))
            until = min(until, last) if until else last
        return EventFilters(
            search=found.get("search") or "",
            location=found.get("location") or "",
            statuses=(Event.Status.COMPLETED,) if past else (Event.Status.PUBLISHED,),
            starts_from=since,
            starts_before=until,
            max_price=found.get("max_price"),
            available=True if found.get("available") else None,
            ordering=found.get("ordering") or ("-startsAt" if past else ""),
            page=found.get("page") or 1,
            page_size=PER_PAGE,
        )


def window(when: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return the first and last instant of one of the ready-made periods."""
    if when == "past":
        return None, None
    since = now.replace(minute=0, second=0, microsecond=0) - STILL_ON
    if when == "weekend":
        friday = now.date() + timedelta(days=4 - now.weekday())
        return max(since, midnight(friday) + timedelta(hours=16)), midnight(friday + timedelta(days=3))
    if when == "month":
        return since, now + timedelta(days=30)
    return since, None


def midnight(day: date) -> datetime:
    """Return the first instant of a day in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


class ChoiceForm(forms.Form):
    """What somebody wants to take: a category and how many. Also read from the address, so that a choice survives a log-in."""

    category = forms.UUIDField(error_messages={"required": "Choose a ticket.", "invalid": "Choose a ticket."})
    quantity = forms.IntegerField(
        min_value=1,
        max_value=1000,
        required=False,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value"), "Choose how many."),
    )
    code = forms.CharField(max_length=64, required=False, error_messages={"max_length": "No code is as long as that."})

    def shown_price(self) -> int | None:
        """Return what one ticket of the chosen category cost on the page it was chosen on, if the page said so."""
        shown = self.data.get(f"price-{self.cleaned_data['category']}", "")
        return int(shown) if shown.isdecimal() and len(shown) < 10 else None
