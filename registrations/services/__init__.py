"""Every write to registrations: the beginning, the face check, staff's decisions, batches."""

from registrations.services.batches import start_batch, work_batch, work_due
from registrations.services.checks import give_back_expired, run_check, run_unstarted, start_liveness, verify_face
from registrations.services.invitations import accept_invitation
from registrations.services.registering import ask_a_person, create_registration
from registrations.services.staff import override_ticket, register_as_staff, review_failure

__all__ = [
    "accept_invitation",
    "ask_a_person",
    "create_registration",
    "give_back_expired",
    "override_ticket",
    "register_as_staff",
    "review_failure",
    "run_check",
    "run_unstarted",
    "start_batch",
    "start_liveness",
    "verify_face",
    "work_batch",
    "work_due",
]
