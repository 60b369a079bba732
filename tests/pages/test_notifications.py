"""Notifications in a browser: the bell, the list, the choices and the way out of a mail, clean for axe and without scripts."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from accounts.models import User
from accounts.notifications import notify
from accounts.notifications.unsubscribing import unsubscribe_url
from tests.pages.test_accessibility import check

pytestmark = pytest.mark.django_db(transaction=True)


def tell(person: User) -> None:
    notify(user_id=person.pk, kind="password_changed", cause="1", url="/profile")
    notify(
        user_id=person.pk,
        kind="event_changed",
        cause="2",
        url="/profile",
        by_mail=False,
        event="Night of the Long Synthesizers",
        what="time and place",
        changes="Time: 21:00 – 23:30 CET (was: 20:00 – 22:30 CET). Place: Opera House (was: Town Hall).",
    )


def test_pages_of_notifications_are_clean(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    page = browse()
    log_in(page, ana)
    found = check(page, "/notifications")
    tell(ana)
    leave = "/unsubscribe/" + unsubscribe_url(user_id=ana.pk, group="events").rpartition("/")[2]

    for address in ("/notifications", "/notifications?unread=1", "/profile/notifications", leave, "/profile"):
        found += check(page, address)

    assert found == []


def test_person_reads_and_chooses_without_scripts(browse: Callable[..., Page], log_in: Callable, ana: User) -> None:
    tell(ana)
    page = browse(javascript=False)
    log_in(page, ana)
    page.goto("/profile")
    page.get_by_role("link", name="Notifications, 2 unread").click()
    page.get_by_role("link", name="time and place changed").click()
    expect(page).to_have_url(re.compile("/profile$"))
    page.get_by_role("link", name="Notifications, 1 unread").click()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("link", name="Unread (0)")).to_be_visible()

    page.get_by_role("link", name="Choose what you get by mail").click()
    page.get_by_role("group", name="Your events").get_by_label("By mail").uncheck()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.get_by_role("group", name="Your events").get_by_label("By mail")).not_to_be_checked()
