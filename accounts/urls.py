"""Addresses of the account pages."""

from collections.abc import Callable
from importlib import import_module

from django.http import HttpRequest, HttpResponse
from django.urls import path

from accounts import mfa_pages, pages
from accounts.notifications import pages as notifications


def passkey_page(name: str) -> Callable[[HttpRequest], HttpResponse]:
    """
    Return a page of `accounts.passkey_pages` that is imported when it is first asked for.

    Workers load these addresses too, for the links in mails; the library behind passkeys is 15 MB that they never need.
    """

    def view(request: HttpRequest) -> HttpResponse:
        page: Callable[[HttpRequest], HttpResponse] = getattr(import_module("accounts.passkey_pages"), name)
        return page(request)

    return view


urlpatterns = [
    path("signup", pages.sign_up, name="signup"),
    path("signup/code", pages.enter_code, name="signup-code"),
    path("signup/again", pages.send_code_again, name="signup-again"),
    path("login", pages.log_in, name="login"),
    path("logout", pages.log_out, name="logout"),
    path("forgot", pages.forgot, name="forgot"),
    path("reset/<str:token>", pages.reset, name="reset"),
    path("profile", pages.profile, name="profile"),
    path("profile/password", pages.change_password, name="change-password"),
    path("profile/notifications", notifications.preferences, name="notification-preferences"),
    path("notifications", notifications.notification_list, name="notifications"),
    path("notifications/read-all", notifications.read_all, name="notifications-read-all"),
    path("notifications/<uuid:notification_id>", notifications.open_notification, name="notification"),
    path("unsubscribe/<str:token>", notifications.leave_group, name="unsubscribe"),
    path("staff/second-factor", mfa_pages.prove, name="second-factor"),
    path("staff/second-factor/set-up", mfa_pages.set_up, name="second-factor-setup"),
    path("staff/second-factor/app", mfa_pages.app, name="second-factor-app"),
    path("staff/passkeys/challenge", passkey_page("challenge"), name="passkey-challenge"),
    path("staff/passkeys/add", passkey_page("add"), name="passkey-add"),
    path("staff/passkeys/prove", passkey_page("prove"), name="passkey-prove"),
    path("staff/passkeys/remove", passkey_page("remove"), name="passkey-remove"),
    path("staff/passkeys/sign-in", passkey_page("sign_in"), name="passkey-sign-in"),
    path("profile/delete", pages.erase, name="erase"),
]
