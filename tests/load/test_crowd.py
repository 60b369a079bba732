"""A crowd over HTTP: a thousand people at once, two hundred seats, real processes on both sides."""

import json
from datetime import timedelta
from multiprocessing import get_context
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.authentication import issue_access_token
from accounts.models import User
from benchmarks import load
from bookings.models import Booking
from common import jobs
from events.models import SeatInventory
from tests.factories import TicketCategoryFactory

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE, SEATS, PROCESSES = 1000, 200, 4


def let_the_crowd_in(site, category):
    """Let PEOPLE people each ask for one seat at the same time; return how many answers had each status."""
    people = User.objects.bulk_create(User(email=f"crowd{n}@example.test", password="!") for n in range(PEOPLE))
    now = timezone.now()
    body = json.dumps({"categoryId": str(category.pk), "quantity": 1}).encode()
    requests = [load.post("/api/v1/bookings", issue_access_token(user=person, now=now), body) for person in people]
    port = urlsplit(site.url).port
    with get_context("spawn").Pool(PROCESSES) as pool:
        shares = pool.starmap(load.statuses, [(port, requests[n::PROCESSES], 50) for n in range(PROCESSES)])
    total = {}
    for share in shares:
        for status, count in share.items():
            total[status] = total.get(status, 0) + count
    return total


def test_two_hundred_seats_for_a_thousand_people(live_site, api):
    category = TicketCategoryFactory(capacity=SEATS)

    answers = let_the_crowd_in(live_site, category)

    assert answers == {201: SEATS, 409: PEOPLE - SEATS}
    assert Booking.objects.filter(status="pending").count() == SEATS
    inventory = SeatInventory.objects.get(category=category)
    assert (inventory.held, inventory.free) == (SEATS, 0)
    latecomer = api.as_user(User.objects.create(email="late@example.test", password="!"))
    refused = latecomer.post("/api/v1/bookings", {"categoryId": str(category.pk), "quantity": 1})
    assert (refused.status, refused.body["code"]) == (409, "sold_out")
    call_command("audit_inventory")

    Booking.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert jobs.run("bookings.expire_due") == SEATS

    assert SeatInventory.objects.get(category=category).free == SEATS
    assert Booking.objects.filter(status="expired").count() == SEATS
    call_command("audit_inventory")


def test_without_the_trigger_the_same_crowd_oversells(live_site):
    """The control: the same people, the same site, and only the database's trigger taken away."""
    category = TicketCategoryFactory(capacity=SEATS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'pgtrigger_booking_moves_seats%%'")
        trigger = cursor.fetchone()[0]
        cursor.execute(f"ALTER TABLE bookings_booking DISABLE TRIGGER {trigger}")
    try:
        answers = let_the_crowd_in(live_site, category)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE bookings_booking ENABLE TRIGGER {trigger}")

    assert answers[201] > SEATS
