"""
Django's door to accounts: its log-in forms obey the same rules as every other one, and being staff is a right by itself.

Staff may see every model in the admin and use its actions (Django's "view" and "change"); each action is a service with an
audit. Rights beyond that are granted one by one, and administrators have all.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.db.models import OuterRef
from django.http import HttpRequest

from accounts.models import User
from accounts.notifications.queries import unread_of
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
        user = User.objects.annotate(unread_notices=unread_of(OuterRef("pk"))).filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        usual = perm.partition(".")[2].startswith(("view_", "change_"))
        return (self.is_open_staff(user_obj) and usual) or super().has_perm(user_obj, perm, obj)

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        return self.is_open_staff(user_obj) or super().has_module_perms(user_obj, app_label)

    def is_open_staff(self, user: Any) -> bool:
        """Whether this is a member of staff whose account is open."""
        return user.is_active and getattr(user, "is_staff", False)
