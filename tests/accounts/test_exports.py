import csv
from io import BytesIO, StringIO

import pytest
from django.contrib.admin import site
from django.db.models.functions import Now
from django.urls import reverse
from openpyxl import load_workbook

from accounts import exports
from accounts.models import StaffAction
from bookings.models import Booking, Ticket
from bookings.services import hold_seats
from gate import services as gate
from gate.models import Scan
from payments.models import Payment, Refund
from registrations.models import Registration
from tests.factories import StaffFactory, TicketCategoryFactory, UserFactory
from waitlist import services as waitlist
from waitlist.models import WaitlistEntry

pytestmark = pytest.mark.django_db
OTHERS = [Ticket, Payment, Refund, WaitlistEntry, Registration, Scan]


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
    assert row["confirmed at (UTC)"].endswith("Z")
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
    assert found["starts at (UTC)"].year == booking.event.starts_at.year


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx", "\nx", " =1", "＝1"])
def test_what_begins_like_a_formula_is_quoted(cell):
    assert exports.text(cell) == f"'{cell}"


def test_numbers_stay_numbers():
    assert (exports.text(-5), exports.native(-5), exports.text(None), exports.text(True)) == ("-5", -5, "", "True")


def test_signs_that_no_workbook_takes_are_left_out(staff, booking):
    UserFactory._meta.model.objects.filter(pk=booking.user_id).update(name="Eve\x0b\x02")

    sheet = load_workbook(BytesIO(body(export(staff, Booking, "xlsx")))).active

    header, first = sheet.iter_rows(values_only=True)
    assert dict(zip(header, first, strict=True))["buyer"] == "Eve"


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_longer_than_an_export_may_be_is_said_instead_of_cut(staff, booking, form, monkeypatch):
    monkeypatch.setitem(exports.MOST_ROWS, form, 0)

    answer = export(staff, Booking, form)

    page = staff.get(answer["Location"]).content.decode()
    assert f"These are 1 rows; {form.upper()} takes 0 at most." in page
    assert not StaffAction.objects.filter(action="export").exists()


def test_export_is_in_the_audit_with_its_size(staff, booking):
    body(export(staff, Booking, "csv"))

    done = StaffAction.objects.get(action="export")
    assert (done.object_type, done.after) == ("booking", {"rows": 1, "format": "csv"})


def test_other_lists_are_all_that_offer_it():
    offered = {type(one).__name__ for one in site._registry.values() if isinstance(one, exports.ExportableAdmin)}

    assert offered == {"BookingAdmin", *(f"{model.__name__}Admin" for model in OTHERS)}


@pytest.mark.parametrize("model", OTHERS)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_other_lists(staff, booking, model, form):
    """A row of each: a payment and its refund, a place on a waitlist, a registration, a scan at a gate."""
    payment = Payment.objects.create(
        booking=booking,
        amount_minor=2500,
        received_minor=2500,
        currency="EUR",
        status="succeeded",
        use="booking",
        settled_at=Now(),
    )
    Refund.objects.create(payment=payment, amount_minor=100, currency="EUR", reason="staff", key="one")
    full = TicketCategoryFactory(capacity=1)
    hold_seats(user_id=UserFactory().pk, category_id=full.pk, quantity=1)
    waitlist.join(user_id=booking.user_id, event_id=full.event_id)
    Registration.objects.create(user_id=booking.user_id, event_id=booking.event_id)
    gate.scan_ticket(
        event_id=booking.event_id, staff_id=StaffFactory().pk, gate="North", code=Ticket.objects.first().code
    )
    assert model.objects.count() == (2 if model is Ticket else 1)

    content = body(export(staff, model, form))

    assert len(content) > 100
    code = Ticket.objects.first().code
    assert code.encode() not in content  # a code lets somebody in: it is in no list


def test_long_list_is_read_in_batches(staff, booking, django_assert_max_num_queries, monkeypatch):
    with django_assert_max_num_queries(20):
        body(export(staff, Booking, "csv", select_across="1"))
