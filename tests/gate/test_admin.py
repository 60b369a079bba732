"""What staff at a desk see of the gate."""

import pytest

from gate import services
from gate.models import Scan
from tests.factories import StaffFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_scans_are_listed_and_can_not_be_changed(client_for, show, guard, sell):
    (ticket,) = sell(show, person=UserFactory(name="Zoë Quispe"))
    made = services.scan_ticket(event_id=show.pk, staff_id=guard.pk, gate="North", code=ticket.code)
    client = client_for(StaffFactory(is_superuser=True))

    listed = client.get("/admin/gate/scan/?q=quispe")
    shown = client.get(f"/admin/gate/scan/{made.pk}/change/")

    assert listed.status_code == shown.status_code == 200
    assert b"North" in listed.content
    assert b"North" in shown.content
    assert client.get("/admin/gate/scan/add/").status_code == 403
    assert client.post(f"/admin/gate/scan/{made.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Scan.objects.filter(pk=made.pk).exists()
    assert client.get("/admin/gate/facecheck/").status_code == 200


def test_list_costs_the_same_for_one_and_many(client_for, show, guard, sell, django_assert_max_num_queries):
    for ticket in sell(show, quantity=5):
        services.scan_ticket(event_id=show.pk, staff_id=guard.pk, gate="North", code=ticket.code)
    client = client_for(StaffFactory(is_superuser=True))
    client.get("/admin/gate/scan/")

    with django_assert_max_num_queries(12):
        client.get("/admin/gate/scan/")
