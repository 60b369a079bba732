"""
What each role of staff may do: one table, from which the groups get their permissions after every migration.

A pattern names permissions as Django does (`app.codename`, `*` for any letters), also of apps above this one. "change" of a
model is the right to use its actions; nothing is edited by hand. Who lacks `accounts.every_event` sees only the events they
have made, and what belongs to those.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from accounts.models import User

ASSIGN = "accounts.assign_roles"
EVERY_EVENT = "accounts.every_event"
REVIEW_FACES = "faceverify.review_faces"
EXCEED_CAPACITY = "registrations.exceed_capacity"
# Rights that come with no role but the owner's; an owner gives them to a manager one by one.
EXTRAS = (REVIEW_FACES, EXCEED_CAPACITY)


@dataclass(frozen=True)
class Role:
    """A role: its name for people, what it is for, and its permissions."""

    label: str
    duty: str
    permissions: tuple[str, ...]


def every(apps: str, *verbs: str) -> tuple[str, ...]:
    """Return the patterns of these verbs for the models of these apps."""
    return tuple(f"{app}.{verb}_*" for app in apps.split() for verb in verbs)


HOUSE = "events bookings payments waitlist waitingroom registrations"
ROLES = {
    "owner": Role("Owner", "everything, and gives roles", ("*",)),
    "manager": Role(
        "Manager",
        "events, bookings, payments, waitlists, lines, registrations, people",
        (
            EVERY_EVENT,
            *every(f"{HOUSE} gate webhooks", "view", "change", "add"),
            *every("accounts analytics common faceverify django_celery_beat", "view"),
            "accounts.change_user",
            "common.change_outboxmessage",
            "bookings.issue_*",
            "payments.refund_*",
            "gate.*",
        ),
    ),
    "box_office": Role(
        "Box office",
        "bookings, tickets, free tickets, refunds of what tickets cost, offers from waitlists; no settings, no faces",
        (
            EVERY_EVENT,
            *every("events bookings waitlist", "view"),
            "payments.view_payment",
            "payments.view_refund",
            "payments.refund_payment",
            "accounts.view_user",
            "bookings.change_booking",
            "bookings.change_ticket",
            "bookings.change_tickethandover",
            "bookings.issue_*",
            "waitlist.change_waitlistentry",
        ),
    ),
    "gate": Role(
        "Gate",
        "tickets at the door",
        (EVERY_EVENT, "bookings.view_ticket", "gate.view_*", "gate.scan"),
    ),
    "support": Role(
        "Support",
        "reads what customers ask about; changes nothing, sees no faces",
        (
            EVERY_EVENT,
            *every(f"{HOUSE} gate analytics", "view"),
            "accounts.view_user",
            "accounts.view_notification",
            "accounts.view_notificationchoice",
        ),
    ),
    "organiser": Role(
        "Organiser",
        "their own events and what belongs to them",
        (
            *every("events", "view", "change"),
            *every("bookings waitlist waitingroom registrations webhooks", "view"),
            "waitingroom.change_waitingroom",
            "bookings.add_salecode",
            "bookings.change_salecode",
            "payments.view_payment",
            "payments.view_refund",
            # Their own events' bookings are cancelled, and refunded at what the tickets cost. The account is the house's, so
            # another amount, and who came in already, are the house's to decide.
            "bookings.change_booking",
            "payments.refund_payment",
        ),
    ),
}


def covers(role: Role, permission: str) -> bool:
    """Whether a role has a permission (`app.codename`)."""
    return any(fnmatchcase(permission, pattern) for pattern in role.permissions)


def fill_groups() -> None:
    """Make the roles' groups, and give each exactly the permissions of its role that exist by now."""
    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.values_list("pk", "content_type__app_label", "codename")
    }
    given = Group.permissions.through
    Group.objects.bulk_create([Group(name=name) for name in ROLES], ignore_conflicts=True)
    groups = dict(Group.objects.filter(name__in=ROLES).values_list("name", "pk"))
    wanted = {
        (groups[name], pk)
        for name, role in ROLES.items()
        for permission, pk in known.items()
        if covers(role, permission)
    }
    held = set(given.objects.filter(group_id__in=groups.values()).values_list("group_id", "permission_id"))
    given.objects.bulk_create(
        [given(group_id=group, permission_id=permission) for group, permission in wanted - held], ignore_conflicts=True
    )
    if surplus := held - wanted:
        gone = Q()
        for group, permission in surplus:
            gone |= Q(group_id=group, permission_id=permission)
        given.objects.filter(gone).delete()


def after_migrate(**given: Any) -> None:
    """Receiver of `post_migrate`: every migration may have brought permissions, and a test's flush takes them all away."""
    fill_groups()


def role_of(user: User) -> str:
    """Return the name of somebody's role; administrators are owners, and "" is nobody's."""
    if not user.is_staff:
        return ""
    if user.is_superuser:
        return "owner"
    held = {group.name for group in user.groups.all()}
    return next((name for name in ROLES if name in held), "")
