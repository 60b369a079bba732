"""A simulated sale on the running site: everybody's way ends, the seats add up, the line verifies, the plot is drawn."""

from io import StringIO
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command

from bookings.models import Ticket
from config.simulation import Sale, Sample, plot, prepare

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_small_sale_ends_with_every_seat_sold_and_a_line_that_verifies(live_site, tmp_path):
    said, drawn = StringIO(), tmp_path / "sale.svg"

    call_command(
        "simulate_sale",
        *("--people", "24", "--seats", "12", "--most", "4", "--lobby", "2", "--patience", "1", "--seconds", "120"),
        plot=drawn,
        stdout=said,
        stderr=StringIO(),
    )

    assert "seats sold, 0 held." in said.getvalue()
    assert "people were let in, each when it was their turn" in said.getvalue()
    assert 11 <= Ticket.objects.filter(status="active").count() <= 12
    assert ElementTree.parse(drawn).getroot().get("aria-label").startswith("24 people")


def test_a_site_with_real_payments_is_left_alone(settings):
    settings.PAYMENTS_SANDBOX = False

    with pytest.raises(CommandError, match="test mode"):
        call_command("simulate_sale")


def test_plot_of_a_sale_without_a_sale_is_a_picture_too():
    sale = prepare(people=1, seats=1, most=1, lobby=1)
    empty = Sale(sale.event, sale.category, sale.people, samples=[Sample(0, 0, 0, 0)])

    assert ElementTree.fromstring(plot(empty, lobby=1)).tag.endswith("svg")
