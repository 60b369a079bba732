"""Staff see the list in the admin and change nothing by hand."""

import pytest

from accounts.models import User
from tests.factories import TicketCategoryFactory, UserFactory
from waitlist import services

pytestmark = pytest.mark.django_db


def test_list_and_page_show_the_place_and_offer_no_change(client_for):
    category, person = TicketCategoryFactory(), UserFactory()
    entry = services.join(user_id=person.pk, event_id=category.event_id)
    browser = client_for(User.objects.create_superuser("boss@example.test"))

    listed = browser.get("/admin/waitlist/waitlistentry/")
    shown = browser.get(f"/admin/waitlist/waitlistentry/{entry.pk}/change/")

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert person.email in listed.content.decode()
    assert 'name="_save"' not in shown.content.decode()
