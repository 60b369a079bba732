"""The account doors of the API: translate, call a service, render."""

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import queries, services
from accounts.api import serializers as wire
from accounts.api.serializers import render_session, render_user
from accounts.models import User, normalise_email
from accounts.permissions import IsStaff, may
from common.api import Answer, Pages, ProtectedField, parse_id, read
from common.errors import Forbidden

# These doors need no token and yet answer 401: to a wrong password and to a refresh token that is good for nothing.
REFUSED = OpenApiResponse(OpenApiTypes.OBJECT, "Not the right password or token; `code` says which.")


class OpenView(APIView):
    """A door that needs no session. What credentials a request carries does not matter, so none are looked at."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    throttle_scope = "auth"


class SignupView(OpenView):
    @extend_schema(
        operation_id="signUp",
        tags=["accounts"],
        auth=[],
        request=wire.SignupIn,
        responses={201: wire.SignupOut},
        summary="Sign up; a code is mailed",
        description="The answer is the same whether or not the address has an account.",
    )
    def post(self, request: Request) -> Answer:
        person = read(wire.SignupIn, request)
        signup_id = services.start_signup(**person)
        answer = {
            "signup_id": signup_id,
            "email": normalise_email(person["email"]),
            "expires_in": settings.OTP_SECONDS,
        }
        return Answer(answer, message="We sent you a mail. Enter the code from it.", status=201)


class VerifyCodeView(OpenView):
    @extend_schema(
        operation_id="verifyCode",
        tags=["accounts"],
        auth=[],
        request=wire.CodeIn,
        responses={201: wire.SessionOut},
        summary="Open the account with the mailed code",
    )
    def post(self, request: Request) -> Answer:
        sent = read(wire.CodeIn, request)
        user = services.verify_code(email=sent["email"], code=sent["otp"], signup_id=sent.get("signup_id"))
        return Answer(render_session(user, services.open_session(user=user)), message="Welcome!", status=201)


class ResendCodeView(OpenView):
    @extend_schema(
        operation_id="resendCode",
        tags=["accounts"],
        auth=[],
        request=wire.AddressIn,
        responses={200: None},
        summary="Mail a new code; the old one dies",
    )
    def post(self, request: Request) -> Answer:
        services.resend_code(**read(wire.AddressIn, request))
        return Answer(None, message="If a sign-up waits for this address, a new code is on its way.")


class LoginView(OpenView):
    @extend_schema(
        operation_id="logIn",
        tags=["accounts"],
        auth=[],
        request=wire.LoginIn,
        responses={200: wire.SessionOut, 401: REFUSED},
        summary="Log in",
    )
    def post(self, request: Request) -> Answer:
        sent = read(wire.LoginIn, request)
        user = services.log_in(**sent, address=request.META["REMOTE_ADDR"])
        return Answer(render_session(user, services.open_session(user=user)))


class AdminLoginView(OpenView):
    @extend_schema(
        operation_id="adminLogIn",
        tags=["accounts"],
        auth=[],
        request=wire.AdminLoginIn,
        responses={200: wire.SessionOut, 401: REFUSED, 403: None},
        summary="Log in as staff",
        description=(
            "Staff with a second factor send its code as `otp`; without it the answer is 401 `mfa_required`. Doors of staff"
            " answer 403 `mfa_required` when the factor was proven too long ago: log in here again."
        ),
    )
    def post(self, request: Request) -> Answer:
        sent = read(wire.AdminLoginIn, request)
        code = sent.pop("otp")
        user = services.log_in(**sent, address=request.META["REMOTE_ADDR"], staff_only=True)
        proven_at = services.prove_at_login(user=user, code=code)
        return Answer(render_session(user, services.open_session(user=user, second_factor_at=proven_at)))


class RefreshView(OpenView):
    @extend_schema(
        operation_id="refreshTokens",
        tags=["accounts"],
        auth=[],
        request=wire.RefreshIn,
        responses={200: wire.TokensOut, 401: REFUSED},
        summary="Exchange the refresh token for the next pair",
        description=(
            "A refresh token works once. Sent again within a few seconds it gives the same pair; later it ends the session."
        ),
    )
    def post(self, request: Request) -> Answer:
        tokens = services.rotate_refresh_token(token=read(wire.RefreshIn, request)["refresh"])
        return Answer({"access": tokens.access, "refresh": tokens.refresh})


class LogoutView(APIView):
    throttle_scope = "auth"

    @extend_schema(
        operation_id="logOut",
        tags=["accounts"],
        request=wire.LogoutIn,
        responses={200: None},
        summary="End this session",
    )
    def post(self, request: Request) -> Answer:
        token = read(wire.LogoutIn, request)["refresh"]
        services.log_out(user_id=request.user.pk, token=token, family_id=request.user.family_id)
        return Answer(None, message="You are logged out.")


class ProfileView(APIView):
    """One's own account."""

    @extend_schema(operation_id="getProfile", tags=["accounts"], responses=wire.UserOut, summary="My account")
    def get(self, request: Request) -> Answer:
        return Answer(render_user(request.user.person))

    @extend_schema(
        operation_id="replaceProfile",
        tags=["accounts"],
        request=wire.ProfileIn,
        responses=wire.UserOut,
        summary="Change my name and telephone number",
    )
    def put(self, request: Request) -> Answer:
        return self.patch(request)

    @extend_schema(
        operation_id="changeProfile",
        tags=["accounts"],
        request=wire.ProfileIn,
        responses=wire.UserOut,
        summary="Change my name or telephone number",
    )
    def patch(self, request: Request) -> Answer:
        person = request.user.person
        changes = without_email(read(wire.ProfileIn, request), person)
        return Answer(render_user(services.update_profile(user_id=person.pk, **changes)))


class ChangePasswordView(APIView):
    throttle_scope = "auth"

    @extend_schema(
        operation_id="changePassword",
        tags=["accounts"],
        request=wire.PasswordChangeIn,
        responses=wire.SessionOut,
        summary="Change my password; every other session ends",
    )
    def put(self, request: Request) -> Answer:
        passwords = read(wire.PasswordChangeIn, request)
        user = services.change_password(user_id=request.user.person.pk, **passwords)
        answer = render_session(user, services.open_session(user=user))
        return Answer(answer, message="Your password is changed. Every other session has ended.")


class PasswordResetView(OpenView):
    @extend_schema(
        operation_id="askForPasswordReset",
        tags=["accounts"],
        auth=[],
        request=wire.AddressIn,
        responses={200: None},
        summary="Mail a link to reset the password",
        description="The answer is the same whether or not the address has an account.",
    )
    def post(self, request: Request) -> Answer:
        services.start_password_reset(**read(wire.AddressIn, request))
        return Answer(None, message="If this address has an account, a link to set a new password is on its way.")


class PasswordResetConfirmView(OpenView):
    @extend_schema(
        operation_id="resetPassword",
        tags=["accounts"],
        auth=[],
        request=wire.PasswordResetIn,
        responses={200: None},
        summary="Set a new password with the mailed token",
    )
    def post(self, request: Request) -> Answer:
        services.finish_password_reset(**read(wire.PasswordResetIn, request))
        return Answer(None, message="Your password is changed. Log in with it.")


class RegisterAdministratorView(OpenView):
    @extend_schema(
        operation_id="registerAdministrator",
        tags=["accounts"],
        auth=[],
        request=wire.AdministratorIn,
        responses={201: wire.SessionOut},
        summary="Make the first administrator with an operator's setup token",
    )
    def post(self, request: Request) -> Answer:
        services.refuse_without_setup_token(request.data.get("setup_token"))
        user = services.register_first_admin(**read(wire.AdministratorIn, request))
        return Answer(render_session(user, services.open_session(user=user)), status=201)


class UsersView(APIView):
    permission_classes = [IsStaff]
    staff_permission = "accounts.view_user"

    @extend_schema(
        operation_id="listUsers",
        tags=["accounts"],
        responses=wire.UserForStaffOut(many=True),
        parameters=[
            OpenApiParameter("search", str, description="A part of the name or the email address."),
        ],
        summary="People (staff)",
    )
    def get(self, request: Request) -> Answer:
        search = request.query_params.get("search", "").replace("\0", "").strip()
        pages = Pages()
        page = pages.paginate_queryset(queries.list_users(search=search), request, view=self) or []
        return pages.get_paginated_response(wire.UserForStaffOut(page, many=True).data)


class UserView(APIView):
    """One person, for themselves and for staff."""

    @extend_schema(operation_id="getUser", tags=["accounts"], responses=wire.UserOut, summary="A person")
    def get(self, request: Request, user_id: str) -> Answer:
        return Answer(self.render(request, self.load(request, user_id)))

    @extend_schema(
        operation_id="changeUser",
        tags=["accounts"],
        request=wire.UserChangeIn,
        responses=wire.UserOut,
        summary="Change a person; what only staff may change is refused from anybody else",
    )
    def patch(self, request: Request, user_id: str) -> Answer:
        user = self.load(request, user_id)
        actor = request.user.person
        may_change = may(actor, "accounts.change_user")
        if actor.pk != user.pk and not may_change:
            raise Forbidden
        form = wire.UserChangeIn if may_change else wire.ProfileIn
        changes = without_email(read(form, request), user)
        if actor.pk == user.pk:
            refuse_privileges(changes)
            changed = services.update_profile(user_id=user.pk, **without_reason(changes))
        else:
            changed = services.update_user(actor=actor, user_id=user.pk, **changes)
        return Answer(self.render(request, changed))

    @extend_schema(
        operation_id="eraseUser",
        tags=["accounts"],
        request=None,
        parameters=[
            OpenApiParameter("cancel", bool, description="Cancel the bookings of events to come as well."),
            OpenApiParameter("reason", str, description="Why, when staff erase somebody."),
        ],
        responses={200: None},
        summary="Erase a person: the profile is gone, sales stay without the name",
    )
    def delete(self, request: Request, user_id: str) -> Answer:
        user = self.load(request, user_id)
        if request.user.pk != user.pk and not may(request.user, "accounts.change_user"):
            raise Forbidden
        form = wire.EraseIn(data={**request.query_params.dict(), **request.data})
        form.is_valid(raise_exception=True)
        services.erase_user(user_id=user.pk, actor=request.user.person, **form.validated_data)
        return Answer(None, message="The account is erased.")

    def load(self, request: Request, user_id: str) -> User:
        """Load the person of the path for the caller."""
        # A token alone is not enough here: `person` also knows whether the account was closed since.
        return queries.get_user_for(viewer=request.user.person, user_id=parse_id(user_id, "user"))

    def render(self, request: Request, user: User) -> Any:
        """Staff also see whether the account is open."""
        return wire.UserForStaffOut(user).data if may(request.user, "accounts.view_user") else render_user(user)


def without_email(changes: dict[str, Any], person: User) -> dict[str, Any]:
    """
    Return the changes without the address, which clients that send the whole person repeat.

    :raises ProtectedField: if it is another address: it is the login
    """
    email = changes.pop("email", person.email)
    if normalise_email(email) != person.email:
        raise ProtectedField(
            "The email address is the login and can not be changed.", errors={"email": ["Leave this field out."]}
        )
    return changes


def refuse_privileges(changes: dict[str, Any]) -> None:
    """
    Nobody changes their own privileges.

    :raises ProtectedField: if they try
    """
    for name in wire.PRIVILEGES:
        if name in changes:
            raise ProtectedField(f"`{name}` can not be changed by oneself.", errors={name: ["Leave this field out."]})


def without_reason(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes alone; a reason is written down for what staff do to others."""
    return {name: value for name, value in changes.items() if name != "reason"}
