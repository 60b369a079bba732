import csv
from io import BytesIO, StringIO

import pytest
from django.urls import reverse
from openpyxl import load_workbook

from accounts import exports
from accounts.models import StaffAction
from bookings.models import Booking, Ticket
from bookings.services import hold_seats
from payments.models import Payment
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client_for):
    return client_for(StaffFactory(is_superuser=True))


@pytest.fixture
def booking():
    """A sale to somebody whose name a spreadsheet would run."""
    person = UserFactory(name='=HYPERLINK("http://evil.example")', email="eve@example.test")
    category = TicketCategoryFactory(event__name="Café Öz", event__payment_collection="at_door", price_minor=1250)
    return hold_seats(user_id=person.pk, category_id=category.pk, quantity=2)


def export(staff, model, form, **more):
    where = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    rows = [row.pk for row in model.objects.all()]
    return staff.post(where, {"action": f"export_{form}", "_selected_action": rows, **more})


def body(answer):
    return b"".join(answer.streaming_content)


def test_bookings_as_csv(staff, booking):
    answer = export(staff, Booking, "csv")

    (row,) = csv.DictReader(StringIO(body(answer).decode("utf-8-sig")))
    assert (row["reference"], row["event"], row["quantity"], row["amount"]) == (
        booking.reference,
        "Café Öz",
        "2",
        "25.00",
    )
    assert row["confirmed at"].endswith("Z")
    assert answer["Content-Disposition"].startswith('attachment; filename="bookings-')
    assert "no-store" in answer["Cache-Control"]


def test_formula_stays_text_in_both_forms(staff, booking):
    (row,) = csv.DictReader(StringIO(body(export(staff, Booking, "csv")).decode("utf-8-sig")))
    assert row["buyer"] == "'" + booking.user.name

    sheet = load_workbook(BytesIO(body(export(staff, Booking, "xlsx")))).active
    header, first = sheet.iter_rows(values_only=True)
    found = dict(zip(header, first, strict=True))
    assert found["buyer"] == "'" + booking.user.name
    assert (found["quantity"], found["amount"]) == (2, 25)
    assert found["starts at"].year == booking.event.starts_at.year


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_what_begins_like_a_formula_is_quoted(cell):
    assert exports.text(cell) == f"'{cell}"


def test_numbers_stay_numbers():
    assert (exports.text(-5), exports.native(-5), exports.text(None), exports.text(True)) == ("-5", -5, "", "True")


def test_export_is_in_the_audit_with_its_size(staff, booking):
    body(export(staff, Booking, "csv"))

    done = StaffAction.objects.get(action="export")
    assert (done.object_type, done.after) == ("booking", {"rows": 1, "format": "csv"})


@pytest.mark.parametrize("model", [Ticket, Payment])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_other_lists(staff, booking, model, form):
    if model is Payment:
        Payment.objects.create(booking=booking, amount_minor=2500, currency="EUR", attempt=1)

    content = body(export(staff, model, form))

    assert len(content) > 100
    code = Ticket.objects.first().code
    assert code.encode() not in content  # a code lets somebody in: it is in no list


def test_long_list_is_read_in_batches(staff, booking, django_assert_max_num_queries, monkeypatch):
    with django_assert_max_num_queries(20):
        body(export(staff, Booking, "csv", select_across="1"))
