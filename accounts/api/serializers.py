"""What people, codes and tokens look like on the wire."""

from typing import Any

from rest_framework import serializers

from accounts.models import User
from accounts.services import Tokens
from accounts.services.rules import LONGEST_PASSWORD
from common.api import Input

PROTECTED = (
    "id",
    "role",
    "roles",
    "is_admin",
    "is_staff",
    "is_superuser",
    "groups",
    "permissions",
    "user_permissions",
    "session_version",
    "created_at",
    "erased_at",
    "email_verified",
    "is_verified",
)
PRIVILEGES = ("is_organiser", "is_active")
PHONE = r"^\+?[0-9 ()./-]{3,31}$"


class EmailField(serializers.CharField):
    """An address as it was typed; the service brings it into its one spelling and says if it is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=320, help_text="An email address.", **options)


class PasswordField(serializers.CharField):
    """A password, whose spaces belong to it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_PASSWORD, trim_whitespace=False, write_only=True, **options)


class PhoneField(serializers.RegexField):
    """A telephone number with its usual signs, or nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(PHONE, required=False, allow_blank=True, **options)
        self.error_messages["invalid"] = "Write a telephone number, for example +49 30 1234567."


class NameField(serializers.CharField):
    """A person's name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=150, required=False, allow_blank=True, **options)


class PersonIn(Input):
    """An account that is being made: its address, password, and what to call the person."""

    protected = (*PROTECTED, *PRIVILEGES)

    email = EmailField()
    password = PasswordField()
    password_confirm = PasswordField(required=False)
    name = NameField()
    phone = PhoneField()

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        again = attributes.pop("password_confirm", None)
        if again is not None and again != attributes["password"]:
            raise serializers.ValidationError({"password_confirm": ["The two passwords are not the same."]})
        return attributes


class SignupIn(PersonIn):
    pass


class AdministratorIn(PersonIn):
    setup_token = serializers.CharField(max_length=200, default="", allow_blank=True)


class CodeIn(Input):
    email = EmailField()
    otp = serializers.CharField(max_length=32, help_text="The six digits from the mail.")
    signup_id = serializers.UUIDField(
        required=False, help_text="From the answer to the sign-up: then only that very sign-up is finished."
    )


class AddressIn(Input):
    email = EmailField()


class LoginIn(Input):
    email = EmailField()
    password = PasswordField()


class RefreshIn(Input):
    refresh = serializers.CharField(max_length=200)


class LogoutIn(Input):
    refresh = serializers.CharField(
        max_length=200,
        required=False,
        default="",
        allow_blank=True,
        help_text="Without it, the session of the access token ends.",
    )


class PasswordChangeIn(Input):
    current_password = PasswordField(required=False)
    old_password = PasswordField(required=False, help_text="Another name of currentPassword.")
    new_password = PasswordField()

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        old = attributes.pop("old_password", None)
        attributes.setdefault("current_password", old)
        if attributes["current_password"] is None:
            raise serializers.ValidationError({"current_password": ["This field is required."]})
        return attributes


class AdminLoginIn(LoginIn):
    otp = serializers.CharField(
        max_length=20,
        required=False,
        default="",
        allow_blank=True,
        help_text="The code of the authenticator app, or a recovery code.",
    )


class PasswordResetIn(Input):
    token = serializers.CharField(max_length=200)
    new_password = PasswordField()


class ProfileIn(Input):
    """One's own name and telephone number; the address is the login and can not be changed here."""

    protected = (*PROTECTED, *PRIVILEGES, "password")

    name = NameField()
    phone = PhoneField()
    email = EmailField(required=False)


class UserChangeIn(ProfileIn):
    """What staff may change of somebody's account."""

    protected = (*PROTECTED, "password")

    is_organiser = serializers.BooleanField(required=False)
    is_active = serializers.BooleanField(required=False)
    reason = serializers.CharField(max_length=1000, required=False, default="", allow_blank=True)


class EraseIn(Input):
    cancel = serializers.BooleanField(default=False, help_text="Cancel the bookings of events to come as well.")
    reason = serializers.CharField(max_length=1000, required=False, default="", allow_blank=True)


class UserOut(serializers.Serializer):
    id = serializers.UUIDField()
    email = serializers.CharField()
    name = serializers.CharField()
    phone = serializers.CharField()
    is_staff = serializers.BooleanField()
    is_organiser = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class UserForStaffOut(UserOut):
    is_active = serializers.BooleanField()


class SignupOut(serializers.Serializer):
    signup_id = serializers.UUIDField()
    email = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds for which a mailed code is good.")


class SessionOut(serializers.Serializer):
    user = UserOut()
    access = serializers.CharField()
    refresh = serializers.CharField()


class TokensOut(serializers.Serializer):
    access = serializers.CharField()
    refresh = serializers.CharField()


def render_user(user: User) -> dict[str, Any]:
    """Return a person's form on the wire."""
    return dict(UserOut(user).data)


def render_session(user: User, tokens: Tokens) -> dict[str, Any]:
    """Return what a client gets that has just logged in."""
    return {"user": render_user(user), "access": tokens.access, "refresh": tokens.refresh}


class NotificationOut(serializers.Serializer):
    """Something one was told; `url` is a path of the site."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    group = serializers.CharField()
    title = serializers.CharField()
    body = serializers.CharField()
    url = serializers.CharField()
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class ReadAllOut(serializers.Serializer):
    read = serializers.IntegerField(help_text="How many were unread.")


class NotificationChoiceOut(serializers.Serializer):
    """How one group of notifications reaches somebody."""

    group = serializers.CharField()
    title = serializers.CharField()
    about = serializers.CharField()
    mail = serializers.BooleanField()
    mail_always = serializers.BooleanField(help_text="Nothing of it can be switched off.")
    some_always = serializers.BooleanField(help_text="Some of it is mailed whatever is chosen.")
    sms = serializers.BooleanField()
    sms_possible = serializers.BooleanField()


class NotificationChoicesOut(serializers.Serializer):
    groups = NotificationChoiceOut(many=True)


class NotificationChoiceIn(serializers.Serializer):
    group = serializers.CharField(max_length=20)
    mail = serializers.BooleanField(required=False)
    sms = serializers.BooleanField(required=False)


class NotificationChoicesIn(Input):
    """The groups to change, with the channels to change."""

    groups = NotificationChoiceIn(many=True)
