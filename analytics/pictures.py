"""Which figures become which pictures and words, on the admin's first page and on the pages of organisers."""

from datetime import date, datetime
from typing import Any

from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from analytics import queries
from analytics.plots import Plot, bars, stacks
from common.clocks import zone_name
from common.money import display_sum

BREAK, NOTHING = mark_safe("<br>"), mark_safe("–")


def count(number: int, one: str, many: str = "") -> str:
    """Write a number of things."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def percent(share: float) -> str:
    """Write a share of 0 to 1."""
    return f"{share * 100:.0f} %"


def amounts(revenue: list[dict[str, Any]]) -> SafeString:
    """Write an amount of each currency, each on a line of its own."""
    lines = ((display_sum(row["revenue_minor"], row["currency"]),) for row in revenue)
    return format_html_join(BREAK, "{}", lines) or NOTHING


def hour_plot(hours: list[dict[str, Any]]) -> Plot:
    """Return the picture of tickets sold hour by hour."""
    return bars(
        f"Tickets sold per hour, {queries.HOURS} hours",
        [(hour_label(one["hour"]), one["tickets"]) for one in hours],
        what="tickets",
        unit="Hour",
    )


def hour_label(at: datetime) -> str:
    """Write an hour with its zone: of the two that are called alike when clocks are put back, which one."""
    return f"{at.day} {at:%b %H:%M} {zone_name(at)}"


def day_plots(days: list[dict[str, Any]]) -> list[Plot]:
    """Return the pictures of what happened day by day."""
    named = [(day_label(one["date"]), one) for one in days]
    within = f"per day, {queries.DAYS} days"
    return [
        bars(f"Tickets sold {within}", [(label, one["tickets"]) for label, one in named], what="tickets"),
        bars(f"Cancelled bookings {within}", [(label, one["cancelled"]) for label, one in named], what="cancellations"),
        stacks(
            f"Face checks {within}",
            [(label, [one["checks_passed"], one["checks_missed"], one["checks_returned"]]) for label, one in named],
            parts=["passed", "missed", "given back"],
            what="checks",
        ),
        bars(f"Joined a waitlist {within}", [(label, one["waitlisted"]) for label, one in named], what="people"),
    ]


def earnings_plot(days: list[dict[str, Any]], currency: str) -> Plot:
    """Return the picture of money earned day by day, in one currency."""
    return bars(
        f"Earned per day, {queries.DAYS} days",
        [(day_label(one["date"]), one["earned_minor"]) for one in days],
        what="in sales",
        show=lambda amount: display_sum(amount, currency),
        none="nothing earned",
    )


def day_label(written: str) -> str:
    """Write a day of ISO 8601 for a person."""
    day = date.fromisoformat(written)
    return f"{day.day} {day:%b}"
