"""
The order in which locks are taken, written once: an event's list, the person in it, their entry, bookings, inventory rows.

The first two are `bookings.locks`.
"""

from uuid import UUID

from django.db import connection, transaction

from bookings.locks import lock_person
from events.models import SeatInventory
from waitlist.models import WaitlistEntry


def lock_entry(entry: WaitlistEntry) -> WaitlistEntry:
    """Lock an entry for a change, its person first, and return it as it is now."""
    lock_person(entry.user_id, entry.event_id)
    return WaitlistEntry.objects.select_for_update(of=("self",), no_key=True).select_related("booking").get(pk=entry.pk)


def lock_inventories(event_id: UUID) -> None:
    """Lock the counters of every category of an event, in their order, before any of them is touched out of it."""
    rows = SeatInventory.objects.select_for_update(of=("self",), no_key=True).filter(category__event_id=event_id)
    list(rows.order_by("category_id").values_list("pk", flat=True))


def forbid_outside_transaction() -> None:
    """Fail where a lock would be gone with the statement that took it."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Locks of the waitlist need a transaction.")
