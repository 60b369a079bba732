"""The second factors of staff as pages: proving one, managing them, an app with its QR code, recovery codes."""

from collections.abc import Callable
from urllib.parse import urlencode

import segno
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_http_methods

from accounts import limits, relying_party, second_factor, services
from accounts.forms import Password
from accounts.models import Passkey, User
from accounts.pages import show
from accounts.queries import passkeys_of
from common.errors import FairseatError, NotAuthenticated, NotFound, TooMany
from common.pages import Problems, add_refusal, members_only, next_path, refusal_problems

STAFF_AREA = "/admin/"


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
    """A code of the app or a recovery code; who has no app is asked for the latter."""

    def __init__(self, *args: object, app: bool, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        code = self.fields["code"]
        if app:
            code.help_text = "Without your telephone: one of your recovery codes."
        else:
            code.label = "Recovery code"
            code.help_text = "One of the ten that you kept. Each works once."
            code.error_messages["required"] = "Enter one of your recovery codes."


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


def admin_login(request: HttpRequest) -> HttpResponse:
    """The admin's log-in; who asked for no page in particular comes to the admin, not to their tickets."""
    onward = urlencode({"next": next_path(request, STAFF_AREA)})
    return admin.site.login(request, extra_context={"app_path": f"{request.path}?{onward}"})


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
def prove(request: HttpRequest) -> HttpResponse:
    """What opens the staff area after the password: a passkey, a code of the app, or a recovery code."""
    user = staff_member(request)
    onward = next_path(request, STAFF_AREA)
    if not second_factor.is_enrolled(user):
        return redirect("second-factor-setup")
    app = second_factor.has_app(user.pk)
    if request.method != "POST":
        return proving(request, user, ProveForm(app=app))
    limits.check(request)
    form = ProveForm(request.POST, app=app)
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
    return proving(request, user, form, status=status)


def proving(
    request: HttpRequest, user: User, form: forms.Form, status: int = 200, problems: Problems | None = None
) -> HttpResponse:
    """The page that asks for the second factor."""
    context = {
        "hours": settings.STAFF_MFA_SECONDS // 3600,
        "app": second_factor.has_app(user.pk),
        "passkey": relying_party.are_possible() and second_factor.has_passkey(user.pk),
        "origin": settings.SITE_URL,
    }
    page = {"problems": problems} if problems else {}
    return show(request, "accounts/second_factor.html", form, status=status, **context, **page)


def recently(view: Callable[[HttpRequest, User, float], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Decorate a page on which staff change their own factors: who has not proven lately who they are does so first."""

    def shown(request: HttpRequest) -> HttpResponse:
        user = staff_member(request)
        known_at = second_factor.known_in(request, user)
        if known_at is not None and second_factor.is_recent(known_at):
            return view(request, user, known_at)
        if not second_factor.is_enrolled(user):
            return begin(request, user)
        if request.method == "POST":
            messages.warning(request, second_factor.ProofTooOld.message)
        page = reverse("second-factor-setup")
        return redirect(f"{reverse('second-factor')}?{urlencode({'next': page})}")

    return shown


def begin(request: HttpRequest, user: User) -> HttpResponse:
    """Ask who has no factor yet for their password, once more."""
    form = BeginForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        limits.check(request)
    if form.is_valid():
        try:
            at = services.confirm_password(
                user=user, password=form.cleaned_data["password"], address=request.META["REMOTE_ADDR"]
            )
        except (NotAuthenticated, TooMany) as error:
            form.add_error("password", error.text)
            status = 429 if isinstance(error, TooMany) else 400
        else:
            second_factor.remember(request, at, second_factor.PASSWORD)
            return redirect("second-factor-setup")
    required = settings.STAFF_MFA == "required"
    return show(request, "accounts/second_factor_begin.html", form, status=status, required=required)


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
@recently
def set_up(request: HttpRequest, user: User, known_at: float) -> HttpResponse:
    """Passkeys, the app and recovery codes of a member of staff, and what may be done with them."""
    if request.method != "POST":
        return manage(request, user)
    limits.check(request)
    try:
        match request.POST.get("do", ""):
            case "app":
                services.begin_enrolment(user_id=user.pk, proven_at=known_at)
                return redirect("second-factor-app")
            case "renew":
                return show_codes(request, services.renew_recovery_codes(user_id=user.pk, proven_at=known_at))
            case "remove-app":
                return removed(request, services.remove_authenticator(user_id=user.pk, proven_at=known_at))
    except FairseatError as error:
        return manage(request, user, refusal_problems(error), error.status)
    return redirect("second-factor-setup")


@require_http_methods(["GET", "HEAD", "POST"])
@members_only
@recently
def app(request: HttpRequest, user: User, known_at: float) -> HttpResponse:
    """The QR code of an app that was begun, and its first code."""
    form = CodeForm(request.POST or None)
    if request.method == "POST":
        limits.check(request)
        if form.is_valid():
            try:
                codes = services.confirm_enrolment(user_id=user.pk, code=form.cleaned_data["code"], proven_at=known_at)
            except FairseatError as error:
                add_refusal(form, error, {"": "code"})
            else:
                second_factor.remember(request, timezone.now())
                return added(request, codes, "Your app is set up.")
    secret = services.pending_secret(user_id=user.pk)
    if not secret:
        return redirect("second-factor-setup")
    address = services.address_of(user=user, secret=secret)
    spelled = " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
    return show(
        request, "accounts/second_factor_confirm.html", form, qr=drawn(address), secret=spelled, address=address
    )


def manage(
    request: HttpRequest, user: User, problems: Problems | None = None, status: int = 200, name: str = ""
) -> HttpResponse:
    """What somebody's second factors are."""
    held = passkeys_of(user.pk)
    has_app = second_factor.has_app(user.pk)
    context = {
        "problems": problems,
        "passkeys": held,
        "app": has_app,
        "possible": relying_party.are_possible(),
        "origin": settings.SITE_URL,
        "left": services.codes_left(user_id=user.pk),
        "enrolled": bool(held) or has_app,
        "last": settings.STAFF_MFA == "required" and len(held) + has_app == 1,
        "required": settings.STAFF_MFA == "required",
        "name": name,
        "longest_name": Passkey._meta.get_field("name").max_length,
        "section": "profile",
    }
    return render(request, "accounts/second_factor_manage.html", context, status=status)


def added(request: HttpRequest, codes: list[str], done: str) -> HttpResponse:
    """What follows a new factor: recovery codes with the first one, else the page of all."""
    if codes:
        return show_codes(request, codes)
    messages.success(request, done)
    return redirect("second-factor-setup")


def removed(request: HttpRequest, person: User) -> HttpResponse:
    """What follows a removed factor: every other session has ended, this one goes on."""
    update_session_auth_hash(request, person)
    if second_factor.is_enrolled(person):
        messages.success(request, "Removed. Every other browser and app of yours is logged out.")
        return redirect("second-factor-setup")
    messages.success(request, "Removed. The password alone opens the staff area now.")
    return redirect("profile")


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
