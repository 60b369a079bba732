"""Periodic work of the figures."""

from analytics import services
from common import jobs


@jobs.periodic("analytics.refresh", every="ANALYTICS_SECONDS")
def refresh() -> int:
    """Count the days that have news."""
    return services.refresh()


@jobs.periodic("analytics.count_returning", every="PURGE_SECONDS")
def count_returning() -> int:
    """Count how many buyers come again."""
    return services.count_returning()
