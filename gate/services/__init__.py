"""Every write at the gate: the entrance's rules, scans and what becomes of them, faces compared at the door."""

from gate.services.faces import check_face, give_back_expired, run_check, run_unstarted
from gate.services.reviews import review_scan
from gate.services.rules import change_entrance, open_list, use_device
from gate.services.scanning import (
    Offline,
    accept_by_identity,
    close_case,
    scan_ticket,
    sync_scans,
    undo_scan,
)

__all__ = [
    "Offline",
    "accept_by_identity",
    "change_entrance",
    "check_face",
    "close_case",
    "give_back_expired",
    "open_list",
    "review_scan",
    "run_check",
    "run_unstarted",
    "scan_ticket",
    "sync_scans",
    "undo_scan",
    "use_device",
]
