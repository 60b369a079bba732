"""Staff set up second factors in a browser, an app and passkeys, and get into the admin with them; their pages are clean."""

import re
from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest
from django.utils import timezone
from playwright.sync_api import CDPSession, Page, expect

from accounts.models import Passkey, User
from tests.factories import PASSWORD, StaffFactory
from tests.pages.test_accessibility import check

pytestmark = pytest.mark.django_db(transaction=True)

SET_UP = "/staff/second-factor/set-up"
WITHOUT = "delete window.PublicKeyCredential"


def at(path: str) -> re.Pattern[str]:
    """Return what the address of this very page looks like; a log-in on the way to it names it too, but later."""
    return re.compile(rf"^http://[^/]+{re.escape(path)}$")


def plug_in(page: Page) -> tuple[CDPSession, str]:
    """Give the browser a device that makes passkeys and is always unlocked; return what switches it and its id."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    return devices, devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]


def enter_password_once_more(page: Page) -> None:
    page.goto(SET_UP)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", name="Choose your second factor")).to_be_visible()


def log_in_to_the_admin(page: Page, staff: User, address: str = "/admin/") -> None:
    page.context.clear_cookies()
    page.goto(address)
    page.fill("[name=username]", staff.email)
    page.fill("[name=password]", PASSWORD)
    page.locator("#login-form [type=submit]").click()
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()


def test_staff_set_an_app_up_and_come_in_with_it(browse: Callable[..., Page], log_in: Callable) -> None:
    staff = StaffFactory(password=PASSWORD)
    page = browse()
    log_in(page, staff)
    found = check(page, SET_UP)
    enter_password_once_more(page)
    found += check(page, SET_UP)
    page.get_by_role("button", name="Set up an app").click()
    expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
    found += check(page, page.url)
    page.get_by_text("Type it in instead").click()
    secret = page.locator(".mfa-secret").inner_text().replace(" ", "")
    page.fill("[name=code]", pyotp.TOTP(secret).at(timezone.now()))
    page.get_by_role("button", name="Switch it on").click()
    expect(page.locator(".mfa-codes li")).to_have_count(10)

    log_in_to_the_admin(page, staff, "/admin/bookings/booking/")
    found += check(page, page.url)
    # The next one: that of this moment was used, and the one before may be too old when it arrives.
    page.fill("[name=code]", pyotp.TOTP(secret).at(timezone.now() + timedelta(seconds=30)))
    page.get_by_role("button", name="Open the staff area").click()
    page.wait_for_url(at("/admin/bookings/booking/"))

    assert found == []


def test_staff_add_a_passkey_and_come_in_with_it(browse: Callable[..., Page], log_in: Callable) -> None:
    staff = StaffFactory(password=PASSWORD)
    page = browse()
    devices, device = plug_in(page)
    log_in(page, staff)
    enter_password_once_more(page)
    page.get_by_label("Name").fill("Work laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator(".mfa-codes li")).to_have_count(10)
    page.goto(SET_UP)
    expect(page.locator(".factors strong")).to_have_text("Work laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("This device has a passkey for your account already.")
    found = check(page, SET_UP)

    log_in_to_the_admin(page, staff, "/admin/bookings/booking/")
    found += check(page, page.url)
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was confirmed")
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": True})
    page.get_by_role("button", name="Use your passkey").click()
    page.wait_for_url(at("/admin/bookings/booking/"))

    page.context.clear_cookies()
    page.goto("/admin/bookings/ticket/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(at("/admin/bookings/ticket/"))
    page.goto(SET_UP)
    page.get_by_role("button", name="Remove Work laptop").click()
    page.wait_for_url(at("/profile"))
    page.goto("/admin/")
    expect(page).to_have_url(at("/admin/"))
    page.context.clear_cookies()
    page.goto("/staff/passkeys/sign-in")
    page.get_by_role("button", name="Use your passkey").click()
    expect(page.get_by_text("was removed")).to_be_visible()
    found += check(page, "/staff/passkeys/sign-in")

    assert found == []
    assert not Passkey.objects.exists()


@pytest.mark.parametrize("scripts", [True, False])
def test_browser_without_passkeys_is_offered_the_other_ways(
    browse: Callable[..., Page], log_in: Callable, scripts: bool
) -> None:
    staff = StaffFactory(password=PASSWORD)
    page = browse(javascript=scripts)
    page.add_init_script(WITHOUT)
    log_in(page, staff)
    enter_password_once_more(page)
    expect(page.get_by_text("This browser can not make passkeys here.")).to_be_visible()
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    expect(page.get_by_role("button", name="Set up an app")).to_be_visible()

    Passkey.objects.create(user=staff, name="Telephone", credential_id="x", public_key=b"x")
    page.goto("/admin/")  # the log-in of the admin itself needs scripts
    expect(page.get_by_text("Open the page in another browser, or enter a recovery code.")).to_be_visible()
    expect(page.get_by_label("Recovery code")).to_be_visible()
    expect(page.get_by_role("button", name="Use your passkey")).to_be_hidden()
    page.context.clear_cookies()
    page.goto("/admin/login/")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
