"""
Who may use a door of staff; ownership of a row is decided by the query that loads it.

A right of staff is a permission that comes with a role (accounts.roles). Who has it for their own events only, because they
lack `accounts.every_event`, is let in where the row is known and theirs.
"""

from typing import Any
from uuid import UUID

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.roles import EVERY_EVENT
from accounts.second_factor import refuse_without


def may(viewer: Any, permission: str, *, organiser_id: UUID | None = None) -> bool:
    """Whether `viewer` is staff with this permission, for every organiser's events or for this organiser's, who they are."""
    if not (viewer.is_authenticated and viewer.is_staff and viewer.has_perm(permission)):
        return False
    return viewer.has_perm(EVERY_EVENT) or (organiser_id is not None and organiser_id == viewer.pk)


class IsStaff(BasePermission):
    """
    Staff whose account is active at this moment, with the permission that the view names in `staff_permission`.

    A view whose methods need different ones names them by method. One with `own_events = True` narrows what it shows to
    the caller's own events itself; every other one is for those who work on all events.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        if not (user.is_authenticated and user.is_staff):
            return False
        refuse_without(user)
        needed = view.staff_permission
        if isinstance(needed, dict):
            needed = needed.get(request.method, "")
        return may(user, needed, organiser_id=user.pk if getattr(view, "own_events", False) else None)


class IsOrganiser(BasePermission):
    """People who may create events: organisers, and staff who manage events."""

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        return bool(user.is_authenticated and (user.is_organiser or may(user, "events.add_event")))
