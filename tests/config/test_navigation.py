"""The admin's menu: every list is in it once, and each role sees what it may open and nothing else."""

import re

import pytest
from django.apps import apps
from django.contrib import admin

from accounts.roles import ROLES
from config.navigation import GROUPS
from tests.factories import StaffFactory

pytestmark = pytest.mark.django_db


def links(html: str) -> list[str]:
    """Return where the menu leads."""
    menu = html.split('class="admin-menu"')[1].split("</div>")[0]
    return re.findall(r'href="([^"]+)"', menu)


def test_every_list_is_in_the_menu_once():
    named = [label for _, pages in GROUPS for label, _, _ in pages]

    registered = {model._meta.label_lower for model in admin.site._registry}

    assert len(named) == len(set(named))
    assert registered - set(named) == set()
    assert all(apps.get_model(label) for label in named)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_open_all_that_its_menu_shows(client_for, role):
    client = client_for(StaffFactory(role=role))

    shown = links(client.get("/admin/").content.decode())

    assert shown[0] == "/admin/"
    refused = {address for address in shown if client.get(address).status_code != 200}
    assert refused == set()


def test_support_sees_payments_and_no_machinery(client_for):
    shown = links(client_for(StaffFactory(role="support")).get("/admin/").content.decode())

    assert "/admin/payments/payment/" in shown
    assert not [address for address in shown if "/common/" in address or "/faceverify/" in address]


def test_menu_marks_where_one_is(client_for):
    html = client_for(StaffFactory(is_superuser=True)).get("/admin/common/heartbeat/").content.decode()

    (current,) = re.findall(r'<a [^>]*href="([^"]+)" aria-current="page"', html.split('class="admin-menu"')[1])
    assert current == "/admin/common/heartbeat/"
    assert "<details open><summary>System</summary>" in html


def test_times_say_their_zone_and_hours_are_of_a_day(client_for):
    person = StaffFactory(is_superuser=True)

    html = client_for(person).get(f"/admin/accounts/user/{person.pk}/change/").content.decode()

    assert re.search(r"\d{1,2} \w{3} 20\d\d, \d\d:\d\d UTC", html)
    assert " a.m." not in html
    assert " p.m." not in html
