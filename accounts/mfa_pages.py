"""The second factor of staff as pages: proving it, setting it up with a QR code, recovery codes."""

import segno
from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_http_methods

from accounts import limits, second_factor, services
from accounts.forms import Password
from accounts.models import User
from accounts.pages import show
from accounts.services.passwords import WrongPassword
from common.errors import FairseatError, NotFound
from common.pages import add_refusal, members_only, next_path

STAFF_AREA = "/admin/"
DONE = {"renew": services.renew_recovery_codes, "remove": services.remove_authenticator}


class CodeForm(forms.Form):
    code = forms.CharField(
        label="Code from your app",
        max_length=20,
        error_messages={"required": "Enter the six digits your app shows now."},
        widget=forms.TextInput(
            attrs={"class": "code", "autocomplete": "one-time-code", "spellcheck": "false", "autocapitalize": "none"}
        ),
    )


class ProveForm(CodeForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["code"].help_text = "Without your telephone: one of your recovery codes."


class BeginForm(forms.Form):
    password = Password(new=False, help_text="So that nobody else sets this up for you.")


def staff_member(request: HttpRequest) -> User:
    """
    Return the member of staff who asks.

    :raises NotFound: if they are not staff: for everybody else these pages are not there
    """
    user = request.user
    if not isinstance(user, User) or not user.is_staff or settings.STAFF_MFA == "off":
        raise NotFound
    return user


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def prove(request: HttpRequest) -> HttpResponse:
    """The code that opens the staff area, asked after the password."""
    user = staff_member(request)
    onward = next_path(request, STAFF_AREA)
    if not second_factor.is_enrolled(user):
        return redirect("second-factor-setup")
    if request.method != "POST":
        return show(request, "accounts/second_factor.html", ProveForm(), hours=settings.STAFF_MFA_SECONDS // 3600)
    limits.check(request)
    form = ProveForm(request.POST)
    status = 200
    if form.is_valid():
        try:
            at = services.check_code(user_id=user.pk, code=form.cleaned_data["code"])
        except FairseatError as error:
            form.add_error("code", error.text)
            status = error.status
        else:
            second_factor.remember(request, at)
            return redirect(onward)
    hours = settings.STAFF_MFA_SECONDS // 3600
    return show(request, "accounts/second_factor.html", form, status=status, hours=hours)


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def set_up(request: HttpRequest) -> HttpResponse:
    """Begin with the password, scan the QR code, show a first code; later the recovery codes and the way back."""
    user = staff_member(request)
    if second_factor.is_enrolled(user):
        return manage(request, user)
    if request.method != "POST":
        secret = services.pending_secret(user_id=user.pk)
        return confirming(request, user, secret, CodeForm()) if secret else beginning(request, BeginForm())
    limits.check(request)
    if "password" in request.POST:
        return begin(request, user)
    form = CodeForm(request.POST)
    if form.is_valid():
        try:
            codes = services.confirm_enrolment(user_id=user.pk, code=form.cleaned_data["code"])
        except FairseatError as error:
            form.add_error("code", error.text)
        else:
            second_factor.remember(request, timezone.now())
            return show_codes(request, codes)
    return confirming(request, user, services.pending_secret(user_id=user.pk), form)


def begin(request: HttpRequest, user: User) -> HttpResponse:
    """Make a secret for who knows their password."""
    form = BeginForm(request.POST)
    if form.is_valid():
        if user.check_password(form.cleaned_data["password"]):
            services.begin_enrolment(user_id=user.pk)
            return redirect("second-factor-setup")
        form.add_error("password", WrongPassword.message)
    return beginning(request, form)


def manage(request: HttpRequest, user: User) -> HttpResponse:
    """What an enrolled member of staff may do: new recovery codes, or no second factor any more."""
    form = ProveForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        limits.check(request)
        wish = DONE.get(request.POST.get("do", ""))
        try:
            codes = wish(user_id=user.pk, code=form.cleaned_data["code"]) if wish else None
        except FairseatError as error:
            add_refusal(form, error)
        else:
            if codes:
                second_factor.remember(request, timezone.now())
                return show_codes(request, codes)
            messages.success(request, "Your authenticator is removed. The password alone opens the staff area.")
            return redirect("profile")
    left = services.codes_left(user_id=user.pk)
    required = settings.STAFF_MFA == "required"
    return show(request, "accounts/second_factor_manage.html", form, left=left, required=required)


def beginning(request: HttpRequest, form: forms.Form) -> HttpResponse:
    required = settings.STAFF_MFA == "required"
    return show(request, "accounts/second_factor_begin.html", form, required=required)


def confirming(request: HttpRequest, user: User, secret: str, form: forms.Form) -> HttpResponse:
    """The QR code and the secret in letters, with the field for the first code."""
    if not secret:
        return redirect("second-factor-setup")
    address = services.address_of(user=user, secret=secret)
    spelled = " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
    return show(
        request, "accounts/second_factor_confirm.html", form, qr=drawn(address), secret=spelled, address=address
    )


def show_codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    """The recovery codes, this once."""
    return render(request, "accounts/recovery_codes.html", {"codes": codes, "section": "profile"})


def drawn(text: str) -> SafeString:
    """Return a QR code as an SVG that is black on white in every colour scheme."""
    symbol = segno.make_qr(text, error="m")
    picture = symbol.svg_inline(
        scale=5, border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr", lineclass=None
    )
    return mark_safe(picture)  # noqa: S308 - drawn here, of no one's text
