"""Signing up, logging in and one's own data, as pages; sessions by cookie, the same services as the API."""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, logout, update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import limits, services
from accounts.forms import (
    ChangePasswordForm,
    CodeForm,
    EraseForm,
    ForgotForm,
    LoginForm,
    ProfileForm,
    ResetForm,
    SignupForm,
)
from accounts.models import User
from accounts.services.passwords import ResetInvalid, WrongPassword, can_be_reset
from accounts.services.signup import CodeExpired, CodeTriesUsedUp
from common.errors import FairseatError, Invalid, NotAuthenticated, TooMany
from common.pages import add_refusal, form_problems, members_only, next_path, page

BACKEND = "accounts.backends.AccountBackend"
SIGNUP = "signup"  # what the session remembers between the form and the code


def show(
    request: HttpRequest, template: str, form: object, title: str = "", status: int = 200, **extra: object
) -> HttpResponse:
    """Render a form's page; with errors it has a summary on top and its own status."""
    problems = form_problems(form, title) if form.errors else None  # type: ignore[attr-defined,arg-type]
    context = {"form": form, "problems": problems, "next": next_path(request), **extra}
    return render(request, template, context, status=status if not problems else max(status, 400))


def enter(request: HttpRequest, user: User, next_page: str) -> HttpResponse:
    """Open the session of a person and bring them where they wanted to go."""
    login(request, user, backend=BACKEND)
    return redirect(next_page or settings.LOGIN_REDIRECT_URL)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def sign_up(request: HttpRequest) -> HttpResponse:
    """Address, password and name; a code is mailed. Known and unknown addresses look the same."""
    if request.user.is_authenticated:
        return redirect(next_path(request, settings.LOGIN_REDIRECT_URL))
    form = SignupForm(request.POST or None)
    if request.method != "POST":
        return show(request, "accounts/signup.html", SignupForm())
    limits.check(request)
    if not form.is_valid():
        return show(request, "accounts/signup.html", form)
    try:
        signup_id = services.start_signup(**form.cleaned_data)
    except Invalid as error:
        add_refusal(form, error)
        return show(request, "accounts/signup.html", form)
    except TooMany as error:
        add_refusal(form, error)
        return show(request, "accounts/signup.html", form, "Please wait", status=429)
    request.session[SIGNUP] = {
        "email": form.cleaned_data["email"],
        "id": str(signup_id),
        "next": next_path(request),
    }
    return redirect("signup-code")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def enter_code(request: HttpRequest) -> HttpResponse:
    """The six digits from the mail open the account."""
    begun = request.session.get(SIGNUP)
    if request.user.is_authenticated or begun is None:
        return redirect(settings.LOGIN_REDIRECT_URL if request.user.is_authenticated else "signup")
    extra = {"email": begun["email"], "minutes": max(1, settings.OTP_SECONDS // 60)}
    if request.method != "POST":
        return show(request, "accounts/code.html", CodeForm(), **extra)
    limits.check(request)
    form = CodeForm(request.POST)
    if not form.is_valid():
        return show(request, "accounts/code.html", form, **extra)
    try:
        user = services.verify_code(email=begun["email"], code=form.cleaned_data["otp"], signup_id=UUID(begun["id"]))
    except (CodeExpired, CodeTriesUsedUp) as error:
        add_refusal(form, error)
        return show(request, "accounts/code.html", form, "This code no longer works", status=error.status, **extra)
    except Invalid as error:
        form.add_error("otp", error.text)
        return show(request, "accounts/code.html", form, **extra)
    del request.session[SIGNUP]
    messages.success(request, "Welcome! Your account is open.")
    return enter(request, user, begun["next"] or "/")


@require_POST
@page
def send_code_again(request: HttpRequest) -> HttpResponse:
    """A new code for a sign-up that waits for one."""
    begun = request.session.get(SIGNUP)
    if begun is None:
        return redirect("signup")
    limits.check(request)
    try:
        services.resend_code(email=begun["email"])
    except TooMany as error:
        messages.warning(request, error.text)
    else:
        messages.success(request, "A new code is on its way. The old one no longer works.")
    return redirect("signup-code")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def log_in(request: HttpRequest) -> HttpResponse:
    """Address and password."""
    if request.user.is_authenticated:
        return redirect(next_path(request, settings.LOGIN_REDIRECT_URL))
    if request.method != "POST":
        return show(request, "accounts/login.html", LoginForm(), section="login")
    limits.check(request)
    form = LoginForm(request.POST)
    if not form.is_valid():
        return show(request, "accounts/login.html", form, section="login")
    try:
        user = services.log_in(**form.cleaned_data, address=request.META["REMOTE_ADDR"])
    except (NotAuthenticated, TooMany) as error:
        add_refusal(form, error)
        return show(
            request, "accounts/login.html", form, "We could not log you in", status=error.status, section="login"
        )
    return enter(request, user, next_path(request))


@require_http_methods(["GET", "HEAD", "POST"])
@page
def log_out(request: HttpRequest) -> HttpResponse:
    """End this browser's session; opening the address only asks."""
    if not request.user.is_authenticated:
        return redirect("home")
    if request.method != "POST":
        return render(request, "accounts/logout.html", {"section": "profile"})
    logout(request)
    messages.success(request, "You’re logged out.")
    return redirect("home")


@require_http_methods(["GET", "HEAD", "POST"])
@page
def forgot(request: HttpRequest) -> HttpResponse:
    """Ask for a link to set a new password; the answer is the same for every address."""
    if request.method != "POST":
        return show(request, "accounts/forgot.html", ForgotForm())
    limits.check(request)
    form = ForgotForm(request.POST)
    if form.is_valid():
        try:
            services.start_password_reset(email=form.cleaned_data["email"])
        except Invalid as error:
            add_refusal(form, error)
        else:
            context = {"email": form.cleaned_data["email"], "minutes": max(1, settings.PASSWORD_RESET_SECONDS // 60)}
            return render(request, "accounts/forgot_sent.html", context)
    return show(request, "accounts/forgot.html", form)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def reset(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind the mailed link."""
    if request.method != "POST":
        if not can_be_reset(token):
            return render(request, "accounts/reset_over.html", {"message": ResetInvalid.message}, status=410)
        return show(request, "accounts/reset.html", ResetForm())
    limits.check(request)
    form = ResetForm(request.POST)
    if form.is_valid():
        try:
            services.finish_password_reset(token=token, new_password=form.cleaned_data["password"])
        except ResetInvalid as error:
            return render(request, "accounts/reset_over.html", {"message": error.text}, status=410)
        except Invalid as error:
            add_refusal(form, error, {"new_password": "password"})
        else:
            messages.success(request, "Your new password is set. Log in with it.")
            return redirect("login")
    return show(request, "accounts/reset.html", form)


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def profile(request: HttpRequest) -> HttpResponse:
    """Name and phone, and the ways to everything else about the account."""
    user = request.user
    if request.method != "POST":
        form = ProfileForm(initial={"name": user.name, "phone": user.phone})
        return show(request, "accounts/profile.html", form, section="profile", mfa=settings.STAFF_MFA != "off")
    form = ProfileForm(request.POST)
    if not form.is_valid():
        return show(request, "accounts/profile.html", form, section="profile", mfa=settings.STAFF_MFA != "off")
    services.update_profile(user_id=user.pk, **form.cleaned_data)
    messages.success(request, "Saved.")
    return redirect("profile")


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def change_password(request: HttpRequest) -> HttpResponse:
    """A new password; every other session ends."""
    if request.method != "POST":
        return show(request, "accounts/password.html", ChangePasswordForm(), section="profile")
    limits.check(request)
    form = ChangePasswordForm(request.POST)
    if form.is_valid():
        try:
            user = services.change_password(
                user_id=request.user.pk,
                current_password=form.cleaned_data["current"],
                new_password=form.cleaned_data["password"],
            )
        except Invalid as error:
            add_refusal(form, error, {"current_password": "current", "new_password": "password"})
        else:
            update_session_auth_hash(request, user)
            messages.success(request, "Your password is changed. Other devices are logged out.")
            return redirect("profile")
    return show(request, "accounts/password.html", form, section="profile")


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def erase(request: HttpRequest) -> HttpResponse:
    """Delete the account, after the password; upcoming bookings are cancelled only if that was ticked."""
    if request.method != "POST":
        return show(request, "accounts/erase.html", EraseForm(), section="profile")
    limits.check(request)
    form = EraseForm(request.POST)
    if form.is_valid():
        if not request.user.check_password(form.cleaned_data["password"]):
            form.add_error("password", WrongPassword.message)
            return show(request, "accounts/erase.html", form, section="profile")
        try:
            services.erase_user(user_id=request.user.pk, cancel=form.cleaned_data["cancel"])
        except FairseatError as error:
            if error.code == "future_bookings":
                form.add_error("cancel", "You have tickets for events to come. Tick the box to cancel them too.")
            else:
                add_refusal(form, error)
            return show(request, "accounts/erase.html", form, "Not deleted", status=error.status, section="profile")
        logout(request)
        return render(request, "accounts/erased.html")
    return show(request, "accounts/erase.html", form, section="profile")
