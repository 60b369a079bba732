"""A member of staff sets up a second factor in a browser, and gets into the admin with it; its pages are clean."""

from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.factories import PASSWORD, StaffFactory
from tests.pages.test_accessibility import check

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]


def test_staff_set_it_up_and_come_in_with_it(browse: Callable[..., Page], log_in: Callable) -> None:
    staff = StaffFactory(password=PASSWORD)
    page = browse()
    log_in(page, staff)
    found = check(page, "/staff/second-factor/set-up")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
    found += check(page, "/staff/second-factor/set-up")
    page.get_by_text("Type it in instead").click()
    secret = page.locator(".mfa-secret").inner_text().replace(" ", "")
    page.fill("[name=code]", pyotp.TOTP(secret).at(timezone.now()))
    page.get_by_role("button", name="Switch it on").click()
    expect(page.locator(".mfa-codes li")).to_have_count(10)
    found += check(page, "/staff/second-factor/set-up")

    page.context.clear_cookies()
    page.goto("/admin/bookings/booking/")
    page.fill("[name=username]", staff.email)
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    found += check(page, page.url)
    # The code after the one that was used: it works already, and still works when the half minute ends on the way.
    page.fill("[name=code]", pyotp.TOTP(secret).at(timezone.now() + timedelta(seconds=30)))
    page.get_by_role("button", name="Open the staff area").click()
    page.wait_for_url("**/admin/bookings/booking/")

    assert found == []
