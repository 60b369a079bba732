"""Periodic work of outgoing webhooks."""

from common import jobs
from webhooks import services


@jobs.periodic("webhooks.tell", every="WEBHOOK_SECONDS")
def tell() -> int:
    """Collect news and deliver what is due."""
    services.collect()
    return services.deliver_due()


@jobs.periodic("webhooks.forget_old", every="PURGE_SECONDS")
def forget_old() -> int:
    """Delete messages and their log after WEBHOOK_LOG_DAYS."""
    return services.forget_old()
