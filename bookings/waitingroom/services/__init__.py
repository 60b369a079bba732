"""Every write to a line, by noun: rooms, people in line, the draw, the journal, what happens after a loss, what staff do."""

from bookings.waitingroom.seeds import entry_of
from bookings.waitingroom.services.drawing import draw_list
from bookings.waitingroom.services.journal import drain_journal
from bookings.waitingroom.services.line import Standing, join, leave, need_more_time, promote, release, serving, status
from bookings.waitingroom.services.recovery import rebuild, reconcile
from bookings.waitingroom.services.rooms import (
    admit,
    close,
    drain,
    ensure_room,
    let_join_again,
    open_line,
    open_lobby,
    pause,
    resume,
    set_message,
    set_rate,
)
from bookings.waitingroom.services.ticks import finish, leave_for_closed_accounts, over, running, tick, tick_all

__all__ = [
    "Standing",
    "admit",
    "close",
    "drain",
    "drain_journal",
    "draw_list",
    "ensure_room",
    "entry_of",
    "finish",
    "join",
    "leave",
    "leave_for_closed_accounts",
    "let_join_again",
    "need_more_time",
    "open_line",
    "open_lobby",
    "over",
    "pause",
    "promote",
    "rebuild",
    "reconcile",
    "release",
    "resume",
    "running",
    "serving",
    "set_message",
    "set_rate",
    "status",
    "tick",
    "tick_all",
]
