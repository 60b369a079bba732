"""Words about clocks."""

from datetime import datetime


def zone_name(local: datetime) -> str:
    """Return a zone's short name, or its offset where the name is only digits (`+07`)."""
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[:1] in "+-" else name
