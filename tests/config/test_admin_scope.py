"""
How far an organiser sees in the admin: rows of their own events, wherever one looks. Walked from the admin's own registry, with
the world of the permission matrix: everything there belongs to one organiser, and another one with access looks for it.
"""

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from bookings.models import Booking
from tests.config.test_admin_fuzz import addresses, names, registered
from tests.config.test_permission_matrix import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    return World()


@pytest.fixture
def rival(world):
    """The other organiser's browser."""
    client = Client()
    client.force_login(world.people["e"])
    return client


@pytest.fixture
def secrets(world):
    """What only the one organiser's rows hold."""
    booking = Booking.objects.select_related("event", "category").get(pk=world.values["booking_id"])
    ticket = booking.tickets.get()
    return [world.holder.email, world.holder.name, booking.reference, booking.event.name, ticket.code, "pi_matrix"]


def address_of(label: str) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_changelist")


def ids_of(one: Any) -> list[str]:
    return [str(pk) for pk in one.model._base_manager.values_list("pk", flat=True)[:50]]


def told(reply: Any) -> str:
    """Return everything that an answer says."""
    content = b"".join(reply.streaming_content) if reply.streaming else reply.content
    return content.decode("utf-8", "replace")


def test_world_has_something_to_leak(world):
    client = Client()
    client.force_login(world.people["C"])

    seen = [label for label in names() if "/change/" in told(client.get(address_of(label)))]

    assert {"bookings.booking", "bookings.ticket", "payments.payment", "payments.refund"} <= set(seen)
    assert {"waitlist.waitlistentry", "registrations.registration", "events.event"} <= set(seen)


def test_lists_and_searches_hold_nothing_of_others(rival, secrets):
    leaks = []
    for label in names():
        reply = rival.get(address_of(label))
        if reply.status_code == 403:
            continue
        leaks += [(label, secret) for secret in secrets if secret in told(reply)]
        if registered(label).search_fields:
            for secret in secrets:
                found = rival.get(address_of(label), {"q": secret})
                if found.status_code == 200 and found.context["cl"].result_count:
                    leaks.append((label, "search", secret))

    assert leaks == []


def test_no_page_of_a_row_opens_by_its_id(rival, world):
    opened = []
    for label in names():
        one = registered(label)
        mine = set(map(str, one.model._base_manager.filter(pk=world.people["e"].pk).values_list("pk", flat=True)))
        for pk in set(ids_of(one)[:5]) - mine:
            for path in addresses(one, pk):
                statuses = {getattr(rival, method)(path).status_code for method in ("get", "post")}
                if not statuses <= {403, 404}:
                    opened.append((path, statuses))

    assert opened == []


def test_rows_of_others_are_not_there_rather_than_forbidden(rival, world):
    """Of what an organiser may look at, another's row answers 404: not even that there is one is said."""
    booking = Booking.objects.get(pk=world.values["booking_id"])
    rows = {
        "bookings_booking": booking.pk,
        "bookings_ticket": world.values["ticket_id"],
        "payments_payment": booking.payments.get().pk,
        "payments_refund": booking.payments.get().refunds.get().pk,
        "waitlist_waitlistentry": world.values["waitlist_id"],
        "registrations_registration": world.values["registration_id"],
        "events_event": world.values["event_id"],
    }
    pages = [reverse(f"admin:{name}_{page}", args=[pk]) for name, pk in rows.items() for page in ("change", "history")]
    pages += [
        reverse("admin:payments_refund_booking", args=[booking.pk]),
        reverse("admin:waitlist_console", args=[world.values["event_id"]]),
        reverse("admin:bookings_booking_cancel_one", args=[booking.pk]),
    ]

    assert {path: rival.get(path).status_code for path in pages} == dict.fromkeys(pages, 404)


@pytest.mark.parametrize("across", ["0", "1"])
def test_actions_reach_no_row_by_ids_made_by_hand(rival, world, secrets, across):
    before = {label: list(registered(label).model._base_manager.order_by("pk").values()) for label in names()}
    leaks = []
    for label in names():
        one = registered(label)
        for action in one.actions or []:
            name = action if isinstance(action, str) else action.__name__
            sent = {
                "action": name,
                "_selected_action": ids_of(one),
                "select_across": across,
                "index": "0",
                "reason": "x",
                "confirmed": "1",
            }
            reply = rival.post(address_of(label), sent, follow=True)
            leaks += [(label, name, secret) for secret in secrets if secret in told(reply)]

    changed = [
        label
        for label in names()
        if label not in {"accounts.staffaction", "common.outboxmessage", "registrations.batchrun"}
        and list(registered(label).model._base_manager.order_by("pk").values()) != before[label]
    ]
    assert (leaks, changed) == ([], [])


def test_search_over_everything_and_autocomplete_tell_nothing(rival, secrets):
    for secret in secrets:
        found = told(rival.get(reverse("admin:search"), {"s": secret})).replace(f'value="{secret}"', "")
        assert secret not in found
        wish = {"term": secret, "app_label": "bookings", "model_name": "ticket", "field_name": "booking"}
        assert rival.get(reverse("admin:autocomplete"), wish).json()["results"] == []


def test_filters_name_nobody_of_others(rival, secrets):
    for label in names():
        reply = rival.get(address_of(label))
        if reply.status_code != 200:
            continue
        for one in reply.context["cl"].filter_specs:
            shown = [str(choice.get("display", "")) for choice in one.choices(reply.context["cl"])]
            assert not [secret for secret in secrets if any(secret in text for text in shown)], (label, one.title)


def test_every_registered_model_says_whose_its_rows_are(world):
    """A list that organisers may open narrows itself; a new one that forgets to would show everything."""
    request_of = type("Asked", (), {"user": world.people["e"]})
    for label in names():
        one = admin.site.get_model_admin(registered(label).model)
        if one.has_view_permission(request_of()):
            shown = one.get_queryset(request_of())
            assert not shown.exclude(pk=world.people["e"].pk).exists(), label


def test_who_is_signed_in_and_no_staff_finds_no_admin(world):
    client = Client()
    client.force_login(world.people["a"])

    found = {address: client.get(address).status_code for address in ["/admin/", *map(address_of, names())]}

    assert set(found.values()) == {404}, found
    assert client.get("/admin/login/").status_code == 200
