"""Who may use an API view; ownership of a row is decided by the query that loads it."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class IsStaff(BasePermission):
    """Staff whose account is active at this moment."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_authenticated and request.user.is_staff)


class IsOrganiser(BasePermission):
    """People who may create events: organisers and staff."""

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        return bool(user.is_authenticated and (user.is_organiser or user.is_staff))
