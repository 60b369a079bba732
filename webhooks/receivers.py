"""What is found by being imported: periodic work, and the notice that an endpoint was switched off."""

from accounts.notifications import Kind, register
from webhooks import tasks  # noqa: F401

register(
    Kind(
        name="webhook_disabled",
        title="Your webhook was switched off",
        body="{address} was switched off because {because}. Repair it, switch it on, send again what failed.",
        essential=True,
        group="events",
        template="notice",
    )
)
