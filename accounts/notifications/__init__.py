"""
What people are told: in the list on the site, by mail and by text message, each once per cause.

An app describes its news with `register(Kind(…))` when it starts and calls `notify` in the transaction of what happened.
"""

from accounts.notifications.kinds import GROUPS, KINDS, Kind, register
from accounts.notifications.services import mark_all_read, mark_read, notify, notify_many, set_choices

__all__ = ["GROUPS", "KINDS", "Kind", "mark_all_read", "mark_read", "notify", "notify_many", "register", "set_choices"]
