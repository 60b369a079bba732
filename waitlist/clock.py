"""The moments that decide: the database's clock, and whether an event still gives out seats."""

from typing import Any

from django.db.models import DateTimeField, Func, Q
from django.db.models.functions import Now


class Clock(Func):
    """The database's clock at the very moment, so later than everything that was committed before."""

    function = "clock_timestamp"
    template = "%(function)s()"
    output_field: Any = DateTimeField()


def open_for_offers(prefix: str = "") -> Q:
    """Events that may still give out seats: published, not over, and their sale not either."""
    return Q(
        **{
            f"{prefix}status": "published",
            f"{prefix}deleted_at": None,
            f"{prefix}ends_at__gt": Now(),
        }
    ) & (
        Q(**{f"{prefix}sale_ends_at__gt": Now()})
        | Q(**{f"{prefix}sale_ends_at": None, f"{prefix}starts_at__gt": Now()})
    )
