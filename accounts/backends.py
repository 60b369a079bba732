"""
Django's door to accounts: its log-in forms obey the same rules as every other one, and only staff have permissions.

What staff may see and do comes from their role (accounts.roles), and each action is a service with an audit.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import OuterRef, Q
from django.http import HttpRequest

from accounts.models import User
from accounts.notifications.queries import unread_of
from accounts.second_factor import enrolled_of
from accounts.services import log_in
from accounts.services.sessions import WrongLogin


class AccountBackend(ModelBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **credentials: Any
    ) -> User | None:
        email = username or credentials.get(User.USERNAME_FIELD)
        if not email or not password:
            return None
        address = request.META["REMOTE_ADDR"] if request is not None else "127.0.0.1"
        try:
            return log_in(email=email, password=password, address=address)
        except WrongLogin:
            return None

    def get_user(self, user_id: Any) -> User | None:
        """Load the person of a page session, with what the header's bell shows: no page needs a statement more for it."""
        whole = User.objects.annotate(unread_notices=unread_of(OuterRef("pk")), enrolled=enrolled_of(OuterRef("pk")))
        user = whole.filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Load a person's own permissions and those of their roles in one statement, once."""
        if obj is not None or not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            theirs = Permission.objects.filter(Q(user=user_obj) | Q(group__user=user_obj)).distinct()
            user_obj._perm_cache = {
                f"{app}.{codename}"
                for app, codename in theirs.values_list("content_type__app_label", "codename").order_by()
            }
        return user_obj._perm_cache

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        return getattr(user_obj, "is_staff", False) and super().has_perm(user_obj, perm, obj)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        return getattr(user_obj, "is_staff", False) and super().has_module_perms(user_obj, app_label)
