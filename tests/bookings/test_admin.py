"""The staff's view of bookings: facts to read, one action with a reason, the same statements for one row and for many."""

import pytest
from django.contrib import admin
from django.utils import timezone

from accounts.models import StaffAction
from bookings.models import Booking, BookingSeat, BookingTransition, Ticket
from bookings.references import spoken
from bookings.services import cancel_booking, confirm_booking, hold_seats
from common.admin import ReadOnlyAdmin
from common.models import Heartbeat, IdempotencyKey, OutboxMessage
from tests.factories import EventFactory, StaffFactory, TicketCategoryFactory, UserFactory

pytestmark = pytest.mark.django_db
OURS = (Booking, BookingSeat, BookingTransition, Ticket, OutboxMessage, Heartbeat, IdempotencyKey)


def sale(*, email: str = "", rows: dict | None = None, quantity: int = 2) -> Booking:
    """Sell tickets to a new person."""
    person = UserFactory(email=email) if email else UserFactory()
    category = TicketCategoryFactory(event=EventFactory(), rows=rows)
    return confirm_booking(
        booking_id=hold_seats(user_id=person.pk, category_id=category.pk, quantity=quantity).pk,
    )


@pytest.fixture
def staff(client_for):
    """A browser of somebody who may do everything."""
    return client_for(StaffFactory(is_superuser=True))


def listing(model: type) -> str:
    """Return the address of a model's list."""
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_rows_are_listed_and_shown_but_never_edited(staff, model):
    sale(rows={"A": 4})
    Heartbeat.objects.create(name="job")
    IdempotencyKey.objects.create(owner="1", method="POST", path="/", key="k", body_hash="h")
    row = model.objects.first()

    assert staff.get(listing(model)).status_code == 200
    page = staff.get(f"{listing(model)}{row.pk}/change/")
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert staff.get(f"{listing(model)}add/").status_code == 403
    assert staff.post(f"{listing(model)}{row.pk}/change/", {}).status_code == 403
    assert staff.post(f"{listing(model)}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert isinstance(admin.site.get_model_admin(model), ReadOnlyAdmin)


@pytest.mark.parametrize("model", [Booking, Ticket, BookingTransition, BookingSeat], ids=lambda model: model.__name__)
def test_lists_need_the_same_statements_for_one_row_and_for_many(staff, django_assert_max_num_queries, model):
    sale(rows={"A": 4})
    staff.get(listing(model))
    with django_assert_max_num_queries(20) as first:
        staff.get(listing(model))

    for _ in range(3):
        sale(rows={"A": 4})
    with django_assert_max_num_queries(20) as second:
        staff.get(listing(model))

    assert len(second) == len(first)


def test_a_booking_shows_its_tickets_seats_and_history_in_fixed_statements(staff, django_assert_max_num_queries):
    small, big = sale(rows={"A": 4}, quantity=1), sale(rows={"A": 8}, quantity=6)
    staff.get(f"{listing(Booking)}{small.pk}/change/")

    with django_assert_max_num_queries(20) as first:
        staff.get(f"{listing(Booking)}{small.pk}/change/")
    with django_assert_max_num_queries(20) as second:
        page = staff.get(f"{listing(Booking)}{big.pk}/change/").content.decode()

    assert len(second) == len(first)
    for ticket in big.tickets.select_related("seat"):
        assert ticket.code in page
        assert ticket.seat.label in page
    assert "pending" in page


@pytest.mark.parametrize("look_for", ["reference", "spoken", "lower", "email", "code"])
def test_bookings_are_found_as_people_ask_for_them(staff, look_for):
    wanted, other = sale(email="zoe@example.test"), sale()
    words = {
        "reference": wanted.reference,
        "spoken": spoken(wanted.reference),
        "lower": spoken(wanted.reference).lower(),
        "email": "zoe@",
        "code": wanted.tickets.first().code,
    }

    page = staff.get(listing(Booking), {"q": words[look_for]}).content.decode()

    assert spoken(wanted.reference) in page
    assert spoken(other.reference) not in page


def test_staff_cancel_with_a_reason_that_is_kept(staff):
    booking = sale()
    address = f"{listing(Booking)}{booking.pk}/cancel/"

    dialog = staff.get(address)
    without = staff.post(address, {"_form_submitted": "on", "reason": ""})
    still = Booking.objects.get(pk=booking.pk).status
    done = staff.post(address, {"_form_submitted": "on", "reason": "Asked by phone"}, follow=True)

    assert (dialog.status_code, without.status_code, still) == (200, 200, "confirmed")
    assert f"Booking {spoken(booking.reference)} is cancelled." in done.content.decode()
    assert Booking.objects.get(pk=booking.pk).status == "cancelled"
    [kept] = StaffAction.objects.filter(object_type="booking")
    assert (kept.action, kept.object_id, kept.reason) == ("cancel_booking", str(booking.pk), "Asked by phone")
    assert (kept.before, kept.after) == ({"status": "confirmed"}, {"status": "cancelled"})
    assert kept.actor.is_staff


def test_looking_at_the_cancel_dialog_changes_nothing(staff):
    booking = sale()

    staff.get(f"{listing(Booking)}{booking.pk}/cancel/?reason=x&_form_submitted=on")

    assert Booking.objects.get(pk=booking.pk).status == "confirmed"


def test_cancelling_twice_says_so_and_is_noted_once(staff):
    booking = sale()
    cancel_booking(booking_id=booking.pk, by="buyer")

    page = staff.post(
        f"{listing(Booking)}{booking.pk}/cancel/", {"_form_submitted": "on", "reason": "again"}, follow=True
    )

    assert "This booking has ended already." in page.content.decode()
    assert StaffAction.objects.count() == 0


def test_every_member_of_staff_may_cancel_and_nobody_else(client_for):
    booking = sale()
    address, reason = f"{listing(Booking)}{booking.pk}/cancel/", {"_form_submitted": "on", "reason": "x"}

    refused = client_for(booking.user).post(address, reason)
    still = Booking.objects.get(pk=booking.pk).status
    client_for(StaffFactory()).post(address, reason)

    assert (refused.status_code, still) == (404, "confirmed")
    assert Booking.objects.get(pk=booking.pk).status == "cancelled"


def test_nobody_but_staff_enters(client_for):
    person = client_for(UserFactory())

    answer = person.get(listing(Booking))

    assert answer.status_code == 404


@pytest.mark.parametrize("door", ["one", "selected"])
def test_a_message_that_was_given_up_is_tried_again(staff, door):
    message = OutboxMessage.objects.create(
        topic="mail", dedupe_key="mail:1", attempts=12, failed_at=timezone.now(), last_error="SMTPError"
    )
    if door == "one":
        staff.post(f"{listing(OutboxMessage)}{message.pk}/try-again/", {"_form_submitted": "on"})
    else:
        staff.post(listing(OutboxMessage), {"action": "try_again_selected", "_selected_action": [message.pk]})

    message.refresh_from_db()
    assert (message.failed_at, message.attempts, message.done_at) == (None, 0, None)
    assert [kept.action for kept in StaffAction.objects.all()] == ["retry_message"]


def test_a_message_that_left_is_not_sent_again(staff):
    message = OutboxMessage.objects.create(topic="mail", dedupe_key="mail:1", attempts=1, done_at=timezone.now())

    staff.post(f"{listing(OutboxMessage)}{message.pk}/try-again/", {"_form_submitted": "on"})

    message.refresh_from_db()
    assert message.done_at is not None
    assert StaffAction.objects.count() == 0


@pytest.mark.parametrize(("state", "seen"), [("waiting", "a:1"), ("given_up", "b:1"), ("done", "c:1")])
def test_the_outbox_is_filtered_by_state(staff, state, seen):
    now = timezone.now()
    OutboxMessage.objects.create(topic="mail", dedupe_key="a:1")
    OutboxMessage.objects.create(topic="mail", dedupe_key="b:1", attempts=12, failed_at=now)
    OutboxMessage.objects.create(topic="mail", dedupe_key="c:1", attempts=1, done_at=now)

    page = staff.get(listing(OutboxMessage), {"state": state}).content.decode()

    assert [key for key in ("a:1", "b:1", "c:1") if key in page] == [seen]


def test_payloads_are_not_shown_to_staff(staff):
    message = OutboxMessage.objects.create(topic="mail", dedupe_key="a:1", payload={"to": "private@example.test"})

    page = staff.get(f"{listing(OutboxMessage)}{message.pk}/change/").content.decode()

    assert "private@example.test" not in page


def test_the_index_lists_our_models_and_no_schedules(staff):
    page = staff.get("/admin/").content.decode()

    assert "Outbox messages" in page
    assert "Crontab" not in page


def test_the_admin_has_its_own_content_security_policy(staff):
    answer = staff.get("/admin/")

    policy = dict(part.strip().partition(" ")[::2] for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["script-src"] == "'self' 'unsafe-eval' 'unsafe-inline'"
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
