"""Reads of people, for themselves and for staff."""

from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.authentication import Principal
from accounts.models import Passkey, User
from accounts.permissions import may
from common.errors import NotFound


def get_user_for(*, viewer: Principal | User, user_id: UUID) -> User:
    """
    Load a person for themselves or for staff.

    :raises NotFound: if there is none, it was erased, or the viewer may not see it
    """
    if viewer.pk == user_id or may(viewer, "accounts.view_user"):
        user = User.objects.filter(pk=user_id, erased_at__isnull=True).first()
        if user is not None:
            return user
    raise NotFound("User not found")


def list_users(*, search: str = "") -> QuerySet[User]:
    """Return the people whose name or address contains `search`, newest first; erased ones are nobody any more."""
    users = User.objects.filter(erased_at__isnull=True).order_by("-created_at", "id")
    if search:
        users = users.filter(Q(email__icontains=search) | Q(name__icontains=search))
    return users


def passkeys_of(user_id: UUID) -> list[Passkey]:
    """Return somebody's passkeys, the oldest first."""
    return list(Passkey.objects.filter(user_id=user_id).order_by("created_at", "id"))
