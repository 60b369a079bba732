"""Django's door to `log_in`: the admin's log-in form obeys the same rules as every other one."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.models import User
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
